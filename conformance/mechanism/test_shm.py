# SPDX-License-Identifier: MIT
"""Stories of POSIX shared memory, memfds and mmap: names, seals, the end of the object, the end of a view.

Source: shm_overview(7), shm_open(3), mmap(2), memfd_create(2), fcntl(2), and the clauses named at each test.
"""
import os

import pytest

from plumbline.calls import DriverError
from suite.outcome import NotHere
from suite.subject import fails, gives

clause = pytest.mark.clause
O_CREAT_EXCL = 0o2 | 0o100 | 0o200
F_GETFD, FD_CLOEXEC, F_ADD_SEALS, F_SEAL_WRITE = 1, 1, 1033, 8
F_GET_SEALS, F_SEAL_SHRINK = 1034, 2
PROT_READ = 1
O_RDONLY, O_RDWR = 0, 2


def store(d, actor, value, on="o", at=0):
    d.do(actor, "store", on, at=at, token=hex(value))


def found(d, actor, on="o", at=0):
    return d.do(actor, "load", on, at=at).out["value"]


def page_of(d, actor):
    return d.do(actor, "where").out["page"]


@clause("PSHM-02")
def test_one_of_many_creators_wins(d):
    """The name is unlinked, then all race for it."""
    d.open()
    actors = d.attached(8)
    for turn in range(6):
        d.do(actors[0], "unlink")
        racing = {a: d.start(a, "open", as_=f"t{turn}a{a}", flags=O_CREAT_EXCL) for a in actors}
        won = d.one_creates(racing, "shm_open")
        d.do(won, "close", f"t{turn}a{won}")


@clause("PSHM-03")
def test_lowest_descriptor_closed_on_exec(d):
    d.open()
    a, = d.attached(1)
    first, second = (d.do(a, "open", as_=n).ret for n in ("x", "y"))
    assert second > first, f"descriptor {second} came after {first}"
    d.do(a, "close", "x")
    assert d.do(a, "open", as_="z").ret == first, "the lowest free descriptor was not used"
    for name in ("y", "z"):
        assert d.do(a, "fcntl", name, cmd=F_GETFD).ret & FD_CLOEXEC, "FD_CLOEXEC is not set"


@clause("PSHM-04")
def test_unlinked_object_lives_on(d):
    d.open()
    a, b = d.attached(2)
    store(d, a, 4)
    d.do(a, "unlink")
    fails(d.call(b, "open"), "ENOENT", "shm_open of a name that was unlinked")
    assert found(d, b) == 4, "a store before shm_unlink is not found after it"
    store(d, a, 5)
    assert found(d, b) == 5, "a store after shm_unlink is not found by another who had it mapped"
    for x in (a, b):
        d.do(x, "close")
    store(d, b, 6)
    assert found(d, a) == 6, "a store after shm_unlink and close is not found by another who had it mapped"


@clause("PSHM-05")
def test_name_is_another_object_after_unlink(d):
    d.open()
    a, b = d.attached(2)
    store(d, a, 5)
    old = d.do(a, "fstat").out["inode"]
    d.do(a, "unlink")
    d.do(a, "open", as_="new", flags=O_CREAT_EXCL)
    about = d.do(a, "fstat", "new").out
    assert about["size"] == 0 and about["inode"] != old, f"the new object has {about}; the old one's inode is {old}"
    d.do(a, "ftruncate", "new", size=4096)
    d.do(a, "mmap", "new")
    assert found(d, a, "new") == 0, "the new object holds what was stored in the old one"
    store(d, a, 7, "new")
    assert found(d, b) == 5, "a store in the new object is found in the old one"


@clause("PSHM-12")
def test_more_than_there_is(d):
    """Asked at once for more than the file system may ever hold."""
    if not d.target.native:
        raise NotHere("the size of /dev/shm there cannot be seen")
    there = os.statvfs("/dev/shm")
    if there.f_blocks == 0:
        raise NotHere("/dev/shm has no limit")
    d.open()
    a, b = d.attached(2)
    store(d, a, 5)
    fails(d.call(a, "fallocate", at=0, len=(there.f_blocks + 1024) * there.f_frsize), "ENOSPC", "fallocate of too much")
    assert d.do(b, "fstat").out["size"] == 4096 and found(d, b) == 5, "what was there has changed"


