# SPDX-License-Identifier: MIT
"""What Unix-domain sockets carry beside bytes: descriptors, and the truth about who sent.

Source: unix(7) SCM_RIGHTS, SCM_CREDENTIALS, SO_PEERCRED, recv(2), and the clauses named at each test.
"""
import pytest

from suite.subject import SIZE, fails, gives, said
from test_unix import A, B, MSG_PEEK, SOL_SOCKET, listening, pair, same

clause = pytest.mark.clause
MSG_CTRUNC, MSG_CMSG_CLOEXEC = 8, 0x40000000
SEEK_SET, SEEK_CUR, SEEK_END = 0, 1, 2
SO_PASSCRED = 16
TABLE = 512  # numbers of descriptors, more than one message carries


def memfd(d, actor, size=777):
    """A descriptor to pass: its number. `size` is what tells it from others."""
    return d.do(actor, "memfd", size=size, as_="f").ret


def kept(d, actor, r, as_="got"):
    """A handle for the descriptor that a recvmsg has told."""
    assert r.out["nfds"] >= 1, f"recvmsg gave {said(r)} and no descriptor"
    d.do(actor, "adopt", A, fd=r.out["fd"], as_=as_)
    return as_


def descriptors(d, actor):
    return d.do(actor, "countfds", A).ret


@clause("SCM-01")
@pytest.mark.parametrize("n", [1, 2])
def test_the_open_file_is_shared(d, n):
    (a,), (b,) = pair(d)
    sent = d.do(b, "sendmsg", B, size=SIZE, fd=memfd(d, b), n=n)
    r = d.call(a, "recvmsg", A)
    same(r, sent, "recvmsg")
    got = kept(d, a, r)
    d.do(a, "lseek", got, offset=500, whence=SEEK_SET)
    gives(d.call(b, "lseek", "f", whence=SEEK_CUR), 500, "lseek by the sender, after one by the receiver,")
    d.do(b, "close", "f")
    gives(d.call(a, "lseek", got, whence=SEEK_CUR), 500, "lseek by the receiver, the sender's descriptor closed,")


@clause("SCM-02")
def test_close_on_exec(d):
    (a,), (b,) = pair(d)
    fd = memfd(d, b)
    for flags, want in ((0, 0), (MSG_CMSG_CLOEXEC, 1)):
        d.do(b, "sendmsg", B, size=SIZE, fd=fd)
        r = d.call(a, "recvmsg", A, flags=flags)
        is_ = d.do(a, "adopt", A, fd=r.out["fd"], as_=f"got{want}").out["cloexec"]
        assert is_ == want, f"with recvmsg flags {flags:#x} the descriptor has close-on-exec {is_}"


@clause("SCM-03")
@pytest.mark.parametrize("room", [-1, 0, 2], ids=["none", "header", "two"])
def test_too_small_a_control_buffer(d, room):
    (a,), (b,) = pair(d)
    fd, before = memfd(d, b), descriptors(d, a)
    for i in range(5):
        sent = d.do(b, "sendmsg", B, size=SIZE, fd=fd, n=5)
        r = d.call(a, "recvmsg", A, room=room, creds=0)
        same(r, sent, "recvmsg")
        assert r.out["flags"] & MSG_CTRUNC, f"no MSG_CTRUNC (flags {r.out['flags']:#x}) with room for {room} of 5 descriptors"
        assert r.out["nfds"] == max(room, 0), f"{r.out['nfds']} descriptors came, with room for {room}"
        if r.out["nfds"]:
            kept(d, a, r)
            d.close("got")
    assert descriptors(d, a) == before, f"{descriptors(d, a) - before} descriptors have leaked"


@clause("SCM-04")
def test_descriptors_stay_with_their_bytes(d):
    (a,), (b,) = pair(d)
    fd = memfd(d, b)
    for args in ({}, {"fd": fd}, {}):
        d.do(b, "sendmsg", B, size=SIZE, **args)
    got = []
    while sum(n for n, _ in got) < 3 * SIZE:
        r = d.do(a, "recvmsg", A, size=4096)
        got.append((r.ret, r.out["nfds"]))
    assert got in ([(2 * SIZE, 1), (SIZE, 0)], [(SIZE, 0), (SIZE, 1), (SIZE, 0)]), (
        f"three sends of {SIZE} bytes, the second with a descriptor, came as (bytes, descriptors) {got}")


