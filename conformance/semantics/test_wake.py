# SPDX-License-Identifier: MIT
"""The wake-up is not consumed by the dead: two wait, what they wait for happens, and one of them is killed before it has
run. If it died empty-handed, the other one must go on.

All are on one CPU, and whoever lets them go on also kills, right after that or right before, so that the dead has mostly
not run again. What it took before it died is gone with it: so nothing is judged but that nobody sleeps beside what he
waits for. Source: the clauses named at each test.
"""
import pytest

from suite.outcome import Unknown
from suite.subject import POLLIN, POLLOUT, SIZE, fails, gives, said, within_limits
from suite.transfer import chunk, fill, put_end, take_end, take_size

clause = pytest.mark.clause
WHEN = ("kill_after", "kill_before")  # in turns
TRIES = 200                           # calls that let somebody go on, until one has been seen to do so
RAISE = {"sem": "post", "sysvsem": "post"}  # puts that never wait

#: What poll cannot tell: an operation, and whether its results let a take go on, or a put of so many bytes.
LOOK = {
    ("sem", "take"): ("getvalue", lambda now, n: now["value"] > 0),
    ("sysvsem", "take"): ("getval", lambda now, n: now["value"] > 0),
    ("eventfd", "take"): ("count", lambda now, n: now["n"] > 0),
    ("sysvmsg", "take"): ("stat", lambda now, n: now["qnum"] > 0),
    ("sysvmsg", "put"): ("stat", lambda now, n: now["cbytes"] + n <= now["qbytes"] and now["qnum"] < now["qbytes"]),
}


class Waits:
    """Who waits for what here: the call of role `role` waits, and its counterpart lets it go on."""

    def __init__(self, d, role, size):
        put = RAISE.get(d.clause.mechanism) or d.op("put")
        calls = {"put": (put, {"size": size} if d.hello["ops"][put].get("size") else {}), "take": (d.op("take"), take_size(d, size))}
        self.d, self.role, self.size = d, role, size
        self.wait, self.enable = calls[role], calls["take" if role == "put" else "put"]

    def can(self, actor):
        """Would one that waits go on by now?"""
        f, says = LOOK.get((self.d.clause.mechanism, self.role), (None, None))
        if f:
            return says(self.d.do(actor, f).out, self.size)
        end, bit = (take_end(self.d), POLLIN) if self.role == "take" else (put_end(self.d), POLLOUT)
        return self.d.do(actor, "poll", end, events=bit, timeout_ms=0).out["revents"] & bit

    def let(self, actor, **kill):
        """What lets one go on, or brings that nearer."""
        r = self.d.call(actor, self.enable[0], **self.enable[1], **kill)
        within_limits(self.enable[0], r)
        assert r.errno is None, f"{self.enable[0]} gave {said(r)}"
        return r


def sleeper(d, actor, f, args):
    """A wait under way, seen asleep."""
    p = d.start(actor, f, **args)
    d.asleep((actor, p))
    return p


def with_a_death(d, second, wait, enable, when):
    """Two wait in `wait`; `enable` lets one go on while the first is killed: the second one's wait."""
    first, = d.actors(1, place="same")
    sleeper(d, first, *wait)
    q = sleeper(d, second, *wait)
    seen = len(d.events)
    enable(**{when: first})
    d.wait_event("actor", since=seen, actor=first, **{"is": "signalled"})
    d.asleep((second, q))
    return q


def turn(d, w, giver, second, when, nearer=0):
    """What the second one's call returned, what was called until then, and how often more than would have been enough had
    the first one left something. `nearer`: calls before the one that lets somebody go on."""
    called, more = [], 0

    def enable(**kill):
        called.extend([*(w.let(giver) for _ in range(nearer)), w.let(giver, **kill)])

    q = with_a_death(d, second, w.wait, enable, when)
    while not q.done() and not w.can(giver):  # the dead took it along
        if more == TRIES:
            raise Unknown(f"after {TRIES} more calls of {w.enable[0]} nobody could be seen to go on")
        called.append(w.let(giver))
        d.asleep((second, q))
        more += 1
    return d.finish(q, f"{w.wait[0]} by the one that is left, which can go on"), called, more


def note(d, more):
    d.note(f"in {more.count(0)} of {len(more)} turns the one that was killed left what it had waited for to the other one")


@clause("PSEM-21", "SVSEM-26", "EVF-11", "PIPE-48", "FIFO-30", "PMQ-47", "SVM-26", "USTR-26", "TCP-23", "UDP-14")
def test_wake_of_a_take(d):
    d.open()
    giver, second = d.actors(2, place="same")
    w, put, more = Waits(d, "take", SIZE), set(), []
    for i in range(20):
        got, puts, n = turn(d, w, giver, second, WHEN[i % 2])
        more.append(n)
        put |= {r.sum for r in puts}
        assert got.errno is None, f"{w.wait[0]} gave {said(got)}"
        assert not w.enable[1] or got.sum in put, "what was taken is nothing that was put"
        while w.can(giver):
            d.do(giver, w.wait[0], **w.wait[1])
    note(d, more)


@clause("PIPE-48", "FIFO-30", "PMQ-47", "SVM-26", "USTR-26")
def test_wake_of_a_put(d):
    """The object is full, and one put's room is not always enough for the next one to be told of it."""
    d.open()
    giver, second = d.actors(2, place="same")
    w, nearer, more = Waits(d, "put", chunk(d)), -1, []
    until_full(d, w, giver)
    while not w.can(giver):
        w.let(giver)
        nearer += 1
    for i in range(8):
        until_full(d, w, giver)
        r, _, n = turn(d, w, giver, second, WHEN[i % 2], nearer)
        more.append(n)
        assert r.errno is None, f"{w.wait[0]} gave {said(r)}"
    note(d, more)


def until_full(d, w, actor):
    if d.clause.mechanism != "sysvmsg":
        return fill(d, actor, w.size)
    while (r := d.call(actor, d.op("put", blocks=False), size=w.size)).errno is None:
        pass
    fails(r, "EAGAIN", "a put without room")


@clause("LCK-22")
def test_wake_of_a_lock(d):
    d.open()
    holder, second = d.actors(2, place="same")
    for i in range(20):
        d.do(holder, "lock")
        q = with_a_death(d, second, ("lock", {}), lambda **kill: d.do(holder, "unlock", **kill), WHEN[i % 2])
        gives(d.finish(q, "lock, after the unlock and the death of the other one that waited"), 0, "lock")
        d.do(second, "unlock")


@clause("MTX-37")
def test_wake_of_a_mutex(d):
    """Recorded, not judged: did the other one sleep on beside a mutex that was free? The dead may have got it instead:
    each turn has a mutex of its own."""
    slept, turns = 0, 10
    for i in range(turns):
        o = f"o{i}"
        d.open(o)
        holder, second = d.actors(2, place="same")
        d.do(holder, "lock", o)
        q = with_a_death(d, second, ("lock", {"on": o}), lambda **kill: d.do(holder, "unlock", o, **kill), WHEN[i % 2])
        slept += not q.done() and d.call(holder, "trylock", o).ret == 0
        d.kill_actor(second)
        d.kill_actor(holder)
        d.close(o)
    d.note(f"in {slept} of {turns} turns the other one slept on beside a mutex that was free")
