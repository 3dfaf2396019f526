# SPDX-License-Identifier: MIT
"""What epoll promises of whatever can be polled: edges, and whom of several that wait it wakes.

Source: epoll(7), epoll_ctl(2), and the clauses named at each test.
"""
import pytest

from suite.subject import POLLIN, POLLOUT, said
from suite.transfer import chunk, fill, put_end, put_now, take_end, take_now

clause = pytest.mark.clause
EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE = 1 << 31, 1 << 30, 1 << 28


def instance(d, actor, end, events):
    """An epoll instance of the actor's own, which watches one end: its handle."""
    ep = f"ep{actor}"
    number = d.do(actor, "epoll_create", end, as_=ep).ret
    d.do(actor, "epoll_add", end, ep=number, events=events)
    return ep


def watched(d, events):
    """A writer, a reader, and the reader's instance, which watches for arrivals."""
    d.open()
    writer, reader = d.actors(2)
    return writer, reader, instance(d, reader, take_end(d), events)


def looked(d, actor, ep):
    """How many events it tells now."""
    return d.do(actor, "epoll_wait", ep, timeout_ms=0).ret


def waiting(d, actors, end, events):
    """Each in epoll_wait on an instance of its own, seen asleep."""
    waits = {a: d.start(a, "epoll_wait", instance(d, a, end, events), timeout_ms=-1) for a in actors}
    d.asleep(*waits.items())
    return waits


@clause("PIPE-45", "FIFO-28", "PMQ-44", "USTR-23", "TCP-21", caps=("poll",))
def test_all_who_wait_are_told(d):
    d.open()
    writer, *readers = d.actors(5)
    waits = waiting(d, readers, take_end(d), POLLIN)
    put_now(d, writer)
    for a, p in waits.items():
        r = d.finish(p, f"epoll_wait by actor {a}, with something to take")
        assert r.ret == 1 and r.out["revents"] & POLLIN, f"epoll_wait by actor {a} gave {said(r)}, events {r.out['revents']:#x}"


@clause("PIPE-46", "FIFO-29", "PMQ-45", "USTR-24", "TCP-22", caps=("poll",))
def test_exclusive_tells_at_least_one(d):
    """Three wait, and one that has waited is killed first; each event wakes one more at least until all have been."""
    d.open()
    writer, doomed, *readers = d.actors(5)
    waits = waiting(d, [doomed, *readers], take_end(d), POLLIN | EPOLLEXCLUSIVE)
    d.kill_actor(doomed)
    del waits[doomed]
    while waits:
        put_now(d, writer)
        told = d.first_of(waits, "of those in epoll_wait with EPOLLEXCLUSIVE, with something to take, one")
        for a in told:
            assert waits.pop(a).result().out["revents"] & POLLIN, "EPOLLEXCLUSIVE told of nothing"
        take_now(d, told[0])


@clause("PIPE-21", "USTR-12")
def test_each_arrival_is_an_edge(d):
    """Read or not: three arrivals, the first two of which stay, then one after all was taken."""
    writer, reader, ep = watched(d, POLLIN | EPOLLET)
    told = []
    for _ in range(3):
        put_now(d, writer)
        told += [looked(d, reader, ep), looked(d, reader, ep)]
    for _ in range(3):
        take_now(d, reader)
    put_now(d, writer)
    told += [looked(d, reader, ep), looked(d, reader, ep)]
    d.note(f"arrivals, and a second look after each, gave {told}")
    assert told[0::6] == [1, 1], f"an arrival at what was empty is no event: {told}"
    if d.clause.kind != "record":
        assert told == [1, 0] * 4, f"with EPOLLET each arrival is an event, and one: {told}"


@clause("PIPE-22")
def test_room_is_an_edge(d):
    d.open()
    writer, reader = d.actors(2)
    ep = instance(d, writer, put_end(d), POLLOUT | EPOLLET)
    for _ in range(3):
        fill(d, writer, chunk(d))
        looked(d, writer, ep)
        assert looked(d, writer, ep) == 0, "a full pipe is told to have room"
        take_now(d, reader, chunk(d))
        assert looked(d, writer, ep) == 1, "a page that was read from a full pipe is no event on the write end"


@clause("PIPE-47", "USTR-25")
def test_one_shot_tells_once(d):
    writer, reader, ep = watched(d, POLLIN | EPOLLONESHOT)
    told = []
    for _ in range(3):
        put_now(d, writer)
        told.append(looked(d, reader, ep))
    assert told == [1, 0, 0], f"with EPOLLONESHOT three arrivals gave {told} events"
