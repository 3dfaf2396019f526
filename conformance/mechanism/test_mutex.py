# SPDX-License-Identifier: MIT
"""Stories of the process-shared mutex that no other lock has: relocking, fork, exec.

Source: pthread_mutexattr_setrobust(3), and the clauses named at each test.
"""
import pytest

from suite.subject import fails, gives, said

clause = pytest.mark.clause


@clause("MTX-02")
def test_normal_mutex_deadlocks_its_holder(d):
    """It can only be seen not to return: asleep in it, and still held by it."""
    d.open()
    holder, other = d.actors(2)
    d.do(holder, "lock")
    p = d.start(holder, "lock")
    d.asleep((holder, p))
    if p.done():
        r = p.result()
        assert False, f"the second lock by its holder returned {said(r)}"
    fails(d.call(other, "trylock"), "EBUSY", "trylock while the holder sleeps in its second lock")
    assert not p.done(), "the second lock by its holder returned"


@clause("MTX-22")
def test_forked_child_owns_nothing(d):
    """The child of the holder tries to unlock: refused, and the mutex stays with the parent."""
    d.need("fork")
    d.open()
    holder, other = d.actors(2)
    d.do(holder, "lock")
    fails(d.call(holder, "fork"), "EPERM", "unlock by a forked child of the holder")
    fails(d.call(other, "trylock"), "EBUSY", "trylock after the child's attempt")
    gives(d.call(holder, "unlock"), 0, "unlock by the holder itself")
    gives(d.call(other, "trylock"), 0, "trylock of the free mutex")


@clause("MTX-09", "MTX-19")
def test_owner_that_exits_is_dead(d):
    """A normal end of the process, without unlock."""
    d.open()
    owner, heir = d.actors(2)
    d.do(owner, "lock")
    d.kill_actor(owner, "exit")
    fails(d.call(heir, "lock"), "EOWNERDEAD", "lock after the owner's exit")


@clause("MTX-32")
def test_owner_that_execs_is_dead(d):
    d.open()
    owner, heir = d.actors(2)
    d.do(owner, "lock")
    p = d.start(heir, "lock")
    d.asleep((heir, p))
    assert not p.done(), "lock returned while another process holds the mutex"
    d.fault("exec", owner)
    fails(d.finish(p, "the waiter, after the owner's exec"), "EOWNERDEAD", "lock after the owner's exec")


@clause("MTX-36")
def test_dead_owner_keeps_what_is_not_robust(d):
    d.open()
    owner, other = d.actors(2)
    d.do(owner, "lock")
    d.kill_actor(owner)
    fails(d.call(other, "trylock"), "EBUSY", "trylock after the owner was killed")
    fails(d.call(other, "timedlock", timeout_ns=1_000_000), "ETIMEDOUT", "timedlock after the owner was killed")
