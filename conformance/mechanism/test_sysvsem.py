# SPDX-License-Identifier: MIT
"""Stories of System V semaphores: several at once, zero, removal, and what is undone when a process ends.

Source: semget(2), semop(2), semctl(2), and the clauses named at each test.
"""
import random
import time

import pytest

from suite.subject import fails, gives, said
from suite.transfer import interrupted, kill_through_rounds

clause = pytest.mark.clause
SEM_UNDO, IPC_NOWAIT = 0x1000, 0o4000


def all_of(d, actor, n=2):
    out = d.do(actor, "getall").out
    return tuple(out[x] for x in "abcdef"[:n])


def waits(d, actor, f="semop", **args):
    p = d.start(actor, f, **args)
    d.asleep((actor, p))
    return p


def still(d, actor, p, what):
    d.asleep((actor, p))
    assert not p.done(), f"{what} ended a wait that it does not satisfy: {said(p.result(0))}"


@clause("SVSEM-02")
def test_no_part_is_seen(d):
    """A token swings between two semaphores, each way in one call, while others look at both at once."""
    d.open(nsems=2, value=2)
    *swingers, watcher = d.actors(4)
    for _ in range(3):
        swings = [d.start(a, "swing", turns=4000) for a in swingers]
        parts = d.do(watcher, "watch", turns=8000, sum=4).out["parts"]
        for p in swings:
            gives(d.finish(p, "semops that need not wait for long"), 0, "semop")
        assert parts == 0, f"{parts} of 8000 looks saw a token that was in neither or in both of two semaphores"
    assert all_of(d, watcher) == (2, 2), "the two values do not add up to what was there"


@clause("SVSEM-04")
def test_wait_for_zero(d):
    d.open(value=2)
    a, z1, z2 = d.actors(3)
    for _ in range(2):
        p, q = waits(d, z1, num=0, add=0), waits(d, z2, num=0, add=0)
        d.do(a, "semop", num=0, add=-1)
        still(d, z1, p, "a value of 1")
        low = d.do(a, "semop", num=0, add=-1)
        for r in (d.finish(x, "a wait for zero at zero") for x in (p, q)):
            gives(r, 0, "a wait for zero")
            assert not r.before(low), "a wait for zero returned before the value was zero"
        gives(d.call(z1, "semop", num=0, add=0), 0, "a wait for zero at zero")
        d.do(a, "semop", num=0, add=2)


@clause("SVSEM-06")
def test_setting_wakes(d):
    d.open(nsems=2, value=0)
    a, taker, zero = d.actors(3)
    p = waits(d, taker, num=0, add=-2)
    d.do(a, "setval", num=0, value=1)
    still(d, taker, p, "SETVAL 1")
    d.do(a, "setval", num=0, value=3)
    gives(d.finish(p, "a wait for 2 after SETVAL 3"), 0, "semop -2")
    assert all_of(d, a) == (1, 0), "the wait for 2 after SETVAL 3 did not take two"
    p, q = waits(d, taker, num=1, add=-1), waits(d, zero, num=0, add=0)
    d.do(a, "setall", a=0, b=1)
    gives(d.finish(p, "a wait for 1 after SETALL"), 0, "semop -1")
    gives(d.finish(q, "a wait for zero after SETALL"), 0, "semop 0")
    assert all_of(d, a) == (0, 0), "the wait for 1 after SETALL did not take one"


@clause("SVSEM-07")
def test_removal_ends_waits(d):
    d.open(nsems=2, value=1)
    a, *others = d.actors(5)
    how = [{"num": 0, "add": -2}, {"num": 0, "add": 0}, {"num": 1, "add": -3}]
    pending = [waits(d, x, **args) for x, args in zip(others, how)]
    pending.append(waits(d, others[3], "semop2", num=0, add=1, num2=1, add2=-4))
    d.do(a, "rmid")
    for p in pending:
        fails(d.finish(p, "a wait after IPC_RMID"), "EIDRM", "a wait for a set that was removed")
    fails(d.call(a, "semop", num=0, add=1), "EINVAL", "semop with the identifier of a set that was removed")


