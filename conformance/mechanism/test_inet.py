# SPDX-License-Identifier: MIT
"""Stories of TCP and UDP over loopback: connections and how they end, datagrams and who hears them.

Source: tcp(7), udp(7), connect(2), shutdown(2), recv(2), socket(7), and the clauses named at each test. What is sent
at end b arrives at end a, some time later: what must arrive is waited for, never looked for.
"""
import time

import pytest

from suite.outcome import NotHere, Unknown
from suite.subject import O_NONBLOCK, POLLHUP, POLLIN, POLLOUT, SIZE, fails, gives, said
from suite.transfer import fill, interrupted, kill_through_rounds
from test_unix import A, B, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SHUT_WR, pair, same, sigpipes

clause = pytest.mark.clause
SOL_SOCKET, SO_REUSEADDR, SO_ERROR = 1, 2, 4
SO_REUSEPORT = 15
MSG_OOB, POLLRDHUP, SHUT_RDWR = 1, 0x2000, 2


def option(d, actor, f, on, name, **value):
    return d.do(actor, f, on, level=SOL_SOCKET, name=name, **value)


def listening(d, actor, as_="l", backlog=8):
    """A listener on a port of its own, which it may have again: the port."""
    d.do(actor, "socket", as_=as_)
    option(d, actor, "setsockopt", as_, SO_REUSEADDR, value=1)
    d.do(actor, "bind", as_)
    d.do(actor, "listen", as_, backlog=backlog)
    return port_of(d, actor, as_)


def port_of(d, actor, on):
    return d.do(actor, "getsockname", on).out["port"]


def recv_all(d, actor, on, size):
    """As many bytes as are asked for, however they come: MSG_WAITALL."""
    return d.call(actor, "recv", on, size=size, flags=MSG_WAITALL)


# ---- TCP ----

@clause("TCP-01")
def test_bytes_arrive_in_order(d):
    (a,), (b,) = pair(d)
    for size in (1, SIZE, 1000, 65536):
        sent = d.do(b, "send", B, size=size)
        same(recv_all(d, a, A, size), sent, f"recv of {size} bytes")


@clause("TCP-01", "TCP-11")
def test_many_senders_on_one_connection(d):
    d.open(sndbuf=16384, rcvbuf=16384)
    (reader,), writers = d.actors(1), d.actors(5)
    d.rounds([{"ids": writers, "do": ["send", "sendmsg", "write"], "size": [SIZE, 20000]},
              {"ids": [reader], "do": ["recv"], "size": [1, 30000]}], ops=60, rounds=8)


@clause("TCP-02")
def test_half_closed(d):
    (a,), (b,) = pair(d)
    sent = d.do(b, "send", B, size=100)
    d.do(b, "shutdown", B, how=SHUT_WR)
    same(recv_all(d, a, A, 100), sent, "recv of what was sent before the shutdown")
    for _ in range(2):
        gives(d.call(a, "recv", A), 0, "recv after the peer's shutdown")
    back = d.do(a, "send", A, size=50)
    same(recv_all(d, b, B, 50), back, "recv by the one that has shut down its sending")


@clause("TCP-02")
def test_linger_of_nothing_resets(d):
    (a,), (b,) = pair(d)
    d.do(b, "linger", B, secs=0)
    d.do(b, "close", B)
    fails(d.call(a, "recv", A), "ECONNRESET", "recv, the peer closed with SO_LINGER 0,")


@clause("TCP-03")
def test_who_was_let_in_is_accepted_or_reset(d):
    d.open()
    server, *clients = d.actors(4)
    port = listening(d, server)
    for c in clients:
        d.do(c, "socket", as_=f"c{c}")
        gives(d.call(c, "connect", f"c{c}", port=port), 0, "connect to a listener")
        d.do(c, "send", f"c{c}", size=SIZE)
    d.do(server, "accept", "l", as_="s")
    gives(recv_all(d, server, "s", SIZE), SIZE, "recv from the client that came first")
    d.do(server, "close", "l")
    for c in clients[1:]:
        fails(d.call(c, "recv", f"c{c}"), "ECONNRESET", "recv by a client that nobody accepted, the listener closed,")


