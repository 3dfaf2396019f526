# SPDX-License-Identifier: MIT
"""A shared table, with a lock and without.

Two clerks book seats in one theatre. How many are taken stands in a word of shared memory that both have mapped. To book, a
clerk reads the number, adds one, and writes it back:

    taken = *table;         /* load  */
    *table = taken + 1;     /* store */

Memory that is shared is the fastest way between processes, and it orders nothing: each of these two accesses is whole, but
between them the other clerk can do the same. Then both have read the same number, and both write the same number: two seats
are sold and one is counted. This is the lost update, and it takes no bad luck to show it, only four calls in this order:

    clerk A: load   clerk B: load   clerk A: store   clerk B: store

What is missing is that load and store happen as one. A lock does that (here a process-shared mutex): a clerk who wants to
book waits until the other is done. So does an operation that the processor does in one step (atomic_fetch_add).
"""
import random

import pytest

from suite.subject import fails, gives

clause = pytest.mark.clause


class Clerk:
    """A process with the table mapped. Books a seat in two steps, as told."""

    def __init__(self, d, actor):
        self.d, self.actor, self.seen = d, actor, None

    def load(self):
        self.seen = self.d.do(self.actor, "load").out["value"]

    def store(self):
        self.d.do(self.actor, "store", token=hex(self.seen + 1))
        self.seen = None


def theatre(d, clerks):
    d.open()
    return [Clerk(d, a) for a in d.actors(clerks)]


def taken(clerk):
    clerk.load()
    return clerk.seen


@clause("PSHM-15")
def test_without_a_lock_an_update_is_lost(d):
    """Four calls; the outcome is the same each time."""
    a, b = theatre(d, 2)
    for seats in range(10):
        a.load(), b.load()
        a.store(), b.store()
        assert taken(a) == seats + 1, f"{taken(a)} seats are counted after {seats + 1} rounds of two bookings"


@clause("PSHM-15")
def test_without_a_lock_any_order_may_lose_one(d):
    """Clerks book in random order: never more is counted than was sold, and the last store wins."""
    clerks, chance, sold = theatre(d, 3), random.Random(15), 0
    for _ in range(90):
        clerk = chance.choice(clerks)
        if clerk.seen is None:
            clerk.load()
        else:
            expected = clerk.seen + 1
            clerk.store()
            sold += 1
            assert taken(clerk) == expected, "the table does not hold what was stored last"
            clerk.seen = None
    assert taken(clerks[0]) < sold, f"{taken(clerks[0])} seats are counted and {sold} were sold: nothing was lost"
    d.note(f"{sold - taken(clerks[0])} of {sold} bookings were lost")


@clause("PSHM-15")
def test_with_a_lock_none_is_lost(d, beside):
    """The same four calls cannot happen: the second clerk sleeps in its lock until the first has stored."""
    (a, b), mutex = theatre(d, 2), beside("mutex", "normal")
    mutex.open()
    lock = dict(zip((a, b), mutex.actors(2)))  # each clerk's hand on the lock
    for turn in range(10):
        first, second = (a, b) if turn % 2 else (b, a)
        gives(mutex.call(lock[first], "lock"), 0, "lock of a free table")
        first.load()
        fails(mutex.call(lock[second], "trylock"), "EBUSY", "trylock of a table that is being changed")
        waiting = mutex.start(lock[second], "lock")
        mutex.asleep((lock[second], waiting))
        assert not waiting.done(), "the second clerk got the lock while the first one held it"
        first.store()
        freed = mutex.do(lock[first], "unlock")
        r = mutex.finish(waiting, "lock after the unlock")
        gives(r, 0, "lock after the unlock")
        assert not r.before(freed), "the second clerk got the lock before the first one gave it back"
        second.load(), second.store()
        mutex.do(lock[second], "unlock")
        assert taken(a) == 2 * turn + 2, f"{taken(a)} seats are counted and {2 * turn + 2} were sold"