@clause("SCM-05")
def test_peeking_gives_descriptors(d):
    (a,), (b,) = pair(d)
    sent, numbers = d.do(b, "sendmsg", B, size=SIZE, fd=memfd(d, b)), set()
    for i, flags in enumerate((MSG_PEEK, MSG_PEEK, 0)):
        r = d.call(a, "recvmsg", A, flags=flags)
        same(r, sent, "recvmsg")
        gives(d.call(a, "lseek", kept(d, a, r, f"g{i}"), whence=SEEK_END), 777, "the size of what was passed")
        numbers.add(r.out["fd"])
    assert len(numbers) == 3, "two looks gave the same descriptor"


@clause("SCM-06")
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_a_descriptor_outlives_its_sender(d, how):
    (a,), (b,) = pair(d)
    sent = d.do(b, "sendmsg", B, size=SIZE, fd=memfd(d, b))
    d.kill_actor(b, how)
    r = d.call(a, "recvmsg", A)
    same(r, sent, "recvmsg of what the dead has sent")
    gives(d.call(a, "lseek", kept(d, a, r), whence=SEEK_END), 777, "the size of what the dead has passed")


@clause("SCM-09")
def test_too_many_descriptors(d):
    (a,), (b,) = pair(d)
    fd = memfd(d, b)
    d.limit_descriptors(a, TABLE, A)
    fails(d.call(b, "sendmsg", B, size=SIZE, fd=fd, n=254), "EINVAL", "sendmsg with 254 descriptors")
    d.do(b, "sendmsg", B, size=100, fd=fd, n=253)
    r = d.call(a, "recvmsg", A, size=4096)
    assert (r.ret, r.out["nfds"]) == (100, 253), f"253 descriptors: recvmsg gave {said(r)} with {r.out['nfds']}"


@clause("SCM-10")
def test_no_room_in_the_table(d):
    """One free number below the receiver's limit, three descriptors in the message."""
    (a,), (b,) = pair(d)
    sent = d.do(b, "sendmsg", B, size=SIZE, fd=memfd(d, b), n=3)
    free = d.do(a, "dup", A, as_="probe").ret
    d.close("probe")
    before = descriptors(d, a)
    d.limit_descriptors(a, free + 1, A)
    r = d.call(a, "recvmsg", A)
    same(r, sent, "recvmsg with one number left")
    assert r.out["flags"] & MSG_CTRUNC, f"no MSG_CTRUNC (flags {r.out['flags']:#x}) though two descriptors had no number"
    assert (r.out["nfds"], r.out["fd"]) == (1, free), f"{r.out['nfds']} descriptors came, the first is {r.out['fd']}"
    assert descriptors(d, a) == before + 1, "descriptors were leaked"


@clause("SCM-12")
def test_too_many_in_flight(d):
    (a,), (b,) = pair(d)
    fd = memfd(d, b)
    d.become_plain(b, B)
    d.limit_descriptors(b, 20, B)
    for _ in range(10):
        r = d.call(b, "sendmsg", B, size=SIZE, fd=fd, n=10)
        if r.errno:
            break
    fails(r, "ETOOMANYREFS", "sendmsg with more descriptors in flight than RLIMIT_NOFILE")


@clause("SCM-13")
def test_the_sender_is_told(d):
    (a,), (b, liar) = pair(d, putters=2)
    d.do(a, "setsockopt", A, level=SOL_SOCKET, name=SO_PASSCRED, value=1)
    for sender, f in ((b, "send"), (liar, "sendmsg")):
        true = d.do(sender, "ids", B).out
        d.do(sender, f, B, size=SIZE)
        told = d.call(a, "recvmsg", A).out
        assert {k: told[k] for k in ("pid", "uid", "gid")} == {k: true[k] for k in ("pid", "uid", "gid")}, (
            f"the receiver was told {told}, the sender is {true}")
    d.become_plain(liar, B)
    fails(d.call(liar, "sendmsg", B, size=SIZE, pid=1), "EPERM", "a plain user's message in another's name")
    fails(d.call(liar, "sendmsg", B, size=SIZE, pid=0, uid=1), "EPERM", "a plain user's message with another's uid")


@clause("SCM-14")
def test_peercred_is_of_the_time_of_connecting(d):
    d.open()
    server, client, heir = d.actors(3)
    listening(d, server)
    d.do(client, "socket", as_="c")
    d.do(client, "connect", "c")
    d.do(server, "accept", "l", as_="s")
    ids = {x: d.do(x, "ids").out["pid"] for x in (server, client)}
    assert d.do(client, "peercred", "c").out["pid"] == ids[server], "the client's peer is not who listened"
    assert d.do(server, "peercred", "s").out["pid"] == ids[client], "the server's peer is not who connected"
    d.kill_actor(client)
    assert d.do(server, "peercred", "s").out["pid"] == ids[client], "the peer is another one after its death"
    gives(d.call(server, "recv", "s"), 0, "recv from the dead")


