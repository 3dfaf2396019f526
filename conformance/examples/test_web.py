# SPDX-License-Identifier: MIT
"""Client and server: a request and its answer over a socket.

A socket joins two processes that may be on different machines. The server binds a port and listens; a client connects to it,
and each connection is a stream in both directions, of its own, whoever else is connected. As in the first web servers, the
client sends its request and closes its sending half; the server reads until the end of the request, answers, and closes.

    client --connect-->  server: accept
    client --request-->
           <--answer---  until end of file

A stream has no boundaries: an answer comes in as many pieces as the network likes, and its end is the end of the file, or
whatever the two have agreed on.
"""
import pytest

from suite.subject import fails, gives

clause = pytest.mark.clause
SHUT_WR, MSG_WAITALL = 1, 0x100


def serve(d, server):
    """The server's port."""
    d.do(server, "socket", as_="door")
    d.do(server, "bind", "door")
    d.do(server, "listen", "door", backlog=8)
    return d.do(server, "getsockname", "door").out["port"]


def connect(d, client, port, as_):
    d.do(client, "socket", as_=as_)
    d.do(client, "connect", as_, port=port)
    return as_


def the_end(d, actor, on, who):
    gives(d.call(actor, "recv", on, size=16), 0, f"what {who} reads after the end")


@clause("TCP-02")
def test_a_request_and_its_answer(d):
    d.open()
    server, client = d.actors(2)
    port = serve(d, server)
    for turn in range(3):
        mine = connect(d, client, port, f"c{turn}")
        theirs = f"s{turn}"
        d.do(server, "accept", "door", as_=theirs)
        request = d.do(client, "send", mine, size=200)
        d.do(client, "shutdown", mine, how=SHUT_WR)
        assert d.do(server, "recv", theirs, size=200, flags=MSG_WAITALL).sum == request.sum, "the server read another request than was made"
        the_end(d, server, theirs, "the server")
        answer = d.do(server, "send", theirs, size=30_000)
        d.do(server, "close", theirs)
        assert d.do(client, "recv", mine, size=30_000, flags=MSG_WAITALL).sum == answer.sum, "the client read another answer than was given"
        the_end(d, client, mine, "the client")
        d.do(client, "close", mine)


@clause("TCP-03")
def test_clients_are_served_one_by_one_and_none_is_mixed_up(d):
    """Four are connected at once; each gets the answer to its own request."""
    d.open()
    server, *clients = d.actors(5)
    port = serve(d, server)
    asked = {}
    for i, c in enumerate(clients):
        connect(d, c, port, f"c{i}")
        d.do(server, "accept", "door", as_=f"s{i}")
        asked[i] = d.do(c, "send", f"c{i}", size=100 + i).sum
    for i, c in reversed(list(enumerate(clients))):
        assert d.do(server, "recv", f"s{i}", size=100 + i, flags=MSG_WAITALL).sum == asked[i], "the server read another request"
        answer = d.do(server, "send", f"s{i}", size=500).sum
        assert d.do(c, "recv", f"c{i}", size=500, flags=MSG_WAITALL).sum == answer, "the client read another answer than was given"


@clause("TCP-17")
def test_nobody_is_at_home(d):
    """The server has gone: its port answers no more."""
    d.open()
    server, client = d.actors(2)
    port = serve(d, server)
    d.kill_actor(server)
    d.do(client, "socket", as_="c")
    fails(d.call(client, "connect", "c", port=port), "ECONNREFUSED", "connect to a server that has died")
