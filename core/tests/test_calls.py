# SPDX-License-Identifier: MIT
"""Calls, and what can happen to them: deadlines, cancelling, faults, handles that come and go, three kinds of actors."""
import os
import time
from pathlib import Path

import pytest
from conftest import DRIVERS, Driver, DriverError, gone, preload, stat_of

KINDS = ("process", "thread", "exec")
INT64_MAX = 2**63 - 1


def err(call):
    with pytest.raises(DriverError) as e:
        call()
    return e.value


def refused(call, kind="usage"):
    e = err(call)
    assert e.kind == kind, e
    return e


def test_a_deadline_ends_a_call_and_says_that_nothing_is_certain(driver):
    d = driver("mq", 1)
    t = time.monotonic()
    e = refused(lambda: d.call(0, "receive", "o", size=64, deadline_ms=100), "timeout")
    assert 0.1 <= time.monotonic() - t < 5 and e.fields.get("definite") is False
    assert d.call(0, "send", "o", size=32).ret == 0, "a kick was enough: the same actor goes on"


def test_cancel_interrupts(driver):
    d = driver("mq", 1)
    p = d.start(0, "receive", "o", size=64)
    assert d.wait_blocked(0)
    d.request("cancel", target=p.id)
    r = p.result()
    assert (r.ret, r.errno, r.canceled) == (-1, "EINTR", True)
    refused(lambda: d.request("cancel", target=p.id))


def test_cancel_of_what_no_signal_ends(driver):
    d = driver("mutex", 2)
    d.call(0, "lock", "o")
    p = d.start(1, "lock", "o")
    assert d.wait_blocked(1)
    d.request("cancel", target=p.id, grace_ms=300)
    d.request("cancel", target=p.id, grace_ms=60_000)
    e = refused(lambda: p.ok(), "canceled")
    assert e.fields["definite"] is False and e.fields["actor"] == 2
    assert d.wait_event("actor", actor=1)["signal"] == "KILL"
    refused(lambda: d.call(1, "trylock", "o"))
    assert d.call(2, "trylock", "o").errno == "EBUSY"
    d.call(0, "unlock", "o")
    assert d.call(2, "lock", "o").ret == 0


def test_the_farthest_deadlines(driver):
    d = driver("mq", 1)
    assert d.call(0, "timedreceive", "o", size=64, timeout_ns=-INT64_MAX - 1).errno == "ETIMEDOUT"
    p = d.start(0, "timedreceive", "o", size=64, timeout_ns=INT64_MAX)
    assert d.wait_blocked(0), "for ever is not now"
    d.request("cancel", target=p.id)
    assert p.result().errno == "EINTR"
    refused(lambda: d.call(0, "timedreceive", "o", size=64))
    refused(lambda: d.call(0, "timedreceive", "o", size=64, abstime=[1]))
    assert d.call(0, "timedreceive", "o", size=64, abstime=[2**62, 2_000_000_000]).errno == "EINVAL"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_meets_by_name_and_by_what_is_opened_later(driver, kind):
    d = driver("mq", 2, kind)
    for handle in ("o", "later"):
        if handle == "later":
            d.open("later")
        sent, got = d.call(0, "send", handle, size=48), d.call(1, "receive", handle, size=64)
        assert (got.ret, got.token, got.sum) == (48, sent.token, sent.sum)
    d.close("later")
    refused(lambda: d.call(0, "send", "later"))


