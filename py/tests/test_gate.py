# SPDX-License-Identifier: MIT
"""The gate: what held must hold. No silent green, no red without a reason, one exit code an outcome."""
import json
import xml.etree.ElementTree as ET

import pytest
from plumbline import snapshot
from plumbline.cli import main
from plumbline.compare import compare
from plumbline.expect import Expectation
from plumbline.outcomes import Trouble
from plumbline.snapshot import CONFORM, LOAD, Fact, Key, Snapshot


def snap(outcome=None, layer=CONFORM, catalogue=1, trouble=(), **fact):
    """One claim, or none, beside one that holds."""
    facts = {Key(CONFORM, "mq", "A-0"): Fact("held", since=1)}
    facts |= {Key(layer, "mq", "A-1"): Fact(outcome, **{"since": 1, **fact})} if outcome else {}
    return Snapshot("s", facts, catalogue, {}, list(trouble))


def verdict(base, cand, **more):
    c = compare(base, cand, **more)
    return next(x.kind for x in c.changes if x.key.clause == "A-1"), c.exit


OUTCOMES = ("held", "violated", "skipped", "broken", "unknown", None)
TABLE = {  # before: what each end after it means, in the order of OUTCOMES
    "held": "same 0, violation 1, regression 1, broken 3, unknown 5, regression 1",
    "violated": "better 0, known 0, gone 0, broken 3, unknown 5, gone 0",
    "skipped": "better 0, violation 1, same 0, broken 3, unknown 5, gone 0",
    "broken": "better 0, violation 1, gone 0, broken 3, unknown 5, gone 0",
    "unknown": "better 0, violation 1, gone 0, broken 3, unknown 5, gone 0",
    None: "new 0, violation 1, new 0, broken 3, unknown 5",
}


@pytest.mark.parametrize(
    "before, after, kind, code",
    [
        (before, after, *(f(x) for f, x in zip((str, int), what.split())))
        for before, row in TABLE.items()
        for after, what in zip(OUTCOMES, row.split(", "))
    ],
)
def test_each_pair_of_outcomes_means_one_thing(before, after, kind, code):
    assert verdict(snap(before), snap(after)) == (kind, code)


def test_an_expectation_excuses_what_it_names_and_nothing_else():
    known = [Expectation("A-1", ("mq",), "violated", "why", "http://x")]
    assert verdict(snap("held"), snap("violated"), expected=known) == ("expected", 0)
    assert verdict(snap("held", LOAD), snap("violated", LOAD), expected=known) == ("expected", 0)
    assert verdict(snap("held"), snap("skipped"), expected=known) == ("regression", 1)
    assert verdict(snap("held"), snap("unknown"), expected=known) == ("unknown", 5)
    assert verdict(snap("held"), snap("held"), expected=known) == ("unexpected pass", 0)
    assert verdict(snap("held"), snap("violated"), expected=[Expectation("A-1", ("x",), "violated", "why")])[1] == 1
    skip = [Expectation("A-1", ("*",), "skipped", "no such limit here")]
    assert verdict(snap("held"), snap("skipped"), expected=skip) == ("expected", 0)
    assert verdict(snap("held"), snap(None), expected=skip) == ("regression", 1)


def test_never_green():
    """No expectation makes unknown or broken green; an expired one excuses nothing, and says so."""
    import datetime

    for word, code in (("unknown", 5), ("broken", 3)):
        x = [Expectation("A-1", ("mq",), word, "why")]
        assert verdict(snap("held"), snap(word), expected=x) == (word, code)
    old = [Expectation("A-1", ("mq",), "violated", "why", expires=datetime.date(2020, 1, 1))]
    c = compare(snap("held"), snap("violated"), expected=old)
    assert c.exit == 1 and "expired on 2020-01-01" in c.news[0]


def test_the_runs_own_expectations_count_when_none_are_given():
    assert verdict(snap("held"), snap("violated", expected="violated", note="n")) == ("expected", 0)
    assert verdict(snap("held"), snap("violated", expected="violated"), expected=[]) == ("violation", 1)


def test_a_pass_in_one_layer_is_no_unexpected_pass():
    known = [Expectation("A-1", ("mq",), "violated", "why")]
    both = snap("held", LOAD)
    both.facts[Key(CONFORM, "mq", "A-1")] = Fact("violated")
    kinds = {x.key.layer: x.kind for x in compare(both, both, expected=known).changes if x.key.clause == "A-1"}
    assert kinds == {CONFORM: "expected", LOAD: "same"}