@clause("TCP-04")
def test_connecting_without_waiting(d):
    d.open()
    server, client = d.actors(2)
    port = listening(d, server)
    for expected, to in (("listener", port), ("nobody", None)):
        if to is None:
            d.do(server, "close", "l")
        name = f"c{expected}"
        d.do(client, "socket", as_=name, flags=O_NONBLOCK)
        r = d.call(client, "connect", name, port=port)
        assert r.errno in (None, "EINPROGRESS", "ECONNREFUSED"), f"connect with O_NONBLOCK gave {said(r)}"
        if r.errno == "EINPROGRESS":
            ready = d.call(client, "poll", name, events=POLLOUT, timeout_ms=30_000)
            assert ready.out["revents"] & POLLOUT, f"poll gave {said(ready)}, revents {ready.out['revents']:#x}"
            error = option(d, client, "getsockopt", name, SO_ERROR).out["value"]
            assert (error != 0) == (to is None), f"SO_ERROR says {error} of a connect to {expected}"
        else:
            assert (r.errno is None) == (to is not None), f"connect to {expected} gave {said(r)}"


@clause("TCP-05", "UDP-10")
def test_time_outs_are_never_early(d):
    d.open()
    (actor,) = d.actors(1)
    for ms in (1, 30, 120):
        d.do(actor, "settimeo", A, sending=0, ms=ms)
        not_early(d, actor, "recv", A, ms)
    if "stream" in d.about["caps"]:
        d.do(actor, "settimeo", B, sending=1, ms=30)
        for _ in range(100):  # what has room in the receiver may leave some in the sender a little later
            fill(d, actor, 4096)
            if not_early(d, actor, "send", B, 30, size=4096):
                return
        raise Unknown("the buffers always took more")


def not_early(d, actor, f, on, ms, **args):
    """Did it have to wait at all?"""
    begun = time.monotonic_ns()
    r = d.call(actor, f, on, **args)
    took = time.monotonic_ns() - begun
    if r.ret >= 0 and f == "send":
        return False  # there was room after all
    fails(r, "EAGAIN", f"{f} with nothing to end it, after {ms} ms")
    assert took >= ms * 1_000_000, f"{f} with a time-out of {ms} ms gave EAGAIN after {took} ns"
    return True


@clause("TCP-07")
def test_peek_and_waitall(d):
    (a,), (b,) = pair(d)
    p = d.start(a, "recv", A, size=100, flags=MSG_WAITALL)
    d.do(b, "send", B, size=60)
    d.asleep((a, p))
    last = d.do(b, "send", B, size=40)
    r = d.finish(p, "recv with MSG_WAITALL, all of it sent")
    gives(r, 100, "recv with MSG_WAITALL")
    assert not r.before(last), "recv with MSG_WAITALL returned all before all was sent"
    sent = d.do(b, "send", B, size=100)
    for flags in (MSG_PEEK | MSG_WAITALL, MSG_PEEK | MSG_WAITALL, MSG_WAITALL):
        same(d.call(a, "recv", A, size=100, flags=flags), sent, "recv")
    d.do(b, "send", B, size=30)
    p = d.start(a, "recv", A, size=100, flags=MSG_WAITALL)
    d.asleep((a, p))
    d.do(b, "close", B)
    gives(d.finish(p, "recv with MSG_WAITALL, the peer gone"), 30, "recv with MSG_WAITALL, the peer gone,")


@clause("TCP-08")
def test_a_port_in_use(d):
    d.open()
    server, other, client = d.actors(3)
    port = listening(d, server)
    d.do(other, "socket", as_="t")
    fails(d.call(other, "bind", "t", port=port), "EADDRINUSE", "bind to a port with a listener")
    d.do(client, "socket", as_="c")
    d.do(client, "connect", "c", port=port)
    d.do(server, "accept", "l", as_="s")
    d.do(server, "close", "s")  # the side that closes first keeps the port busy
    d.do(server, "close", "l")
    gives(d.call(client, "recv", "c"), 0, "recv, the peer gone")
    d.do(client, "close", "c")
    d.do(other, "socket", as_="u")
    option(d, other, "setsockopt", "u", SO_REUSEADDR, value=1)
    gives(d.call(other, "bind", "u", port=port), 0, "bind with SO_REUSEADDR to a port whose connections linger")


@clause("TCP-09")
def test_poll_tells_how_much_is_closed(d):
    (a,), (b,) = pair(d)
    want = POLLIN | POLLRDHUP
    d.do(b, "shutdown", B, how=SHUT_WR)
    r = d.call(a, "poll", A, events=want, timeout_ms=30_000)
    assert r.out["revents"] == want, f"the peer has shut down its sending: poll says {r.out['revents']:#x}"
    d.do(a, "shutdown", A, how=SHUT_WR)
    r = d.call(a, "poll", A, events=want, timeout_ms=30_000)
    assert r.out["revents"] & POLLHUP, f"both ways are closed: poll says {r.out['revents']:#x}"


