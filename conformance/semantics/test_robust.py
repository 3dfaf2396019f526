# SPDX-License-Identifier: MIT
"""What a robust lock promises when its owner dies. Source: pthread_mutexattr_setrobust(3), and the clauses named."""
import time

import pytest

from suite.subject import LIVE_S, fails, gives, said

clause = pytest.mark.clause
LATE_NS = 60_000_000_000


def inherits(r, what):
    fails(r, "EOWNERDEAD", what)


def owner_dies(d, owner):
    """The owner holds it and is killed; whoever is asked next must be told."""
    gives(d.call(owner, "lock"), 0, "lock of a free mutex")
    d.kill_actor(owner)


@clause("MTX-09", "MTX-19", caps=("robust",))
def test_next_lock_tells_of_the_death(d):
    d.open()
    owner, heir, other = d.actors(3)
    owner_dies(d, owner)
    inherits(d.call(heir, "lock"), "lock after the owner was killed")
    fails(d.call(other, "trylock"), "EBUSY", "trylock while the heir holds it")


@clause("MTX-31", caps=("robust",))
def test_sleeping_waiter_is_told(d):
    d.open()
    owner, waiter = d.actors(2)
    d.do(owner, "lock")
    p = d.start(waiter, "lock")
    d.asleep((waiter, p))
    assert not p.done(), "lock returned while another, living process holds the mutex"
    d.kill_actor(owner)
    inherits(d.finish(p, "the waiter, after the owner's death"), "lock of the waiter whose owner was killed")


@clause("MTX-11", caps=("robust",))
def test_one_waiter_is_told_and_the_others_wait(d):
    d.open()
    owner, *waiters = d.actors(6)
    d.do(owner, "lock")
    waits = {a: d.start(a, "lock") for a in waiters}
    d.asleep(*waits.items())
    d.kill_actor(owner)
    told, freed = [], None
    while waits:
        holder, r = first(d, waits)
        told.append(r.errno)
        assert r.errno in (None, "EOWNERDEAD"), f"actor {holder}'s lock gave {said(r)}"
        assert freed is None or not r.before(freed), "a waiter got the mutex while the one before held it"
        if r.errno:
            d.do(holder, "consistent")
        freed = d.do(holder, "unlock")
    assert told == ["EOWNERDEAD"] + [None] * 4, f"one death, five waiters: they were told {told}"


def first(d, waits, what="one of the waiters of a free mutex"):
    """The waiter that returns next, taken out of `waits`; one of them must."""
    deadline = time.monotonic() + LIVE_S
    while not (ready := [a for a, p in waits.items() if p.done()]) and time.monotonic() < deadline:
        next(iter(waits.values())).wait(0.01)
    actor = ready[0] if ready else next(iter(waits))
    return actor, d.finish(waits.pop(actor), what, timeout=0.1, waited=0 if ready else LIVE_S)


@clause("MTX-12", caps=("robust",))
def test_never_repaired_is_lost_to_all(d):
    """By every process, the heir's too."""
    d.open()
    unrecoverable(d, *(actors := d.actors(3))[:2])
    for a in actors[1:]:
        fails(d.call(a, "lock"), "ENOTRECOVERABLE", "lock of an unrecoverable mutex")
        fails(d.call(a, "timedlock", timeout_ns=LATE_NS), "ENOTRECOVERABLE", "timedlock of an unrecoverable mutex")


def unrecoverable(d, owner, heir):
    owner_dies(d, owner)
    inherits(d.call(heir, "lock"), "lock after the owner was killed")
    gives(d.call(heir, "unlock"), 0, "unlock without consistent")


@clause("MTX-35", caps=("robust",))
def test_trylock_of_the_unrecoverable_takes_nothing(d):
    d.open()
    owner, heir, other = d.actors(3)
    unrecoverable(d, owner, heir)
    for a in (heir, other):
        for f in ("trylock", "lock"):
            fails(d.call(a, f), "ENOTRECOVERABLE", f"{f} of an unrecoverable mutex")


