# SPDX-License-Identifier: MIT
"""What the suites find rests on the target's clock only as far as its audits allow: before them, and after.

A target's program tells the audits here, so that they can be wrong; a libc that breaks a promise makes the findings.
Needs a build (PLUMBLINE_BUILD) with the mutants' shim.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agents import AGENT, BUILD, DRIVERS, needs_agent
from plumbline import clock
from plumbline.calls import Clock, Doubtful, Result

SHIM = BUILD / "conformance/mutants/libplumb-mutants.so"
TREE = Path(__file__).resolve().parents[2]
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
GOOD = {"ev": "clock", "source": "tsc", "boot": BOOT, "error_ns": 1, "step_ns": 0, "backwards": 0}
COARSE = {**GOOD, "error_ns": 10**11, "step_ns": 10**11 - 1, "backwards": 3}
HPET = {**GOOD, "source": "hpet"}
NONE = "cannot be looked at"
#: Gives the first audit, then the second; all else is run as it is.
PROGRAM = """#!/bin/sh
for last; do :; done
[ "$last" = --clock ] || exec "$@"
[ -e {0}/asked ] && exec cat {0}/after
: >{0}/asked
exec cat {0}/before
"""
RACES = ["mutex/normal", "-k", "MTX-27 or test_one_at_a_time"], "lock-greedy,every=1"
WAITS = ["mutex/normal", "-k", "MTX-27"], ""
LOADS = ["shm/posix", "-k", "test_stores_and_loads_under_load and PSHM-14"], "map-private"
pytestmark = [
    pytest.mark.skipif(not SHIM.exists(), reason="libplumb-mutants.so is not built (PLUMBLINE_BUILD)"),
    pytest.mark.skipif(any(c in str(SHIM) for c in ":;"), reason="LD_LIBRARY_PATH cannot name such a path"),
]


def said(audit):
    return audit if isinstance(audit, str) else json.dumps(audit)


def faked(folder, before, after):
    """A target's program whose clock is what two audits say."""
    program = folder / "faked"
    program.write_text(PROGRAM.format(shlex.quote(str(folder))))
    program.chmod(0o755)
    (folder / "before").write_text(said(before))
    (folder / "after").write_text(said(after))
    return [str(program)]


def conform(folder, what, target=(), *options):
    """(exit code, what it said, run.json, each test's record)."""
    chosen, mutant = what
    break_it = ["env", f"LD_PRELOAD={SHIM.name}", f"LD_LIBRARY_PATH={SHIM.parent}", f"PLUMB_MUTANT={mutant}"]
    prefix = [*target, *(break_it if mutant else ())]
    argv = [sys.executable, "-m", "plumbline", "conform", *chosen, "--jobs", "0", "--out", str(folder), *options]
    argv += ["--target", shlex.join(prefix)] if prefix else []
    env = {**os.environ, "PLUMBLINE_SOURCE": str(TREE), "PLUMBLINE_DRIVERS": str(DRIVERS)}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    latest = folder / "latest"
    found = {name: json.loads((latest / name).read_text()) for name in ("run.json", "conform.json")}
    return done.returncode, done.stdout + done.stderr, found["run.json"], found["conform.json"]["records"]


def outcomes(records, rounds=False):
    """Of the tests that are rounds, or of those that are single calls."""
    return {r["outcome"] for r in records if ("test_one_at_a_time" in r["test"]) == rounds}


def told_error(folder):
    """What the drivers of violated tests were told of the clock."""
    lines = [x for p in (folder / "latest" / "transcripts").iterdir() for x in p.read_text().splitlines()]
    return {json.loads(x[2:])["clock_error_ns"] for x in lines if x.startswith("> ") and '"op":"init"' in x}


def test_the_audit_is_in_the_run_and_its_report(tmp_path):
    code, said, run, records = conform(tmp_path, RACES)
    k = run["clock"]
    assert code == 1 and "clock:" not in said and "why" not in k, said
    assert told_error(tmp_path) == {k["error_ns"]} and outcomes(records) == {"violated"}
    assert all(r["by_clock"] and r["slack_ns"] > k["error_ns"] for r in records if "one_at_a_time" not in r["test"])
    for a in (k, k["after"]):
        assert a["cpus"] == len(os.sched_getaffinity(0)) and a["boot"] == BOOT and a["error_ns"] >= a["res_ns"] > 0
    assert f"error {k['error_ns']} ns before" in (tmp_path / "latest" / "report.html").read_text()