@clause("SCM-16")
def test_what_different_processes_sent_is_not_joined(d):
    (a,), senders = pair(d, putters=2)
    d.do(a, "setsockopt", A, level=SOL_SOCKET, name=SO_PASSCRED, value=1)
    for b in senders:
        d.do(b, "send", B, size=SIZE)
    for b in senders:
        r = d.call(a, "recvmsg", A, size=4096)
        gives(r, SIZE, "recvmsg with SO_PASSCRED, two processes having sent,")
        assert r.out["pid"] == d.do(b, "ids", B).out["pid"], "the bytes are told to be another's"


@clause("SCM-17")
@pytest.mark.parametrize("end", ["received", "dropped"])
def test_a_socket_in_flight_is_open(d, end):
    """An end of the pair p travels over the pair o; nobody else has it."""
    d.open()
    d.open("p")
    carrier, reader = d.actors(2)
    fd = d.do(carrier, "dup", "p.b", as_="copy").ret
    d.do(carrier, "sendmsg", B, size=SIZE, fd=fd)
    d.close("copy")
    for actor, end_of in ((carrier, "p.b"), (reader, "p.b"), (reader, A), (reader, B)):
        d.do(actor, "close", end_of)
    d.release("p.b")
    p = d.start(reader, "recv", "p.a")
    d.asleep((reader, p))
    if end == "received":
        r = d.call(carrier, "recvmsg", A)
        last = d.do(carrier, "close", kept(d, carrier, r))
    else:
        last = d.do(carrier, "ids", A)
        d.close("o")
    r = d.finish(p, f"recv, the peer's last end {end}")
    gives(r, 0, f"recv, the peer's last end {end}")
    assert not r.before(last), "end of file came while the peer's end was in flight"


def alone_with_its_peer(d, others):
    """p.b is nobody's any more but of what holds it in flight."""
    for actor in others:
        d.do(actor, "close", "p.b")
    d.release("p.b")


@clause("SCM-07")
@pytest.mark.parametrize("n", [1, 2, 10], ids=["itself", "two", "ten"])
def test_sockets_that_only_hold_each_other_are_closed(d, n):
    """The end p.b is in flight in the ring as well: p.a sees end of file when the ring is found."""
    d.open()
    d.open("p")
    maker, reader = d.actors(2)
    fd = d.do(maker, "dup", "p.b", as_="copy").ret
    d.do(maker, "ring", A, n=n, fd=fd)
    d.close("copy")
    alone_with_its_peer(d, (maker, reader))
    gives(d.finish(d.start(reader, "recv", "p.a"), "recv, the peer being in flight among sockets of nobody"), 0, "recv")


@clause("SCM-08")
def test_what_somebody_holds_is_no_garbage(d, beside):
    """While others make rings of garbage, which are found, a socket with something inside travels, is looked at, arrives."""
    others = beside("unix", "stream")
    others.open()
    maker, = others.actors(1)
    making = others.start(maker, "ring", A, n=3, times=20_000)
    d.open()
    sender, reader = d.actors(2)
    turns = 0
    while turns < 20 or not making.done() and turns < 300:
        d.open("p")
        inside = d.do(sender, "send", "p.b", size=SIZE)
        d.do(sender, "sendmsg", B, size=SIZE, fd=d.do(sender, "dup", "p.a", as_="copy").ret)
        d.close("copy")
        for actor in (sender, reader):
            d.do(actor, "close", "p.a")
        d.release("p.a")
        kept(d, reader, d.call(reader, "recvmsg", A, flags=MSG_PEEK), "peeked")
        d.close("peeked")
        same(d.call(reader, "recv", kept(d, reader, d.call(reader, "recvmsg", A))), inside, "recv from the socket that travelled")
        d.close("got"), d.close("p")
        turns += 1
    gives(others.finish(making, "making rings", timeout=60), 0, "making rings")


@clause("SCM-11")
def test_no_memory_for_the_bytes(d):
    """Nothing is leaked; whether the message is still there is not said."""
    (a,), (b,) = pair(d)
    fd, before = memfd(d, b), descriptors(d, a)
    for _ in range(5):
        d.do(b, "sendmsg", B, size=SIZE, fd=fd, n=3)
        fails(d.call(a, "recvmsg", A, nowhere=1), "EFAULT", "recvmsg to where there is no memory")
    assert descriptors(d, a) == before, f"{descriptors(d, a) - before} descriptors have leaked"