@clause("MTX-34", caps=("robust",))
def test_never_repaired_is_told_to_those_who_wait(d):
    """Three wait when the heir gives up: each is woken and told."""
    d.open()
    owner, heir, *waiters = d.actors(5)
    owner_dies(d, owner)
    inherits(d.call(heir, "lock"), "lock after the owner was killed")
    waits = {a: d.start(a, "lock") for a in waiters}
    d.asleep(*waits.items())
    freed = d.do(heir, "unlock")
    for turn in range(len(waiters)):
        a, r = first(d, waits, f"all but {turn} of {len(waiters)} waiters, of a mutex that nobody holds")
        fails(r, "ENOTRECOVERABLE", f"waiter {a}'s lock")
        assert not r.before(freed), f"waiter {a}'s lock returned before the unlock was called"


@clause("MTX-13", caps=("robust",))
def test_repaired_is_as_before(d):
    d.open()
    owner, heir, other = d.actors(3)
    owner_dies(d, owner)
    inherits(d.call(heir, "lock"), "lock after the owner was killed")
    gives(d.call(heir, "consistent"), 0, "consistent by the heir")
    fails(d.call(heir, "consistent"), "EINVAL", "consistent on a mutex that is consistent")
    gives(d.call(heir, "unlock"), 0, "unlock by the heir")
    for a in (other, heir, other):
        gives(d.call(a, "lock"), 0, "lock of the repaired mutex")
        gives(d.call(a, "unlock"), 0, "unlock of the repaired mutex")


@clause("MTX-14", caps=("robust",))
def test_death_of_an_heir_is_told_again(d):
    d.open()
    owner, *heirs = d.actors(4)
    owner_dies(d, owner)
    for heir in heirs[:2]:
        inherits(d.call(heir, "lock"), "lock after the owner before was killed")
        d.kill_actor(heir)
    inherits(d.call(heirs[2], "lock"), "lock after the second heir was killed")
    gives(d.call(heirs[2], "consistent"), 0, "consistent by the third heir")
    gives(d.call(heirs[2], "unlock"), 0, "unlock by the third heir")


@clause("MTX-17", caps=("robust", "timeout"))
@pytest.mark.parametrize("form,args", [("trylock", {}), ("timedlock", {"timeout_ns": LATE_NS}),
                                       ("clocklock", {"timeout_ns": LATE_NS})])
def test_every_form_tells_of_the_death(d, form, args):
    d.need(form)
    d.open()
    owner, heir, other = d.actors(3)
    owner_dies(d, owner)
    inherits(d.call(heir, form, **args), f"{form} after the owner was killed")
    fails(d.call(other, "trylock"), "EBUSY", "trylock while the heir holds it")
    gives(d.call(heir, "consistent"), 0, "consistent by the heir")
    gives(d.call(heir, "unlock"), 0, "unlock by the heir")
    gives(d.call(other, form, **args), 0, f"{form} of the repaired mutex")


@clause("MTX-10", caps=("robust", "threads"))
def test_death_of_a_thread_is_told(d):
    """Two threads of one process: the owner ends, the other lives on and is told."""
    d.open()
    owner, heir = d.actors(2, kind="thread")
    gives(d.call(owner, "lock"), 0, "lock of a free mutex")
    fails(d.call(heir, "trylock"), "EBUSY", "trylock while another thread holds it")
    p = d.start(heir, "lock")
    d.asleep((heir, p))
    d.fault("exit", owner)
    inherits(d.finish(p, "the waiter, after the owning thread's end"), "lock after the owning thread has ended")


@clause("MTX-16", caps=("robust",))
def test_owner_of_many_frees_each(d):
    many = [f"m{i}" for i in range(12)]
    for handle in many:
        d.open(handle)
    owner, heir = d.actors(2)
    for handle in many:
        gives(d.call(owner, "lock", handle), 0, f"lock of the free mutex {handle}")
    d.kill_actor(owner)
    for handle in many:
        inherits(d.call(heir, "lock", handle), f"lock of {handle}, one of {len(many)} that the dead one held")
