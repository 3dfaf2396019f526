# SPDX-License-Identifier: MIT
"""Stories of System V shared memory: who is attached, what removal means, what IPC_STAT tells.

Source: shmget(2), shmat(2), shmctl(2), and the clauses named at each test.
"""
import pytest

from suite.subject import fails, gives, said

clause = pytest.mark.clause
IPC_RMID, SHM_DEST = 0, 0o1000
SHM_RDONLY = 0o10000
CREATE, CREATE_EXCL = 0o1600, 0o3600
PAGES = 3 << 16  # three pages or more


def store(d, actor, value, at=0):
    d.do(actor, "store", at=at, token=hex(value))


def found(d, actor, at=0):
    return d.do(actor, "load", at=at).out["value"]


def nattch(d, actor):
    return d.do(actor, "stat").out["nattch"]


def remove(d, actor, on="o"):
    d.do(actor, "shmctl", on, cmd=IPC_RMID)


@clause("SVSHM-03")
def test_read_only_view(d):
    d.open()
    a, b = d.attached(2)
    store(d, b, 5)
    d.do(a, "shmdt")
    d.do(a, "shmat", flags=SHM_RDONLY)
    assert found(d, a) == 5, "a load through a view with SHM_RDONLY"
    d.dies_of("SEGV", a, "store", token="0x6")
    assert found(d, b) == 5, "a store that ended its process with SIGSEGV has changed the segment"


@clause("SVSHM-05")
def test_number_of_those_attached(d):
    """Counted after each thing that can change it; the processes that end are reaped first."""
    d.open()
    a, b, c, e = d.attached(4)

    def counts(n, after):
        assert nattch(d, a) == n, f"{nattch(d, a)} are attached after {after}, and it should be {n}"

    counts(4, "four processes attached it")
    d.do(b, "shmdt"), counts(3, "a shmdt")
    d.do(b, "shmat"), counts(4, "a shmat")
    d.do(b, "shmat"), counts(5, "a second shmat by one process")
    r = d.do(b, "nattch_in_child").out["nattch"]
    assert r == 7, f"{r} are attached while a forked child has inherited two views of five, and it should be 7"
    counts(5, "the exit of that child")
    d.fault("exec", b)  # its two views go, and it attaches once anew
    assert found(d, b) == 0, "what the new program finds is not what is there"
    counts(4, "an exec by a process with two views, which then attached again")
    d.kill_actor(c, "exit"), counts(3, "an exit")
    d.kill_actor(e, "kill"), counts(2, "a SIGKILL")


@clause("SVSHM-06")
def test_removed_segment_goes_with_its_last_view(d):
    d.open()
    a, b = d.attached(2)
    remove(d, a)
    fails(d.call(b, "shmget"), "ENOENT", "shmget with the key of a segment that was removed")
    store(d, a, 5)
    assert found(d, b) == 5, "after IPC_RMID those who are attached do not share the memory any more"
    d.do(a, "shmget", as_="new", size=4096, flags=CREATE_EXCL)
    assert d.do(a, "stat", "new").out["nattch"] == 0, "the key's new segment is the old one"
    remove(d, a, "new")
    d.do(a, "shmdt")
    assert nattch(d, b) == 1, "a removed segment is miscounted"
    d.do(b, "shmdt")
    r = d.call(a, "stat")
    assert r.errno in ("EINVAL", "EIDRM"), f"IPC_STAT gave {said(r)} after the last detach of a removed segment"


@clause("SVSHM-06")
def test_removed_segment_goes_with_the_death_of_the_last(d):
    d.open()
    a, b = d.attached(2)
    d.do(a, "shmdt")
    remove(d, a)
    assert nattch(d, a) == 1, "a removed segment is miscounted"
    d.kill_actor(b)
    r = d.call(a, "stat")
    assert r.errno in ("EINVAL", "EIDRM"), f"IPC_STAT gave {said(r)} after the death of the last who was attached"


@clause("SVSHM-07")
def test_attach_after_removal(d):
    d.open()
    a, b = d.attached(2)
    store(d, a, 5)
    d.do(b, "shmdt")
    remove(d, a)
    assert d.do(a, "stat").out["mode"] & SHM_DEST, "a segment marked for removal does not say SHM_DEST"
    gives(d.call(b, "shmat"), 0, "shmat by identifier of a segment that was removed and is attached")
    assert found(d, b) == 5, "what the late attacher finds is not what is there"


