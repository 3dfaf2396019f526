# SPDX-License-Identifier: MIT
"""Stories of locks on files: who owns them, who waits for them, what a death gives back.

Source: fcntl(2), flock(2), close(2), and the clauses named at each test.
"""
import pytest

from plumbline.client import Driver
from suite.subject import OBJECT, fails, gives, said
from suite.transfer import interrupted, kill_through_rounds

clause = pytest.mark.clause


@clause("LCK-14", "LCK-19")
def test_lock_waits_for_unlock(d):
    d.open()
    holder, waiter = d.actors(2)
    for _ in range(3):
        gives(d.call(holder, "lock"), 0, "lock of a free file")
        r, _ = d.must_wait(waiter, "lock", lambda: d.do(holder, "unlock"))
        gives(r, 0, "lock after the holder's unlock")
        gives(d.call(waiter, "unlock"), 0, "unlock by the holder")


@clause("LCK-09", "LCK-18")
def test_no_update_is_lost(d):
    """Rounds: five processes, a plain counter in the file, certain holding never overlaps."""
    d.open()
    d.actors(5)
    d.judged(d.run(on=OBJECT, rounds=8, ops=400))


@clause("LCK-23")
def test_ranges_exclude_each_other_byte_by_byte(d):
    """Rounds: ranges that overlap and lie apart, alone and shared, of which parts are given up and more is tried for."""
    d.open()
    d.actors(5)
    d.judged(d.run(on=OBJECT, rounds=8, ops=400))


@clause("LCK-09", "LCK-18", "LCK-23", "LCK-07", "LCK-20")
def test_no_update_is_lost_though_owners_die(d):
    d.open()
    kill_through_rounds(d, d.actors(5))


@clause("LCK-09", "LCK-18")
def test_unrelated_processes_exclude_each_other(d):
    d.open()
    holder, waiter = d.actors(2, kind="exec")
    gives(d.call(holder, "lock"), 0, "lock of a free file")
    fails(d.call(waiter, "trylock"), "EAGAIN", "trylock while an unrelated process holds it")
    d.do(holder, "unlock")
    d.judged(d.run(on=OBJECT, rounds=3, ops=300))


@clause("LCK-07", "LCK-20")
@pytest.mark.parametrize("death", ["kill", "exit"])
def test_a_death_gives_the_lock_to_a_waiter(d, death):
    d.open()
    holder, waiter = d.actors(2)
    d.do(holder, "lock")
    p = d.start(waiter, "lock")
    d.asleep((waiter, p))
    d.kill_actor(holder, death)
    gives(d.finish(p, f"lock after its holder's {death}"), 0, "lock by the waiter")


@clause("LCK-15")
def test_a_killed_waiter_takes_no_wake_with_it(d):
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


@clause("LCK-16", "LCK-21")
def test_a_caught_signal_ends_the_wait(d):
    d.open()
    holder, waiter = d.actors(2)
    d.do(holder, "lock")
    fails(interrupted(d, waiter, d.start(waiter, "lock")), "EINTR", "lock with a signal in its wait")
    d.do(holder, "unlock")
    gives(d.call(waiter, "trylock"), 0, "trylock afterwards")


@clause("LCK-02")
def test_any_close_gives_record_locks_up(d):
    d.open()
    holder, other = d.actors(2)
    d.do(holder, "lock")
    d.do(holder, "open", as_="x")
    fails(d.call(other, "trylock"), "EAGAIN", "trylock while another holds it")
    d.do(holder, "close", "x")
    gives(d.call(other, "trylock"), 0, "trylock after the holder closed another descriptor of the file")


@clause("LCK-13")
def test_locks_of_a_description_outlive_other_closes(d):
    """They end with the last descriptor of their own description, and not before."""
    d.open()
    holder, other = d.actors(2)
    d.do(holder, "lock")
    d.do(holder, "open", as_="x")
    d.do(holder, "close", "x")
    fails(d.call(other, "trylock"), "EAGAIN", "trylock after the holder closed another description of the file")
    d.do(holder, "dup", as_="y")
    d.fault("close", holder, on=OBJECT)
    fails(d.call(other, "trylock"), "EAGAIN", "trylock while a duplicate is open")
    d.do(holder, "close", "y")
    gives(d.call(other, "trylock"), 0, "trylock after the last descriptor was closed")


@clause("LCK-03", "LCK-06")
def test_a_child_and_its_parents_lock(d):
    """Record locks are not inherited; those of a description are shared by all who have it."""
    d.open()
    holder, other = d.actors(2)
    d.do(holder, "lock")
    r = d.call(holder, "fork")
    if d.clause.id == "LCK-03":
        fails(r, "EAGAIN", "a child's attempt to lock what its parent has locked")
    else:
        gives(r, 0, "a child's attempt to lock through the description that holds the lock")
    fails(d.call(other, "trylock"), "EAGAIN", "trylock after the child has ended")


@clause("LCK-04", "LCK-17")
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_ring_of_waiters(d, n):
    """Each holds one file and asks for the next. Record locks: the one that would close the ring gets EDEADLK."""
    files = [f"f{i}" for i in range(n)]
    for f in files:
        d.open(f)
    actors = d.actors(n)
    for a, f in zip(actors, files):
        d.do(a, "lock", f)
    waits = {a: d.start(a, "lock", files[(i + 1) % n]) for i, a in enumerate(actors[:-1])}
    d.asleep(*waits.items())
    last = d.start(actors[-1], "lock", files[0])
    if d.clause.id == "LCK-04":
        fails(d.finish(last, "the lock that would close the ring"), "EDEADLK", "the lock that closes the ring")
        d.do(actors[-1], "unlock", files[-1])
        gives(d.finish(waits[actors[-2]], "the lock of what the last has given up"), 0, "the lock of the last but one")
    else:
        d.asleep((actors[-1], last))
        assert not last.done(), f"the lock that closes the ring gave {said(last.result())}"
        d.kill_actor(actors[0])
        gives(d.finish(last, "the lock of what a dead process held"), 0, "the lock that closed the ring")


@clause("LCK-08")
def test_flock_and_record_locks_do_not_meet(d):
    d.open()
    holder, other = d.actors(2)
    Driver.open(d, "f", variant="flock", mode="attach", name=d.names[0])
    d.do(holder, "lock")
    gives(d.call(other, "trylock", "f"), 0, "flock of a file with a record lock")
