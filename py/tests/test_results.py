# SPDX-License-Identifier: MIT
"""Outcomes, expectations, JUnit, the run's folder: nothing is merged, nothing that is red turns green."""
import fcntl
import os
import stat
from pathlib import Path
import xml.etree.ElementTree as ET

import pytest
from plumbline import expect, junit
from plumbline.catalogue import Catalogue
from plumbline.conform import Conform, show
from plumbline.console import Out
from plumbline.expect import Expectation
from plumbline.outcomes import VERDICT_EXIT, Record, Trouble, cells, column, counts, plural, verdict, worst
from plumbline.places import Places
from plumbline.runfolder import RunFolder, sweep


def rec(clause="A-1", outcome="held", variant="v", mech="m", **more):
    return Record(clause, variant, mech, outcome, **{"test": f"t.py::test_{clause}[{variant}]", **more})


@pytest.mark.parametrize(
    "outcomes, word",
    [
        (["held", "held"], "held"),
        (["held", "skipped"], "held"),
        (["held", "violated", "broken"], "violated"),
        (["held", "broken", "unknown"], "broken"),
        (["held", "unknown"], "unknown"),
        (["skipped"], "skipped"),
        ([], "skipped"),
    ],
)
def test_the_worst_speaks(outcomes, word):
    c = Conform([rec(f"A-{i}", o) for i, o in enumerate(outcomes)])
    assert c.verdict == word
    assert VERDICT_EXIT[word] in (0, 1, 3, 4, 5)


def test_one_bad_test_decides_its_clause():
    c = cells([rec(outcome="held", test="a"), rec(outcome="violated", test="b"), rec(outcome="skipped", test="c")])
    assert c[("A-1", "m/v")].outcome == "violated" and counts([rec(outcome="skipped"), rec()])["held"] == 1


def test_interrupted_and_trouble_are_not_green():
    assert Conform([rec()], interrupted=True).verdict == "interrupted"
    assert Conform([rec()], trouble="pytest broke").verdict == "broken"
    assert (
        verdict({}, 1, True) == "violated"
        and worst(["held", "unknown", "broken"]) == "broken"
        and worst([]) == "skipped"
    )


def test_an_expected_violation_does_not_count_but_a_pass_is_news():
    x = [Expectation("A-1", ("v",), "violated", "known", "http://x")]
    records = [rec(outcome="violated"), rec(outcome="violated", variant="w"), rec("B-1")]
    assert expect.apply(records, x) == [] and [r.counts_against for r in records] == [False, True, False]
    assert Conform(records[:1]).verdict == "held" and "http://x" in records[0].note
    assert "unexpectedly held" in expect.apply([rec()], x)[0]
    assert expect.apply([rec(outcome="skipped")], x) == []


def test_an_expectation_expires(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('[[expect]]\nclause = "A-1"\noutcome = "violated"\nreason = "r"\nexpires = 2001-01-01\n')
    x = expect.load(str(path), ["A-1"])
    records = [rec(outcome="violated")]
    assert "expired" in expect.apply(records, x)[0] and records[0].counts_against


def test_the_shipped_expectations_are_good():
    suites = Path(__file__).resolve().parents[2] / "conformance"
    known = Catalogue.load(suites / "clauses").by_id
    for path in suites.glob("expect/*.toml"):
        for x in expect.load(str(path), known):
            assert all(v == "*" or known[x.clause].covers(v) for v in x.variants), x


def test_one_witness_a_clause_is_drawn(capsys):
    """Of what is held against the mechanism, as far as a screen goes; a test that has a witness speaks."""
    bad = {"outcome": "violated", "text": "Promise."}
    found = [
        rec("A-1", **bad, reason="no witness"),
        rec("A-1", **bad, reason="a witness", timeline=["actor 1 |-put-|", "x" * 300, 7]),
        rec("A-1", variant="w", **bad, timeline=["a second one"]),
        rec("A-2", timeline=["held"]),
        rec("A-3", **bad, expected="violated", timeline=["expected"]),
        rec("A-4", **bad, timeline=[f"line {n}" for n in range(100)]),
    ]
    show(Out(), Conform(found))
    said = capsys.readouterr().out.splitlines()
    (at,) = [n for n, line in enumerate(said) if line.startswith("VIOLATED A-1 m/v")]
    assert said[at + 1] == "  a witness" and said[at + 4 : at + 6] == ["  actor 1 |-put-|", "  " + "x" * 120]
    assert said[at + 6].startswith("VIOLATED A-1 m/w") and said[at + 10].startswith("VIOLATED A-4")
    assert "  line 63" in said and not {"  a second one", "  held", "  expected", "  line 64"} & set(said)


def test_unknown_outcomes_are_broken():
    assert Record.of({"clause": "A", "mechanism": "m", "outcome": "fine", "reason": "x"}).outcome == "broken"


def test_names():
    assert column("mq", "mq") == "mq" and column("mutex", "pi") == "mutex/pi" and column("mq", "") == "mq"
    assert (
        plural(1, "driver") == "1 driver"
        and plural(2, "deadly") == "2 deadlies"
        and plural(1200, "round") == "1,200 rounds"
    )


def test_junit_dialect(tmp_path):
    records = [
        rec(),
        rec("A-2", "violated", reason="x\nsecond", text="T", source="S", witness=[{"actor": 1}]),
        rec("A-3", "skipped", reason="no cap"),
        rec("A-4", "broken", reason="boom"),
        rec("A-5", "unknown", reason="cap"),
        rec("A-6", "violated", expected="violated", note="known"),
        rec(test="t.py::test_A-1[v/2]"),
        rec(reason="bad\x00\x1b"),
    ]
    junit.write(tmp_path / "j.xml", [junit.case_of(r) for r in records], {"seed": "0x1", "kernel": "L\x00"})
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "1",
        "errors": "2",
        "skipped": "2",
    }
    names = [(c.get("classname"), c.get("name")) for c in suite.iter("testcase")]
    assert len(set(names)) == 8 and names[0] == ("plumbline.m.v", "A-1 A-1")
    fail = suite.find("testcase/failure")
    assert (
        fail.get("type") == "violation" and fail.get("message") == "x" and "actor=1" in fail.text and "S" in fail.text
    )
    assert suite.find("testcase").get("file") == "t.py" and suite.find("properties/property").get("name") == "seed"


