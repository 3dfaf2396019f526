# SPDX-License-Identifier: MIT
"""Whatever a driver does, the engine ends in time, says what happened, and leaves nothing behind."""
import json
import pathlib
import subprocess
import sys

import pytest

from conftest import objects, tagged

# mode, exit code, what the report says of it, seconds it may take
MODES = [
    ("obey", 0, "held", 5),
    ("slow", 0, "held", 8),
    ("flood-stderr", 0, "held", 8),
    ("lie-numbers", 1, "VIOLATED", 5),
    ("stuck", 1, "all its actors are blocked", 8),
    ("lie-reply", 3, "answered what was not asked", 5),
    ("double", 3, "answered what was not asked", 5),
    ("hang", 3, "is silent", 14),
    ("hang-run", 3, "is silent", 14),
    ("flood", 3, "floods", 8),
    ("flood-line", 3, "longer than 65536 bytes", 8),
    ("crash", 3, "SIGABRT", 5),
    ("garbage", 3, "not plumb/1: Hello, world.", 5),
    ("binary", 3, "not plumb/1: ??[2J", 5),
    ("exit", 3, "died unasked: exit status 0", 5),
    ("die", 3, "SIGSEGV", 5),
    ("endless", 3, "does not end", 20),
    ("child", 3, "left behind: process", 5),
    ("nostop", 3, "SIGTERM was needed", 10),
    ("leak", 3, "left behind: shared memory", 5),
    ("limit", 4, "limit fs.mqueue.queues_max", 5),
    ("unsupported", 4, "the fake says so", 5),
    ("unknown", 5, "could not be judged", 5),
]
EARLY = [
    ("silent", 3, "said no hello within 5 s", 12),
    ("lie-proto", 3, "does not speak version 1", 5),
    ("crash-hello", 3, "SIGABRT", 5),
]


def check_nothing_left(run):
    assert tagged(run) == []
    assert objects(run) == []


@pytest.mark.parametrize("mode,code,text,deadline_s", MODES + EARLY)
def test_alone(engine, mode, code, text, deadline_s):
    name = f"fake-{mode}" if (mode, code, text, deadline_s) in EARLY else f"fake/{mode}"
    r = engine(f"{name}=2", deadline_s=deadline_s + 10)
    assert (r.code, text in r.told) == (code, True), r.out + r.err
    assert r.seconds < deadline_s
    check_nothing_left(r.run)
    s = r.summary
    assert s["exit"] == code
    assert s["run"] == r.run and f"seed {s['seed']}" in r.out
    assert not (r.folder / "lock").exists()


@pytest.mark.parametrize("mode", ["crash", "hang-run", "flood", "stuck", "garbage"])
def test_does_not_spoil_the_others(engine, mode):
    """One rotten driver: every other one is judged all the same."""
    r = engine(f"fake/{mode}=1", "fake/obey=5", "--lanes", "2", "--for", "1500ms")
    s = r.summary
    assert s["counts"]["held"] == 5 and s["per_mech"]["fake/obey"]["judged"] > 5, r.out
    assert r.code in (1, 3)


def test_last_words_are_kept(engine):
    r = engine("fake/crash=1")
    assert r.summary["broken"][0]["stderr"] == ["plumb-fake: assertion 'all is well' failed"]
    assert "all is well" in (r.folder / "inst" / "00" / "stderr.log").read_text()


def test_only_the_last_words_are_kept(engine):
    r = engine("fake/flood-stderr=1")
    lines = (r.folder / "inst" / "00" / "stderr.log").read_text().splitlines()
    assert len(lines) == 33 and lines[-1] == "line 19999 of very many"


def test_violation_names_its_replay(engine):
    r = engine("fake/obey=2", "fake/lie-numbers=1", "--seed", "0x2a")
    v = r.summary["violations"][0]
    assert (v["instance"], v["mechanism"], v["variant"], v["rule"]) == (2, "fake", "lie-numbers", "VORD")
    assert v["witness"][0]["seq"] == 7
    assert v["replay"].endswith("--seed 0x2a --only 2")


def test_hang_shows_the_calls(engine):
    hang = engine("fake/stuck=1").summary["hangs"][0]
    assert hang["kind"] == "deadlock"
    assert {a["in"] for a in hang["actors"]} == {"mq_timedreceive"}


def test_a_hang_is_named_where_the_driver_says_who_waits_for_whom(engine):
    r = engine("fake/stuck=1")
    hang, = r.summary["hangs"]
    assert [c["on"] for c in hang["cycle"]] == ["m1", "m2", "m3", "m0"] and len(hang["edges"]) == 4
    assert hang["text"] in r.told and "held by actor 1" in hang["text"] and hang["violated"] is True


def test_a_round_at_rest_is_named_and_no_violation(engine):
    r = engine("fake/rest=1", "--ops", "10")
    hang = r.summary["hangs"][0]
    assert (r.code, hang["kind"], len(hang["cycle"]), hang["violated"]) == (0, "deadlock", 4, False), r.out
    assert f"deadlock: fake/rest instance 0, round 0: {hang['text']}" in r.told


def test_the_eye_for_leftovers_can_see():
    """check_nothing_left() would fail: a process and an object of that name are found."""
    run = "20010101-000000-control"
    mark = pathlib.Path(f"/dev/shm/plumb.{run}.0.q")
    p = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"PLUMBLINE_RUN": run})
    try:
        mark.touch()
        # exec may not have happened yet
        from conftest import until

        until(lambda: tagged(run) == [p.pid], 5, "the control process shows its environment")
        assert objects(run) == [mark.name]
    finally:
        mark.unlink()
        p.communicate(b"\n", timeout=10)


def test_json_stream(engine):
    r = engine("fake/obey=3", "--json", "--for", "1200ms")
    lines = [json.loads(line) for line in r.out.splitlines()]
    names = [line["ev"] for line in lines]
    assert r.code == 0 and names[:2] == ["start", "tick"] or names[:2] == ["start", "armed"]
    assert names[-1] == "end" and "armed" in names and names.count("tick") >= 2
    assert lines[0]["drivers"] == {"fake/obey": 3} and lines[0]["lanes"] >= 1
    assert lines[-1]["counts"]["held"] == 3
    assert [e["ev"] for e in r.events] == names
    assert r.err == ""