def test_another_rule_of_the_same_clause_is_new():
    base = snap("violated", LOAD, rules=("VORD",))
    assert verdict(base, snap("violated", LOAD, rules=("VORD",))) == ("known", 0)
    assert verdict(base, snap("violated", LOAD, rules=("VLOST",))) == ("violation", 1)
    assert verdict(base, snap("violated", LOAD, rules=("VLOST", "VORD"))) == ("violation", 1)


def test_newer_clauses_are_advisory_until_the_pin_moves():
    new = snap("violated", catalogue=2, since=2)
    assert verdict(snap(None), new) == ("advisory", 0)
    assert verdict(snap(None), new, pin=2) == ("violation", 1)
    assert verdict(snap(None), snap("unknown", since=2)) == ("advisory", 0)
    assert verdict(snap("held", since=2, catalogue=2), snap(None, catalogue=2), pin=1) == ("advisory", 0)
    assert verdict(snap(None), snap("violated", since=0), since={"A-1": 2}) == ("advisory", 0)


def test_a_violation_is_not_hidden_by_what_is_broken_but_a_loss_is():
    both = snap("violated")
    both.facts[Key(CONFORM, "mq", "A-2")] = Fact("broken")
    assert compare(snap("held"), both).exit == 1
    lost = snap(None)
    lost.facts[Key(CONFORM, "mq", "A-2")] = Fact("broken")
    assert compare(snap("held"), lost).exit == 3
    assert compare(snap("held"), snap("held", trouble=[("broken", "pytest")])).exit == 3
    assert compare(snap("held"), snap("held", trouble=[("unknown", "interrupted")])).exit == 5
    assert compare(Snapshot("s"), Snapshot("s")).exit == 4


# over folders, by the command
GOOD = {"mq": {"A-1": "held", "A-2": "held"}, "mutex/robust": {"B-1": "held", "B-2": "skipped"}}
LOAD_OK = {"mq": {"A-1": "", "A-3": ""}, "mutex/robust": {"B-1": ""}}


