# SPDX-License-Identifier: MIT
"""Stories of signals: real-time ones queue, standard ones merge; who is told what, and what a death changes.

Source: signal(7), sigqueue(3), sigwaitinfo(2), signalfd(2), and the clauses named at each test.
"""
import resource
import time

import pytest

from suite.outcome import NotHere, Unknown
from suite.subject import LIVE_S, OBJECT, fails, said
from suite.transfer import interrupted, kill_through_rounds

clause = pytest.mark.clause
SI_USER, SI_QUEUE = 0, -1


def take(d, actor, **kw):
    """What is pending, without waiting: a result, or EAGAIN."""
    return d.call(actor, "sigtimedwait", timeout_ns=0, **kw)


def all_pending(d, actor):
    found = []
    while (r := take(d, actor)).errno is None:
        found.append(r)
    fails(r, "EAGAIN", "sigtimedwait with nothing pending")
    return found


def pid_of(d, actor):
    return next(a["pid"] for a in d.status()["actors"] if a["id"] == actor)


@clause("RTS-01", "RTS-02", "RTS-08", "SIG-02")
def test_under_load(d):
    """Four numbers, three senders, one receiver, judged whole."""
    d.open()
    d.actors(4)
    d.judged(d.run(on=OBJECT, rounds=6, ops=300))


@clause("RTS-11", "SIG-23")
def test_though_actors_die(d):
    d.open()
    kill_through_rounds(d, d.actors(4))


@clause("RTS-01")
def test_each_comes_once_with_its_value(d):
    d.open()
    sender, receiver = d.actors(2)
    sent = [d.do(sender, "sigqueue", to=receiver, signo=i % 2).token for i in range(12)]
    got = all_pending(d, receiver)
    assert [r.token for r in got] == sent[0::2] + sent[1::2], "values came in another order, or not all, or twice"
    assert {r.out["code"] for r in got} == {SI_QUEUE}, "not all were told to come from sigqueue"


@clause("RTS-06")
def test_kill_and_sigqueue_count_together(d):
    d.open()
    sender, receiver = d.actors(2)
    for f in ("kill", "sigqueue", "kill", "sigqueue", "sigqueue"):
        d.do(sender, f, to=receiver, signo=1)
    codes = [r.out["code"] for r in all_pending(d, receiver)]
    assert codes == [SI_USER, SI_QUEUE, SI_USER, SI_QUEUE, SI_QUEUE], f"five sends gave {codes}"


@clause("SIG-02", "SFD-06")
def test_standard_ones_merge_while_pending(d):
    d.open()
    sender, receiver = d.actors(2)
    for turn in range(3):
        for _ in range(turn + 1):
            d.do(sender, "kill", to=receiver, signo=0)
        assert len(all_pending(d, receiver)) == 1, f"{turn + 1} sends to one pending bit"


@clause("SIG-12")
def test_what_is_waited_for_runs_no_handler(d):
    """The kit has a handler for SIGUSR1: it must stay silent."""
    d.open()
    sender, receiver = d.actors(2)
    p = d.start(receiver, "sigtimedwait", timeout_ns=60_000_000_000)
    d.asleep((receiver, p))
    d.do(sender, "kill", to=receiver, signo=0)
    r = d.finish(p, "sigtimedwait after the signal was sent")
    assert r.errno is None and not d.signals(r), f"sigtimedwait gave {said(r)}, and a handler ran: {d.signals(r)}"


@clause("SIG-24")
def test_a_waiter_wakes_when_it_is_sent(d):
    d.open()
    sender, receiver = d.actors(2)
    f = "read" if "poll" in d.about["caps"] else "sigwaitinfo"
    for _ in range(3):
        r, _ = d.must_wait(receiver, f, lambda: d.do(sender, "sigqueue", to=receiver, signo=2))
        assert r.errno is None and r.tag == 2, f"{f} gave {said(r)}"


@clause("SIG-16")
def test_the_sender_is_named_truly(d):
    d.open()
    a, b, receiver = d.actors(3)
    for sender in (a, b, a):
        d.do(sender, "sigqueue", to=receiver, signo=3)
        r = take(d, receiver)
        assert r.out["pid"] == pid_of(d, sender), f"told of process {r.out['pid']}, sent by {pid_of(d, sender)}"


@clause("RTS-11")
@pytest.mark.parametrize("death", ["kill", "exit"])
def test_what_the_dead_had_sent_arrives(d, death):
    d.open()
    sender, receiver = d.actors(2)
    pid = pid_of(d, sender)
    sent = [d.do(sender, "sigqueue", to=receiver, signo=1).token for _ in range(5)]
    d.kill_actor(sender, death)
    got = all_pending(d, receiver)
    assert [r.token for r in got] == sent and {r.out["pid"] for r in got} == {pid}, "what the dead had sent did not come as it was sent"


@clause("EIN-24")
def test_a_handler_ends_a_wait_for_others(d):
    d.open()
    _, receiver = d.actors(2)
    p = d.start(receiver, "sigtimedwait", timeout_ns=60_000_000_000)
    fails(interrupted(d, receiver, p), "EINTR", "sigtimedwait with another signal caught in its wait")


@clause("SFD-03")
def test_signalfd_tells_all(d):
    d.open(nonblock=1)
    sender, receiver = d.actors(2)
    sent = d.do(sender, "sigqueue", to=receiver, signo=2)
    r = d.do(receiver, "read")
    assert (r.tag, r.out["code"], r.out["pid"]) == (2, SI_QUEUE, pid_of(d, sender)), "number, code or sender are not told as they are"
    assert r.token == sent.token, "the value was altered"
    fails(d.call(receiver, "read"), "EAGAIN", "a second read")


