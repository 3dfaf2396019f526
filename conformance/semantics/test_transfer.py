# SPDX-License-Identifier: MIT
"""What every mechanism that carries data promises: who puts and who takes, in what order, and who waits for whom.

One body a promise, for each variant with the capability; sizes and limits are the driver's own defaults. Source: the
clauses named at each test.
"""
import pytest

from suite.subject import OBJECT, POLLERR, POLLHUP, POLLIN, POLLOUT, SIZE, fails, said
from suite.transfer import (chunk, fill, interrupted, kill_through_rounds, never_early, put, put_end, put_now, take,
                            take_end, take_now, take_size)

clause = pytest.mark.clause


@clause("PIPE-02", "PIPE-25", "PMQ-03", "FIFO-16", "USTR-01", "UDGM-02", "USEQ-01")
def test_order(d):
    """Two senders, one after the other in time: out as it went in."""
    d.open()
    a, b, reader = d.actors(3)
    for base in range(3):
        sent = [put_now(d, (a, b)[i % 2], SIZE + (7 * i + base) % 40) for i in range(6)]
        for i, s in enumerate(sent):
            got = take_now(d, reader, SIZE + (7 * i + base) % 40)
            assert (got.ret, got.sum) == (SIZE + (7 * i + base) % 40, s.sum), (
                f"take {i} gave {said(got)} with sum {got.sum}; what was put in {i}th place has sum {s.sum}")


@clause("PIPE-09", "PMQ-31", "FIFO-17", "USTR-16", "UDGM-10", "USEQ-06", caps=("blocking",))
def test_take_waits_for_a_put(d):
    d.open()
    writer, reader = d.actors(2)
    for _ in range(3):
        got, sent = d.must_wait(reader, d.op("take"), lambda: put_now(d, writer), **take_size(d))
        assert (got.ret, got.sum) == (SIZE, sent.sum), f"take gave {said(got)}, sum {got.sum} instead of {sent.sum}"
    d.do(reader, "nonblock", take_end(d), value=1)
    fails(take_now(d, reader), "EAGAIN", "a take from an empty object with O_NONBLOCK")


@clause("PIPE-42", "PMQ-32", "UDGM-03", caps=("blocking", "nonblock"))
def test_put_waits_for_room(d):
    d.open()
    writer, reader = d.actors(2)
    inside = fill(d, writer, chunk(d))
    got = []

    def make_room():
        got.append(take_now(d, reader, chunk(d)))
        return got[0]

    r, _ = d.must_wait(writer, d.op("put"), make_room, size=chunk(d))
    assert r.ret in (0, chunk(d)), f"the put that had to wait gave {said(r)}"
    assert got[0].sum == inside[0].sum, "what made room was not the first that went in"


@clause("PMQ-09", caps=("timeout",))
def test_time_out_is_never_early(d):
    """Measured around the whole request, whose parts can only be later than the deadline's beginning."""
    d.open()
    writer, reader = d.actors(2)
    for wait_ns in (1_000_000, 30_000_000, 120_000_000):
        never_early(d, reader, d.op("take", timed=True), wait_ns)
    fill(d, writer)
    never_early(d, writer, d.op("put", timed=True), 30_000_000, size=SIZE)


@clause("PIPE-38", "PMQ-21", caps=("poll", "nonblock"))
def test_poll_agrees_with_the_operation(d):
    """In each quiet state, empty to full and back, what poll says is what the operation then does."""
    d.open()
    writer, reader = d.actors(2)
    for end in {put_end(d), take_end(d)}:
        d.do(writer, "nonblock", end, value=1)
    for _ in range(5000):
        polled = d.do(writer, "poll", put_end(d), events=POLLOUT, timeout_ms=0).out["revents"]
        r = put_now(d, writer)
        agrees(d, "POLLOUT", polled & POLLOUT, r, both="datagram" in d.about["caps"])
        if r.errno:
            break
    for _ in range(5000):
        polled = d.do(reader, "poll", take_end(d), events=POLLIN, timeout_ms=0).out["revents"]
        r = take_now(d, reader)
        agrees(d, "POLLIN", polled & POLLIN, r, both=True)
        if r.errno:
            break


