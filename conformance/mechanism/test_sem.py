# SPDX-License-Identifier: MIT
"""Stories of the POSIX semaphore: the section it guards, its clocks, its name.

Source: sem_overview(7), sem_open(3), sem_wait(3), sem_getvalue(3), and the clauses named at each test.
"""
import random

import pytest

from suite.subject import fails, gives, said
from suite.transfer import never_early

clause = pytest.mark.clause
O_CREAT_EXCL = 0o300


def value(d, actor, on="o"):
    return d.do(actor, "getvalue", on).out["value"]


@clause("PSEM-13")
def test_permissions(d):
    """The owner itself may not, if the mode says so."""
    d.open()
    a, = d.actors(1)
    d.do(a, "unlink")
    d.become_plain(a)
    d.do(a, "open", flags=O_CREAT_EXCL, mode=0o400)
    fails(d.call(a, "open"), "EACCES", "sem_open of what may only be read")
    d.do(a, "unlink")
    d.do(a, "open", flags=O_CREAT_EXCL, mode=0o200)
    fails(d.call(a, "open"), "EACCES", "sem_open of what may only be written")


@clause("PSEM-03")
def test_value_with_waiters(d):
    d.open(value=2)
    giver, *takers = d.actors(4)
    assert value(d, giver) == 2, "not both posts are there"
    d.do(giver, "wait"), d.do(giver, "wait")
    waits = [(a, d.start(a, "wait")) for a in takers]
    d.asleep(*waits)
    assert value(d, giver) == 0, f"sem_getvalue gives {value(d, giver)} while three wait"
    for i in range(3):
        d.do(giver, "post")
    for a, p in waits:
        gives(d.finish(p, "a wait with a post for each waiter"), 0, "wait")
    assert value(d, giver) == 0, "the tokens that were taken are still there"


@clause("PSEM-05")
def test_one_inside(d):
    """Many take the one token and give it back: two inside at once would have taken a token that was not there."""
    d.open(value=1)
    actors = d.actors(4)
    for _ in range(4):
        d.rounds([{"ids": actors, "do": ["wait", "post"], "seq": True}], ops=400, rounds=1)
        gives(d.call(actors[0], "post"), 0, "post after the round has emptied the semaphore")


@clause("PSEM-07")
def test_signal_ends_a_timed_wait(d):
    """Even though the handler has SA_RESTART."""
    d.open()
    _, taker = d.actors(2)
    p = d.start(taker, "timedwait", timeout_ns=50_000_000_000)
    d.asleep((taker, p))
    d.fault("signal", taker, signal="USR1")
    fails(d.finish(p, "timedwait after a signal"), "EINTR", "a timed wait with a signal whose handler has SA_RESTART")


@clause("PSEM-08")
def test_time_out_is_never_early(d):
    d.open()
    _, taker = d.actors(2)
    for wait_ns in (1_000_000, 30_000_000, 120_000_000):
        never_early(d, taker, "timedwait", wait_ns)


@clause("PSEM-25")
def test_monotonic_time_out(d):
    d.need("clockwait")
    d.open()
    giver, taker = d.actors(2)
    for wait_ns in (1_000_000, 60_000_000):
        never_early(d, taker, "clockwait", wait_ns)
    d.do(giver, "post")
    gives(d.call(taker, "clockwait", timeout_ns=-1_000_000_000), 0, "clockwait of a token with a time-out that has passed")
    fails(d.call(taker, "clockwait", abstime=[1, 0]), "ETIMEDOUT", "clockwait until the first second of the clock")


@clause("PSEM-09")
def test_time_out_against_a_post(d):
    """The post is aimed at the deadline; each turn ends with the token taken, or there, and nothing else."""
    d.open()
    giver, taker = d.actors(2)
    rng, ended = random.Random(9), {None: 0, "ETIMEDOUT": 0}
    for _ in range(250):
        p = d.start(taker, "timedwait", timeout_ns=rng.randrange(0, 600_000))
        d.do(giver, "post")
        r = d.finish(p, "timedwait with a time-out of less than a millisecond")
        assert r.errno in ended, f"timedwait gave {said(r)}"
        ended[r.errno] += 1
        assert value(d, giver) == (1 if r.errno else 0), f"timedwait gave {said(r)}, and {value(d, giver)} are there"
        if r.errno:
            d.do(giver, "wait")
    d.note(f"{ended['ETIMEDOUT']} of 250 timed out")


@clause("PSEM-09")
def test_time_outs_under_load(d):
    d.open()
    *givers, t1, t2 = d.actors(5)
    d.rounds([{"ids": givers, "do": ["post"]}, {"ids": [t1, t2], "do": ["timedwait"], "timeout_ns": [0, 40_000]}],
             ops=300, rounds=6)


@clause("PSEM-12")
def test_unlinked_name(d):
    name = d.open(value=1)["name"]
    a, b = d.actors(2)
    d.do(a, "unlink")
    fails(d.call(b, "open"), "ENOENT", "sem_open of a name that was unlinked")
    d.open(as_="new", name=name, value=5)
    assert (value(d, a), value(d, a, "new")) == (1, 5), "the name's new semaphore is the old one"
    gives(d.call(b, "wait"), 0, "wait on a semaphore without a name")
    r, _ = d.must_wait(b, "wait", lambda: d.do(a, "post"))
    gives(r, 0, "wait on a semaphore without a name, after a post")
    assert value(d, b, "new") == 5, "who had the old one open has changed the new one"


@clause("PSEM-14")
def test_unrelated_processes(d):
    """Programs started anew: they inherit no mapping, and find it by name or map its memory themselves."""
    d.open(value=1)
    a, b = d.actors(2, kind="exec")
    c = d.actors(1)[0]
    gives(d.call(a, "wait"), 0, "wait by a program that found the semaphore")
    for giver, taker in ((b, a), (a, b), (c, a), (b, c)):
        r, _ = d.must_wait(taker, "wait", lambda: d.do(giver, "post"))
        gives(r, 0, "wait after another program's post")
    assert {value(d, x) for x in (a, b, c)} == {0}, "three programs see different values"
