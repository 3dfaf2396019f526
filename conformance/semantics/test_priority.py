# SPDX-License-Identifier: MIT
"""Who of several that wait goes first, where the Priority Scheduling option says so: the one with the highest priority.

Source: POSIX.1-2017 sem_post, mq_send (PS option); sched(7); and the clauses named at each test.
"""
import pytest

from suite.transfer import put_now, take_size

clause = pytest.mark.clause
PRIORITIES = (10, 30, 20, 1)


@clause("PSEM-20", "PMQ-24")
def test_the_most_urgent_waiter_goes_first(d):
    d.open()
    giver, *takers = d.actors(1 + len(PRIORITIES))
    waits, take = {}, d.op("take")
    for a, priority in zip(takers, PRIORITIES):
        d.become_urgent(a, priority)
        waits[a] = d.start(a, take, **(take_size(d) if d.clause.mechanism == "mq" else {}))
        d.asleep((a, waits[a]))
    went = []
    while waits:
        put_now(d, giver) if d.clause.mechanism == "mq" else d.do(giver, "post")
        first = d.first_of(waits, "of those that wait, with one thing to take, one")
        went += [PRIORITIES[takers.index(a)] for a in first]
        for a in first:
            del waits[a]
    assert went == sorted(PRIORITIES, reverse=True), f"waiters of priority {PRIORITIES} went on in the order {went}"
