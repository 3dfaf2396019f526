# SPDX-License-Identifier: MIT
"""Stories of the pipe: its two ends, who holds them, what happens when they go, atomicity, capacity.

Source: pipe(7), pipe(2), write(2), read(2), fcntl(2), poll(2), and the clauses named at each test.
"""
import contextlib

import pytest

from plumbline.client import DriverError
from suite.outcome import NotHere, Unknown
from suite.subject import OBJECT, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLOUT, SIZE, fails, gives, said
from suite.transfer import fill, interrupted

clause = pytest.mark.clause
R, W = "o.r", "o.w"
PAGE = 4096
PIPE_BUF = 4096
F_GETFL = 3


def ends(d, readers, writers):
    """Actors that hold one end each; control holds none."""
    d.open()
    rs = d.actors(readers) if readers else []
    ws = d.actors(writers) if writers else []
    for a in rs:
        d.do(a, "close", W)
    for a in ws:
        d.do(a, "close", R)
    d.release(R)
    d.release(W)
    return rs, ws


def sigpipes(d, r):
    return sum(s["signal"] == "PIPE" for s in d.signals(r))


def bytes_in(d, actor, end=R):
    return d.do(actor, "fionread", end).out["bytes"]


@clause("PIPE-34")
def test_from_1_to_0(d):
    """The portable form of "unidirectional": a reader that has [0] alone, a writer that has [1] alone."""
    (reader,), (writer,) = ends(d, 1, 1)
    for size in (SIZE, 100, PIPE_BUF):
        sent = d.do(writer, "write", W, size=size)
        got = d.do(reader, "read", R, size=size)
        assert (got.ret, got.sum) == (size, sent.sum), f"read gave {said(got)}, sum {got.sum} instead of {sent.sum}"


def rounds_of_writes(d, lo, hi, readers, f="write", setsize=PAGE, ops=120, rounds=12):
    """Many writers, a small pipe, reads of odd sizes."""
    d.open(capacity=setsize)
    rs, ws = d.actors(readers), d.actors(8)
    plan = [{"ids": ws, "do": [f], "size": [lo, hi]}, {"ids": rs, "do": ["read"], "size": [1, 2 * PAGE + 1]}]
    return d.rounds(plan, ops=ops, rounds=rounds)


@clause("PIPE-03")
def test_small_writes_are_atomic(d):
    rounds_of_writes(d, SIZE, PIPE_BUF, readers=1)


@clause("PIPE-03")
def test_writes_of_pipe_buf_are_atomic(d):
    """Exactly PIPE_BUF, among small ones that shift where they fall."""
    d.open(capacity=4 * PAGE)
    big, small, (reader,) = d.actors(3), d.actors(3), d.actors(1)
    d.rounds([{"ids": big, "do": ["write"], "size": PIPE_BUF}, {"ids": small, "do": ["write"], "size": [SIZE, 200]},
              {"ids": [reader], "do": ["read"], "size": [1, 3 * PAGE]}], ops=150, rounds=12)


@clause("PIPE-03")
def test_small_writes_are_atomic_in_a_roomy_pipe(d):
    """More slots, so that writes meet pages that others have half filled."""
    rounds_of_writes(d, SIZE, PIPE_BUF, readers=1, setsize=16 * PAGE)


@clause("PIPE-33")
def test_small_writev_is_atomic(d):
    d.need("writev")
    rounds_of_writes(d, SIZE, PIPE_BUF, readers=1, f="writev")


@clause("PIPE-04")
def test_large_writes_keep_each_writers_order(d):
    rounds_of_writes(d, PIPE_BUF + 1, 5 * PAGE, readers=1, ops=30)


@clause("PIPE-43", caps=("stream",))
def test_several_readers_share_the_bytes(d):
    rounds_of_writes(d, SIZE, 3 * PAGE, readers=3, setsize=4 * PAGE, ops=60)


@clause("PIPE-05")
def test_nonblocking_small_write_is_all_or_nothing(d):
    (reader,), (writer,) = ends(d, 1, 1)
    d.do(writer, "nonblock", W, value=1)
    held = 0
    for size in [3000, 1000, PIPE_BUF, 200] * 64:
        r = d.call(writer, "write", W, size=size)
        assert r.ret == size or r.errno == "EAGAIN", f"a write of {size} bytes gave {said(r)}"
        held += max(r.ret, 0)
        if r.errno:
            break
    else:
        raise Unknown("the pipe never filled")
    assert bytes_in(d, reader) == held, "a write that failed with EAGAIN has put something in"
    fails(d.call(writer, "write", W, size=PIPE_BUF), "EAGAIN", "a write of PIPE_BUF bytes to a full pipe")
    assert bytes_in(d, reader) == held, "a write that failed with EAGAIN has put something in"


