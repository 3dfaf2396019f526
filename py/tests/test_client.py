# SPDX-License-Identifier: MIT
"""The client: every wait ends, every broken driver is named as what it is. Against a toy queue and its mutants."""
import json
import os
import signal
import sys
import threading
import time

import pytest
from plumbline.client import Driver, DriverError


def shell(script):
    return ["/bin/sh", "-c", script]


@pytest.fixture
def q(toy):
    with Driver(toy, tick_ms=50) as d:
        d.open("q")
        yield d


def test_a_message_goes_through(q):
    a, b = q.actors(2)
    put = q.call(a, "put", "q", size=40)
    take = q.call(b, "take", "q", size=64)
    assert (put.ret, put.errno, take.ret, take.token, take.sum) == (40, None, 40, put.token, put.sum)
    assert put.t_inv <= put.t_ret and put.before(take) and not take.before(put)


def test_blocked_then_served(q):
    a, b = q.actors(2)
    p = q.start(b, "take", "q")
    assert q.wait_blocked(b) is True and not p.done()
    q.call(a, "put", "q")
    assert p.result().ret == 32
    assert q.wait_blocked(b) is False


def test_cancel_is_answered(q):
    (a,) = q.actors(1)
    p = q.start(a, "take", "q")
    p.cancel()
    r = p.result(timeout=2)
    assert r.canceled and r.errno == "EINTR" and r.ret == -1


def test_refusals_carry_kind_and_text(q):
    with pytest.raises(DriverError) as e:
        q.request("bogus")
    assert e.value.kind == "unsupported" and "bogus" in str(e.value)
    with pytest.raises(DriverError) as e:
        q.call(7, "put", "q")
    assert e.value.kind == "usage"
    with pytest.raises(ValueError, match="start"):
        q.wait_blocked(5)


def test_an_unanswered_call_times_out(q):
    (a,) = q.actors(1)
    p = q.start(a, "take", "q")
    with pytest.raises(DriverError) as e:
        p.result(timeout=0.1)
    assert e.value.kind == "timeout"
    with pytest.raises(DriverError, match="no event violation"):
        q.wait_event("violation", timeout=0.05)
    q.wait_event("tick", timeout=2)


def test_transcript_holds_both_directions(toy, tmp_path):
    with Driver(toy, transcript=tmp_path / "t.jsonl") as d:
        d.ping()
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    assert {line[0] for line in lines} == {"<", ">"}
    assert json.loads(lines[0][2:])["ev"] == "hello" and all(json.loads(line[2:]) for line in lines)


def test_unknown_driver_says_where_it_looked(tmp_path, monkeypatch):
    with pytest.raises(DriverError, match=str(tmp_path)):
        Driver("nix", drivers=tmp_path)
    monkeypatch.delenv("PLUMBLINE_DRIVERS", raising=False)
    with pytest.raises(DriverError, match="where is the driver"):
        Driver("nix")


def test_death_before_hello_shows_the_last_words():
    with pytest.raises(DriverError) as e:
        Driver(shell("echo all is lost >&2; exit 9"), target=[])
    assert e.value.fields["exit"] == 9 and "all is lost" in str(e.value)


def test_no_hello_is_a_timeout_and_leaves_nothing():
    t = time.monotonic()
    with pytest.raises(DriverError, match="no hello") as e:
        Driver(shell("read x"), hello_timeout=0.2)
    assert e.value.kind == "timeout" and time.monotonic() - t < 3


