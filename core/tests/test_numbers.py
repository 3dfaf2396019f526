# SPDX-License-Identifier: MIT
"""Actors signal each other by number: no stranger is hit, and nobody is missing."""
import os
import signal

import pytest
from conftest import DriverError, gone, stat_of


def test_a_number_is_not_freed_while_somebody_may_signal_it(driver):
    """A writer that waits is to signal a dead actor afterwards: until then nobody else gets that number."""
    d = driver("eventfd", 3)
    d.call(0, "write", "o", n=-2)  # full: the next one waits
    p = d.start(0, "write", "o", kill_after=1)
    assert d.wait_blocked(0)
    dead = d.status()["actors"][1]["pid"]
    os.kill(dead, signal.SIGKILL)
    assert not gone([dead], 5)
    for _ in range(20):
        d.ping()
    assert stat_of(dead) == ("Z", d.pid), "its number is free for a stranger, whom the write's signal would reach"
    d.call(2, "read", "o")
    assert p.result().out["killed"], "the signal did not go to the dead"
    d.wait_event("actor", actor=1)
    assert not stat_of(dead)


def test_the_dead_aim_at_nobody(driver):
    d = driver("eventfd", 3)
    d.call(0, "write", "o", n=-2)
    p = d.start(1, "write", "o", kill_after=0)
    assert d.wait_blocked(1)
    pids = [a["pid"] for a in d.status()["actors"][:2]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        assert not gone([pid], 5)
    for a in (0, 1):
        d.wait_event("actor", actor=a)
    with pytest.raises(DriverError):
        p.result()


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
def test_a_call_can_kill_beside_it(driver, when):
    d = driver("eventfd", 2)
    seen = len(d.events)
    r = d.call(0, "write", "o", **{when: 1})
    assert (r.ret, r.out["killed"]) == (8, True)
    d.wait_event("actor", since=seen, actor=1, **{"is": "signalled"})
    assert d.call(0, "write", "o", **{when: 1}).out["killed"] is False, "there is nobody of that number any more"
    assert "killed" not in d.call(0, "write", "o").out


def test_a_call_aims_at_one(driver):
    d = driver("signal", 3)
    d.close("o")
    d.open("p", variant="rt")
    for f, both in (("sigqueue", {"to": 1, "kill_after": 2}), ("mask", {"kill_before": 1, "kill_after": 2})):
        with pytest.raises(DriverError) as e:
            d.call(0, f, "p", **both)
        assert e.value.kind == "usage"
    assert [a["is"] for a in d.status()["actors"]] == ["idle"] * 3


@pytest.mark.parametrize("variant", ["rt", "standard"])
def test_a_round_waits_for_those_who_are_replaced(driver, variant):
    """What is sent before it is there would be sent to nobody."""
    d = driver("signal", tick_ms=50)
    d.close("o")
    d.open("p", variant=variant)
    ids = d.actors(12)
    for _ in range(12):
        assert d.run(on="p", rounds=1, ops=20)["verdict"] == "held"
        seen = len(d.events)
        for a in ids:
            d.fault("kill", a)
        for a in ids:
            d.wait_event("actor", since=seen, actor=a, **{"is": "signalled"})
    assert d.run(on="p", rounds=1, ops=20)["verdict"] == "held"
    seen = len(d.events)
    d.wait_event("tick", since=seen)
    sent = [e["op"][f] for e in d.events if e["ev"] == "tick" for f in ("kill", "sigqueue") if f in e.get("op", {})]
    assert sum(n for n, _ in sent) == 13 * 11 * 20 and sum(failed for _, failed in sent) == 0, sent


@pytest.mark.parametrize("variant", ["rt", "rt-signalfd", "standard"])
def test_threads_take_signals_as_one_party(driver, variant):
    """What is sent to their process waits there until one of them takes it: the thread that holds them takes none."""
    d = driver("signal")
    d.close("o")
    d.open("p", variant=variant)
    threads, (sender,) = d.actors(2, "thread"), d.actors(1)
    take = {"f": "read"} if variant == "rt-signalfd" else {"f": "sigtimedwait", "timeout_ns": 5_000_000_000}
    for a in threads:
        assert d.call(sender, "sigqueue", "p", to=threads[0], signo=1).ret == 0
        assert d.call(a, on="p", **take).tag == 1
