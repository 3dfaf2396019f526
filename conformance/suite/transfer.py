# SPDX-License-Identifier: MIT
"""Puts and takes by role: what the generic tests say instead of the names of operations."""
from __future__ import annotations

import time

from plumbline.calls import DriverError

from .outcome import NotHere
from .subject import OBJECT, SIZE, WATCHDOG_MS, fails


def put(d, actor, size=SIZE):
    return d.start(actor, d.op("put"), size=size)


def take(d, actor, size=SIZE):
    """A stream gives as much as is asked for, a queue one message, whatever the room."""
    return d.start(actor, d.op("take"), **take_size(d, size))


def take_size(d, size=SIZE):
    return {"size": size} if "stream" in d.about["caps"] else {}


def put_now(d, actor, size=SIZE):
    return d.finish(put(d, actor, size), f"{d.op('put')} by actor {actor}")


def take_now(d, actor, size=SIZE):
    return d.finish(take(d, actor, size), f"{d.op('take')} by actor {actor}")


def put_end(d):
    return f"{OBJECT}.{d.hello['ends'][-1]}" if d.hello.get("ends") else OBJECT


def take_end(d):
    return f"{OBJECT}.{d.hello['ends'][0]}" if d.hello.get("ends") else OBJECT


def chunk(d):
    """One unit of room: a whole page where room is counted in pages."""
    return 4096 if "pipe_pages" in d.hello["needs"] else SIZE


def fill(d, actor, size=SIZE):
    """Puts until there is no room: what is inside, in order. The descriptors are blocking again afterwards."""
    inside = []
    d.do(actor, "nonblock", put_end(d), value=1)
    while (r := put_now(d, actor, size)).errno is None:
        inside.append(r)
        assert len(inside) < 1 << 17, "put never says that there is no room"
    fails(r, "EAGAIN", "a put without room, with O_NONBLOCK")
    d.do(actor, "nonblock", put_end(d), value=0)
    return inside


def interrupted(d, actor, p):
    """What a call returns that signals interrupt in its sleep: it must, and they come as long as it has time for that."""
    d.asleep((actor, p))
    try:
        p.cancel(grace_ms=WATCHDOG_MS)
    except DriverError as e:
        if e.kind != "usage":  # it has returned by itself: for the caller to judge
            raise
    return d.finish(p, "a call that is interrupted")


def never_early(d, actor, f, wait_ns, **args):
    begun = time.monotonic_ns()
    r = d.call(actor, f, timeout_ns=wait_ns, **args)
    took = time.monotonic_ns() - begun
    fails(r, "ETIMEDOUT", f"{f} with nothing to end it")
    assert took >= wait_ns, f"{f} with a time-out of {wait_ns} ns gave ETIMEDOUT after {took} ns"


def kill_through_rounds(d, actors):
    """Default rounds on the object while its actors are killed in turn, every 10 ms."""
    seen, p, turn = len(d.events), d.post("run", on=OBJECT, for_ms=1200, ops=400, timeout=90), 0
    while not p.wait(0.01):
        try:
            d.fault("kill", actors[turn % len(actors)])
        except DriverError as e:
            if e.kind != "usage":  # it was dead already, or the run has just ended
                raise
        turn += 1
    ok = d.judged(p.ok(), seen)
    if not ok["killed"]:
        raise NotHere("no actor was killed in a round")
