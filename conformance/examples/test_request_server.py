# SPDX-License-Identifier: MIT
"""A request server behind a FIFO.

A pipe needs a common ancestor. A FIFO is a pipe with a name in the file system, so that programs that know nothing of each
other can meet: a server opens it to read, clients open it to write, each sends one request and goes.

    client ---\\
    client ----->  /tmp/requests  ----->  server
    client ---/

It works because of one promise: a write of at most PIPE_BUF bytes is never mixed with another's. A server may therefore read
requests of a fixed size, however many clients write at once. The server keeps a writing end open itself, so that it does not
read end of file each time the last client goes.
"""
import pytest

from suite.subject import SIZE

clause = pytest.mark.clause
REQUEST = 128


@clause("FIFO-13")
def test_requests_of_strangers_arrive_whole(d):
    """Twelve unrelated programs write at once: each request is whole, and all of them arrive."""
    d.open()
    server, *clients = d.actors(13, kind="exec")
    asked = [(c, d.start(c, "write", size=REQUEST)) for c in clients]
    sums = sorted(d.finish(p, f"the request of client {c}").sum for c, p in asked)
    served = sorted(d.do(server, "read", size=REQUEST).sum for _ in clients)
    assert served == sums, "a request was mixed with another, lost, or invented"


@clause("FIFO-13")
def test_a_busy_server_under_load(d):
    """Rounds of many requests of many sizes, judged whole."""
    d.open()
    server, *clients = d.actors(6, kind="exec")
    d.rounds([{"ids": clients, "do": ["write"], "size": [SIZE, 4096]}, {"ids": [server], "do": ["read"], "size": 4096}],
             ops=200, rounds=4)


@clause("FIFO-13")
def test_a_client_that_dies_has_asked_or_has_not(d):
    """Killed in the middle of everything, clients leave whole requests or none."""
    d.open()
    server, *clients = d.actors(4, kind="exec")
    for c in clients:
        sent = d.do(c, "write", size=REQUEST).sum
        d.kill_actor(c)
        assert d.do(server, "read", size=REQUEST).sum == sent, "the server read another request than was made"