@clause("PIPE-05", "PIPE-23")
def test_who_may_not_wait_finds_room_in_an_empty_pipe(d):
    """One writer and one reader, so that the pipe is often empty for certain; and never holds more than its pages."""
    d.open(capacity=PAGE, nonblock=1)
    writer, reader = d.actors(2)
    d.rounds([{"ids": [writer], "do": ["write"], "size": [SIZE, PIPE_BUF]},
              {"ids": [reader], "do": ["read"], "size": PIPE_BUF}], ops=300, rounds=8)


@clause("PIPE-05", "PIPE-23")
@pytest.mark.parametrize("pages,writers", [(4, 1), (16, 2)])
def test_who_may_not_wait_finds_room_while_pages_are_left(d, pages, writers):
    """A write takes at most as many pages as its length begins: until those that can be taken are all, it has room."""
    d.open(capacity=pages * PAGE, nonblock=1)
    reader, *ws = d.actors(writers + 1)
    d.rounds([{"ids": ws, "do": ["write"], "size": [SIZE, PIPE_BUF]},
              {"ids": [reader], "do": ["read"], "size": [1, 2 * PIPE_BUF]}], ops=600, rounds=8)


@clause("PIPE-06")
def test_nonblocking_large_write_writes_what_fits(d):
    (reader,), (writer,) = ends(d, 1, 1)
    d.do(writer, "nonblock", W, value=1)
    room = d.do(writer, "getsize", W).ret
    r = d.call(writer, "write", W, size=room + 3 * PAGE)
    assert 0 < r.ret <= room, f"a write of {room + 3 * PAGE} bytes into {room} gave {said(r)}"
    assert bytes_in(d, reader) == r.ret, "the count is not what has been written"
    fails(d.call(writer, "write", W, size=2 * PAGE), "EAGAIN", "a large write to a full pipe")
    d.do(reader, "read", R, size=PAGE)
    before = bytes_in(d, reader)
    r = d.call(writer, "write", W, size=2 * PAGE)
    assert 0 < r.ret <= PAGE, f"a write of {2 * PAGE} bytes into {PAGE} that are free gave {said(r)}"
    assert bytes_in(d, reader) == before + r.ret, "the count is not what has been written"


@clause("PIPE-07")
def test_large_write_returns_when_all_is_written(d):
    (reader,), (writer,) = ends(d, 1, 1)
    room = d.do(writer, "getsize", W).ret
    size, got, reads = 3 * room, 0, []
    p = d.start(writer, "write", W, size=size)
    d.asleep((writer, p))
    while got < size:
        reads.append(d.do(reader, "read", R, size=room))
        got += reads[-1].ret
    r = d.finish(p, "the large write, all of it read")
    gives(r, size, "the large write")
    enough = next(x for n, x in enumerate(reads, 1) if size - sum(y.ret for y in reads[:n]) <= room)
    assert not r.before(enough), f"write returned {size} before the read that leaves only the {room} that fit inside"


@clause("PIPE-08")
def test_signal_after_some_bytes_gives_their_count(d):
    (reader,), (writer,) = ends(d, 1, 1)
    room = d.do(writer, "getsize", W).ret
    r = interrupted(d, writer, d.start(writer, "write", W, size=3 * room))
    assert 0 < r.ret < 3 * room, f"a write interrupted with {room} bytes inside gave {said(r)}"
    assert bytes_in(d, reader) == r.ret, "the count is not what has been written"


@clause("PIPE-10")
def test_eof_comes_after_the_data_and_stays(d):
    (reader,), (writer,) = ends(d, 1, 1)
    sent = [d.do(writer, "write", W, size=SIZE) for _ in range(2)]
    d.do(writer, "close", W)
    for s in sent:
        got = d.call(reader, "read", R, size=SIZE)
        assert (got.ret, got.sum) == (SIZE, s.sum), f"read gave {said(got)} while data remained"
    for _ in range(3):
        gives(d.call(reader, "read", R, size=SIZE), 0, "read of an empty pipe without writers")


@clause("PIPE-11")
def test_eof_waits_for_the_last_copy_of_the_write_end(d):
    """Inherited by two processes, and duplicated in one: the duplicate is closed last."""
    (reader,), (a, b) = ends(d, 1, 2)
    d.do(a, "dup", W, as_="copy")
    p = d.start(reader, "read", R, size=SIZE)
    for actor in (a, b):
        d.asleep((reader, p))
        d.do(actor, "close", W)
    d.asleep((reader, p))
    last = d.do(a, "close", "copy")
    r = d.finish(p, "read, after the last write end was closed")
    gives(r, 0, "read, after the last write end was closed")
    assert not r.before(last), "end of file came while a duplicate of the write end was open"