@clause("TCP-10")
def test_urgent_data_has_a_mark(d):
    (a,), (b,) = pair(d)
    d.do(b, "send", B, size=60)
    d.do(b, "send", B, size=1, flags=MSG_OOB)
    d.do(b, "send", B, size=40)
    gives(recv_all(d, a, A, 200), 60, "recv of more than there is before the mark")
    gives(d.call(a, "sockatmark", A), 1, "sockatmark at the mark")
    gives(d.call(a, "recv", A, size=1, flags=MSG_OOB), 1, "recv of the urgent byte")
    gives(recv_all(d, a, A, 40), 40, "recv of what lies behind the mark")


@clause("TCP-12")
def test_shutdown_wakes_a_reader(d):
    d.open()
    reader, other = d.actors(2)
    r, _ = d.must_wait(reader, "recv", lambda: d.do(other, "shutdown", A, how=SHUT_RDWR), on=A,
                       what="recv, until another process shuts the socket down,")
    gives(r, 0, "recv of a socket that is shut down")


@clause("TCP-13")
@pytest.mark.parametrize("how", ["kill", "exit"])
def test_death_of_the_sender(d, how):
    (a,), (b, other) = pair(d, putters=2)
    sent = d.do(b, "send", B, size=1000)
    d.kill_actor(b, how)
    same(recv_all(d, a, A, 1000), sent, "recv of what the dead has sent")
    p = d.start(a, "recv", A)
    d.asleep((a, p))
    assert not p.done(), "recv returned while another process held the peer's end"
    d.kill_actor(other, how)
    gives(d.finish(p, "recv, after the last holder of the other end has died"), 0, "recv")


@clause("TCP-14")
def test_death_with_data_unread_resets(d):
    (a,), (b,) = pair(d)
    d.do(b, "send", B, size=1000)
    d.call(a, "poll", A, events=POLLIN, timeout_ms=30_000)
    p = d.start(b, "recv", B)
    d.asleep((b, p))
    d.kill_actor(a)
    fails(d.finish(p, "recv, the peer killed with data unread"), "ECONNRESET", "recv, the peer killed with data unread,")


@clause("TCP-16")
def test_an_idle_peer_is_no_end(d):
    (a,), (b,) = pair(d)
    fails(d.call(a, "recv", A, flags=MSG_DONTWAIT), "EAGAIN", "recv with MSG_DONTWAIT")
    got, sent = d.must_wait(a, "recv", lambda: d.do(b, "send", B, size=SIZE), on=A, size=SIZE)
    same(got, sent, "recv")


@clause("TCP-17")
def test_nobody_listens(d):
    d.open()
    server, client = d.actors(2)
    port = listening(d, server)
    d.kill_actor(server)
    d.do(client, "socket", as_="c")
    fails(d.call(client, "connect", "c", port=port), "ECONNREFUSED", "connect to the port of a listener that was killed")


@clause("TCP-18")
def test_send_after_a_reset(d):
    (a,), (b,) = pair(d)
    d.do(a, "linger", A, secs=0)
    d.do(a, "close", A)
    d.call(b, "poll", B, events=POLLIN, timeout_ms=30_000)
    r = d.call(b, "send", B, size=SIZE, flags=MSG_NOSIGNAL)
    assert r.errno in ("ECONNRESET", "EPIPE"), f"send after a reset gave {said(r)}"
    r = d.call(b, "send", B, size=SIZE)
    fails(r, "EPIPE", "the next send")
    assert sigpipes(d, r) == 1, f"SIGPIPE was delivered {sigpipes(d, r)} times"


@clause("TCP-20")
def test_what_is_not_acknowledged(d):
    """recvrest gives up only when SIOCOUTQ of the other end was 0 before it looked."""
    d.open()
    a, b = d.actors(2)
    d.do(b, "send", B, size=1000)
    gives(recv_all(d, a, A, 1000), 1000, "recv")
    fails(d.call(a, "recvrest", A), "EAGAIN", "recv with everything received and acknowledged")
    assert d.do(b, "outq", B).out["bytes"] == 0, "SIOCOUTQ is not 0, though it was and nothing was sent since"


# ---- UDP ----