@clause("SVSEM-08")
def test_signal_ends_a_wait(d):
    d.open(value=0)
    a, taker = d.actors(2)
    p = waits(d, taker, "wait", n=1)
    d.fault("signal", taker, signal="USR1")
    fails(d.finish(p, "semop after a signal"), "EINTR", "a semop with a signal whose handler has SA_RESTART")
    fails(interrupted(d, taker, waits(d, taker, "wait", n=1)), "EINTR", "a semop that a caught signal has interrupted")
    assert d.do(a, "counts").out["ncnt"] == 0, "a waiter that a signal has ended is still counted"
    d.do(a, "post", n=1)
    assert d.do(a, "getval").out["value"] == 1, "an interrupted semop has taken a token"


@clause("SVSEM-09")
def test_time_out_is_never_early(d):
    d.open(nsems=2, value=0)
    _, taker = d.actors(2)
    for f, args in (("timedwait", {"n": 1}), ("semtimedop2", {"num": 0, "add": 1, "num2": 1, "add2": -1})):
        for wait_ns in (1_000_000, 60_000_000):
            begun = time.monotonic_ns()
            r = d.call(taker, f, timeout_ns=wait_ns, **args)
            took = time.monotonic_ns() - begun
            fails(r, "EAGAIN", f"{f} with nothing to end it")
            assert took >= wait_ns, f"{f} with a time-out of {wait_ns} ns ended after {took} ns"
    assert all_of(d, taker) == (0, 0), "a semop that timed out has taken, or left, something"


@clause("SVSEM-09")
def test_time_out_against_a_post(d):
    d.open(value=0)
    giver, taker = d.actors(2)
    rng, ended = random.Random(9), {None: 0, "EAGAIN": 0}
    for _ in range(250):
        p = d.start(taker, "timedwait", n=1, timeout_ns=rng.randrange(0, 600_000))
        d.do(giver, "post", n=1)
        r = d.finish(p, "semtimedop with a time-out of less than a millisecond")
        assert r.errno in ended, f"semtimedop gave {said(r)}"
        ended[r.errno] += 1
        left = d.do(giver, "getval").out["value"]
        assert left == (1 if r.errno else 0), f"semtimedop gave {said(r)}, and {left} are there"
        if r.errno:
            d.do(giver, "wait", n=1)
    d.note(f"{ended['EAGAIN']} of 250 timed out")


@clause("SVSEM-10")
def test_undone_at_the_end(d):
    """Raised, lowered, or both; ended by exit and by SIGKILL; with somebody who waits for what comes back."""
    d.open(nsems=2, value=5)
    a, taker = d.actors(2)
    for how in ("exit", "kill"):
        doomed = d.actors(1)[0]
        d.do(doomed, "semop", num=0, add=2, flags=SEM_UNDO)
        d.do(doomed, "semop", num=0, add=1)
        d.do(doomed, "semop2", num=0, add=-3, flags=SEM_UNDO, num2=1, add2=-5, flags2=SEM_UNDO)
        assert all_of(d, a) == (5, 0), "the two steps were not done as given"
        p = waits(d, taker, num=1, add=-1)
        d.kill_actor(doomed, how)
        gives(d.finish(p, f"a wait for what the {how} of another process gives back"), 0, "semop -1")
        assert all_of(d, a) == (6, 4), f"after the {how} of a process that did +2 -3 and -5 with SEM_UNDO"
        d.do(a, "setall", a=5, b=5)


@clause("SVSEM-22")
def test_undoing_stops_at_zero(d):
    d.open(value=0)
    a, doomed = d.actors(2)
    d.do(doomed, "semop", num=0, add=3, flags=SEM_UNDO)
    d.do(a, "semop", num=0, add=-2)
    d.kill_actor(doomed)
    assert all_of(d, a, 1) == (0,), f"+3 was undone with 1 left, and gave {all_of(d, a, 1)[0]}"


@clause("SVSEM-11")
def test_setting_clears_what_was_to_be_undone(d):
    d.open(nsems=2, value=5)
    a, b, c = d.actors(3)
    for x in (b, c):
        d.do(x, "semop2", num=0, add=-1, flags=SEM_UNDO, num2=1, add2=-1, flags2=SEM_UNDO)
    d.do(a, "setval", num=0, value=1)
    d.kill_actor(b)
    assert all_of(d, a) == (1, 4), "SETVAL of the first of two semaphores, then the end of a process with both to undo"
    d.do(a, "setall", a=2, b=2)
    d.kill_actor(c, "exit")
    assert all_of(d, a) == (2, 2), "SETALL, then the end of a process with both to undo"