def agrees(d, event, said_so, r, both):
    if said_so:
        assert r.errno is None, f"poll says {event}, then the operation gives {said(r)}"
    elif both:
        fails(r, "EAGAIN", f"poll does not say {event}, then the operation")


def look(d, actor, end):
    """What poll, select and epoll say of one end now, and that they say the same: poll's own bits."""
    p, s, e = (d.do(actor, f, end, events=POLLIN | POLLOUT, timeout_ms=0).out["revents"] for f in ("poll", "select", "epoll"))
    assert e == p, f"epoll says {e:#x} of {end}, poll {p:#x}"
    readable = POLLIN if p & (POLLIN | POLLHUP | POLLERR) else 0
    writable = POLLOUT if p & (POLLOUT | POLLERR) else 0
    assert s == readable | writable, f"select says {s:#x} of {end}, where poll says {p:#x}"
    return s


def look_then_do(d, actor, end, role, want):
    """The answer of the three, and what the operation then does: it must not have to wait where they say it need not."""
    ready = look(d, actor, end) & want
    r = put_now(d, actor, chunk(d)) if role == "put" else take_now(d, actor, chunk(d))
    if ready:
        assert r.errno != "EAGAIN", f"poll, select and epoll say that a {role} at {end} would not wait: it gave {said(r)}"
    elif want == POLLIN:
        fails(r, "EAGAIN", f"poll, select and epoll say that a {role} at {end} would wait: it")
    return r


@clause("PIPE-44", "PMQ-43", "FIFO-22", "USTR-15", "UDGM-12", caps=("poll", "nonblock"))
def test_pollers_agree_in_every_quiet_state(d):
    """Empty, one inside, filling up, full, draining; and where an end can go: with something inside, and without."""
    d.open()
    writer, reader = d.actors(2)
    for end in {put_end(d), take_end(d)}:
        d.do(writer, "nonblock", end, value=1)
    for size in (1, 3, 5000):  # puts of a turn: as many takes follow, until there is none
        for _ in range(size):
            look(d, reader, take_end(d))
            if look_then_do(d, writer, put_end(d), "put", POLLOUT).errno:
                break
        while look_then_do(d, reader, take_end(d), "take", POLLIN).errno is None:
            look(d, writer, put_end(d))
    if put_end(d) == take_end(d):
        return
    put_now(d, writer, chunk(d))
    for actor in (writer, reader):
        d.do(actor, "close", put_end(d))
    d.release(put_end(d))
    assert look(d, reader, take_end(d)) & POLLIN, "something is inside, and the other end is gone: a take would not wait"
    take_now(d, reader, chunk(d))
    ready, r = look(d, reader, take_end(d)) & POLLIN, take_now(d, reader, chunk(d))
    assert bool(ready) == (r.errno != "EAGAIN"), f"the other end is gone: select says {ready}, the take gave {said(r)}"


@clause("PIPE-38", "PMQ-21", caps=("poll",))
def test_poll_waits_for_a_put(d):
    d.open()
    writer, reader = d.actors(2)
    r, _ = d.must_wait(reader, "poll", lambda: put_now(d, writer), on=take_end(d), events=POLLIN, timeout_ms=50_000)
    assert r.ret == 1 and r.out["revents"] & POLLIN, f"poll gave {said(r)}, revents {r.out['revents']}"


