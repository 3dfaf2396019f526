# SPDX-License-Identifier: MIT
"""A print spooler: a message queue between many clients and one printer.

Clients hand in a job and go on; they do not wait for paper. The queue keeps each job, as one message, until the spooler takes
it: a job outlives the client that sent it, and a spooler that starts late finds everything that was handed in before. Urgent
jobs have a higher priority and come out first; among equals the oldest is first. When the queue is full, clients wait: that is
how a slow printer slows them down instead of losing their jobs.

    client --send--\\
    client --send---->  [ job | job | job ]  --receive-->  spooler
    client --send--/
"""
import pytest

from suite.subject import SIZE, gives

clause = pytest.mark.clause


@clause("PMQ-25")
def test_many_clients_and_no_job_lost(d):
    d.open(maxmsg=8)
    spooler, *clients = d.actors(9)
    d.rounds([{"ids": clients, "do": ["send"], "size": [SIZE, 64], "prio": [0, 2]},
              {"ids": [spooler], "do": ["receive"], "size": 64}], ops=100, rounds=5)


@clause("PMQ-25")
def test_jobs_outlive_their_clients(d):
    """Each client dies as soon as its job is handed in; the spooler starts afterwards."""
    d.open(maxmsg=6)
    jobs = []
    for death in ("kill", "exit") * 3:
        client, = d.actors(1)
        jobs.append(d.do(client, "send", size=SIZE).sum)
        d.kill_actor(client, death)
    spooler, = d.actors(1, kind="exec")
    assert [d.do(spooler, "receive", size=64).sum for _ in jobs] == jobs, "a job was lost, or printed out of order"


@clause("PMQ-02")
def test_urgent_jobs_first(d):
    d.open(maxmsg=6)
    client, spooler = d.actors(2)
    sent = [(prio, d.do(client, "send", size=SIZE, prio=prio).sum) for prio in (0, 1, 0, 5, 1)]
    printed = [d.do(spooler, "receive", size=64).sum for _ in sent]
    assert printed == [s for _, s in sorted(sent, key=lambda j: -j[0])], "jobs were not printed by priority, and by age inside one"


@clause("PMQ-32")
def test_a_full_spooler_makes_clients_wait(d):
    d.open(maxmsg=2)
    client, spooler = d.actors(2)
    for _ in range(2):
        d.do(client, "send", size=SIZE)
    r, _ = d.must_wait(client, "send", lambda: d.do(spooler, "receive", size=64), size=SIZE)
    gives(r, 0, "the job that had to wait")
