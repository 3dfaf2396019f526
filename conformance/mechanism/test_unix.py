# SPDX-License-Identifier: MIT
"""Stories of Unix-domain sockets: pairs, connections, datagrams, addresses, and what a death leaves of them.

Source: unix(7), send(2), recv(2), connect(2), listen(2), shutdown(2), and the clauses named at each test. What is put
at end b is taken at end a; descriptors and credentials are in test_unix_rights.py.
"""
import time

import pytest

from suite.outcome import NotHere, Unknown
from suite.subject import LIVE_S, O_NONBLOCK, POLLHUP, POLLIN, SIZE, fails, gives, said
from suite.transfer import fill, interrupted

clause = pytest.mark.clause
A, B = "o.a", "o.b"
SOL_SOCKET, SO_SNDBUF, SO_PEEK_OFF = 1, 7, 42
MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL = 2, 0x20, 0x40, 0x100, 0x4000
SHUT_RD, SHUT_WR = 0, 1
EVERYTHING = 65536


def pair(d, takers=1, putters=1, **own):
    """Actors that hold one end each; control holds none."""
    d.open(**own)
    ts, ps = d.actors(takers), d.actors(putters)
    for a in ts:
        d.do(a, "close", B)
    for a in ps:
        d.do(a, "close", A)
    d.release("o")
    return ts, ps


def same(got, sent, what):
    assert (got.errno, got.sum) == (None, sent.sum), f"{what} gave {said(got)}, sum {got.sum} instead of {sent.sum}"


def arrives(d, sender, there, receiver, here):
    sent = d.do(sender, "send", there, size=100)
    same(d.call(receiver, "recv", here, size=100), sent, f"recv at {here} of what was sent at {there}")


def sigpipes(d, r):
    return sum(s["signal"] == "PIPE" for s in d.signals(r))


# ---- streams ----

@clause("USTR-02")
def test_unread_data_resets_the_peer(d):
    (a,), (b,) = pair(d)
    d.do(b, "send", B, size=100)
    d.do(a, "close", A)
    fails(d.call(b, "recv", B), "ECONNRESET", "recv, the peer closed with data unread,")
    gives(d.call(b, "recv", B), 0, "the next recv")


@clause("USTR-04")
def test_raising_sndbuf_lets_a_sender_go_on(d):
    (a,), (b, helper) = pair(d, putters=2, sndbuf=4608)
    fill(d, b, 1024)
    d.must_wait(b, "send", lambda: d.do(helper, "setsockopt", B, level=SOL_SOCKET, name=SO_SNDBUF, value=200_000),
                on=B, size=1024, what="a send with SO_SNDBUF used up")


@clause("USTR-05")
def test_half_closed(d):
    (a,), (b,) = pair(d)
    sent = d.do(b, "send", B, size=100)
    d.do(b, "shutdown", B, how=SHUT_WR)
    same(d.call(a, "recv", A, size=100), sent, "recv of what was sent before the shutdown")
    for _ in range(2):
        gives(d.call(a, "recv", A), 0, "recv after the peer's shutdown")
    back = d.do(a, "send", A, size=50)
    same(d.call(b, "recv", B, size=50), back, "recv by the one that has shut down its sending")
    fails(d.call(b, "send", B, size=SIZE), "EPIPE", "send after shutdown(SHUT_WR)")


@clause("USTR-05")
def test_shut_for_reading(d):
    (a,), (b,) = pair(d)
    d.do(a, "shutdown", A, how=SHUT_RD)
    gives(d.call(a, "recv", A), 0, "recv after shutdown(SHUT_RD)")
    fails(d.call(b, "send", B, size=SIZE), "EPIPE", "send to a socket that is shut for reading")


@clause("USTR-08", "USEQ-07")
def test_send_to_nobody(d):
    (a,), (b,) = pair(d)
    d.do(a, "close", A)
    r = d.call(b, "send", B, size=SIZE)
    fails(r, "EPIPE", "send to a peer that is gone")
    assert sigpipes(d, r) == 1, f"SIGPIPE was delivered {sigpipes(d, r)} times"
    r = d.call(b, "send", B, size=SIZE, flags=MSG_NOSIGNAL)
    fails(r, "EPIPE", "send with MSG_NOSIGNAL to a peer that is gone")
    assert sigpipes(d, r) == 0, "SIGPIPE was delivered in spite of MSG_NOSIGNAL"