@clause("PIPE-08", "PMQ-08", "FIFO-27", "USTR-19", caps=("blocking", "nonblock"))
def test_signal_ends_a_wait_and_moves_nothing(d):
    d.open()
    writer, reader = d.actors(2)
    fails(interrupted(d, reader, take(d, reader)), "EINTR", "a take that a signal interrupts")
    sent = put_now(d, writer)
    assert take_now(d, reader).sum == sent.sum, "what was put after an interrupted take is not what is taken"
    inside = fill(d, writer, chunk(d))
    fails(interrupted(d, writer, put(d, writer, chunk(d))), "EINTR", "a put that a signal interrupts")
    left = [take_now(d, reader, chunk(d)).sum for _ in inside]
    assert left == [r.sum for r in inside], "the interrupted put changed what is inside"
    d.do(reader, "nonblock", take_end(d), value=1)
    fails(take_now(d, reader), "EAGAIN", "a take after everything was taken: the interrupted put left something, it")


@clause("PIPE-39", "PMQ-28", "FIFO-25", "USTR-18", caps=("blocking", "multi_reader"))
def test_killed_waiter_takes_no_wake_with_it(d):
    d.open()
    writer, *readers = d.actors(4)
    waits = {a: take(d, a) for a in readers}
    d.asleep(*waits.items())
    for victim in readers[:2]:
        d.kill_actor(victim)
    sent = put_now(d, writer)
    got = d.finish(waits[readers[2]], "the waiter that is left, with something to take")
    assert got.sum == sent.sum and not got.before(sent), f"the waiter that is left got {said(got)}, sum {got.sum}"


@clause("PIPE-16", "PMQ-37", "FIFO-18", "UDGM-08", caps=("blocking", "nonblock", "multi_reader", "multi_writer"))
def test_nobody_sleeps_who_could_go_on(d):
    """As many puts as there are waiting takers, then as many takes as there are waiting putters: all return."""
    d.open()
    helper, *others = d.actors(6)
    waits = [(a, take(d, a, chunk(d))) for a in others]
    d.asleep(*waits)
    sent = [put_now(d, helper, chunk(d)).sum for _ in others]
    got = [d.finish(p, f"taker {a}, with something for each").sum for a, p in waits]
    assert sorted(got) == sorted(sent), "the takers together did not get what was put"
    fill(d, helper, chunk(d))
    waits = [(a, put(d, a, chunk(d))) for a in others]
    d.asleep(*waits)
    for _ in others:
        take_now(d, helper, chunk(d))
    for a, p in waits:
        r = d.finish(p, f"putter {a}, with room for each")
        assert r.errno is None, f"putter {a} gave {said(r)}"


@clause("PIPE-43", "PMQ-25", "FIFO-16", "USTR-01", "UDGM-02", "USEQ-01", "TCP-01", caps=("multi_reader", "multi_writer"))
def test_many_at_once_are_one_history(d):
    """Rounds of many putters and takers, each judged whole."""
    d.open()
    d.actors(6)
    d.judged(d.run(on=OBJECT, rounds=12, ops=600))


@clause("PIPE-40", "PMQ-35", "FIFO-21", "USTR-17", "UDGM-11", "TCP-15", caps=("multi_reader", "multi_writer"))
def test_deaths_harm_only_the_dead(d):
    """Actors are killed all through the rounds; the pending operation of a dead one may have happened or not."""
    d.open()
    kill_through_rounds(d, d.actors(6))


@clause("PMQ-36", caps=("persist",))
def test_contents_outlive_the_sender(d):
    d.open()
    (writer,) = d.actors(1)
    sent = [put_now(d, writer) for _ in range(3)]
    d.kill_actor(writer)
    (reader,) = d.actors(1)
    assert [take_now(d, reader).sum for _ in sent] == [s.sum for s in sent], "what the dead had put is not what is taken, in its order"


@clause("PMQ-29", "FIFO-26", caps=("names",))
def test_unrelated_processes_meet_by_name(d):
    """Kind exec: a fresh address space, no inherited descriptor, the name alone."""
    d.open()
    writer, reader = d.actors(2, kind="exec")
    got, sent = d.must_wait(reader, d.op("take"), lambda: put_now(d, writer), **take_size(d))
    assert got.sum == sent.sum, f"take gave {said(got)}, sum {got.sum} instead of {sent.sum}"
    d.judged(d.run(on=OBJECT, rounds=3, ops=300))