@clause("UDP-01")
def test_boundaries(d):
    (a,), (b,) = pair(d)
    for sizes in ((100, 50), (50, 100)):
        sent = [d.do(b, "send", B, size=n) for n in sizes]
        got = [d.call(a, "recv", A).sum for _ in sizes]
        assert sorted(got) == sorted(s.sum for s in sent), "two datagrams were not received as two"
    d.do(b, "send", B, size=100)
    gives(d.call(a, "recv", A, size=40, flags=MSG_TRUNC), 100, "recv of 40 of 100 bytes with MSG_TRUNC")
    last = d.do(b, "send", B, size=50)
    same(d.call(a, "recv", A), last, "recv after a datagram that was cut")


@clause("UDP-02")
def test_a_datagram_of_nothing(d):
    (a,), (b,) = pair(d)
    gives(d.call(b, "send", B, size=0), 0, "send of no bytes")
    gives(d.call(a, "recv", A), 0, "recv of a datagram of no bytes")


@clause("UDP-03")
def test_nobody_is_there(d):
    (a,), (b,) = pair(d)
    d.do(a, "close", A)
    d.do(b, "send", B, size=SIZE)
    fails(d.call(b, "recv", B), "ECONNREFUSED", "recv by a connected socket, nobody at the other port,")
    fails(d.call(b, "recv", B, flags=MSG_DONTWAIT), "EAGAIN", "the next recv")


@clause("UDP-04", "UDP-08")
def test_many_at_once(d):
    d.open()
    readers, writers = d.actors(3), d.actors(3)
    ok = d.rounds([{"ids": writers, "do": ["send", "sendmsg"], "size": [SIZE, 4000]},
                   {"ids": readers, "do": ["tryrecvfrom"]}], ops=300, rounds=8)
    d.note(f"{ok['okay']} sends and receives succeeded, {ok['fail']} found nothing")


@clause("UDP-05")
def test_a_connected_socket_hears_its_peer_alone(d):
    (a,), (friend, stranger) = pair(d, putters=2)
    d.do(stranger, "socket", as_="s")
    d.do(stranger, "bind", "s")
    home = port_of(d, a, A)
    d.do(a, "connect", A, port=port_of(d, friend, B))
    d.do(stranger, "sendto", "s", size=50, port=home)
    sent = d.do(friend, "send", B, size=SIZE)
    same(d.call(a, "recv", A), sent, "recv by a socket that is connected to another than the first sender")
    d.do(a, "connect", A, port=-1)
    if port_of(d, a, A) != home:  # a port that the kernel chose goes with the connection
        d.do(a, "bind", A, port=home)
    sent = d.do(stranger, "sendto", "s", size=50, port=home)
    same(d.call(a, "recv", A), sent, "recv from anybody, connected to nobody any more")


@clause("UDP-09")
def test_the_sender_is_told(d):
    (a,), senders = pair(d, putters=2)
    home = port_of(d, a, A)
    for i, b in enumerate(senders):
        d.do(b, "socket", as_=f"s{i}")
        d.do(b, "bind", f"s{i}")
        d.do(b, "sendto", f"s{i}", size=SIZE, port=home)
        r = d.call(a, "recvfrom", A)
        want = port_of(d, b, f"s{i}")
        assert r.out["port"] == want, f"recvfrom tells port {r.out['port']}; it was sent from {want}"


@clause("UDP-09")
def test_the_sender_of_each_is_told(d):
    """Two datagrams wait: over loopback both are there, and each comes with its own address."""
    (a,), senders = pair(d, putters=2)
    home, sent = port_of(d, a, A), {}
    for i, b in enumerate(senders):
        d.do(b, "socket", as_=f"s{i}")
        d.do(b, "bind", f"s{i}")
        sent[d.do(b, "sendto", f"s{i}", size=SIZE, port=home).sum] = port_of(d, b, f"s{i}")
    for _ in senders:
        r = d.call(a, "recvfrom", A)
        assert sent.get(r.sum) == r.out["port"], f"recvfrom tells port {r.out['port']}; it was sent from {sent.get(r.sum)}"


@clause("UDP-08", "UDP-09")
def test_rounds_with_deaths(d):
    d.open()
    kill_through_rounds(d, d.actors(6))


@clause("UDP-10")
def test_a_receive_waits(d):
    (a,), (b,) = pair(d)
    fails(d.call(a, "recv", A, flags=MSG_DONTWAIT), "EAGAIN", "recv with MSG_DONTWAIT")
    got, sent = d.must_wait(a, "recv", lambda: d.do(b, "send", B, size=SIZE), on=A)
    same(got, sent, "recv")


