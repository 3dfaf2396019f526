# SPDX-License-Identifier: MIT
"""plumbline selftest: what it says of mutants and oddities, and how it ends. conformance/mutants tries them all.

The whole runs need a build (PLUMBLINE_BUILD) with the mutants' shim.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from plumbline import mutants, selftest
from plumbline.mutants import LOAD, SUITES, Book, Plan, Subject, Trial
from plumbline.outcomes import Trouble

BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or "/nonexistent")
ROOT = Path(__file__).resolve().parents[2]
needs_shim = pytest.mark.skipif(
    not (BUILD / "conformance/mutants" / mutants.SHIM).exists(), reason="the shim is not built (PLUMBLINE_BUILD)"
)
LAB = SimpleNamespace(known=SimpleNamespace(by_id={"PMQ-02": SimpleNamespace(mechanism="mq")}))


def subject(name="m", benign=False, **more):
    plans = () if benign else (Plan(SUITES, ("PMQ-02",), name), Plan(LOAD, ("PMQ-02",), name, ("mq=1",)))
    return Subject(name, "it lies", plans, benign=benign, **more)


def score(*outcomes, benign=("quiet",)):
    done = {subject(f"m{i}"): [Trial(LOAD, o, operations=10 * (i + 1))] for i, o in enumerate(outcomes)}
    done |= {subject(f"o{i}", benign=True): [Trial(LOAD, o)] for i, o in enumerate(benign)}
    return selftest.Score(done, LAB)


@pytest.mark.parametrize(
    "outcomes,benign,finished,code",
    [
        (["killed"], ["quiet"], True, 0),
        (["killed", "missed"], ["quiet"], True, 1),
        (["killed", "wrong clause"], ["quiet"], True, 1),
        (["killed"], ["alarm"], True, 1),
        (["killed", "missed"], ["quiet"], False, 1),
        (["killed"], ["quiet"], False, 130),
        (["killed", "broken"], ["quiet"], True, 3),
        (["killed", "not here"], ["quiet"], True, 0),
        (["not here"], [], True, 4),
        ([], [], True, 4),
    ],
)
def test_exit_codes(outcomes, benign, finished, code):
    assert score(*outcomes, benign=benign).exit(finished) == code


def test_the_worst_trial_speaks():
    """Killed in one place is not killed in both."""
    assert selftest.word([Trial(SUITES, "killed"), Trial(LOAD, "missed")]) == "missed"
    assert selftest.word([Trial(SUITES, "not here"), Trial(LOAD, "killed")]) == "killed"


def test_the_score_by_mechanism():
    s = score("killed", "missed", "not here")
    assert s.rows() == [["mq", 1, 2, 1, "10", "10"]]
    assert "1 of 2 mutants killed, 1 missed, 1 not here; 1 harmless run" in s.sentence(1)
    assert s.sentence(1, finished=False).startswith("selftest: interrupted; 1 of 2")


def test_what_does_not_hold_without_it_convicts_nobody():
    said = [("A", "held"), ("A", "skipped"), ("B", "skipped"), ("C", "held"), ("C", "violated")]
    why = mutants.honest([{"clause": c, "outcome": o, "reason": "r"} for c, o in said])
    assert why == {"A": "", "B": "B is skipped without it: r", "C": "C is violated without it: r"}
    t = mutants.in_suites(None, Plan(SUITES, ("B", "C"), "m"), Path(), why)
    assert t.outcome == "not here" and "B is skipped" in t.why


def test_names_numbers_and_mechanisms_choose():
    book = Book([subject("a", number=7), subject("b")], [subject("odd-c", benign=True)], [])

    def names(*chosen, **how):
        return [s.name for s in selftest.chosen(book, list(chosen), LAB, **{"quick": False, "benign": False, **how})]

    assert names() == ["a", "b", "odd-c"]
    assert names("7") == ["a"] and names("mq") == ["a", "b"] and names("odd-c") == ["odd-c"]
    assert names(benign=True) == ["odd-c"]
    assert [len(s.plans) for s in selftest.chosen(book, [], LAB, True, False)] == [1, 1, 0]
    with pytest.raises(Trouble, match="'nix'"):
        names("nix")


@pytest.fixture
def start(tmp_path):
    """start(*argv): the command in an empty folder, on the built drivers."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PLUMB", "PYTEST_"))}
    env |= {"PLUMBLINE_SOURCE": str(ROOT), "PLUMBLINE_BUILD": str(BUILD), "PLUMBLINE_BIN": str(BUILD)}

    def run(*argv):
        argv = [sys.executable, "-m", "plumbline", "selftest", *argv]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(argv, cwd=tmp_path, env=env, process_group=0, **how)

    run.folder = tmp_path
    return run


def ended(p):
    said, errors = p.communicate(timeout=300)
    assert "Traceback" not in errors, errors
    return p.returncode, said, errors


@needs_shim
def test_a_mutant_is_killed_and_an_oddity_is_not_heard(start):
    code, said, errors = ended(start("mq-send-squeeze", "odd-roomy", "--quick", "--json", "--markdown", "m"))
    told = json.loads(said)
    assert code == 0, errors
    assert told["counts"] == {"killed": 1, "quiet": 2} and told["tried"] == 1
    (trial,) = told["mutants"][0]["trials"]
    assert trial["where"] == SUITES and list(trial["named"]) == ["PMQ-05"] and trial["lies"] > 0
    assert "| killed | suites: PMQ-05" in (start.folder / "m").read_text()
    (run,) = (start.folder / "plumbline-results").iterdir()
    assert json.loads((run / "selftest.json").read_text())["exit"] == 0
    assert not any((run / "selftest").glob("mq-*")), "what went well is kept"


@needs_shim
def test_under_load_the_rule_and_the_operations_are_told(start):
    code, said, errors = ended(start("mq-lose", "--json"))
    (trial,) = json.loads(said)["mutants"][0]["trials"]
    assert code == 0 and trial["named"] == {"PMQ-25": "VLOST"} and trial["operations"] > 0, errors


@needs_shim
def test_ctrl_c_stops_and_still_tells(start):
    p = start("--benign", "--for", "10m", "--jobs", "2")
    assert p.stdout.readline().startswith("selftest ")
    stderrs = start.folder / "plumbline-results"
    while not any(stderrs.glob("*/selftest/*/events.jsonl")):  # an engine is at work
        assert p.poll() is None, p.communicate()
    os.kill(p.pid, signal.SIGINT)
    code, said, errors = ended(p)
    assert code == 130 and "selftest: interrupted; " in said, said + errors
    assert not any(stderrs.glob("*/selftest/*/lock")), "an engine has not ended in order"


@needs_shim
def test_without_the_shim_it_says_so(start):
    shutil.copytree(BUILD / "drivers", start.folder / "d", ignore=shutil.ignore_patterns("*.p"))
    code, said, errors = ended(start("--drivers", "d"))
    assert code == 3 and errors.count("\n") == 1 and mutants.SHIM in errors, errors


@needs_shim
def test_the_list_tells_what_is_not_tried(start):
    code, said, errors = ended(start("--list"))
    assert code == 0 and "mq-swap" in said and "no driver for barriers" in said, errors
