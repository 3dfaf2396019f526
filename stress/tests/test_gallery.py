# SPDX-License-Identifier: MIT
"""--job deadlock-gallery, over the real drivers: every scene is named right and ended, and a waker that
does not wake is accused, not excused as a deadlock.

No test here waits for a time; the engine's own deadlines are generous.
"""
import os
import signal
import subprocess

import pytest

from conftest import BUILD, objects, tagged, until

MUTANTS = BUILD / "conformance" / "mutants" / "libplumb-mutants.so"
JOB = "deadlock-gallery"


@pytest.fixture
def gallery(engine):
    def play(scene="", **kw):
        job = f"{JOB}:{scene}" if scene else JOB
        return engine("--job", job, "--drivers", BUILD / "drivers", deadline_s=60, **kw)
    return play


def test_every_scene_is_named_and_ended(gallery):
    r = gallery()
    s = r.summary
    assert (r.code, s["verdict"], s["exit"]) == (0, "held", 0), r.out + r.err
    played = [g for g in s["gallery"] if g["verdict"] != "skipped"]
    assert len(played) >= 35 and s["counts"]["held"] == len(played)
    for g in played:
        assert g["verdict"] == "held", g
        assert {"kind": g["kind"], "cycle": g["cycle"]} == g["expected"], g
        assert g["rescued"] == (g["kind"] != "none"), g
    assert {g["kind"] for g in played} == {"none", "slow", "orphaned", "deadlock"}
    assert {1, 2, 3, 8} <= {g["cycle"] for g in played}
    assert s["residue"] == [] and tagged(r.run) == [] and objects(r.run) == []
    assert s["violations"] == []


def test_a_ring_is_told_in_every_place(gallery):
    r = gallery("mutex-ring-3")
    hang, = r.summary["hangs"]
    assert (hang["kind"], hang["mechanism"], hang["variant"], hang["scene"]) == ("deadlock", "mutex", "normal",
                                                                               "mutex-ring-3")
    assert [(c["actor"], c["on"]) for c in hang["cycle"]] == [(0, "b"), (1, "c"), (2, "a")]
    pids = {c["actor"]: c["pid"] for c in hang["cycle"]}
    assert hang["text"] == (f"actor 0 (pid {pids[0]}) waits for mutex b, held by actor 1 (pid {pids[1]}), which "
                            f"waits for mutex c, held by actor 2 (pid {pids[2]}), which waits for mutex a, "
                            "held by actor 0")
    assert hang["text"] in r.told
    assert hang["named_ms"] > 0
    edges = [(e["from"], e["to"], e["what"], e.get("cycle")) for e in hang["edges"]]
    assert edges == [(0, 1, "mutex b", True), (1, 2, "mutex c", True), (2, 0, "mutex a", True)]
    assert [e for e in r.events if e["ev"] == "hang"][0]["text"] == hang["text"]
    assert [e["verdict"] for e in r.events if e["ev"] == "scene"] == ["held"]


def test_two_drivers_make_one_ring(gallery):
    hang, = gallery("mq-two-drivers").summary["hangs"]
    assert len({c["instance"] for c in hang["cycle"]}) == 2 == len({c["name"] for c in hang["cycle"]})


def test_ctrl_c_is_no_verdict(engine):
    """A scene cut short by the user is neither broken nor violated."""
    argv = engine.argv("--job", f"{JOB}:mutex-timed", "--drivers", BUILD / "drivers")
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=engine.root)
    p.folder = engine.folder
    engine.started.append(p)
    log = engine.folder / "events.jsonl"
    until(lambda: log.exists() and '"armed"' in log.read_text(), 20, "the scene begins")
    p.send_signal(signal.SIGINT)
    r = engine.end(p, 20)
    assert r.code in (130, 0) and r.summary["counts"]["broken"] == r.summary["counts"]["violated"] == 0, r.out
    assert r.code == 0 or r.summary["verdict"] in ("unknown", "held")


def mutant(spec):
    if b"__asan_init" in (BUILD / "drivers" / "plumb-mq").read_bytes():
        pytest.skip("a driver built with AddressSanitizer wants to load it first")
    return {**os.environ, "LD_PRELOAD": MUTANTS.name, "LD_LIBRARY_PATH": str(MUTANTS.parent), "PLUMB_MUTANT": spec}


@pytest.mark.parametrize("scene", ["mutex-handover", "mutex-never-given"])
def test_a_lost_wake_up_is_no_deadlock(gallery, scene):
    """With the first it is all that happens; with the second it comes after a deadlock of the plan, by its rescue."""
    r = gallery(scene, env=mutant("unlock-mute,every=1"))
    s = r.summary
    assert (r.code, s["verdict"]) == (1, "violated"), r.out + r.err
    v, = s["violations"]
    assert v["rule"] == "LOSTWAKE" and "sleeps in lock on mutex a although nobody has it" in v["text"]
    assert v["replay"].split("--job ")[1].startswith(f"{JOB}:{scene} ")
    assert s["hangs"][-1]["kind"] == "lost wake-up" and s["hangs"][-1]["violated"] is True
    assert s["gallery"][0]["verdict"] == "violated"


def test_a_mutant_that_breaks_nothing_here(gallery):
    assert gallery("mutex-ab-ba", env=mutant("unlock-mute,every=1000000")).code == 0


def test_what_was_expected_and_does_not_happen_is_a_violation(gallery):
    """A lock that does not exclude: nobody is left waiting."""
    r = gallery("mutex-never-given", env=mutant("lock-greedy,every=1"))
    assert r.code == 1 and "nobody was left waiting, but a deadlock was expected" in r.told, r.out


def test_a_driver_that_is_not_there_is_skipped(engine):
    r = engine("--job", f"{JOB}:mutex-ab-ba")
    assert r.code == 4 and "there is no driver 'mutex'" in r.told, r.out + r.err
    assert r.summary["gallery"][0]["verdict"] == "skipped"


@pytest.mark.parametrize("args,text", [
    (["--job", "nonsense"], "no job 'nonsense'; there is deadlock-gallery"),
    (["--job", "deadlock-gallery:nonsense"], "no scene 'nonsense'"),
    (["--job", "night.toml"], "job files are for `plumbline`"),
    (["--job", "./night"], "job files are for `plumbline`"),
    (["--job", ""], "wants a name"),
    (["--job", JOB, "fake=1"], "goes with no mix"),
    (["--job", JOB, "--only", "1"], "--only"),
])
def test_misuse_gets_one_line(engine, args, text):
    r = engine(*args)
    assert r.code == 2 and text in r.err and r.err.count("\n") == 1 and r.out == "", r.out + r.err