def test_the_run_folder_is_locked_linked_and_let_go(tmp_path):
    f = RunFolder.create(str(tmp_path / "out put"))
    lock = f.path / "lock"
    fd = os.open(lock, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    assert (tmp_path / "out put" / "latest").resolve() == f.path.resolve()
    f.close()
    assert not lock.exists()
    f.write_json("run.json", {})
    assert RunFolder.find("latest", str(tmp_path / "out put")).run == f.run
    with pytest.raises(Trouble):
        RunFolder.find("elsewhere", str(tmp_path))


def test_a_folder_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").write_text("x")
    RunFolder.create(str(tmp_path)).close()
    assert (tmp_path / "latest" / "mine").exists() and not list(tmp_path.glob(".latest*"))


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    f = RunFolder(tmp_path)
    monkeypatch.setattr(
        "pathlib.Path.write_text", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(Trouble, match="No space left") as e:
        f.write("x", "y")
    assert e.value.code == 3


@pytest.fixture
def unlinker(tmp_path):
    """A drivers folder whose plumb-mq notes what it is asked to unlink."""
    (tmp_path / "drivers").mkdir()
    d = tmp_path / "drivers" / "plumb-mq"
    d.write_text(f'#!/bin/sh\necho "$2" >> "{tmp_path}/unlinked"\n')
    d.chmod(stat.S_IRWXU)
    return Places(tmp_path, tmp_path / "drivers", ())


def test_only_dead_runs_are_swept(tmp_path, unlinker):
    root = tmp_path / "results"
    for run in ("dead", "alive"):
        (root / run / "inst" / "00").mkdir(parents=True)
        (root / run / "lock").write_text("")
        (root / run / "inst" / "00" / "objects").write_text(
            f"mq /plumb.{run}.0.q\nmq /strangers\nnix /plumb.x\nmq /plumb.{run}.0.q\n"
        )
    (root / "dead" / "stress" / "inst" / "07").mkdir(parents=True)
    (root / "dead" / "stress" / "lock").write_text("")
    (root / "dead" / "stress" / "inst" / "07" / "objects").write_text("mq /plumb.engine.7.q\n")
    fd = os.open(root / "alive" / "lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert sorted(sweep(root, unlinker, [])) == ["mq /plumb.dead.0.q", "mq /plumb.engine.7.q"]
    assert sorted((tmp_path / "unlinked").read_text().split()) == ["/plumb.dead.0.q", "/plumb.engine.7.q"]
    assert sweep(root, unlinker, []) == []
    os.close(fd)
    assert sweep(root, unlinker, []) == ["mq /plumb.alive.0.q"]


def test_places_name_what_is_missing(tmp_path, unlinker, monkeypatch):
    assert unlinker.driver_names() == ["mq"]
    monkeypatch.setenv("PATH", str(tmp_path))
    for act in (lambda: unlinker.driver("pipe"), lambda: unlinker.tool("plumb-stress"), lambda: unlinker.conformance):
        with pytest.raises(Trouble):
            act()
