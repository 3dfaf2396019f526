# SPDX-License-Identifier: MIT
"""A critical section: only one process at a time.

A mutex has one owner. Who locks it while another has it sleeps until the owner unlocks it; between lock and unlock a process
may touch what must not be touched by two. The drivers put a plain counter there: each owner reads it, adds one, writes it
back. As long as there is one owner at a time, the counter ends at the number of sections.

What if the owner dies inside? Its lock would be held for ever. A *robust* mutex tells the next owner (EOWNERDEAD): the lock is
yours, but what it protects may be half done. Who has put it right says so (pthread_mutex_consistent), and life goes on.
"""
import pytest

from suite.subject import OBJECT, fails, gives

clause = pytest.mark.clause


@clause("MTX-01")
def test_one_at_a_time(d):
    """Six processes, thousands of sections: no two at once, and no step of the counter is lost."""
    d.open()
    d.actors(6)
    d.judged(d.run(on=OBJECT, rounds=5, ops=500))


@clause("MTX-27")
def test_the_door_opens_when_the_owner_leaves(d):
    d.open()
    inside, outside = d.actors(2)
    gives(d.call(inside, "lock"), 0, "entering an empty section")
    fails(d.call(outside, "trylock"), "EBUSY", "entering a section that is taken, without waiting")
    r, _ = d.must_wait(outside, "lock", lambda: d.do(inside, "unlock"))
    gives(r, 0, "entering after the owner left")
    d.do(outside, "unlock")


@clause("MTX-09")
def test_an_owner_that_dies_inside(d):
    """The next owner is told, repairs, and the section is in use again."""
    d.open()
    first, second, third = d.actors(3)
    d.do(first, "lock")
    d.kill_actor(first)
    fails(d.call(second, "lock"), "EOWNERDEAD", "entering after the owner died inside")
    gives(d.call(second, "consistent"), 0, "saying that all is put right")
    gives(d.call(second, "unlock"), 0, "leaving")
    gives(d.call(third, "lock"), 0, "entering as if nothing had happened")
    d.do(third, "unlock")