@pytest.mark.parametrize("name", ["mutex", "pipe"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_name_travels_as_a_descriptor_or_not_at_all(driver, name, kind):
    d = driver(name)
    if name == "pipe" and kind == "exec":
        refused(lambda: d.actors(2, kind))
        d.ids = d.actors(1)
        d.close("o")
        d.actors(1, "exec")
        refused(lambda: d.open("late"))
        return
    a, b = d.actors(2, kind)
    for handle in ("o", "late"):
        if handle == "late":
            d.open("late")
        if name == "pipe":
            sent = d.call(a, "write", handle, size=100)
            assert d.call(b, "read", handle, size=200).sum == sent.sum
        else:
            d.call(a, "lock", handle)
            assert d.call(b, "trylock", handle).errno == "EBUSY"
            d.call(a, "unlock", handle)


def test_a_failed_start_uses_no_ids(driver):
    d = driver("pipe")
    refused(lambda: d.actors(64, "exec"))
    assert d.actors(60)[-1] < 64


def test_threads_close_what_they_share_only_once(driver):
    """The second thread to be told must not close what has the number by then."""
    d = driver("pipe")
    d.open("held")
    d.actors(2, "thread")
    p = d.start(1, "read", "held", size=64)
    assert d.wait_blocked(1), "this one will hear of all that follows later than the other"
    low = ["a", "b", "c", "d"]
    for name in low:  # lower numbers, free again when the other thread opens: it will get these
        d.call(0, "dup", "held.r", as_=name)
    d.close("o")
    d.open("new")
    for name in low:
        d.call(0, "close", name)
    assert d.call(0, "write", "new", size=64).ret == 64
    d.call(0, "write", "held", size=64)
    assert p.result().ret == 64
    assert d.call(1, "getsize", "new").ret > 0, "now it has heard"
    assert d.call(0, "write", "new", size=64).ret == 64
    d.open("o")


def test_descriptors_named_by_as(driver):
    d = driver("pipe", 2)
    assert d.call(0, "dup", "o.w", as_="w2").ret >= 0
    assert d.call(0, "write", "w2", size=64).ret == 64
    refused(lambda: d.call(1, "write", "w2", size=64))
    refused(lambda: d.call(0, "dup", "o.w", as_="w2"))
    refused(lambda: d.call(0, "dup", "o.w", as_="x" * 24))
    refused(lambda: d.call(0, "dup", "o.w", as_="a.b"))
    assert d.call(0, "close", "w2").ret == 0
    assert d.call(0, "write", "w2", size=64).errno == "EBADF"
    d.close("w2")
    assert d.call(0, "write", "o", size=64).ret == 64, "the original lives"
    assert "w2" not in d.status()["handles"]


def test_end_of_file_and_broken_pipe_after_release(driver):
    d = driver("pipe", 2)
    d.release("o")
    d.fault("close", 0, on="o.r"), d.fault("close", 1, on="o.w")
    sent = d.call(0, "write", "o", size=64)
    assert d.call(1, "read", "o", size=64).sum == sent.sum, "each has kept its own end"
    d.fault("close", 0, on="o.w")
    assert d.call(1, "read", "o", size=64).ret == 0
    d2 = driver("pipe", 2)
    d2.release("o.r")
    d2.fault("close", 0, on="o.r"), d2.fault("close", 1, on="o.r")
    r = d2.call(0, "write", "o", size=64)
    assert r.errno == "EPIPE" and [s["signal"] for s in r.out["signals"]] == ["PIPE"]


def test_signals_are_counted_and_do_not_interrupt(driver):
    d = driver("mq", 1)
    p = d.start(0, "receive", "o", size=64)
    assert d.wait_blocked(0)
    d.fault("signal", 0, signal="USR1"), d.fault("signal", 0, signal="SIGUSR2")
    d.actors(1)
    d.call(1, "send", "o", size=32)
    r = p.result()
    assert r.ret == 32 and sorted(s["signal"] for s in r.out["signals"]) == ["USR1", "USR2"]
    assert "signals" not in d.call(0, "getattr", "o").out


@pytest.mark.parametrize("kind", KINDS)
def test_exit_is_told_and_nothing_stays(driver, kind):
    d = driver("mq", 2, kind)
    pid = d.status()["actors"][1]["pid"]
    d.fault("exit", 1)
    e = d.wait_event("actor", actor=1)
    assert (e["is"], e["status"], e["asked"]) == ("exited", 0, True)
    refused(lambda: d.call(1, "send", "o", size=32))
    assert d.call(0, "send", "o", size=32).ret == 0
    d.fault("exit", 0)
    assert d.wait_event("actor", actor=0)["is"] == "exited"
    assert not gone([pid], 5), "the process of the last thread goes with it"
    assert {a["is"] for a in d.status()["actors"]} == {"dead"}


def test_exec_keeps_names_and_loses_descriptors(driver):
    d = driver("mq", 1)
    pid = d.status()["actors"][0]["pid"]
    d.fault("exec", 0)
    assert d.call(0, "send", "o", size=32).ret == 0
    assert d.status()["actors"][0]["pid"] == pid
    assert b"--actor" in open(f"/proc/{pid}/cmdline", "rb").read()
    p = driver("pipe", 2)
    p.fault("exec", 0)
    assert p.call(0, "write", "o", size=64).errno == "EBADF"
    p.fault("kill", 0)
    p.wait_event("actor", actor=0)
    assert p.run(rounds=2, ops=50)["verdict"] == "held", "who replaces it is what it once was"


def test_stop_and_cont(driver):
    d = driver("mq", 2)
    d.fault("stop", 0)
    p = d.start(0, "send", "o", size=32)
    assert d.status()["actors"][0]["is"] == "stopped"
    assert d.call(1, "getattr", "o").out["curmsgs"] == 0
    d.fault("cont", 0)
    assert p.result().ret == 0
    d.fault("stop", 0)
    e = refused(lambda: d.call(0, "send", "o", size=32, deadline_ms=50), "timeout")
    assert d.call(e.fields["actor"], "send", "o", size=32).ret == 0


def test_a_death_in_a_call_is_a_crash_of_that_call_only(driver):
    d = driver("mq", 2)
    p = d.start(0, "receive", "o", size=64)
    assert d.wait_blocked(0)
    os.kill(d.status()["actors"][0]["pid"], 9)
    e = refused(lambda: p.ok(), "crash")
    assert e.fields["definite"] is False
    assert d.wait_event("actor", actor=0)["asked"] is False
    assert d.call(1, "send", "o", size=32).ret == 0


def test_a_call_under_a_kill_has_one_answer(driver):
    """Whatever wins; the client refuses a second reply and a missing one."""
    d = driver("mq")
    for _ in range(25):
        a = d.actors(1)[0]
        p = d.start(a, "send", "o", size=32) if _ % 2 else d.start(a, "getattr", "o")
        d.fault("kill", a)
        try:
            p.ok()
        except DriverError as e:
            assert e.kind == "crash"
        d.wait_event("actor", actor=a)
        if d.status()["actors"][-1]["id"] >= 60:
            break


def test_an_actor_that_does_not_listen_blocks_nobody(driver):
    """Long in a call, its channel fills up with news of handles: a refusal, and control goes on answering."""
    d = driver("mq", 1)
    p = d.start(0, "receive", "o", size=64)
    assert d.wait_blocked(0)
    for i in range(2000):
        try:
            d.open("x")
            d.close("x")
        except DriverError as e:
            assert e.kind == "usage" and e.fields["actor"] == 0, e
            break
    else:
        pytest.fail("2,000 messages fit into a channel?")
    d.ping()
    d.request("cancel", target=p.id)
    assert p.result().errno == "EINTR"
    assert d.call(0, "send", "o", size=32).ret == 0
    if "x" in d.status()["handles"]:
        d.close("x")
    d.open("x")
    assert d.call(0, "send", "x", size=32).ret == 0


def test_descriptors_and_handles_come_back(driver):
    d = driver("mq", 2)
    before = d.status()
    for i in range(40):
        d.open("x"), d.call(0, "open", "x", as_="y"), d.close("y"), d.close("x")
    assert d.status()["fds"] == before["fds"] and d.status()["handles"] == before["handles"]
    for i in range(15):
        d.open(f"h{i}")
    assert "16" in refused(lambda: d.open("one_more")).msg


def test_zombies_are_reaped(driver):
    d = driver("mq")
    pids = []
    for _ in range(20):
        a = d.actors(1)[0]
        pids.append(d.status()["actors"][a]["pid"])
        d.fault("kill", a)
        d.wait_event("actor", actor=a)
    assert not [p for p in pids if stat_of(p)]


def test_names_are_never_cut():
    """Two long run ids and two long handles that begin alike are four queues."""
    made = []
    with Driver("mq", run="kit" + "x" * 35 + "1") as d, Driver("mq", run="kit" + "x" * 35 + "2") as e:
        for drv in (d, e):
            made += [drv.open("h" * 22 + c)["name"] for c in "ab"]
    assert len(set(made)) == 4


def test_attach_and_names(driver):
    d = driver("mq", 1)
    d.call(0, "send", "o", size=32)
    with Driver("mq", run=d.run_id + "b") as other:
        name = f"/plumb.{d.run_id}.0.o"
        assert other.open("q", mode="attach", name=name)["curmsgs"] == 1
        other.actors(1)
        assert other.call(0, "receive", "q", size=64).ret == 32
        e = refused(lambda: other.open("n", mode="attach", name=name + "no"), "os")
        assert e.fields["name"] == "ENOENT"
    assert d.call(0, "send", "o", size=32).ret == 0, "who attached does not unlink"
    p = driver("pipe")
    refused(lambda: p.open("x", name="/plumb.x")), refused(lambda: p.open("x", mode="attach"))


@pytest.mark.parametrize("variant", ["tcp4", "tcp6"])
def test_a_stranger_who_connects_first_is_turned_away(driver, variant):
    """The port of a pair over loopback is open to everybody on this machine."""
    shim = DRIVERS.parent / "core" / "tests" / "libplumb-stranger.so"
    if not shim.exists():
        pytest.skip(f"no {shim}")
    d = driver("inet", env=preload(shim, ""))
    d.open("p", variant=variant)
    (a,) = d.actors(1)
    sent = d.call(a, "send", "p", size=64)
    assert d.call(a, "recv", "p", size=64, deadline_ms=3000).token == sent.token


def test_the_counter_that_a_file_lock_guards_has_its_place_on_the_disk(driver):
    """A hole would be filled by the first owner who counts, in the middle of a round; on a full disk that is its end."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no /dev/shm")
    d = driver("lock", env={**os.environ, "TMPDIR": "/dev/shm"})
    made = Path("/dev/shm" + d.open("p", variant="ofd")["name"]).stat()
    assert (made.st_size, made.st_blocks > 0) == (16, True)