@clause("PIPE-12")
def test_write_without_reader(d):
    (reader,), (writer,) = ends(d, 1, 1)
    d.do(reader, "close", R)
    for _ in range(2):
        r = d.call(writer, "write", W, size=SIZE)
        fails(r, "EPIPE", "write without a reader")
        assert sigpipes(d, r) == 1, f"SIGPIPE was delivered {sigpipes(d, r)} times to the writer"


@clause("PIPE-12")
def test_sigpipe_is_for_the_calling_thread(d):
    d.open()
    caller, other = d.actors(2, kind="thread")
    d.release(R)
    d.do(caller, "close", R)
    d.finish(d.start(other, "close", R), "close")  # the same number in the same process: EBADF
    r = d.call(caller, "write", W, size=SIZE)
    fails(r, "EPIPE", "write without a reader")
    assert sigpipes(d, r) == 1, "SIGPIPE was not delivered to the thread that wrote"
    assert sigpipes(d, d.call(other, "getsize", W)) == 0, "SIGPIPE was delivered to a thread that did not write"


def filled(d, writers):
    """A full pipe, a process that holds its read end, and writers that sleep in a write of one page."""
    (reader,), ws = ends(d, 1, writers)
    fill(d, ws[0], PAGE)
    waits = [(a, d.start(a, "write", W, size=PAGE)) for a in ws]
    d.asleep(*waits)
    return reader, waits


@clause("PIPE-13")
def test_blocked_writer_is_released_by_the_last_close(d):
    """The read end has a duplicate: closing one of the two changes nothing."""
    reader, [(writer, p)] = filled(d, 1)
    d.do(reader, "dup", R, as_="copy")
    d.do(reader, "close", R)
    d.asleep((writer, p))
    last = d.do(reader, "close", "copy")
    r = d.finish(p, "write, after the last read end was closed")
    fails(r, "EPIPE", "write, after the last read end was closed")
    assert not r.before(last), "EPIPE came while a duplicate of the read end was open"


@clause("PIPE-15")
def test_last_close_releases_all_writers(d):
    reader, waits = filled(d, 6)
    last = d.do(reader, "close", R)
    for a, p in waits:
        r = d.finish(p, f"writer {a}, after the last read end was closed")
        fails(r, "EPIPE", f"writer {a}'s write")
        assert sigpipes(d, r) == 1, f"SIGPIPE was delivered {sigpipes(d, r)} times to writer {a}"
        assert not r.before(last), f"writer {a} was released before the close"


@clause("PIPE-14")
def test_last_close_releases_all_readers(d):
    readers, (writer,) = ends(d, 6, 1)
    waits = [(a, d.start(a, "read", R, size=SIZE)) for a in readers]
    d.asleep(*waits)
    last = d.do(writer, "close", W)
    for a, p in waits:
        r = d.finish(p, f"reader {a}, after the last write end was closed")
        gives(r, 0, f"reader {a}'s read")
        assert not r.before(last), f"reader {a} was released before the close"


@clause("PIPE-37")
def test_death_closes_the_ends(d):
    readers, (writer,) = ends(d, 3, 1)
    waits = [(a, d.start(a, "read", R, size=SIZE)) for a in readers]
    d.asleep(*waits)
    assert not any(p.done() for _, p in waits), "a read of an empty pipe returned while there was a writer"
    d.kill_actor(writer)
    for a, p in waits:
        gives(d.finish(p, f"reader {a}, after the writer's death"), 0, f"reader {a}'s read")


@clause("PIPE-37")
def test_death_of_the_reader_releases_the_writers(d):
    reader, waits = filled(d, 3)
    assert not any(p.done() for _, p in waits), "a write to a full pipe returned while there was a reader"
    d.kill_actor(reader)
    for a, p in waits:
        fails(d.finish(p, f"writer {a}, after the reader's death"), "EPIPE", f"writer {a}'s write")