@pytest.fixture
def gate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        code = main(["gate", *map(str, argv)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_a_baseline_is_a_small_sorted_file_that_comes_back(gate, results, tmp_path):
    results("r1", {**GOOD, "odd": {'X "1" é': "held", "A.b": "violated"}}, {"mq": {"A-1": "VORD VLOST"}})
    assert gate("--write-baseline", "b.toml")[0] == 0
    text = (tmp_path / "b.toml").read_text()
    assert '[conform."mutex/robust"]\nB-1 = "held"\nB-2 = "skipped"\n' in text
    assert '[load.mq]\nA-1 = "violated VLOST VORD"\n' in text and 'kernel = "Linux 1"' in text
    back, run = snapshot.of_baseline("b.toml"), snapshot.of_runs([results("r2", GOOD)])
    assert {k: f.outcome for k, f in back.facts.items() if k.place in GOOD and k.layer == CONFORM} == {
        k: f.outcome for k, f in run.facts.items()
    }
    assert back.facts[Key(CONFORM, "odd", 'X "1" é')].outcome == "held"
    assert back.facts[Key(LOAD, "mq", "A-1")].rules == ("VLOST", "VORD")
    gate("--write-baseline", "c.toml", "r1")
    assert (tmp_path / "c.toml").read_text() == text


def test_same_again_passes(gate, results):
    results("r1", GOOD, LOAD_OK)
    results("r2", GOOD, LOAD_OK)
    code, out, _ = gate("r1", "r2")
    assert code == 0 and out.startswith("Passed: 6 claims held before, and all of that still holds.")
    gate("--write-baseline", "b.toml", "r1")
    assert gate("--baseline", "b.toml")[0] == 0


@pytest.mark.parametrize(
    "conform, load, more, code, words",
    [
        ({"mq": {"A-1": "violated"}}, {}, {}, 1, ["held → violated A-1 mq: Text of A-1.", "A-1 did not"]),
        ({"mq": {"A-1": "skipped"}}, {}, {}, 1, ["held → skipped A-1 mq", "replay plumbline conform mq/mq -k A-1"]),
        ({"mq": {"A-1": "broken"}}, {}, {}, 3, ["Broken", "held → broken A-1"]),
        ({"mq": {"A-1": "unknown"}}, {}, {}, 5, ["Inconclusive", "held → unknown A-1"]),
        ({}, {"mq": {"A-1": "VORD"}}, {}, 1, ["held → violated A-1 mq under load", "VORD broke", "--seed 0x1"]),
        ({}, {"mq": {"A-1": "VORD", "": "VODD"}}, {}, 1, ["missing → violated VODD mq under load"]),
        ({}, {}, {"hangs": [{"mechanism": "mq", "kind": "deadlock"}]}, 1, ["violated HANG mq", "deadlock"]),
        ({}, {}, {"hangs": [{"mechanism": "mq", "kind": "deadlock", "violated": False}]}, 0, ["Passed"]),
        ({}, {}, {"residue": [{"kind": "process", "name": "x"}]}, 3, ["broken RESIDUE", "process x was left behind"]),
        ({}, {}, {"verdict": "interrupted"}, 5, ["Inconclusive", "interrupted"]),
    ],
)
def test_what_got_worse_is_named(gate, results, conform, load, more, code, words):
    results("r1", GOOD, LOAD_OK)
    results(
        "r2",
        {k: {**v, **conform.get(k, {})} for k, v in GOOD.items()},
        {k: {**v, **load.get(k, {})} for k, v in LOAD_OK.items()},
        **more,
    )
    got, out, _ = gate("r1", "r2")
    assert got == code, out
    for w in words:
        assert w in out, out
    assert gate("r2", "r1")[0] in (0, 5)  # the other way round nothing got worse


def test_a_replay_goes_to_the_candidates_target(gate, results):
    results("r1", GOOD)
    results("r2", {**GOOD, "mq": {"A-1": "skipped", "A-2": "held"}}, target="podman exec -i c")
    out = gate("r1", "r2")[1]
    assert "conform mq/mq -k A-1 --target 'podman exec -i c'" in out and "different targets" in out


def test_whole_mechanisms_that_are_missing_are_one_line_each(gate, results):
    results("r1", {"mq": {f"A-{i}": "held" for i in range(40)}, "pipe": {"P-1": "held"}})
    results("r2", {"pipe": {"P-1": "held"}})
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "held → missing mq: 40 claims: the candidate has none of it" in out
    assert len(out.splitlines()) < 8


def test_the_screen_stays_one_screen(gate, results):
    results("r1", {"mq": {f"A-{i:02}": "held" for i in range(60)}})
    results("r2", {"mq": {f"A-{i:02}": {"outcome": "violated", "reason": "x" * 5000} for i in range(60)}})
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "and 50 more: --show 60" in out and len(out.splitlines()) < 45
    assert max(map(len, out.splitlines())) < 200
    assert "A-59" in gate("r1", "r2", "--show", "60")[1]


def test_parts_of_one_run_are_judged_together(gate, results):
    results("r0", GOOD)
    gate("--write-baseline", "b.toml")
    results("r1", {"mq": GOOD["mq"]})
    results("r2", {"mutex/robust": GOOD["mutex/robust"]})
    assert gate("--baseline", "b.toml", "r1")[0] == 1
    assert gate("--baseline", "b.toml", "r1", "r2")[0] == 0
    results("r3", {"mq": {"A-1": "violated"}})
    assert gate("--baseline", "b.toml", "r1", "r2", "r3")[0] == 1


def test_what_is_worth_knowing_is_said(gate, results, tmp_path):
    results("r1", {"mq": {"A-1": "violated", "A-2": "violated", "A-3": "held", "A-4": "skipped"}})
    (tmp_path / "x.toml").write_text(
        '[[expect]]\nclause = "A-1"\noutcome = "violated"\nreason = "known since 1970"\nlink = "http://k"\n'
        '[[expect]]\nclause = "A-3"\noutcome = "violated"\nreason = "gone"\n'
        '[[expect]]\nclause = "A-9"\noutcome = "violated"\nreason = "old"\nexpires = 2020-01-01\n'
    )
    new = {"outcome": "violated", "since": 9}
    results("r2", {"mq": {"A-1": "violated", "A-2": "violated", "A-3": "held", "A-4": "held", "N-1": new}}, catalogue=9)
    code, out, _ = gate("r1", "r2", "--expect", "x.toml")
    assert code == 0, out
    for words in (
        "expected: A-1 (mq): known since 1970 (http://k)",
        "violated as before: A-2 (mq)",
        "unexpected pass: A-3 (mq)",
        "advisory, newer than the pinned catalogue: N-1 (mq); --catalogue 9",
        "holds now: A-4 (mq)",
        "expired on 2020-01-01",
    ):
        assert words in out, out
    assert gate("r1", "r2", "--expect", "x.toml", "--catalogue", "9")[0] == 1


@pytest.fixture(autouse=True)
def _no_catalogue(tmp_path, monkeypatch):
    monkeypatch.setenv("PLUMBLINE_SOURCE", str(tmp_path))


def test_json_and_junit_say_the_same(gate, results, tmp_path):
    results("r1", GOOD, LOAD_OK)
    bad = {"mq": {"A-1": "violated", "A-2": "broken"}, "mutex/robust": {"B-1": "skipped", "B-2": "skipped"}}
    results("r2", bad, {"mq": {"A-1": "VORD", "A-3": ""}, "mutex/robust": {"B-1": ""}})
    code, out, err = gate("r1", "r2", "--json", "-", "--junit", "j.xml", "--ktap", "k.ktap")
    said = json.loads(out)
    assert code == 1 == said["exit"] and said["verdict"] == "blocked" and said["sentence"] in err
    kinds = {(c["clause"], c["layer"]): c["kind"] for c in said["changes"]}
    assert kinds == {
        ("A-1", "conform"): "violation",
        ("A-2", "conform"): "broken",
        ("A-1", "load"): "violation",
        ("B-1", "conform"): "regression",
    }
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]
    assert [suite.get(k) for k in ("tests", "failures", "errors", "skipped")] == ["7", "3", "1", "1"]
    names = [(c.get("classname"), c.get("name")) for c in suite.iter("testcase")]
    assert len(set(names)) == 7 and ("plumbline.gate.mq.mq.load", "A-1") in names
    assert "not ok" in (tmp_path / "k.ktap").read_text()


@pytest.mark.parametrize(
    "argv, code, words",
    [
        ([], 2, "name two runs"),
        (["r1"], 2, "name two runs"),
        (["r1", "nix"], 2, "no run 'nix'"),
        (["--baseline", "nix.toml"], 2, "--write-baseline nix.toml"),
        (["--baseline", "bad.toml"], 2, "bad.toml"),
        (["--baseline", "old.toml"], 2, "newer plumbline"),
        (["--baseline", "word.toml"], 2, "'great'"),
        (["--baseline", "flat.toml"], 2, "tables are expected"),
        (["--baseline", "empty.toml"], 2, "without a claim"),
        (["--baseline", "b", "--write-baseline", "c"], 2, "one of them"),
        (["--write-baseline", "no/such/folder/b.toml"], 3, "cannot write"),
        (["r1", "r1", "--junit", "no/such/j.xml"], 3, "cannot write"),
        (["r1", "r1", "--ktap", "no/such/k"], 3, "cannot write"),
        (["r1", "r1", "--expect", "nix"], 2, "nix"),
    ],
)
def test_bad_input_is_one_line(gate, results, tmp_path, argv, code, words):
    results("r1", GOOD)
    for name, text in (
        ("bad", "x = "),
        ("old", "schema = 99"),
        ("word", 'schema = 1\n[conform.mq]\nA = "great"'),
        ("flat", "schema = 1\nconform = 5"),
        ("empty", "schema = 1"),
    ):
        (tmp_path / f"{name}.toml").write_text(text)
    got, _, err = gate(*argv)
    assert got == code and words in err and len(err.strip().splitlines()) == 1, err


@pytest.mark.parametrize(
    "conform, more, words",
    [
        ({"mq": {"A-1": "broken"}}, {}, "A-1 did not"),
        (GOOD, {"verdict": "interrupted"}, "interrupted"),
        (GOOD, {"stress": {"exit": 3, "why": "1 of 4 drivers broke"}}, "1 of 4 drivers broke"),
        ({}, {}, "nothing ran"),
    ],
)
def test_what_is_not_whole_is_no_baseline(gate, results, tmp_path, conform, more, words):
    results("r1", conform, **more)
    code, _, err = gate("--write-baseline", "b.toml")
    assert code == 3 and words in err and not (tmp_path / "b.toml").exists()


def test_a_violation_outweighs_a_file_that_cannot_be_written(gate, results):
    results("r1", GOOD)
    results("r2", {**GOOD, "mq": {"A-1": "violated", "A-2": "held"}})
    code, out, err = gate("r1", "r2", "--junit", "no/such/j.xml")
    assert code == 1 and out.startswith("Blocked") and "cannot write" in err


def test_a_missing_summary_folder_does_not_lose_the_verdict(gate, results):
    results("r1", GOOD)
    code, out, err = gate("r1", "r1", "--github-summary", "no/such/folder/s.md")
    assert code == 0 and "cannot write" in err and out.startswith("Passed")


def test_a_baseline_file_is_never_taken_for_a_run(results):
    with pytest.raises(Trouble):
        snapshot.of_baseline("/nonexistent")


def test_a_kind_that_was_skipped_under_load_says_why_it_is_no_longer_held(gate, results):
    results("r1", {}, LOAD_OK)
    skips = [{"mechanism": "mq", "variant": "mq", "why": "fs.mqueue.queues_max is 1, 12 are needed"}]
    f = results("r2", {}, LOAD_OK)
    run = f.read_json("run.json")
    run["stress"] |= {"skips": skips}
    run["stress"]["per_mech"]["mq/mq"] = {"judged": 0}
    f.write_json("run.json", run)
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "held → skipped A-1 mq under load" in out and "queues_max is 1" in out
    run["stress"]["skips"] = []
    f.write_json("run.json", run)
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "held → skipped A-1 mq under load" in out and "a longer --for" in out


def test_the_scenes_of_the_gallery_are_claims(gate, results):
    scene = {"scene": "mutex-self", "on": "mutex/normal", "verdict": "held", "why": "actor 0 waits for mutex a"}
    results("r1", GOOD, stress={"exit": 0, "per_mech": {}, "gallery": [scene, {**scene, "scene": "mutex-ab-ba"}]})
    bad = {**scene, "verdict": "violated", "why": "slow, where deadlock must be"}
    results("r2", GOOD, stress={"exit": 1, "per_mech": {}, "gallery": [bad]}, verdict="violated")
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "held → violated mutex-self mutex/normal under load" in out and "slow, where" in out
    assert "held → missing mutex-ab-ba" in out and "no claim of it" not in out


def test_a_list_that_was_cut_may_hide_something_new(gate, results):
    results("r1", {}, {"mq": {"A-1": "VORD", "A-3": ""}})
    f = results("r2", {}, {"mq": {"A-1": "VORD", "A-3": ""}})
    assert gate("r1", "r2")[0] == 0
    run = f.read_json("run.json")
    run["stress"]["per_mech"]["mq/mq"]["violated"] = 70
    run["stress"]["shortened"] = True
    f.write_json("run.json", run)
    code, out, _ = gate("r1", "r2")
    assert code == 5 and "unknown ROUNDS mq under load" in out and "the list names 1" in out


@pytest.mark.parametrize("word, code", [("violated", 3), ("broken", 3), ("unknown", 5)])
def test_a_verdict_that_no_claim_explains_is_not_green(gate, results, word, code):
    results("r1", GOOD)
    results("r2", GOOD, verdict=word)
    got, out, _ = gate("r1", "r2")
    assert got == code and f"its verdict is {word}, and no claim of it is" in out


def test_the_sentence_does_not_claim_what_is_excused(gate, results, tmp_path):
    (tmp_path / "x.toml").write_text('[[expect]]\nclause = "A-1"\noutcome = "violated"\nreason = "known"\n')
    results("r1", GOOD)
    results("r2", {**GOOD, "mq": {"A-1": "violated", "A-2": "held"}})
    code, out, _ = gate("r1", "r2", "--expect", "x.toml")
    assert code == 0 and "Passed: 3 claims held before: 2 still hold, 1 excused or advisory." in out
    assert "violated in it, so known to the gate from now on: A-1 (mq)" in gate("--write-baseline", "b", "r2")[1]


def test_violated_rounds_that_no_list_names_are_never_known(gate, results):
    for r in ("r1", "r2"):
        f = results(r, {}, LOAD_OK)
        run = f.read_json("run.json")
        run["stress"]["per_mech"]["mq/mq"]["violated"] = 3
        f.write_json("run.json", run)
    code, out, _ = gate("r1", "r2")
    assert code == 1 and "violated ROUNDS mq under load" in out