@pytest.mark.parametrize(
    "old, new, match",
    [
        ('ok = {"leaked": []} if', 'ok = 1/0 if op == "ping" else {"leaked": []} if', "ZeroDivisionError"),
        ('ok = {"leaked": []} if', 'ok = os.kill(os.getpid(), 11) if op == "ping" else {"leaked": []} if', "SIGSEGV"),
        ("    say(re=i, ok=ok)\n", '    say(re=i, ok=ok)\n    if op == "ping": print("hi", flush=True)\n', "not JSON"),
        ("    say(re=i, ok=ok)\n", '    say(re=i, ok=ok)\n    if op == "ping": say(re=i, ok=ok)\n', "a second reply"),
        ("    say(re=i, ok=ok)\n", '    say(re=i + (op == "ping"), ok=ok)\n', "nobody made"),
        ("    say(re=i, ok=ok)\n", '    say(re=i, ok=ok if op != "ping" else "x" * 70000)\n', "65536"),
        ("    say(re=i, ok=ok)\n", '    say(re=i, ok=ok)\n    while op == "ping": say(ev="tick")\n', "flood"),
    ],
    ids="exception signal stray-text twice wrong-id long-line flood".split(),
)
def test_a_broken_driver_is_named(monkeypatch, mutant, old, new, match):
    monkeypatch.setattr("plumbline.client.EVENTS_MAX", 2000)
    d = Driver(mutant((old, new)))
    with pytest.raises(DriverError, match=match):
        d.ping()
        d.wait_event("never", timeout=30)
    with pytest.raises(DriverError):
        d.ping()
    d.kill()


def test_a_hung_driver_times_out_and_is_killed(mutant):
    d = Driver(mutant(('ok = {"leaked": []} if', 'ok = time.sleep(99) if op == "ping" else {"leaked": []} if')))
    with pytest.raises(DriverError) as e:
        d.request("ping", timeout=0.2)
    assert e.value.kind == "timeout"
    assert d.kill() == -signal.SIGKILL


def test_a_driver_that_ignores_everything_is_killed(monkeypatch, mutant):
    monkeypatch.setattr("plumbline.client.STOP_S", (0.2, 0.2, 0.2))
    d = Driver(
        mutant(
            ("        if not data: end(0)", "        while not data: time.sleep(9)"),
            (', "stop"):', ', "top"):'),
            ("    say(**HELLO)", "    __import__('signal').signal(15, 1)\n    say(**HELLO)"),
        )
    )
    with pytest.raises(DriverError, match="was killed"):
        d.stop()


def test_kill_reaches_the_whole_group(tmp_path):
    r, w = os.pipe()
    os.set_inheritable(w, True)
    pause = f"{sys.executable} -c 'import signal; signal.pause()'"
    script = f"({pause} {w}>&{w}) & exec {pause}"
    import subprocess
    from plumbline import wire

    real, wire.subprocess = wire.subprocess, type(
        "S", (), dict(vars(subprocess), Popen=lambda *a, **k: subprocess.Popen(*a, **k, pass_fds=[w]))
    )
    try:
        child = wire.Wire(shell(script), lambda line: None, lambda: None).start()
    finally:
        wire.subprocess = real
    os.close(w)
    child.kill()
    assert os.read(r, 1) == b""  # every holder of the pipe is gone
    os.close(r)


def test_a_driver_that_does_not_read_gives_an_error(mutant):
    d = Driver(mutant(('ok = {"leaked": []} if', 'ok = time.sleep(99) if op == "ping" else {"leaked": []} if')))
    d.post("ping")
    d._wire.__class__.send.__defaults__ = (0.3,)
    try:
        with pytest.raises(DriverError, match="not read its input"):
            for _ in range(1000):
                d.post("ping", pad="x" * 60000)
    finally:
        d._wire.__class__.send.__defaults__ = (5.0,)
        d.kill()


def test_many_threads_one_driver(q):
    ids = q.actors(8)
    bad = []

    def work(a):
        try:
            for _ in range(20):
                assert q.call(a, "put", "q").ret == 32
        except Exception as e:  # noqa: BLE001
            bad.append(e)

    threads = [threading.Thread(target=work, args=(a,)) for a in ids]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not bad


def test_half_a_line_at_the_end(tmp_path):
    with pytest.raises(DriverError, match="half a line"):
        Driver(shell('printf \'{"ev":"hel\''))