@clause("SVSEM-12")
def test_undo_over_fork_and_exec(d):
    d.open(value=5)
    a, b = d.actors(2)
    d.do(b, "semop", num=0, add=-2, flags=SEM_UNDO)
    d.do(b, "child")
    assert all_of(d, a, 1) == (3,), "the end of a child undid what its parent did"
    d.fault("exec", b)
    d.do(b, "getall")
    assert all_of(d, a, 1) == (3,), "exec undid what the process did"
    d.kill_actor(b)
    assert all_of(d, a, 1) == (5,), "the end of a process did not undo what it did before its exec"


@clause("SVSEM-13")
def test_numbers_of_waiters(d):
    d.open(nsems=2, value=1)
    a, *others = d.actors(6)

    def counts(num=0):
        out = d.do(a, "counts", num=num).out
        return out["ncnt"], out["zcnt"]

    assert counts() == (0, 0), "somebody is counted though nobody waits"
    pending = []
    for i, x in enumerate(others):
        pending.append((x, waits(d, x, num=0, add=-2 if i < 3 else 0)))
        assert counts() == (min(i + 1, 3), max(i - 2, 0)), f"with {i + 1} waiters"
    assert counts(1) == (0, 0), "who waits for one semaphore is counted at the other"
    fails(interrupted(d, *pending[0]), "EINTR", "a semop that a signal has interrupted")
    assert counts() == (2, 2), "after a signal ended one wait"
    d.kill_actor(pending[1][0])
    assert counts() == (1, 2), "after one waiter was killed"
    d.do(a, "semop", num=0, add=-1)
    for _, p in pending[3:]:
        gives(d.finish(p, "a wait for zero at zero"), 0, "semop 0")
    assert counts() == (1, 0), "after the waits for zero have ended"
    d.do(a, "semop", num=0, add=2)
    gives(d.finish(pending[2][1], "a wait for 2 with 2"), 0, "semop -2")
    assert counts() == (0, 0), "somebody is counted though all have returned"


@clause("SVSEM-14")
def test_who_was_last(d):
    d.open(value=3)
    a, b = d.actors(2)
    for x, y in ((a, b), (b, a)):
        d.do(x, "semop", num=0, add=-1)
        assert (d.do(x, "counts").out["me"], d.do(y, "counts").out["me"]) == (1, 0), "GETPID is not who did the last semop"
    d.call(a, "semop", num=0, add=-3, flags=IPC_NOWAIT)
    assert d.do(b, "counts").out["me"] == 1, "a semop that failed with EAGAIN has changed GETPID"


@clause("SVSEM-16")
def test_two_given_to_one_and_two(d):
    """Whoever comes first: with two tokens somebody can go on."""
    d.open(value=0)
    a, one, two = d.actors(3)
    for first, second in (((one, -1), (two, -2)), ((two, -2), (one, -1))):
        pending = {x: waits(d, x, num=0, add=n) for x, n in (first, second)}
        d.do(a, "semop", num=0, add=2)
        d.asleep(*pending.items())
        left = all_of(d, a, 1)[0]
        ended = [x for x, p in pending.items() if p.done()]
        assert ended or left == 0, f"nobody proceeds, though {left} are there for who waits for 1 and who waits for 2"
        d.do(a, "semop", num=0, add=3 - left)
        for p in pending.values():
            gives(d.finish(p, "a wait with enough for all"), 0, "semop")
        d.do(a, "setval", num=0, value=0)


@clause("SVSEM-17")
def test_no_wake_up_is_lost_among_arrays(d):
    """Rounds on semaphore 0, with others that touch two at once: the kernel then keeps its queues in another way."""
    d.open(nsems=2, value=0)
    *givers, t1, t2, both = d.actors(6)
    d.rounds([{"ids": givers, "do": ["post"]}, {"ids": [t1, t2], "do": ["wait"]},
              {"ids": [both], "do": ["pulse"]}], ops=400, rounds=8)


