# SPDX-License-Identifier: MIT
"""What every number of tokens promises: nobody takes what is not there, nothing gets lost, and who waits is woken.

One body for semaphores, POSIX and System V, and for event counters. Source: the clauses named at each test.
"""
import pytest

from suite.subject import OBJECT, fails, gives
from suite.transfer import interrupted, kill_through_rounds

clause = pytest.mark.clause
RAISE = {"sem": "post", "sysvsem": "post", "eventfd": "write"}
LOWER = {"sem": "wait", "sysvsem": "wait", "eventfd": "read"}
LOOK = {"sem": ("getvalue", "value"), "sysvsem": ("getval", "value"), "eventfd": ("count", "n")}
WORD = {"sem": 0, "sysvsem": 0, "eventfd": 8}  # what a call returns that did it


def up(d, actor):
    return d.do(actor, RAISE[d.clause.mechanism])


def down(d):
    return LOWER[d.clause.mechanism]


def value(d, actor):
    f, out = LOOK[d.clause.mechanism]
    return d.do(actor, f).out[out]


def waiter(d, actor):
    """A take under way, seen asleep."""
    p = d.start(actor, down(d))
    d.asleep((actor, p))
    return p


@clause("PSEM-01", "SVSEM-28", "EVF-07")
def test_take_waits_for_a_put(d):
    d.open()
    giver, taker = d.actors(2)
    for _ in range(3):
        r, _ = d.must_wait(taker, down(d), lambda: up(d, giver))
        gives(r, WORD[d.clause.mechanism], "a take after a put")
        assert value(d, giver) == 0, f"{value(d, giver)} are there after one was put and one was taken"


@clause("PSEM-04", "PSEM-18", "SVSEM-23", "EVF-04", "EVF-05", "EVF-09")
def test_tokens_under_load(d):
    d.open()
    d.actors(5)
    d.judged(d.run(on=OBJECT, rounds=8, ops=600))


@clause("PSEM-22", "SVSEM-25", "EVF-12", "SVSEM-24")
def test_tokens_through_deaths(d):
    d.open()
    kill_through_rounds(d, d.actors(4))


@clause("PSEM-07", "EVF-14")
def test_signal_ends_a_wait(d):
    d.open()
    giver, taker = d.actors(2)
    fails(interrupted(d, taker, waiter(d, taker)), "EINTR", "a take that a caught signal has interrupted")
    p = waiter(d, taker)
    for _ in range(3):
        d.fault("signal", taker, signal="USR1")  # its handler has SA_RESTART
        d.asleep((taker, p))
    given = up(d, giver)
    r = d.finish(p, "a take after a put")
    gives(r, WORD[d.clause.mechanism], "a take with SA_RESTART signals in its wait")
    assert not r.before(given), "a signal whose handler has SA_RESTART ended a take"
    assert value(d, giver) == 0, "an interrupted take has taken something"


@clause("PSEM-17", "EVF-10")
def test_what_a_process_did_outlives_it(d):
    """It takes one and leaves one more, then ends: neither is undone, and the others go on."""
    for how in ("exit", "kill", "exec"):
        d.open(as_=how)
        giver, doomed, taker = d.actors(3)
        d.do(giver, RAISE[d.clause.mechanism], how)
        d.do(doomed, down(d), how)
        f, out = LOOK[d.clause.mechanism]
        if how == "exec":
            d.fault("exec", doomed)
            d.call(doomed, f, how)  # the new program answers, if only that it has no such descriptor
        else:
            d.kill_actor(doomed, how)
        assert d.do(giver, f, how).out[out] == 0, f"the {how} of a process that had taken a token gave it back"
        r, _ = d.must_wait(taker, down(d), lambda: d.do(giver, RAISE[d.clause.mechanism], how), on=how)
        gives(r, WORD[d.clause.mechanism], f"a take after another process's {how}")