def test_rounds_are_judged_with_the_error(tmp_path):
    """That a value is stale rests on stamps; that there are two orders of values needs none."""
    code, said, _, records = conform(tmp_path, LOADS, faked(tmp_path, COARSE, COARSE))
    assert code in (1, 5) and "it steps back between CPUs" in said, said
    assert all(r["slack_ns"] is None for r in records if r["outcome"] == "violated"), records
    assert "the clock may be wrong by" in said if code == 5 else told_error(tmp_path) == {COARSE["error_ns"]}, said


@pytest.mark.parametrize(
    "before, after, says",
    [
        (COARSE, GOOD, "a clock that may be 100000000000 ns wrong"),
        (GOOD, HPET, "the clock source changed from tsc to hpet"),
        (GOOD, NONE, "it could not be looked at again: plumb-mutex --clock gave no audit"),
        (NONE, GOOD, f"a clock that may be {clock.ANY_NS} ns wrong"),
        ({**GOOD, "boot": "another"}, GOOD, "another kernel's clock"),
    ],
    ids=["coarse", "source", "not-again", "not-at-all", "boot"],
)
def test_what_needs_no_clock_stays(tmp_path, before, after, says):
    """A lock that lets in a second one: it returned too early by a clock, but the counter that it guards has none."""
    code, said, run, records = conform(tmp_path, RACES, faked(tmp_path, before, after))
    assert code == 1 and outcomes(records, rounds=True) >= {"violated"}, said
    assert outcomes(records) == {"unknown"} and says in str(records) + said, said
    assert told_error(tmp_path) == {before.get("error_ns") if before != NONE else clock.ANY_NS}


@pytest.mark.parametrize(
    "before, after, code",
    [(COARSE, COARSE, 0), (GOOD, NONE, 0), (GOOD, HPET, 5)],
    ids=["coarse", "not-again", "source"],
)
def test_agreement_is_believed_unless_the_clock_changed(tmp_path, before, after, code):
    got, said, run, records = conform(tmp_path, WAITS, faked(tmp_path, before, after))
    assert got == code and {r["outcome"] for r in records} == {"held" if code == 0 else "unknown"}, said


@needs_agent
def test_over_an_agent(tmp_path):
    (there := tmp_path / "there").mkdir()
    for program in (DRIVERS / "plumb-mutex", AGENT):
        shutil.copy(program, there)
    code, said, run, _ = conform(tmp_path, WAITS, ["env"], "--agent", str(there / AGENT.name))
    assert code == 0 and run["clock"]["boot"] == run["clock"]["after"]["boot"] == BOOT, said


@pytest.mark.parametrize(
    "after, why",
    [
        (GOOD, ""),
        ({**GOOD, "error_ns": 0}, ""),
        ({**GOOD, "boot": ""}, ""),
        (HPET, "the clock source changed from tsc to hpet"),
        (COARSE, "the clock stepped back by 99999999999 ns at the end; 1 ns were allowed for"),
        ({**GOOD, "boot": "another"}, "another kernel's clock"),
        ({**GOOD, "timens": 8}, "another time namespace, 8, than 7, in which the clock was looked at"),
    ],
)
def test_doubt(after, why):
    assert clock.doubt({**GOOD, "timens": 7}, after) == why


def test_slack_and_error():
    """More than the error is an order, as much is none; the other way round there is none to doubt."""
    for error, slack in ((0, 1), (5, 6), (5, 5), (5, 1), (5, 0), (5, -3)):
        k = Clock(error)
        first, then = Result(0, t_ret=10, clock=k), Result(0, t_inv=10 + slack, clock=k)
        if 0 < slack <= error:
            with pytest.raises(Doubtful, match=f"{slack} ns before"):
                first.before(then)
        else:
            assert first.before(then) == (slack > 0)
        assert k.asked and k.slack_ns == (slack if slack > error else None)