@clause("USTR-09")
def test_peek(d):
    (a,), (b,) = pair(d)
    sent = d.do(b, "send", B, size=240)
    for _ in range(2):
        same(d.call(a, "recv", A, size=240, flags=MSG_PEEK), sent, "a peek")
    d.do(a, "setsockopt", A, level=SOL_SOCKET, name=SO_PEEK_OFF, value=0)
    for offset in (0, 120):
        r = d.call(a, "recv", A, size=120, flags=MSG_PEEK)
        assert [p[1] for p in r.out["pieces"]] == [offset], f"with SO_PEEK_OFF a peek showed {r.out['pieces']}, not {offset} on"
    same(d.call(a, "recv", A, size=240), sent, "recv of what was peeked at")


@clause("USTR-10")
def test_several_readers_share_the_bytes(d):
    d.open()
    readers, writers = d.actors(3), d.actors(3)
    d.rounds([{"ids": writers, "do": ["send"], "size": [SIZE, 8192]},
              {"ids": readers, "do": ["recv", "read"], "size": [1, 12289]}], ops=100, rounds=10)


@clause("USTR-11")
def test_many_senders_lose_nothing(d):
    d.open(sndbuf=16384)
    (reader,), writers = d.actors(1), d.actors(5)
    d.rounds([{"ids": writers, "do": ["send", "sendmsg", "write"], "size": [SIZE, 20000]},
              {"ids": [reader], "do": ["recv"], "size": [1, 30000]}], ops=60, rounds=10)


@clause("USTR-13")
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_death_of_the_sender(d, how):
    (a,), (b, other) = pair(d, putters=2)
    sent = d.do(b, "send", B, size=100)
    d.kill_actor(b, how)
    same(d.call(a, "recv", A, size=100), sent, "recv of what the dead has sent")
    p = d.start(a, "recv", A)
    d.asleep((a, p))
    assert not p.done(), "recv returned while another process held the peer's end"
    d.kill_actor(other, how)
    gives(d.finish(p, "recv, after the last holder of the other end has died"), 0, "recv")
    fails(d.call(a, "send", A, size=SIZE), "EPIPE", "send to the dead")


@clause("USTR-13")
def test_death_of_the_receiver_releases_the_senders(d):
    (a,), senders = pair(d, putters=3)
    fill(d, senders[0], 4096)
    waits = [(b, d.start(b, "send", B, size=4096)) for b in senders]
    d.asleep(*waits)
    d.kill_actor(a)
    for b, p in waits:
        r = d.finish(p, f"sender {b}, after the receiver's death")
        assert r.errno in ("EPIPE", "ECONNRESET"), f"sender {b} gave {said(r)} after the receiver's death"


@clause("USTR-14", "UDGM-14", "USEQ-05")
def test_emptied_means_that_all_senders_go_on(d):
    """One taker at a time sleeps and is woken by each send; then as many senders sleep as there are, and all go on."""
    (a, *more), senders = pair(d, takers=3, putters=4)
    for taker in (a, *more):
        d.must_wait(taker, "recv", lambda: d.do(senders[0], "send", B, size=SIZE), on=A)
    fill(d, senders[0], 4096)
    waits = [(b, d.start(b, "send", B, size=4096)) for b in senders]
    d.asleep(*waits)
    d.do(a, "nonblock", A, value=1)
    left = len(senders) * 4096
    while left > 0 or not all(p.done() for _, p in waits):
        r = d.call(a, "recv", A, size=EVERYTHING)
        if r.errno == "EAGAIN":
            break
        left -= r.ret
    for b, p in waits:
        gives(d.finish(p, f"sender {b}, with everything taken"), 4096, f"sender {b}'s send")


@clause("USTR-16", "UDGM-10", "USEQ-06")
def test_dontwait_is_for_this_call_alone(d):
    (a,), (b,) = pair(d)
    fails(d.call(a, "recv", A, flags=MSG_DONTWAIT), "EAGAIN", "recv with MSG_DONTWAIT")
    d.must_wait(a, "recv", lambda: d.do(b, "send", B, size=SIZE), on=A, what="recv after one with MSG_DONTWAIT")