@clause("SVSEM-20")
def test_stat(d):
    d.open(nsems=3, value=1)
    a, b = d.actors(2)
    new = d.do(a, "stat").out
    assert (new["nsems"], new["mode"], new["own"], new["otime"]) == (3, 0o600, 1, 0), "IPC_STAT does not tell the new set as it is"
    assert 0 <= new["now"] - new["ctime"] <= 60, "sem_ctime is not the time of the creation"
    before = d.do(a, "stat").out["now"]
    d.do(b, "semop", num=0, add=1)
    after = d.do(a, "stat").out
    assert before - 1 <= after["otime"] <= after["now"], "sem_otime is not the time of the last semop"
    d.do(a, "set", mode=0o640)
    assert d.do(b, "stat").out["mode"] == 0o640, "the mode that was set is not told"


@clause("SVSEM-29")
def test_a_holders_death_frees(d):
    d.open()
    holder, other = d.actors(2)
    for how in ("kill", "exit"):
        gives(d.call(holder, "lock"), 0, "taking the token")
        p = waits(d, other, "lock")
        d.kill_actor(holder, how)
        gives(d.finish(p, f"waiting for the token of a holder that ended by {how}"), 0, "taking the token")
        gives(d.call(other, "unlock"), 0, "giving it back")
        holder = d.actors(1)[0]


@clause("SVSEM-24")
def test_one_holder(d):
    d.open()
    actors = d.actors(4)
    gives(d.call(actors[0], "lock"), 0, "taking the token")
    for a in actors[1:]:
        fails(d.call(a, "trylock"), "EAGAIN", "taking the token that another holds")
    gives(d.call(actors[0], "unlock"), 0, "giving it back")
    d.judged(d.run(on="o", rounds=8, ops=600))


@clause("SVSEM-21")
def test_a_ring_of_waiters_is_not_told(d):
    """Each has what the other waits for; the death of one, with SEM_UNDO, lets the other go on."""
    d.open(nsems=2, value=1)
    a, b = d.actors(2)
    for actor, mine in ((a, 0), (b, 1)):
        d.do(actor, "semop", num=mine, add=-1, flags=SEM_UNDO)
    p, q = waits(d, a, num=1, add=-1), waits(d, b, num=0, add=-1)
    d.note("both sleep" if not p.done() and not q.done() else "one of them was told")
    d.kill_actor(b)
    gives(d.finish(p, "a wait for what the dead had"), 0, "semop")


@clause("SVSEM-19")
def test_who_waits_longest(d):
    """Six begin to wait one after the other; tokens come one at a time."""
    d.open()
    giver, *takers = d.actors(7)
    pending, order = {a: waits(d, a, "wait", n=1) for a in takers}, []
    while pending:
        d.do(giver, "post", n=1)
        for a in d.first_of(pending, "of those that wait for one token, with one there, one"):
            order.append(takers.index(a))
            del pending[a]
    d.note(f"those that began to wait as 0 to 5 went on as {order}")


def form(*amounts):
    """What `take`, `trytake` and `give` move of each semaphore."""
    return sum(n << 2 * i for i, n in enumerate(amounts))


@clause("SVSEM-31")
def test_several_at_one_moment(d):
    """Four take some of three semaphores and give them back, or look at all; forms that never agree make waits cross."""
    d.open()
    d.actors(4)
    d.judged(d.run(on="o", rounds=6, ops=600))
    d.open(as_="tight", value=1)
    crossing = [form(1, 1), form(0, 1, 1), form(1, 0, 1), form(1, 1, 1)]
    plan = [{"ids": [i], "do": ["take", "trytake", "look"], "of": of} for i, of in enumerate(crossing)]
    d.judged(d.run(plan={"actors": plan}, on="tight", rounds=6, ops=600))


@clause("SVSEM-32")
def test_a_death_gives_all_back(d):
    """Taken in one step each, and in steps of one; with one that waits for all of it."""
    d.open()
    a, taker = d.actors(2)
    for how in ("exit", "kill"):
        doomed = d.actors(1)[0]
        d.do(doomed, "take", of=form(2, 1, 3))
        d.do(doomed, "take_by_one", of=form(1, 2))
        p = waits(d, taker, "take", of=form(3, 3, 3))
        d.kill_actor(doomed, how)
        gives(d.finish(p, f"a wait for all that the {how} of another process gives back"), 0, "semop")
        d.do(taker, "give", of=form(3, 3, 3))
        assert all_of(d, a, 3) == (3, 3, 3), f"after the {how} of a process that had taken (2 1 3) and (1 2 0)"