@clause("PSHM-23")
def test_permissions(d):
    """The owner itself may not, if the mode says so."""
    d.open()
    a, = d.attached(1)
    d.do(a, "unlink")
    d.become_plain(a)
    d.do(a, "open", as_="w", flags=O_CREAT_EXCL, mode=0o200)
    fails(d.call(a, "open", flags=O_RDONLY), "EACCES", "shm_open for reading of what may only be written")
    fails(d.call(a, "open", flags=O_RDWR), "EACCES", "shm_open for both of what may only be written")


@clause("PSHM-08")
def test_beyond_the_end(d):
    d.open(size=100)
    a, b, c = d.attached(3)
    view = d.do(a, "where").out
    store(d, a, 5, at=view["page"] - 8)
    assert d.do(a, "fstat").out["size"] == 100, "a store behind the last byte changed the length"
    d.dies_of("BUS", a, "store", at=view["page"])
    d.dies_of("BUS", b, "load", at=view["bytes"] - 8)
    assert found(d, c) == 0, "what is inside has changed"


@clause("MAP-10")
def test_shrunk_under_a_reader(d):
    """What was cut off is gone for good: a reader dies, and after growth finds zero."""
    d.open()
    writer, reader = d.attached(2)
    page = page_of(d, writer)
    d.do(writer, "ftruncate", size=2 * page)
    store(d, writer, 5), store(d, writer, 6, at=page)
    assert found(d, reader, at=page) == 6, "what was stored behind the first page is not found"
    d.do(writer, "ftruncate", size=page)
    d.dies_of("BUS", reader, "load", at=page)
    d.do(writer, "ftruncate", size=2 * page)
    late, = d.attached(1)
    for actor in (writer, late):
        assert found(d, actor, at=page) == 0, "after the object grew again old data is found"
        assert found(d, actor) == 5, "what was never cut off has changed"


@clause("MAP-10")
def test_shrunk_while_a_reader_loads(d):
    """The load races with the end of its page: the value, zero, or SIGBUS."""
    d.open()
    writer, reader = d.attached(2)
    page, deaths = page_of(d, writer), 0
    for turn in range(40):
        d.do(writer, "ftruncate", size=2 * page)
        store(d, writer, 6, at=page)
        p = d.start(reader, "load", at=page)
        d.do(writer, "ftruncate", size=page)
        d.do(writer, "ftruncate", size=2 * page)
        try:
            value = d.finish(p, "load").out["value"]
        except DriverError as e:
            assert e.kind == "crash" and e.fields.get("signal") == "BUS", f"the reader died: {e}"
            deaths += 1
            reader, = d.attached(1)
            continue
        assert value in (0, 6), f"turn {turn}: {value:#x} is found, which nobody has stored"
    d.note(f"{deaths} of 40 readers died of SIGBUS")


@clause("MAP-06")
def test_seals_go_with_a_descriptor_that_is_passed(d):
    """Opened when both processes exist: each gets the descriptor in a message (SCM_RIGHTS)."""
    a, b = d.actors(2)
    d.open()
    store(d, a, 5)
    gives(d.call(a, "fcntl", cmd=F_ADD_SEALS, arg=F_SEAL_SHRINK), 0, "F_SEAL_SHRINK")
    gives(d.call(b, "fcntl", cmd=F_GET_SEALS), F_SEAL_SHRINK, "F_GET_SEALS by another who was passed the descriptor")
    fails(d.call(b, "ftruncate", size=0), "EPERM", "ftruncate of a sealed object")
    assert found(d, b) == 5, "who was passed the descriptor does not share the memory"


@clause("MAP-04")
def test_write_seal_waits_for_mappings(d):
    d.open()
    a, b = d.attached(2)
    view = d.do(a, "where").out
    fails(d.call(a, "fcntl", cmd=F_ADD_SEALS, arg=F_SEAL_WRITE), "EBUSY", "F_SEAL_WRITE with two writable mappings")
    d.do(a, "munmap", len=view["bytes"])
    fails(d.call(a, "fcntl", cmd=F_ADD_SEALS, arg=F_SEAL_WRITE), "EBUSY", "F_SEAL_WRITE with another's mapping")
    d.do(b, "mmap", prot=PROT_READ)
    fails(d.call(a, "fcntl", cmd=F_ADD_SEALS, arg=F_SEAL_WRITE), "EBUSY",
          "F_SEAL_WRITE with a mapping that mprotect could make writable")
    d.do(b, "mmap", flags=2)
    gives(d.call(a, "fcntl", cmd=F_ADD_SEALS, arg=F_SEAL_WRITE), 0, "F_SEAL_WRITE with a private mapping only")
    fails(d.call(b, "mmap"), "EPERM", "a writable shared mapping of a sealed object")
    fails(d.call(b, "pwrite", value=5), "EPERM", "write to a sealed object")
    assert d.do(b, "pread").out["value"] == 0, "a refused write has changed the object"