@clause("USTR-20")
def test_waitall(d):
    (a,), (b,) = pair(d)
    want = {"size": 100, "flags": MSG_WAITALL}
    p = d.start(a, "recv", A, **want)
    d.do(b, "send", B, size=60)
    d.asleep((a, p))
    last = d.do(b, "send", B, size=40)
    r = d.finish(p, "recv with MSG_WAITALL, all of it there")
    gives(r, 100, "recv with MSG_WAITALL")
    assert not r.before(last), "recv with MSG_WAITALL returned all before all was sent"
    d.do(b, "send", B, size=60)
    gives(interrupted(d, a, d.start(a, "recv", A, **want)), 60, "recv with MSG_WAITALL that a signal interrupts")
    p = d.start(a, "recv", A, **want)
    d.do(b, "send", B, size=30)
    d.asleep((a, p))
    d.do(b, "close", B)
    gives(d.finish(p, "recv with MSG_WAITALL, the peer gone"), 30, "recv with MSG_WAITALL, the peer gone,")


@clause("SPR-01")
def test_a_pair_is_two_ways(d):
    d.open()
    a, b = d.actors(2)
    for there, back in ((A, B), (B, A)):
        arrives(d, a, there, b, back)
    fill(d, b, 4096)
    arrives(d, a, A, b, B)


# ---- datagrams and records ----

@clause("UDGM-01", "USEQ-03")
def test_boundaries(d):
    (a,), (b,) = pair(d)
    first, second = d.do(b, "send", B, size=100), d.do(b, "send", B, size=50)
    same(d.call(a, "recv", A), first, "recv of the first datagram")
    same(d.call(a, "recv", A), second, "recv of the second datagram")
    d.do(b, "send", B, size=100)
    r = d.call(a, "recvmsg", A, size=40)
    assert r.ret == 40 and r.out["flags"] & MSG_TRUNC, f"recvmsg of 40 of 100 bytes gave {said(r)}, flags {r.out['flags']:#x}"
    d.do(b, "send", B, size=100)
    gives(d.call(a, "recv", A, size=40, flags=MSG_TRUNC), 100, "recv of 40 bytes with MSG_TRUNC")
    last = d.do(b, "send", B, size=50)
    r = d.call(a, "recvmsg", A)
    same(r, last, "recv after two that were cut")
    assert not r.out["flags"] & MSG_TRUNC, "MSG_TRUNC is told of a datagram that was not cut"


@clause("UDGM-05")
def test_send_to_a_closed_receiver(d):
    (a,), (b,) = pair(d)
    d.do(a, "close", A)
    fails(d.call(b, "send", B, size=SIZE), "ECONNREFUSED", "send to a receiver that is closed")
    fails(d.call(b, "send", B, size=SIZE), "ENOTCONN", "the next send")


@clause("UDGM-06")
def test_a_datagram_of_nothing(d):
    (a,), (b,) = pair(d)
    gives(d.call(b, "send", B, size=0), 0, "send of no bytes")
    sent = d.do(b, "send", B, size=SIZE)
    gives(d.call(a, "recv", A), 0, "recv of a datagram of no bytes")
    same(d.call(a, "recv", A), sent, "recv of the next one")


@clause("UDGM-07")
def test_too_long_a_datagram(d):
    (a,), (b,) = pair(d)
    fails(d.call(b, "send", B, size=1 << 20), "EMSGSIZE", "send of more than SO_SNDBUF")
    fails(d.call(a, "recv", A, flags=MSG_DONTWAIT), "EAGAIN", "recv after a send that failed")


@clause("UDGM-09")
def test_death_of_a_receiver_by_name(d):
    (a,), senders = pair(d, putters=3)
    fill(d, senders[0], 512)
    waits = [(b, d.start(b, "send", B, size=512)) for b in senders]
    d.asleep(*waits)
    d.kill_actor(a)
    for b, p in waits:
        r = d.finish(p, f"sender {b}, after the receiver's death")
        assert r.errno, f"sender {b} gave {said(r)} after the receiver's death"
    r = d.call(senders[0], "sendto", B, size=SIZE)
    fails(r, "ECONNREFUSED", "send to the name of a dead receiver")


@clause("UDGM-13")
def test_strangers_send_to_a_name(d):
    d.open()
    (reader,), writers = d.actors(1), d.actors(3, kind="exec")
    for w in writers:
        arrives(d, w, B, reader, A)
    d.rounds([{"ids": writers, "do": ["send"], "size": [SIZE, 2000]}, {"ids": [reader], "do": ["recv"]}], ops=200, rounds=3)