@clause("SFD-07")
def test_signalfd_polls_as_it_reads(d):
    d.open(nonblock=1)
    sender, receiver = d.actors(2)
    for sends in (0, 1, 2):
        for _ in range(sends):
            d.do(sender, "sigqueue", to=receiver, signo=0)
        while True:
            ready = [d.do(receiver, f, events=1, timeout_ms=0).out["revents"] for f in ("poll", "select", "epoll")]
            r = d.call(receiver, "read")
            assert ready == [0 if r.errno else 1] * 3, f"poll, select and epoll say {ready}, read gives {said(r)}"
            if r.errno:
                break


@clause("RTS-04")
def test_a_full_queue_refuses_and_keeps_what_it_has(d):
    """The limit counts what is pending for all of a user's processes: others may use some of it, never add to it."""
    most = 50
    d.open()
    sender, receiver = d.actors(2)
    d.do(receiver, "rlimit", what=resource.RLIMIT_SIGPENDING, n=most)
    for _ in range(3):
        sent = []
        while (r := d.call(sender, "sigqueue", to=receiver, signo=1)).errno is None:
            sent.append(r.token)
            assert len(sent) <= most, f"more than {most} signals are queued, which is RLIMIT_SIGPENDING"
        fails(r, "EAGAIN", "sigqueue beyond RLIMIT_SIGPENDING")
        got = [r.token for r in all_pending(d, receiver)]
        assert got == sent, f"{len(sent)} signals were queued, one was refused, and {len(got)} came"
    end = time.monotonic() + LIVE_S
    while d.call(sender, "sigqueue", to=receiver, signo=1).errno:
        if time.monotonic() > end:
            raise Unknown(f"nothing can be queued, as when others have {most} signals pending")


@clause("SIG-10")
def test_a_child_has_nothing_pending(d):
    d.open()
    sender, receiver = d.actors(2)
    d.do(sender, "kill", to=receiver, signo=1)
    child = d.do(receiver, "fork").out
    assert child["pending"] == 0, "a forked child has its parent's pending signals"
    assert child["mask"] == 1, "a forked child does not block what its parent blocks"
    assert len(all_pending(d, receiver)) == 1, "the parent's pending signal is gone after a fork"


# ---- what handlers, threads and children meet: each operation is a story that sends for itself ----

def story(d, f, **args):
    """What it found. Where no more may be pending there is no story."""
    d.open(nonblock=1)
    r = d.call(d.actors(1)[0], f, **args)
    if r.errno in ("EAGAIN", "EMFILE", "ENFILE", "ENOMEM"):
        raise NotHere(f"limit RLIMIT_SIGPENDING, RLIMIT_NPROC or RLIMIT_NOFILE: {f} gave {r.errno}")
    assert r.errno is None, f"{f} gave {said(r)}"
    return r.out


@clause("RTS-07")
def test_handlers_of_what_was_pending(d):
    out = story(d, "handle_pending")
    assert out["n"] == 8, f"of 8 pending signals {out['n']} were handled before sigprocmask returned"
    assert f"{out['order']:08}" == "25064713", f"sends 0 to 7 of the numbers 1 3 0 3 2 0 1 2 were handled in the order {out['order']:08}"


@clause("RTS-10")
def test_real_time_numbers(d):
    out = story(d, "numbers")
    assert out["there"] >= 8, f"there are {out['there']} real-time numbers: POSIX wants 8"
    assert out["usable"] == out["there"], f"of {out['there']} real-time numbers {out['usable']} can be sent and taken"


@clause("SIG-11")
@pytest.mark.parametrize("how", range(4), ids=["sigsuspend", "ppoll", "pselect", "epoll_pwait"])
def test_a_wait_that_lets_a_signal_through(d, how):
    """The signal comes at any moment from just before the call on: one that came between the mask's change and the wait
    would leave it asleep."""
    out = story(d, "wait_for_each", how=how, times=2000)
    assert out["handled"] == 2000, f"{out['handled']} signals were handled, 2000 were sent"


@clause("SIG-18", "SIG-22")
def test_a_storm(d):
    out = story(d, "storm", senders=4, each=2000)
    assert 1 <= out["handled"] <= 8000, f"{out['handled']} signals were handled, 8000 were sent"
    assert out["same"], "a handler changed what was being reckoned with, in floating point, when it came"


@clause("SIG-07")
def test_a_signal_to_a_process_goes_to_one_thread(d):
    out = story(d, "threads")
    assert out["once"] == 256, f"of 256 signals to a process of several threads {out['once']} were handled just once"
    assert out["strangers"] == 0, f"{out['strangers']} were handled by a thread that blocks them"


@clause("SIG-05")
def test_children_that_end_at_once(d):
    out = story(d, "children", n=32)
    assert out["reaped"] == 32, f"{out['reaped']} of 32 children were reaped"
    assert out["none"], "with SA_NOCLDWAIT wait found a child, or did not fail with ECHILD"


@clause("SFD-04", "SFD-05")
def test_a_signalfd_in_a_child(d):
    """It reads what is pending for who reads; epoll looks at who put it there."""
    d.open(nonblock=1)
    sender, receiver = d.actors(2)
    sent = d.do(sender, "sigqueue", to=receiver, signo=0)
    out = d.do(receiver, "inherit").out
    assert not out["parents"], "a child has read its parent's signal"
    assert out["own"], "a child has not found its own signal"
    d.note(f"epoll, with the descriptor put there by the parent, {'told' if out['told'] else 'did not tell'} the child of its own signal")
    assert d.do(receiver, "read").token == sent.token, "the parent's signal is not there any more"
