# SPDX-License-Identifier: MIT
"""Stories of the event counter: what a read takes, room, and what poll says.

Source: eventfd(2), and the clauses named at each test.
"""
import pytest

from suite.subject import OBJECT, POLLIN, POLLOUT, fails, gives, said

clause = pytest.mark.clause
MOST = -2  # 2^64-2, as the driver's signed argument


def count(d, actor):
    return d.do(actor, "count").out["n"]


@clause("EVF-01")
def test_what_a_read_takes(d):
    d.open(init=7, nonblock=1)
    a, b = d.actors(2)
    taken = []
    d.do(a, "write", n=2)
    while (r := d.call(b, "read")).errno is None:
        taken.append(r.tag)
    fails(r, "EAGAIN", "a read of 0 with EFD_NONBLOCK")
    assert taken == ([9] if d.variant == "counter" else [1] * 9), f"9 were there, and reads took {taken}"


@clause("EVF-02")
def test_write_waits_for_room(d):
    d.open()
    writer, reader = d.actors(2)
    d.do(writer, "write", n=MOST)
    r, _ = d.must_wait(writer, "write", lambda: d.do(reader, "read"), n=1)
    gives(r, 8, "a write after a read has made room")
    assert count(d, reader) == (1 if d.variant == "counter" else MOST), "the number after the write is wrong"


@clause("EVF-08")
def test_poll(d):
    d.open(nonblock=1)
    a, b = d.actors(2)
    for n, want in ((0, POLLOUT), (1, POLLIN | POLLOUT), (MOST - 1, POLLIN)):
        if n:
            d.do(a, "write", n=n)
        for f in ("poll", "select", "epoll"):
            got = d.do(b, f, OBJECT, events=POLLIN | POLLOUT, timeout_ms=0).out["revents"]
            assert got == want, f"{f} says {got:#x} at {count(d, a)}, and it should be {want:#x}"
    fails(d.call(a, "write", n=1), "EAGAIN", "a write where poll does not say POLLOUT")
    d.do(a, "read")
    gives(d.call(a, "write", n=1), 8, "a write where poll says POLLOUT")


@clause("EVF-15")
def test_write_of_more_than_eight_bytes(d):
    d.open()
    a = d.actors(1)[0]
    r = d.call(a, "write_bytes", len=16, n=3)
    d.note(f"a write of 16 bytes gave {said(r)}, and {count(d, a)} is there")
    assert (r.ret, r.errno, count(d, a)) in ((8, None, 3), (-1, "EINVAL", 0)), f"a write of 16 bytes gave {said(r)}"