@clause("UDGM-04")
def test_a_connected_socket_hears_its_peer_alone(d):
    d.open()
    owner, friend, stranger = d.actors(3)
    d.do(friend, "socket", as_="f")
    d.do(friend, "bind", "f", n=1)
    d.do(owner, "connect", A, n=1)
    fails(d.call(stranger, "send", B, size=SIZE), "EPERM", "send to a socket that is connected to another")
    sent = d.do(friend, "sendto", "f", size=SIZE)
    same(d.call(owner, "recv", A), sent, "recv from the peer")
    d.do(owner, "connect", A, n=-1)
    sent = d.do(stranger, "send", B, size=SIZE)
    same(d.call(owner, "recv", A), sent, "recv from anybody, connected to nobody any more")


@clause("USEQ-02")
def test_an_empty_record_and_the_end(d):
    (a,), (b,) = pair(d)
    r = d.call(b, "send", B, size=0)
    first = d.call(a, "recv", A, flags=MSG_DONTWAIT)
    d.do(b, "close", B)
    d.note(f"send of 0 bytes gave {said(r)}, recv of it {said(first)}, recv at the end {said(d.call(a, 'recv', A))}")


@clause("USEQ-04")
def test_records_stay_whole(d):
    d.open()
    readers, writers = d.actors(3), d.actors(3)
    d.rounds([{"ids": writers, "do": ["send", "sendmsg"], "size": [SIZE, 4000]},
              {"ids": readers, "do": ["recv", "read", "recvmsg"]}], ops=200, rounds=8)


# ---- addresses ----

def listening(d, actor, n=0, backlog=8, as_="l"):
    d.do(actor, "socket", as_=as_)
    d.do(actor, "bind", as_, n=n)
    d.do(actor, "listen", as_, backlog=backlog)


@clause("USTR-03")
def test_a_listener_that_goes_resets_who_waits(d):
    d.open()
    server, client = d.actors(2)
    listening(d, server)
    d.do(client, "socket", as_="c")
    d.do(client, "connect", "c")
    d.do(server, "close", "l")
    said_of = d.do(client, "poll", "c", events=POLLIN, timeout_ms=0).out["revents"]
    assert said_of & POLLHUP, f"poll says {said_of:#x} of a connection whose listener is closed"
    fails(d.call(client, "recv", "c"), "ECONNRESET", "recv, the listener closed,")


@clause("USTR-06")
def test_a_full_backlog(d):
    d.open()
    server, client, waiter = d.actors(3)
    listening(d, server, backlog=1)
    for i in range(8):
        d.do(client, "socket", as_=f"c{i}", flags=O_NONBLOCK)
        r = d.call(client, "connect", f"c{i}")
        if r.errno:
            break
    fails(r, "EAGAIN", "a connect that may not wait, with the backlog full,")
    assert i >= 1, "listen with a backlog of 1 let nobody in"
    d.do(waiter, "socket", as_="w")
    d.must_wait(waiter, "connect", lambda: d.do(server, "accept", "l", as_="s"), on="w", what="connect, the backlog full,")
    d.note(f"listen(1) admits {i}")


@clause("USTR-07")
def test_each_connect_has_one_accept(d):
    """More clients than the backlog holds, all at once. Each then sends one payload: each is received once."""
    d.open()
    server, *clients = d.actors(8)
    listening(d, server, backlog=2)
    for _ in range(5):
        for c in clients:
            d.do(c, "socket", as_=f"c{c}")
        waits = [(c, d.start(c, "connect", f"c{c}")) for c in clients]
        for i, _ in enumerate(clients):
            d.do(server, "accept", "l", as_=f"s{i}")
        for c, p in waits:
            gives(d.finish(p, f"connect by client {c}, accepted"), 0, f"connect by client {c}")
        sent = sorted(d.do(c, "send", f"c{c}", size=SIZE).sum for c in clients)
        got = sorted(d.call(server, "recv", f"s{i}").sum for i, _ in enumerate(clients))
        assert got == sent, "what the clients sent is not what came at the accepted connections, once each"
        for i, c in enumerate(clients):
            d.close(f"c{c}")
            d.close(f"s{i}")


@clause("UADR-01")
def test_a_path_is_taken_until_it_is_unlinked(d):
    d.open()
    one, other = d.actors(2)
    d.do(one, "socket", as_="s")
    d.do(one, "bind", "s", n=1)
    assert d.do(one, "getsockname", "s", n=1).out["same"], "getsockname does not give what bind was given"
    d.do(other, "socket", as_="t")
    fails(d.call(other, "bind", "t", n=1), "EADDRINUSE", "bind to a path that is in use")
    fails(d.call(one, "bind", "s", n=2), "EINVAL", "a second bind of the same socket")
    d.do(one, "close", "s")
    fails(d.call(other, "bind", "t", n=1), "EADDRINUSE", "bind to a path that nobody is bound to any more")
    d.do(other, "unlink", n=1)
    gives(d.call(other, "bind", "t", n=1), 0, "bind after unlink")


