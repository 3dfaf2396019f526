# SPDX-License-Identifier: MIT
"""Stories of the named pipe: who may open it and who must wait, what its name is worth, what a death leaves.

Source: fifo(7), open(2), mkfifo(3), poll(2), and the clauses named at each test. Actors hold no end but those that
they open: control gives up its own first.
"""
import pytest

from suite.outcome import NotHere
from suite.subject import O_NONBLOCK, POLLHUP, POLLIN, SIZE, fails, gives, said
from suite.transfer import interrupted

clause = pytest.mark.clause
O_RDONLY, O_WRONLY, O_RDWR, O_TRUNC = 0, 1, 2, 0o1000
PIPE_BUF = 4096


def alone(d, n):
    """n actors that know the name and hold no end; nobody else does."""
    d.open()
    d.release("o")
    return d.actors(n)


def opened(d, actor, flags, as_):
    return d.do(actor, "open", flags=flags, as_=as_)


def joined(d, readers=1, writers=1):
    """Actors with one end each, called "r0" … and "w0" …"""
    actors = alone(d, readers + writers)
    rs, ws = actors[:readers], actors[readers:]
    for i, a in enumerate(rs):
        opened(d, a, O_RDONLY | O_NONBLOCK, f"r{i}")
        d.do(a, "nonblock", f"r{i}", value=0)
    for i, a in enumerate(ws):
        opened(d, a, O_WRONLY, f"w{i}")
    return rs, ws


def polled(d, actor, on, events=POLLIN):
    return d.do(actor, "poll", on, events=events, timeout_ms=0).out["revents"]


@clause("FIFO-01")
def test_open_for_reading_waits_for_a_writer(d):
    reader, writer = alone(d, 2)
    d.must_wait(reader, "open", lambda: opened(d, writer, O_WRONLY, "w"), flags=O_RDONLY, as_="r",
                what="open for reading")
    sent = d.do(writer, "write", "w", size=SIZE)
    assert d.do(reader, "read", "r", size=SIZE).sum == sent.sum, "what was read is not what was written"


@clause("FIFO-02")
def test_open_for_writing_waits_for_a_reader(d):
    writer, reader = alone(d, 2)
    d.must_wait(writer, "open", lambda: opened(d, reader, O_RDONLY | O_NONBLOCK, "r"), flags=O_WRONLY, as_="w",
                what="open for writing")
    sent = d.do(writer, "write", "w", size=SIZE)
    assert d.do(reader, "read", "r", size=SIZE).sum == sent.sum, "what was read is not what was written"


@clause("FIFO-02")
def test_open_for_writing_is_released_by_a_waiting_reader(d):
    writer, reader = alone(d, 2)
    d.must_wait(writer, "open", lambda: opened(d, reader, O_RDONLY, "r"), flags=O_WRONLY, as_="w",
                what="open for writing")


@clause("FIFO-03")
def test_nonblocking_open_for_reading_returns(d):
    reader, writer = alone(d, 2)
    opened(d, reader, O_RDONLY | O_NONBLOCK, "r")
    opened(d, writer, O_WRONLY, "w")
    opened(d, reader, O_RDONLY | O_NONBLOCK, "again")


@clause("FIFO-04")
def test_nonblocking_open_for_writing_needs_a_reader(d):
    writer, reader = alone(d, 2)
    want = {"flags": O_WRONLY | O_NONBLOCK}
    fails(d.call(writer, "open", **want), "ENXIO", "open for writing, without a reader,")
    opened(d, reader, O_RDONLY | O_NONBLOCK, "r")
    opened(d, writer, want["flags"], "w")
    d.do(reader, "close", "r")
    fails(d.call(writer, "open", **want), "ENXIO", "open for writing, the reader gone,")


@clause("FIFO-05")
def test_open_for_both_waits_for_nobody(d):
    (actor,) = alone(d, 1)
    opened(d, actor, O_RDWR, "both")
    sent = d.do(actor, "write", "both", size=SIZE)
    assert d.do(actor, "read", "both", size=SIZE).sum == sent.sum, "what was read is not what was written"


