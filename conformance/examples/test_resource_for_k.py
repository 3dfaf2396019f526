# SPDX-License-Identifier: MIT
"""A resource for k: a semaphore counts who may still come in.

Three licences, five users. The semaphore holds the number of licences that are free. Who wants one waits (sem_wait): if the
number is above zero it goes down by one, else the process sleeps until somebody gives one back (sem_post). A semaphore has no
owner: it does not know who came in, and anybody may post. So a user that dies inside takes its licence along, for good.

A mutex is the resource for one, with an owner. A semaphore with the value 1 can play its part, without the owner.
"""
import pytest

from suite.subject import fails, gives

clause = pytest.mark.clause
LICENCES = 3


def free(d, actor):
    return d.do(actor, "getvalue").out["value"]


@clause("PSEM-01")
def test_three_at_a_time(d):
    d.open(value=LICENCES)
    *inside, fourth, fifth = d.actors(LICENCES + 2)
    for user in inside:
        gives(d.call(user, "wait"), 0, "coming in while there is room")
    assert free(d, fifth) == 0, "a licence is free though all are taken"
    fails(d.call(fifth, "trywait"), "EAGAIN", "coming in without waiting when all is taken")
    r, _ = d.must_wait(fourth, "wait", lambda: d.do(inside[0], "post"))
    gives(r, 0, "coming in when one has left")
    fails(d.call(fifth, "trywait"), "EAGAIN", "coming in when the one that left has been replaced")


@clause("PSEM-04")
def test_no_licence_is_lost_or_made(d):
    """Users come and go at random, judged whole: never more inside than there are licences."""
    d.open(value=0)
    *givers, a, b = d.actors(5)
    d.rounds([{"ids": givers, "do": ["post"]}, {"ids": [a, b], "do": ["wait", "trywait"]}], ops=300, rounds=6)


@clause("PSEM-17")
def test_who_dies_inside_keeps_its_licence(d):
    """No recovery is promised: the number stays one lower, and the others go on with what is left."""
    d.open(value=LICENCES)
    victim, *others = d.actors(3)
    d.do(victim, "wait")
    d.kill_actor(victim)
    assert free(d, others[0]) == LICENCES - 1, "the dead's licence did not come back, or another did"
    for user in others:
        gives(d.call(user, "wait"), 0, "coming in with what is left")
    fails(d.call(others[0], "trywait"), "EAGAIN", "coming in with the licence of the dead")
