# SPDX-License-Identifier: MIT
"""Ctrl+C: a signal from the keyboard.

A signal is a software interrupt: it says that something has happened, and little more. The best known one is typed. The
terminal's line discipline sees the character 3 (Ctrl+C), does not pass it on, and sends SIGINT to the process group in the
foreground instead. A process that has made no other arrangement ends of it; one that catches it can put its house in order
first. An editor or a game turns that off (ISIG) and reads the 3 like any other key.

The terminal here is a pseudo-terminal that the driver makes: it types, and a child of it is the foreground.
"""
import signal

import pytest

from suite.outcome import NotHere
from suite.subject import said

clause = pytest.mark.clause


def typed(d, actor, **how):
    r = d.call(actor, "ctrl_c", **how)
    if r.errno == "ENOENT":
        raise NotHere("no pseudo-terminal can be made here: there is no /dev/ptmx")
    assert r.ret >= 0, f"ctrl_c gave {said(r)}"
    return r


@clause("SIG-25")
def test_ctrl_c_interrupts_the_foreground(d):
    d.open()
    shell, = d.actors(1)
    for _ in range(3):
        r = typed(d, shell)
        assert r.out["signal"] == signal.SIGINT, f"the foreground ended by signal {r.out['signal']}, having read {r.out['read']}"


@clause("SIG-25")
def test_without_signals_it_is_a_byte(d):
    d.open()
    editor, = d.actors(1)
    r = typed(d, editor, signals=0)
    assert (r.out["signal"], r.out["read"]) == (0, 3), f"signal {r.out['signal']}, byte {r.out['read']}"