@clause("FIFO-06")
@pytest.mark.parametrize("flags", [O_RDONLY, O_WRONLY], ids=["reader", "writer"])
def test_a_signal_ends_a_waiting_open(d, flags):
    waiter, peer = alone(d, 2)
    fails(interrupted(d, waiter, d.start(waiter, "open", flags=flags)), "EINTR", "an open that a signal interrupts")
    p = d.start(waiter, "open", flags=flags, as_="mine")
    for _ in range(3):
        d.asleep((waiter, p))
        d.fault("signal", waiter, signal="USR1")  # its handler has SA_RESTART
    d.asleep((waiter, p))
    came = opened(d, peer, O_RDWR, "peer")
    r = d.finish(p, "open, with a peer there")
    assert r.ret >= 0 and not r.before(came), f"an open interrupted with SA_RESTART gave {said(r)}"


@clause("FIFO-07")
def test_racing_openers_all_return(d):
    actors = alone(d, 12)
    for turn in range(10):
        order = actors[turn:] + actors[:turn]
        waits = [(a, d.start(a, "open", flags=a % 2, as_=f"e{a}")) for a in order]
        for a, p in waits:
            r = d.finish(p, f"open by actor {a}, with as many readers as writers")
            assert r.ret >= 0, f"open by actor {a} gave {said(r)}"
        for a in actors:
            d.do(a, "close", f"e{a}")
            d.close(f"e{a}")


@clause("FIFO-08")
def test_a_new_writer_revives_the_reader(d):
    (reader,), (first,) = joined(d)
    for turn in range(3):
        writer = "w0" if turn == 0 else f"v{turn}"
        if turn:
            opened(d, first, O_WRONLY, writer)
        sent = d.do(first, "write", writer, size=SIZE)
        assert d.do(reader, "read", "r0", size=SIZE).sum == sent.sum, "what was read is not what was written"
        p = d.start(reader, "read", "r0", size=SIZE)
        d.asleep((reader, p))
        gone = d.do(first, "close", writer)
        r = d.finish(p, "read, after the only writer has closed")
        gives(r, 0, "read, after the only writer has closed")
        assert not r.before(gone), "end of file came while there was a writer"


@clause("FIFO-09")
def test_what_nobody_holds_is_gone(d):
    (reader,), (writer,) = joined(d)
    d.do(writer, "write", "w0", size=100)
    d.do(reader, "close", "r0")
    d.do(writer, "close", "w0")
    opened(d, reader, O_RDONLY | O_NONBLOCK, "r")
    gives(d.call(reader, "read", "r", size=100), 0, "read of a FIFO that nobody had open")
    opened(d, writer, O_WRONLY, "w")
    sent = d.do(writer, "write", "w", size=SIZE)
    got = d.do(reader, "read", "r", size=100)
    assert (got.ret, got.sum) == (SIZE, sent.sum), f"read gave {said(got)}: bytes from before the last close are inside"


@clause("FIFO-10")
def test_unlink_takes_the_name_only(d):
    (reader,), (writer,) = joined(d)
    d.do(writer, "unlink")
    fails(d.call(writer, "open", flags=O_RDWR), "ENOENT", "open of a name that is unlinked")
    sent = d.do(writer, "write", "w0", size=SIZE)
    assert d.do(reader, "read", "r0", size=SIZE).sum == sent.sum, "traffic after unlink was changed"
    d.do(writer, "mkfifo")
    opened(d, writer, O_RDWR, "new")
    d.do(writer, "write", "new", size=100)
    gives(d.call(reader, "fionread", "r0"), 0, "FIONREAD")
    assert d.do(reader, "fionread", "r0").out["bytes"] == 0, "what was put into the new FIFO is in the old one"


@clause("FIFO-11")
def test_mkfifo(d):
    (actor,) = alone(d, 1)
    fails(d.call(actor, "mkfifo"), "EEXIST", "mkfifo of a name that exists")
    for mode, mask in ((0o666, 0o022), (0o777, 0o077), (0o640, 0)):
        d.do(actor, "unlink")
        d.do(actor, "mkfifo", mode=mode, umask=mask)
        st = d.do(actor, "stat").out
        assert (st["fifo"], st["own"]) == (1, 1), f"mkfifo made something else, or somebody else's: {st}"
        assert st["mode"] == mode & ~mask, f"mkfifo({mode:o}) under mask {mask:o} made mode {st['mode']:o}"