@clause("UADR-02")
@pytest.mark.parametrize("how", ["close", "kill", "exit"])
def test_an_abstract_name_goes_with_its_socket(d, how):
    d.open()
    one, other = d.actors(2)
    d.do(one, "socket", as_="s")
    d.do(one, "bind", "s", n=1)
    d.do(other, "socket", as_="t")
    fails(d.call(other, "bind", "t", n=1), "EADDRINUSE", "bind to an abstract name in use")
    gives(d.call(other, "bind", "t", n=2), 0, "bind to another name")
    d.do(one, "close", "s") if how == "close" else d.kill_actor(one, how)
    d.do(other, "socket", as_="u")
    gives(d.call(other, "bind", "u", n=1), 0, "bind to an abstract name that is free again")


@clause("UADR-03")
def test_the_kernels_choice_of_a_name(d):
    d.open()
    (actor,) = d.actors(1)
    chosen = set()
    for i in range(10):
        d.do(actor, "socket", as_=f"s{i}")
        d.do(actor, "bind", f"s{i}", n=-1)
        is_ = d.do(actor, "getsockname", f"s{i}").out
        assert is_["chosen"], f"the kernel chose a name of {is_['len']} bytes that is not NUL and five hexadecimal digits"
        chosen.add(is_["digits"])
    assert len(chosen) == 10, f"10 sockets, {len(chosen)} names"


@clause("UADR-06")
def test_connecting_needs_write_permission(d):
    d.open()
    server, client = d.actors(2)
    d.do(server, "socket", as_="l")
    d.do(server, "bind", "l", n=1)
    if "stream" in d.about["caps"]:
        d.do(server, "listen", "l")
    d.do(client, "socket", as_="c")
    root = d.become_plain(client)
    d.do(server, "chmod", n=1, mode=0o777 if root else 0o200)
    if d.call(client, "connect", "c", n=1).errno == "EACCES":
        raise NotHere("the folder of temporary files is closed to a plain user")
    d.do(client, "socket", as_="e")
    d.do(server, "chmod", n=1, mode=0o555)
    fails(d.call(client, "connect", "e", n=1), "EACCES", "connect to a path without write permission")


@clause("UADR-07")
def test_nobody_at_the_name(d):
    d.open()
    server, client = d.actors(2)
    d.do(client, "socket", as_="c")
    fails(d.call(client, "connect", "c", n=1), "ENOENT", "connect to a name that is not there")
    d.do(server, "socket", as_="l")
    d.do(server, "bind", "l", n=1)
    fails(d.call(client, "connect", "c", n=1), "ECONNREFUSED", "connect to a socket that does not listen")
    d.do(server, "listen", "l")
    gives(d.call(client, "connect", "c", n=1), 0, "connect to a listener")
    d.kill_actor(server)
    d.do(client, "socket", as_="e")
    fails(d.call(client, "connect", "e", n=1), "ECONNREFUSED", "connect to the name that a dead listener has left")


@clause("SPR-02")
def test_both_send_and_nobody_reads(d):
    """Each fills its own direction, and each is seen to wait for the other; one read lets its peer go on."""
    d.open()
    a, b = d.actors(2)
    waits = {}
    for actor, end in ((a, A), (b, B)):
        d.do(actor, "setsockopt", end, level=SOL_SOCKET, name=SO_SNDBUF, value=4096)
        waits[actor] = d.start(actor, "send", end, size=1 << 20)
    d.asleep(*waits.items())
    named, end = {}, time.monotonic() + LIVE_S
    while time.monotonic() < end and {x["is"] for x in named.values()} != {"asleep"}:  # it may have had a last piece to move
        named = {x["id"]: x for x in d.request("who")["actors"] if x["id"] in waits}
    assert not any(p.done() for p in waits.values()), "a send of 1 MiB that nobody reads has returned"
    if d.status()["rung"] == "syscall":
        if {x["is"] for x in named.values()} != {"asleep"}:
            raise Unknown(f"not both are seen asleep: {named}")
        assert {x["end"] for x in named.values()} == {0, 1}, f"they are not told to wait at the two ends: {named}"