def bereaved(d, readers, writers, victims):
    """A round in the middle of which all who have one end are killed; nobody else has it."""
    d.open()
    rs, ws = d.actors(readers), d.actors(writers)
    for actors, end in (rs, W), (ws, R):
        for a in actors:
            d.fault("close", a, on=end)
    d.release(R)
    d.release(W)
    plan = [{"ids": ws, "do": ["write"], "size": [24, PAGE]}, {"ids": rs, "do": ["read"], "size": [1, 2 * PAGE]}]
    seen, p = len(d.events), d.post("run", on=OBJECT, rounds=1, ops=16000, plan={"actors": plan}, timeout=90)
    p.wait(0.02)
    for a in rs if victims == "readers" else ws:
        with contextlib.suppress(DriverError):  # the round may be over
            d.fault("kill", a)
    if not d.judged(p.ok(), seen)["killed"]:
        raise NotHere("no actor was killed in a round")


@clause("PIPE-10")
@pytest.mark.parametrize("readers,writers", [(1, 1), (1, 3), (3, 1)])
def test_who_reads_is_told_that_all_writers_have_died(d, readers, writers):
    bereaved(d, readers, writers, "writers")


@clause("PIPE-12")
@pytest.mark.parametrize("readers,writers", [(1, 1), (1, 3), (2, 2)])
def test_who_writes_is_told_that_all_readers_have_died(d, readers, writers):
    bereaved(d, readers, writers, "readers")


@clause("PIPE-17")
def test_read_returns_what_is_there(d):
    (reader,), (writer,) = ends(d, 1, 1)
    for size in (SIZE, 100, 1000):
        d.do(writer, "write", W, size=size)
        gives(d.call(reader, "read", R, size=PIPE_BUF), size, f"read of up to {PIPE_BUF} bytes with {size} there")


def polled(d, actor, end, events=POLLIN | POLLOUT):
    return d.do(actor, "poll", end, events=events, timeout_ms=0).out["revents"]


@clause("PIPE-18")
def test_pollhup_after_the_last_writer(d):
    (reader,), (writer,) = ends(d, 1, 1)
    d.do(writer, "write", W, size=SIZE)
    assert polled(d, reader, R) == POLLIN, "poll of a pipe with data and a writer"
    d.do(writer, "close", W)
    assert polled(d, reader, R) == POLLIN | POLLHUP, "poll of a pipe with data and no writer"
    d.do(reader, "read", R, size=SIZE)
    assert polled(d, reader, R) & (POLLHUP | POLLOUT) == POLLHUP, "poll of an empty pipe without writer"


@clause("PIPE-18")
def test_pollhup_wakes_a_poller(d):
    (reader,), (writer,) = ends(d, 1, 1)
    r, _ = d.must_wait(reader, "poll", lambda: d.do(writer, "close", W), on=R, events=POLLIN, timeout_ms=50_000)
    assert r.out["revents"] & POLLHUP, f"poll gave {said(r)}, revents {r.out['revents']}"


@clause("PIPE-19")
def test_pollerr_after_the_last_reader(d):
    (reader,), (writer,) = ends(d, 1, 1)
    assert not polled(d, writer, W) & POLLERR, "poll says POLLERR while there is a reader"
    d.do(reader, "close", R)
    assert polled(d, writer, W) & POLLERR, "poll does not say POLLERR without readers"


@clause("PIPE-20")
def test_pollout_means_room_for_pipe_buf(d):
    """Odd amounts in and out, and each time that poll says POLLOUT a write of PIPE_BUF bytes goes in whole."""
    (reader,), (writer,) = ends(d, 1, 1)
    d.do(writer, "nonblock", W, value=1)
    d.do(writer, "setsize", W, bytes=4 * PAGE)
    said_so = 0
    for i in range(120):
        if polled(d, writer, W) & POLLOUT:
            gives(d.call(writer, "write", W, size=PIPE_BUF), PIPE_BUF, "a write of PIPE_BUF bytes after POLLOUT")
            said_so += 1
        else:
            d.do(reader, "read", R, size=[1000, 3097, 4096, 24][i % 4])
        d.call(writer, "write", W, size=100 + i)
    if not said_so:
        raise Unknown("poll never said POLLOUT")


@clause("PIPE-23")
def test_setting_the_capacity(d):
    d.open()
    (actor,) = d.actors(1)
    for ask in (1, PAGE, PAGE + 1, 5 * PAGE, 64 * PAGE):
        r = d.do(actor, "setsize", W, bytes=ask)
        assert r.ret >= ask, f"F_SETPIPE_SZ of {ask} gave {said(r)}"
        gives(d.call(actor, "getsize", R), r.ret, "F_GETPIPE_SZ afterwards")
    d.do(actor, "setsize", W, bytes=4 * PAGE)
    sent = [d.do(actor, "write", W, size=PAGE) for _ in range(3)]
    fails(d.call(actor, "setsize", W, bytes=PAGE), "EBUSY", "F_SETPIPE_SZ below what is inside")
    gives(d.call(actor, "getsize", W), 4 * PAGE, "F_GETPIPE_SZ after EBUSY")
    d.do(actor, "setsize", W, bytes=8 * PAGE)
    got = [d.do(actor, "read", R, size=PAGE).sum for _ in range(3)]
    assert got == [s.sum for s in sent], "resizing changed what was inside"