@clause("FIFO-12")
def test_truncation_does_nothing(d):
    (reader,), (writer,) = joined(d)
    sent = d.do(writer, "write", "w0", size=100)
    opened(d, writer, O_WRONLY | O_TRUNC, "again")
    got = d.call(reader, "read", "r0", size=100)
    assert (got.ret, got.sum) == (100, sent.sum), f"after an open with O_TRUNC read gave {said(got)}"


@clause("FIFO-13")
def test_small_writes_of_strangers_are_atomic(d):
    """Writers that have nothing in common but the name; a small FIFO, and odd reads."""
    d.open(capacity=PIPE_BUF)
    writers, (reader,) = d.actors(6, kind="exec"), d.actors(1)
    d.rounds([{"ids": writers, "do": ["write", "writev"], "size": [SIZE, PIPE_BUF]},
              {"ids": [reader], "do": ["read"], "size": [1, 2 * PIPE_BUF + 1]}], ops=120, rounds=8)


@clause("FIFO-14")
def test_a_writer_between_two_looks_leaves_pollhup(d):
    reader, writer = alone(d, 2)
    opened(d, reader, O_RDONLY | O_NONBLOCK, "r")
    assert polled(d, reader, "r") == 0, "poll says something before there was any writer"
    opened(d, writer, O_WRONLY, "w")
    d.do(writer, "close", "w")
    assert polled(d, reader, "r") & POLLHUP, "a writer came and went, and poll does not say POLLHUP"


@clause("FIFO-17")
def test_empty_without_a_writer_is_the_end(d):
    """The pair that is easily swapped: 0 without a writer, EAGAIN with one that is idle."""
    reader, writer = alone(d, 2)
    opened(d, reader, O_RDONLY | O_NONBLOCK, "r")
    gives(d.call(reader, "read", "r", size=SIZE), 0, "read with O_NONBLOCK and no writer")
    opened(d, writer, O_WRONLY, "w")
    fails(d.call(reader, "read", "r", size=SIZE), "EAGAIN", "read with O_NONBLOCK and an idle writer")
    d.do(writer, "close", "w")
    gives(d.call(reader, "read", "r", size=SIZE), 0, "read with O_NONBLOCK, the writer gone")


@clause("FIFO-19")
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_death_closes_the_ends(d, how):
    readers, writers = joined(d, 2, 2)
    waits = [(a, d.start(a, "read", f"r{i}", size=SIZE)) for i, a in enumerate(readers)]
    d.asleep(*waits)
    d.kill_actor(writers[0], how)
    d.asleep(*waits)
    assert not any(p.done() for _, p in waits), "end of file came while there was a writer"
    d.kill_actor(writers[1], how)
    for a, p in waits:
        gives(d.finish(p, f"reader {a}, after the last writer's death"), 0, f"reader {a}'s read")


@clause("FIFO-19")
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_death_of_the_reader_releases_the_writers(d, how):
    (reader,), writers = joined(d, 1, 3)
    d.do(writers[0], "nonblock", "w0", value=1)
    while d.call(writers[0], "write", "w0", size=PIPE_BUF).errno is None:
        pass
    d.do(writers[0], "nonblock", "w0", value=0)
    waits = [(a, d.start(a, "write", f"w{i}", size=PIPE_BUF)) for i, a in enumerate(writers)]
    d.asleep(*waits)
    assert not any(p.done() for _, p in waits), "a write to a full FIFO returned while there was a reader"
    d.kill_actor(reader, how)
    for a, p in waits:
        fails(d.finish(p, f"writer {a}, after the reader's death"), "EPIPE", f"writer {a}'s write")


@clause("FIFO-20")
@pytest.mark.parametrize("flags", [O_RDONLY, O_WRONLY], ids=["reader", "writer"])
def test_a_dead_opener_is_nobodys_peer(d, flags):
    ghost, other, friend = alone(d, 3)
    p = d.start(ghost, "open", flags=flags)
    d.asleep((ghost, p))
    if p.done():
        raise NotHere("the open did not wait")
    d.kill_actor(ghost)
    if flags == O_RDONLY:
        fails(d.call(other, "open", flags=O_WRONLY | O_NONBLOCK), "ENXIO", "open for writing, the reader killed in open,")
    d.must_wait(other, "open", lambda: opened(d, friend, O_RDWR, "f"), flags=O_WRONLY - flags, as_="o2",
                what="open, its only peer killed while it waited,")