@clause("MAP-14")
def test_unmapped_page(d):
    d.open(size=3 << 16)
    a, b = d.attached(2)
    page = page_of(d, a)
    for i in range(3):
        store(d, b, i + 1, at=i * page)
    d.do(a, "munmap", at=page, len=page)
    assert (found(d, a), found(d, a, at=2 * page)) == (1, 3), "the pages beside the one unmapped have changed"
    d.dies_of("SEGV", a, "load", at=page)
    assert found(d, b, at=page) == 2, "munmap by one process reached another's mapping"


@clause("MAP-15")
def test_protected_page(d):
    d.open()
    a, b = d.attached(2)
    store(d, a, 5)
    d.do(a, "mprotect", len=page_of(d, a), prot=PROT_READ)
    assert found(d, a) == 5, "a load from a page without PROT_WRITE"
    d.dies_of("SEGV", a, "store", token="0x6")
    assert found(d, b) == 5, "a store that ended its process with SIGSEGV has changed the memory"
    store(d, b, 7)
    assert found(d, b) == 7, "mprotect by one process reached another's mapping"


SHAPES = ("SB", "MP", "LB", "relaxed")
#: What no row may show: (what was found of x, what was found of y).
FORBIDDEN = {"SB": "old_old", "MP": "old_new", "LB": "new_new"}
ROWS = 2000


def litmus(d, sides, shape):
    """One turn of both sides: how many rows showed which outcome."""
    run = [d.start(a, "litmus", shape=SHAPES.index(shape), side=i, rows=ROWS) for i, a in enumerate(sides)]
    ended = [d.finish(p, "litmus") for p in run]
    if any(r.errno == "ETIMEDOUT" for r in ended):
        raise NotHere("the two sides never ran at once")
    return d.do(sides[0], "litmus_count", turn=ended[0].out["turn"], rows=ROWS).out


@clause("MAP-08")
@pytest.mark.parametrize("shape", sorted(FORBIDDEN))
def test_order_of_accesses(d, shape):
    d.open(size=64 + 32 * ROWS)
    sides, seen = d.attached(2, place="spread"), {}
    for _ in range(12):
        for outcome, n in litmus(d, sides, shape).items():
            seen[outcome] = seen.get(outcome, 0) + n
        assert seen[FORBIDDEN[shape]] == 0, f"{shape}: {seen[FORBIDDEN[shape]]} rows of {seen} are forbidden"
    relaxed = litmus(d, sides, "relaxed")
    d.note(f"{shape} {seen}, beside it SB with relaxed accesses {relaxed}")


@clause("MAP-11")
def test_futex_through_other_addresses(d):
    d.open()
    a, b = d.attached(2)
    d.note(f"at {[d.do(x, 'where').out['address'] for x in (a, b)]}")
    woken = []

    def wake():
        woken.append(d.do(b, "futex_wake", at=64))
        return woken[0]

    r, _ = d.must_wait(a, "futex_wait", wake, at=64, expected=0)
    gives(r, 0, "futex_wait that was woken")
    gives(woken[0], 1, "futex_wake with one waiter")
    store(d, b, 7, at=64)
    fails(d.call(a, "futex_wait", at=64, expected=0), "EAGAIN", "futex_wait for a value that is not there")


@clause("MAP-11")
def test_killed_waiter_takes_no_wake_with_it(d):
    d.open()
    waker, *waiters = d.attached(4)
    waits = {a: d.start(a, "futex_wait", expected=0) for a in waiters}
    d.asleep(*waits.items())
    for victim in waiters[:2]:
        d.kill_actor(victim)
    for _ in range(5000):  # the waiter may not have been seen asleep
        if d.do(waker, "futex_wake").ret:
            break
        assert not waits[waiters[2]].done(), "futex_wait returned although nobody was woken"
    gives(d.finish(waits[waiters[2]], "futex_wait by the waiter that is left"), 0, "futex_wait that was woken")