@clause("PIPE-24")
def test_resizing_in_traffic(d):
    d.open()
    (tuner,), (reader,), writers = d.actors(1), d.actors(1), d.actors(4)
    d.rounds([{"ids": writers, "do": ["write"], "size": [SIZE, 2 * PAGE]},
              {"ids": [reader], "do": ["read"], "size": [1, 3 * PAGE]},
              {"ids": [tuner], "do": ["setsize"], "bytes": [PAGE, 32 * PAGE]}], ops=150, rounds=8)


@clause("PIPE-26")
def test_write_of_nothing_is_recorded(d):
    d.open()
    (actor,) = d.actors(1)
    r = d.call(actor, "write", W, size=0)
    d.note(f"write of 0 bytes gave {said(r)}, and {bytes_in(d, actor)} bytes are inside")


@clause("PIPE-27")
def test_emfile_leaks_nothing(d):
    """One free number below the limit: pipe() needs two, and must leave the one for the next call."""
    d.open()
    (actor,) = d.actors(1)
    free = d.do(actor, "dup", R, as_="probe").ret
    d.do(actor, "close", "probe")
    d.limit_descriptors(actor, free + 1, "o.r")
    for _ in range(20):
        fails(d.call(actor, "pipe"), "EMFILE", "pipe() with one descriptor left")
    gives(d.call(actor, "dup", R, as_="again"), free, "dup after 20 failed pipe()")


@clause("PIPE-29")
def test_fionread_is_what_can_be_read(d):
    (reader,), (writer,) = ends(d, 1, 1)
    held = 0
    for size in (SIZE, 1000, PIPE_BUF, 77):
        held += d.do(writer, "write", W, size=size).ret
        assert bytes_in(d, reader, R) == bytes_in(d, writer, W) == held, "FIONREAD is not what was written"
    gone = d.do(reader, "read", R, size=SIZE).ret  # the first write: a packet, where there are packets
    assert bytes_in(d, reader) == held - gone, "FIONREAD is not what is left"


@clause("PIPE-29")
def test_fionread_never_promises_too_much(d):
    """While a writer writes: whatever FIONREAD says, a read of more gives at least that."""
    (reader,), (writer,) = ends(d, 1, 1)
    for i in range(150):
        p = d.start(writer, "write", W, size=SIZE + i)
        promised = bytes_in(d, reader)
        d.finish(p, "a small write to a pipe with room")
        r = d.do(reader, "read", R, size=PIPE_BUF)
        assert r.ret >= promised, f"FIONREAD said {promised}, then a read of {PIPE_BUF} gave {r.ret}"


@clause("PIPE-35")
def test_count_first_then_epipe(d):
    (reader,), (writer,) = ends(d, 1, 1)
    room = d.do(writer, "getsize", W).ret
    p = d.start(writer, "write", W, size=3 * room)
    d.asleep((writer, p))
    d.do(reader, "close", R)
    r = d.finish(p, "the blocked write, after the last read end was closed")
    assert 0 < r.ret <= room, f"a write that had moved bytes when the reader went gave {said(r)}"
    fails(d.call(writer, "write", W, size=SIZE), "EPIPE", "the next write")


@clause("PIPE-36")
def test_duplicates_share_o_nonblock(d):
    d.open()
    a, b = d.actors(2)
    d.do(a, "dup", R, as_="copy")
    d.do(b, "nonblock", R, value=1)
    fails(d.call(a, "read", "copy", size=SIZE), "EAGAIN", "read by the duplicate of a descriptor made non-blocking")
    fails(d.call(a, "read", R, size=SIZE), "EAGAIN", "read by the inherited descriptor")
    d.do(a, "nonblock", "copy", value=0)
    d.must_wait(b, "read", lambda: d.do(a, "write", W, size=SIZE), on=R, size=SIZE, what="read after O_NONBLOCK is off")
    d.do(b, "nonblock", R, value=1)
    assert not d.do(a, "fcntl", W, cmd=F_GETFL).ret & O_NONBLOCK, "O_NONBLOCK of one end is set for the other"


@clause("PIPE-25")
def test_packets_keep_their_boundaries_under_load(d):
    d.open()
    d.actors(5)
    d.judged(d.run(on="o", rounds=8, ops=300))