@clause("SVSEM-32")
def test_deaths_anywhere_give_all_back(d):
    d.open()
    kill_through_rounds(d, d.actors(4))


@clause("SVSEM-33")
def test_who_waits_for_several_has_taken_nothing(d):
    d.open(nsems=2, value=1)
    a, taker, other = d.actors(3)
    for missing, there in ((form(0, 1), form(1)), (form(1), form(0, 1))):
        d.do(a, "take", of=missing)
        p = waits(d, taker, "take", of=form(1, 1))
        gives(d.call(other, "trytake", of=there), 0, "taking what somebody else waits for together with what is missing")
        d.do(a, "give", of=missing)
        still(d, taker, p, "the one of two that was missing, with the other gone")
        given = d.do(other, "give", of=there)
        r = d.finish(p, "a wait for two with both there")
        gives(r, 0, "semop")
        assert not r.before(given), "a wait for two returned before both were there"
        assert all_of(d, a) == (0, 0), "a wait for two took something else than both"
        d.do(taker, "give", of=form(1, 1))


@clause("SVSEM-38")
def test_killed_while_it_waits_for_several(d):
    d.open(nsems=2, value=1)
    a, taker = d.actors(2)
    d.do(a, "take", of=form(0, 1))
    for _ in range(3):
        doomed = d.actors(1)[0]
        waits(d, doomed, "take", of=form(1, 1))
        p = waits(d, taker, "take", of=form(1, 1))
        d.kill_actor(doomed)
        still(d, taker, p, "the death of another waiter")
        assert all_of(d, a) == (1, 0), "the death of a process that waited for two has changed what is there"
        d.do(a, "give", of=form(0, 1))
        gives(d.finish(p, "a wait for two with both there, after another waiter's death"), 0, "semop")
        d.do(taker, "give", of=form(1, 1))
        d.do(a, "take", of=form(0, 1))


@clause("SVSEM-34")
def test_steps_are_undone_each_by_itself(d):
    d.open(nsems=2, value=5)
    a = d.actors(1)[0]
    for first, second, left in ((SEM_UNDO, 0, (5, 3)), (0, SEM_UNDO, (4, 5)), (SEM_UNDO, SEM_UNDO, (5, 5))):
        doomed = d.actors(1)[0]
        d.do(doomed, "semop2", num=0, add=-1, flags=first, num2=1, add2=-2, flags2=second)
        d.kill_actor(doomed)
        assert all_of(d, a) == left, f"after -1 and -2 with flags {first:#x} and {second:#x}, and a death, there are {all_of(d, a)}"
        d.do(a, "setall", a=5, b=5, c=5, d=5, e=5, rest=5)


@clause("SVSEM-35")
def test_nowait_at_a_step_that_need_not_wait(d):
    d.open(nsems=2, value=0)
    a, taker = d.actors(2)
    d.do(a, "semop", num=0, add=1)
    p = waits(d, taker, "semop2", num=0, add=-1, flags=IPC_NOWAIT, num2=1, add2=-1)
    given = d.do(a, "semop", num=1, add=1)
    r = d.finish(p, "a wait at a step without IPC_NOWAIT")
    gives(r, 0, "semop")
    assert not r.before(given), "a semop whose second step has to wait returned before that could be done"
    assert all_of(d, a) == (0, 0), "the two steps were not done as given"


@clause("SVSEM-37")
def test_one_of_many_raises_from_zero(d):
    d.open(value=0)
    a, *others = d.actors(5)
    pending = {x: d.start(x, "semop2", num=0, add=0, num2=0, add2=1) for x in others}
    while pending:
        for x in d.first_of(pending, "of those that wait for zero and raise, at zero, one"):
            del pending[x]
        d.asleep(*pending.items())
        ended = [x for x, p in pending.items() if p.done()]
        assert not ended and all_of(d, a, 1) == (1,), f"{1 + len(ended)} went on at one zero, and the value is {all_of(d, a, 1)[0]}"
        d.do(a, "semop", num=0, add=-1)
