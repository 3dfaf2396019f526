# SPDX-License-Identifier: MIT
"""What a signal does to each call that waits: the table waits.toml, row by row.

Source: signal(7), "Interruption of system calls"; sigaction(2) SA_RESTART; and what Linux does otherwise, as the table says.
"""
import time

import pytest

from suite.outcome import NotHere
from suite.subject import LIVE_S, OBJECT, fails, said
from suite.transfer import interrupted


@pytest.mark.clause()
def test_a_signal_in_a_wait(d, wait):
    d.open(**wait.open)
    actors = d.actors(2)
    for f, *args in wait.do:
        step = dict(*args)
        actor, on = actors[step.pop("actor", 0)], step.pop("on", OBJECT)
        d.do(actor, f, on, **{("as_" if k == "as" else k): v for k, v in step.items()})
    f, args = wait.call[0], dict(wait.call[1])
    if not d.has(f):
        raise NotHere(f"plumb-{d.clause.mechanism} has no operation '{f}'")
    me, on = actors[0], args.pop("on", OBJECT)

    def asleep(p=None):
        """The call, seen asleep; begun anew if a signal has ended it."""
        p = d.start(me, f, on, **args) if p is None or p.done() else p
        d.asleep((me, p))
        return p

    p = asleep()
    with_restart(d, me, p, wait)
    p = asleep(p)
    d.fault("stop", me)
    d.fault("cont", me)
    d.asleep((me, p))
    if p.done() and wait.stop == "goes on":
        raise AssertionError(f"after SIGSTOP and SIGCONT, without a handler, {f} gave {said(p.result())}: it must go on")
    if p.done():
        fails(p.result(), "EINTR", f"{f} after SIGSTOP and SIGCONT")
    fails(interrupted(d, me, asleep(p)), "EINTR", f"{f} with a caught signal, without SA_RESTART")


def with_restart(d, me, p, wait):
    """Signals whose handler has SA_RESTART: one may come before the call sleeps, so that what must end it gets more."""
    f, end = wait.call[0], time.monotonic() + LIVE_S
    for turn in range(3) if wait.restart != "EINTR" else iter(int, 1):
        d.fault("signal", me, signal="USR1")
        d.asleep((me, p))
        if p.done() or time.monotonic() > end:
            break
    if p.done() and wait.restart == "goes on":
        raise AssertionError(f"{f} gave {said(p.result())} after a caught signal with SA_RESTART: it must go on")
    if p.done():
        return fails(p.result(), "EINTR", f"{f} with a caught signal")
    assert wait.restart != "EINTR", f"{f} goes on after caught signals with SA_RESTART: it is never to be restarted"