@clause("SVSHM-09")
def test_what_stat_tells(d):
    d.open()
    started = d.request("actor", n=2)
    (a, b), pids = started["ids"], started["pids"]
    assert found(d, a) == found(d, b) == 0, "a new segment is not zero"
    about = d.do(a, "stat").out
    assert (about["size"], about["own"], about["mode"]) == (4096, 1, 0o600), f"IPC_STAT tells {about}"
    assert about["cpid"] == d.pid, f"the creator is {about['cpid']}, and it should be {d.pid}"
    for actor, pid in ((a, pids[0]), (b, pids[1])):
        for call, when in (("shmdt", "dtime"), ("shmat", "atime")):
            before = d.do(actor, "times").out["now"]
            d.do(actor, call)
            after = d.do(actor, "times").out
            # time(2) may lag behind the clock that stamps
            assert before <= after[when] <= after["now"] + 1, f"{when} is {after[when]} after a {call} at {before}"
            assert d.do(a, "stat").out["lpid"] == pid, f"lpid is not that of who called {call}"
    assert 0 < after["ctime"] <= after["now"] + 1, f"ctime is {after['ctime']}"


@clause("SVSHM-10")
@pytest.mark.parametrize("call", ["mprotect", "munmap"])
def test_part_of_a_view(d, call):
    d.open(size=PAGES)
    a, b = d.attached(2)
    for i in range(3):
        store(d, b, i + 1, at=i << 16)
    d.do(a, call, at=1 << 16, len=1 << 16)
    assert (found(d, a), found(d, a, at=2 << 16)) == (1, 3), f"after {call} of its middle the rest has changed"
    d.do(a, "shmdt")
    assert nattch(d, b) == 1, f"{nattch(d, b)} are attached after {call} of a part and shmdt, and it should be 1"
    assert found(d, b, at=1 << 16) == 2, f"{call} by one process reached another's view"


@clause("SVSHM-12")
def test_many_attach_and_detach(d):
    d.open()
    actors = d.attached(6)
    for _ in range(15):
        for call in ("shmdt", "shmat"):
            for p in [d.start(a, call) for a in actors]:
                gives(d.finish(p, call), 0, call)
    assert nattch(d, actors[0]) == 6, f"{nattch(d, actors[0])} are attached, and it should be 6"
    for p in [d.start(a, "shmdt") for a in actors]:
        gives(d.finish(p, "shmdt"), 0, "shmdt")
    assert nattch(d, actors[0]) == 0, f"{nattch(d, actors[0])} are attached, and it should be nobody"
    remove(d, actors[0])
    fails(d.call(actors[0], "shmget"), "ENOENT", "shmget after the removal")


@clause("SVSHM-20")
def test_private_segments(d):
    d.open()
    a, = d.attached(1)
    ids = [d.do(a, "shmget", as_=n, size=4096, flags=CREATE, private=1).ret for n in ("x", "y")]
    own = d.do(a, "shmget").ret
    try:
        assert len({own, *ids}) == 3, f"the key's segment is {own}, IPC_PRIVATE made {ids}"
        d.do(a, "shmat", "x")
        assert d.do(a, "stat", "y").out["nattch"] == 0, "two segments with IPC_PRIVATE are one"
    finally:
        remove(d, a, "x"), remove(d, a, "y")


@clause("SVSHM-11")
def test_too_large_a_segment(d):
    """2^63 - 1 bytes are more than any process can address."""
    d.open()
    a, = d.attached(1)
    r = d.call(a, "shmget", size=2**63 - 1, private=1, flags=CREATE)
    assert r.errno in ("EINVAL", "ENOMEM", "ENOSPC"), f"shmget of 2^63 - 1 bytes gave {said(r)}"


@clause("SVSHM-13")
def test_permissions(d):
    """Nobody may, not even the owner, what the mode does not say."""
    d.open()
    owner, a = d.attached(2)
    d.become_plain(a)
    d.do(owner, "set", mode=0o444)
    fails(d.call(a, "shmget", flags=0o600), "EACCES", "shmget for both of what may only be read")
    fails(d.call(a, "shmat"), "EACCES", "shmat for both of what may only be read")
    gives(d.call(a, "shmat", flags=SHM_RDONLY), 0, "shmat for reading")
    d.do(owner, "set", mode=0)
    fails(d.call(a, "shmat", flags=SHM_RDONLY), "EACCES", "shmat for reading of what nobody may read")
