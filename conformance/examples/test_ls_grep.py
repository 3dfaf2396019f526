# SPDX-License-Identifier: MIT
"""`ls | grep`: a pipe between two programs.

A shell makes a pipe, starts two children, and gives the first the end to write to and the second the end to read from. Then
it closes its own copies, and that matters: the reader learns that nothing more will come only when nobody has the writing end
open any more.

    ls  ----write---->  [ pipe ]  ----read---->  grep

The pipe carries bytes one way, in order. `grep` need not wait for all of `ls`: it reads what is there, and sleeps when nothing
is. When `ls` ends, its end closes and `grep` reads to the end of file. When `grep` ends first (as `head` does), the next write
of `ls` gets SIGPIPE, and a shell's pipeline ends from its tail.
"""
import pytest

from suite.subject import SIZE, fails, gives

clause = pytest.mark.clause


def shell(d):
    """Two children, each with its own end of the pipe and no other; the shell itself has none."""
    d.open()
    ls, grep = d.actors(2)
    d.release("o")
    d.fault("close", ls, on="o.r")
    d.fault("close", grep, on="o.w")
    return ls, grep


@clause("PIPE-02", "PIPE-10")
def test_ls_then_end_of_file(d):
    """Names come out in the order they went in, then the end of file, and not before."""
    ls, grep = shell(d)
    names = [d.do(ls, "write", size=SIZE + i).sum for i in range(8)]
    d.kill_actor(ls, "exit")
    assert [d.do(grep, "read", size=SIZE + i).sum for i in range(8)] == names, "names were lost, changed, or out of order"
    gives(d.call(grep, "read", size=SIZE), 0, "a read when ls has ended and all was read")


@clause("PIPE-09")
def test_grep_waits_for_ls(d):
    """A slow writer does not make the reader end: it sleeps until there is something."""
    ls, grep = shell(d)
    for _ in range(3):
        r, sent = d.must_wait(grep, "read", lambda: d.do(ls, "write", size=SIZE), size=SIZE)
        assert r.sum == sent.sum, "what grep read is not what ls wrote"


@clause("PIPE-12")
def test_ls_learns_that_grep_has_ended(d):
    ls, grep = shell(d)
    d.do(ls, "write", size=SIZE)
    d.kill_actor(grep, "exit")
    r = d.call(ls, "write", size=SIZE)
    fails(r, "EPIPE", "a write that nobody can read any more")
    assert [s["signal"] for s in d.signals(r)] == ["PIPE"], "SIGPIPE did not come with EPIPE"


@clause("PIPE-10")
def test_a_shell_that_keeps_its_end_keeps_grep_waiting(d):
    """The classic mistake: the shell forgot to close its own copy of the writing end."""
    d.open()
    ls, grep = d.actors(2)
    d.fault("close", grep, on="o.w")
    d.kill_actor(ls, "exit")
    p = d.start(grep, "read", size=SIZE)
    d.asleep((grep, p))
    assert not p.done(), "end of file although the shell still has the writing end open"
    d.release("o.w")
    gives(d.finish(p, "the read after the last writing end was closed"), 0, "the read")
