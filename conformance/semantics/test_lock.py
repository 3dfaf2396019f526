# SPDX-License-Identifier: MIT
"""What every lock promises: one holder, and waiters that wait for it and then get it. Source: the clauses named."""
import pytest

from suite.subject import OBJECT, fails, gives
from suite.transfer import kill_through_rounds, never_early

clause = pytest.mark.clause


@clause("MTX-01", caps=("lock",))
def test_one_holder(d):
    d.open()
    holder, *others = d.actors(4)
    gives(d.call(holder, "lock"), 0, "lock of a free mutex")
    for a in others:
        fails(d.call(a, "trylock"), "EBUSY", "trylock while another holds it")
    gives(d.call(holder, "unlock"), 0, "unlock by the holder")
    for a in others:
        gives(d.call(a, "trylock"), 0, "trylock of a free mutex")
        gives(d.call(a, "unlock"), 0, "unlock by the holder")


@clause("MTX-01", caps=("lock",))
def test_one_holder_under_contention(d):
    """Rounds: stamps of certain holding never overlap, and a plain counter under the lock never loses a step."""
    d.open()
    d.actors(5)
    d.judged(d.run(on=OBJECT, rounds=10, ops=800))


@clause("MTX-27", caps=("lock",))
def test_lock_waits_for_unlock(d):
    d.open()
    holder, waiter = d.actors(2)
    for _ in range(3):
        gives(d.call(holder, "lock"), 0, "lock of a free mutex")
        r, _ = d.must_wait(waiter, "lock", lambda: d.do(holder, "unlock"))
        gives(r, 0, "lock after the holder's unlock")
        fails(d.call(holder, "trylock"), "EBUSY", "trylock while the waiter has got it")
        gives(d.call(waiter, "unlock"), 0, "unlock by the holder")


@clause("MTX-07", caps=("lock",))
def test_signal_does_not_end_a_lock(d):
    d.open()
    holder, waiter = d.actors(2)
    d.do(holder, "lock")
    p = d.start(waiter, "lock")
    for _ in range(5):
        d.asleep((waiter, p))
        d.fault("signal", waiter, signal="USR1")
    d.asleep((waiter, p))
    freed = d.do(holder, "unlock")
    r = d.finish(p, "lock after the holder's unlock")
    gives(r, 0, "lock with signals in its wait")
    assert not r.before(freed), "a signal ended the wait: lock returned before the unlock was called"


@clause("MTX-06", caps=("lock", "timeout"))
def test_time_out_is_never_early(d):
    d.open()
    holder, waiter = d.actors(2)
    d.do(holder, "lock")
    for wait_ns in (1_000_000, 30_000_000, 120_000_000):
        never_early(d, waiter, "timedlock", wait_ns)
    d.do(holder, "unlock")
    gives(d.call(waiter, "timedlock", timeout_ns=60_000_000_000), 0, "timedlock of a free mutex")


@clause("MTX-23", caps=("lock",))
def test_all_who_contend_finish(d):
    """Sixteen processes: the kit's rounds end only when each has done its share."""
    d.open()
    d.actors(16)
    ok = d.judged(d.run(on=OBJECT, rounds=4, ops=150))
    assert not ok["pending"], f"{ok['pending']} locks never returned"


@clause("MTX-25", caps=("lock",))
def test_killed_waiter_takes_no_wake_with_it(d):
    d.open()
    holder, *waiters = d.actors(4)
    d.do(holder, "lock")
    waits = {a: d.start(a, "lock") for a in waiters}
    d.asleep(*waits.items())
    for victim in waiters[:2]:
        d.kill_actor(victim)
    freed = d.do(holder, "unlock")
    r = d.finish(waits[waiters[2]], "the waiter that is left, after the unlock")
    gives(r, 0, "lock by the waiter that is left")
    assert not r.before(freed), "lock returned before the unlock was called"


@clause("MTX-08", caps=("lock",))
def test_unrelated_processes_exclude_each_other(d):
    """Kind exec: fresh address spaces that map the memory where they like."""
    d.open()
    holder, waiter = d.actors(2, kind="exec")
    gives(d.call(holder, "lock"), 0, "lock of a free mutex")
    fails(d.call(waiter, "trylock"), "EBUSY", "trylock while an unrelated process holds it")
    r, _ = d.must_wait(waiter, "lock", lambda: d.do(holder, "unlock"))
    gives(r, 0, "lock after the unlock")
    gives(d.call(waiter, "unlock"), 0, "unlock by the holder")
    d.judged(d.run(on=OBJECT, rounds=4, ops=500))


@clause("MTX-26", caps=("lock", "robust"))
def test_deaths_are_told_once(d):
    """Actors are killed all through the rounds, holders among them: each death gives one EOWNERDEAD. One death is told
    before that, of a mutex of its own, so that rounds do not hold where none ever is."""
    d.open()
    d.open("m")
    owner, *others = d.actors(5)
    d.do(owner, "lock", "m")
    d.kill_actor(owner)
    fails(d.call(others[0], "trylock", "m"), "EOWNERDEAD", "trylock after the owner's death")
    kill_through_rounds(d, others)