@clause("UDP-11")
def test_the_port_of_the_dead_is_free(d):
    d.open()
    first, second, sender = d.actors(3)
    d.do(first, "socket", as_="f")
    d.do(first, "bind", "f")
    port = port_of(d, first, "f")
    d.do(second, "socket", as_="s")
    fails(d.call(second, "bind", "s", port=port), "EADDRINUSE", "bind to a port in use")
    d.kill_actor(first)
    gives(d.call(second, "bind", "s", port=port), 0, "bind to the port of the dead")
    d.do(sender, "socket", as_="t")
    sent = d.do(sender, "sendto", "t", size=SIZE, port=port)
    same(d.call(second, "recv", "s"), sent, "recv by the heir of the port")


@clause("UDP-12")
def test_too_long_a_datagram(d):
    (a,), (b,) = pair(d)
    fails(d.call(b, "send", B, size=66000), "EMSGSIZE", "send of 66000 bytes")
    sent = d.do(b, "send", B, size=SIZE)
    same(d.call(a, "recv", A), sent, "recv after a send that failed")


@clause("TCP-06")
def test_an_interrupted_connect_goes_on(d):
    """To a listener that has no room: the interrupted connection is made when it has."""
    d.open()
    server, client = d.actors(2)
    port = listening(d, server, backlog=0)
    for i in range(2):
        d.do(client, "socket", as_=f"c{i}")
    d.do(client, "connect", "c0", port=port)
    p = d.start(client, "connect", "c1", port=port)
    if not d.wait_blocked(client):
        raise NotHere("a connect to a listener without room does not wait")
    fails(interrupted(d, client, p), "EINTR", "a connect that a signal interrupts")
    d.do(client, "nonblock", "c1")
    fails(d.call(client, "connect", "c1", port=port), "EALREADY", "another connect, the interrupted one going on,")
    d.do(server, "accept", "l", as_="s0")
    if not d.do(client, "poll", "c1", events=POLLOUT, timeout_ms=50_000).ret:
        raise Unknown("the interrupted connection was not made in 50 s: its next attempt may be later")
    assert option(d, client, "getsockopt", "c1", SO_ERROR).out["value"] == 0, "the interrupted connection has failed"
    again = [d.call(client, "connect", "c1", port=port) for _ in range(2)]
    assert again[0].errno in (None, "EISCONN"), f"connect, when the connection was made, gave {said(again[0])}"
    fails(again[1], "EISCONN", "connect once more")
    d.do(server, "accept", "l", as_="s1")
    sent = d.do(client, "send", "c1", size=100)
    same(recv_all(d, server, "s1", 100), sent, "recv over the connection that was interrupted")


@clause("UDP-06")
def test_a_shared_port_gives_each_datagram_to_one(d):
    """Four sockets of one port, sixteen senders with ports of their own: what came, came once, and not to one alone."""
    d.open()
    server, client = d.actors(2)
    port = 0
    for i in range(4):
        d.do(server, "socket", as_=f"s{i}")
        option(d, server, "setsockopt", f"s{i}", SO_REUSEPORT, value=1)
        d.do(server, "bind", f"s{i}", port=port)
        port = port or port_of(d, server, "s0")
    sent = []
    for _ in range(16):
        d.do(client, "socket", as_="c")
        sent += [d.do(client, "sendto", "c", size=SIZE, port=port).sum for _ in range(2)]
        d.close("c")
    got = [[], [], [], []]
    for i, mine in enumerate(got):
        while (r := d.call(server, "recvfrom", f"s{i}", flags=MSG_DONTWAIT)).errno is None:
            mine.append(r.sum)
    came = sum(got, [])
    assert len(set(came)) == len(came) and set(came) <= set(sent), "a datagram came twice, or one that nobody sent"
    d.note(f"of {len(sent)} datagrams the four sockets got {[len(g) for g in got]}")


@clause("UDP-07")
def test_many_messages_in_one_call(d):
    """The number told is the number moved; each has its own length."""
    (a,), (b,) = pair(d)
    for n in (1, 5, 33):
        gives(d.call(b, "sendmmsg", B, n=n), n, f"sendmmsg of {n} messages")
        came = size = 0
        while came < n:
            if not d.do(a, "poll", A, events=POLLIN, timeout_ms=20_000).ret:
                raise Unknown(f"{n - came} of {n} datagrams have not come: they may be lost")
            r = d.do(a, "recvmmsg", A, n=64, flags=MSG_DONTWAIT)
            came, size = came + r.ret, size + r.out["bytes"]
        assert (came, size) == (n, n * (n + 1) // 2), f"{n} messages were sent, and {came} of {size} bytes in all came"
