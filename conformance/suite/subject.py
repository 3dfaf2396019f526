# SPDX-License-Identifier: MIT
"""The driver under test, with the few verbs that clauses are made of.

Must-block is judged by stamps: `must_wait` fails only if the waiter had returned before the call that enables it was
made. Whether it was seen asleep decides when that call is made, and nothing else. Must-return is the one judgement
that needs a clock: LIVE_S seconds after everything it needs has happened.
"""
from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Sequence

from plumbline import clock
from plumbline.calls import DriverError, Pending, Result
from plumbline.agent import link, run
from plumbline.client import Driver
from plumbline.target import Target

from .catalogue import Clause
from .outcome import NotHere, Unknown, Violation

LIVE_S = 10.0         # an enabled call that has not returned by then is stuck
WATCHDOG_MS = 60_000  # longer than any judgement here: the kit's own must not end a wait first
POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
O_NONBLOCK = 0o4000
SIZE = 24             # a mark: the smallest payload that names itself

NOBODY = 65534
HISTORY_MAX = 64 << 20  # bytes of one history that are brought home
CLONE_NEWUSER = 0x10000000
OBJECT = "o"


def hello(mechanism: str, drivers: Path, target: Target) -> dict[str, Any] | None:
    """What the driver says of itself, or None when it does not start: its tests will say why."""
    try:
        done = run(target, [drivers / f"plumb-{mechanism}", "--hello"], 20)
        return json.loads(done.stdout.splitlines()[0])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None


class Subject(Driver):
    """One driver, one object, one clause. `audit`: of the clock (plumbline.clock), {} when nobody looked at it."""

    clause: Clause
    variant: str
    names: list[str]  # that the system knows its objects by
    notes: list[str]

    def __init__(self, clause: Clause, variant: str, mechanism: str, home: Path, *, drivers: Path, target: Target,
                 audit: dict[str, Any] | None = None, **kw: Any):
        self.clause, self.variant, self.names, self.notes = clause, variant, [], []
        self.home = home
        self._far = link(target, drivers) if target.agent else None
        folder = self._far.request("folder")["path"] if self._far else home
        if audit:
            kw["clock_error_ns"] = audit["error_ns"]
        super().__init__(mechanism, dir=folder, drivers=drivers, target=target, **kw)
        self.clock.why = clock.differs(audit or {}, self.hello.get("clock") or {})
        self.about = next(v for v in self.hello["variants"] if v["name"] == variant)

    # what it can do
    def has(self, op: str) -> bool:
        return op in self.hello["ops"]

    def need(self, *ops: str) -> None:
        for op in ops:
            if not self.has(op):
                raise NotHere(f"plumb-{self.clause.mechanism} has no operation '{op}'")

    def need_cap(self, *caps: str) -> None:
        for cap in caps:
            if cap not in self.about["caps"]:
                raise NotHere(f"{self.clause.mechanism}/{self.variant} has no capability '{cap}'")

    def op(self, role: str, *, blocks: bool = True, timed: bool = False) -> str:
        """The first operation of a role: blocking, timed, or neither (the try form)."""
        for name, o in self.hello["ops"].items():
            if o["role"] == role and bool(o.get("blocks")) == blocks and bool(o.get("timed")) == timed:
                return name
        kind = "timed" if timed else "blocking" if blocks else "try"
        raise NotHere(f"plumb-{self.clause.mechanism} has no {kind} operation of role '{role}'")

    # shorter verbs
    def open(self, as_: str = OBJECT, **own: Any) -> dict[str, Any]:
        ok = super().open(as_, variant=self.variant, **own)
        if ok.get("name"):
            self.names.append(ok["name"])
        return ok

    def attached(self, n: int, **kw: Any) -> list[int]:
        """Actors that have mapped the object: others may still be about to when `actors` returns."""
        found = self.actors(n, **kw)
        for a in found:
            self.do(a, "load")
        return found

    def start(self, actor: int, f: str, on: str | None = OBJECT, **args: Any) -> Pending:
        args.setdefault("deadline_ms", WATCHDOG_MS)
        return super().start(actor, f, on, **args)

    def call(self, actor: int, f: str, on: str | None = OBJECT, **args: Any) -> Result:
        """One operation that must return: stuck means violated, for a test makes only calls that may not block."""
        return self.finish(self.start(actor, f, on, **args), f"{f} by actor {actor}")

    def do(self, actor: int, f: str, on: str | None = OBJECT, **args: Any) -> Result:
        """Set-up: as call(), and it must succeed."""
        r = self.call(actor, f, on, **args)
        within_limits(f, r)
        assert r.ret >= 0, f"{f} by actor {actor} gave {said(r)} where it must succeed"
        return r

    def limit_descriptors(self, actor: int, n: int, on: str = OBJECT) -> None:
        """From now on the actor may have no descriptor numbered `n` or above."""
        if self.call(actor, "rlimit", on, what=resource.RLIMIT_NOFILE, n=n).errno:
            raise NotHere(f"limit RLIMIT_NOFILE: {n} descriptors are not allowed")

    def become_plain(self, actor: int, on: str = OBJECT) -> bool:
        """An actor of root's becomes nobody: was it root's? A container may have neither the right nor such a user."""
        if self.do(actor, "ids", on).out["uid"] != 0:
            return False
        r = self.call(actor, "seteuid", on, uid=NOBODY)
        if r.errno in ("EPERM", "EINVAL"):
            raise NotHere(f"root cannot become a plain user here: seteuid gives {r.errno} (CAP_SETUID, or a mapped uid)")
        assert r.ret == 0, f"seteuid gave {said(r)}"
        return True

    def finish(self, p: Pending, what: str, timeout: float = LIVE_S, waited: float = 0) -> Result:
        """The result of a call that has nothing left to wait for, and has had `waited` seconds. Asleep all the same after
        `timeout` more: stuck."""
        for patience, judged in ((timeout, ("blocked",)), (2 * LIVE_S, ("blocked", "running"))):
            try:
                return p.result(patience)
            except DriverError as e:
                if e.kind != "timeout" or p.done():
                    raise
            first, second = self.seen(p, judged), self.seen(p, judged)
            if first and second and not p.done():
                raise AssertionError(f"{what} has not returned {waited + patience:g} s after it could: {second}")
        raise Unknown(f"{what} has not returned, and nobody is seen in it")

    def seen(self, p: Pending, judged: Sequence[str]) -> str:
        """What the caller of `p` does, if it is one of `judged`: others may sleep for good reason."""
        for a in self.status()["actors"]:
            if self._on_actor.get(a["id"]) is p and a["is"] in judged:
                return f"actor {a['id']} {a['is']} in {a.get('in', a.get('f', '?'))}"
        return ""

    # verbs of judgement
    def asleep(self, *pending: tuple[int, Pending]) -> None:
        """Waits until each is seen asleep in its call, or has returned: a choice of moment, no judgement."""
        for actor, _ in pending:
            self.wait_blocked(actor, timeout=10)

    def must_wait(self, actor: int, f: str, enable: Callable[[], Result], *, on: str = OBJECT, what: str = "",
                  **args: Any) -> tuple[Result, Result]:
        """`f` returns only after `enable` was invoked, and then it does return: (its result, the enabler's)."""
        p = self.start(actor, f, on, **args)
        self.asleep((actor, p))
        enabler = enable()
        r = self.finish(p, what or f"{f} by actor {actor}")
        assert not r.before(enabler), (f"{what or f} returned {said(r)} {enabler.t_inv - r.t_ret} ns before the call "
                                       f"that it has to wait for was made")
        return r, enabler

    def become_urgent(self, actor: int, priority: int, on: str = OBJECT) -> None:
        """SCHED_FIFO at this priority from now on."""
        r = self.call(actor, "scheduler", on, policy=os.SCHED_FIFO, priority=priority)
        if r.errno in ("EPERM", "ENOSYS"):
            raise NotHere(f"limit RLIMIT_RTPRIO: SCHED_FIFO gives {r.errno}; lifted by ulimit -r 99, or CAP_SYS_NICE")
        assert r.ret == 0, f"sched_setscheduler gave {said(r)}"

    def enter_namespace(self, actor: int, flags: int, what: str, on: str = OBJECT) -> None:
        """A namespace of the actor's own from now on, as the superuser makes it, or in a user namespace of its own."""
        alone = self.call(actor, "unshare", on, flags=flags)
        r = self.call(actor, "unshare", on, flags=flags | CLONE_NEWUSER) if alone.errno else alone
        if r.errno:
            raise NotHere(f"no {what} namespace can be made here: unshare gives {alone.errno}, and with a user namespace "
                          f"{r.errno}; lifted by CAP_SYS_ADMIN, or by user.max_user_namespaces above 0")

    def first_of(self, waits: dict[int, Pending], what: str, timeout: float = LIVE_S) -> list[int]:
        """Who of these has returned, as soon as one has: one of them has nothing left to wait for."""
        end = time.monotonic() + timeout
        while not (done := [a for a, p in waits.items() if p.done()]):
            if time.monotonic() < end:
                next(iter(waits.values())).wait(0.005)
                continue
            if not all(self.seen(p, ("blocked",)) for p in waits.values()):
                raise Unknown(f"{what} has not returned, and not all are seen asleep")
            if not any(p.done() for p in waits.values()):
                raise AssertionError(f"{what} has not returned {timeout:g} s after it could: all are asleep")
        return done

    def one_creates(self, racing: dict[int, Pending], what: str) -> int:
        """Of those who each create the same, and only if it is new, one does, and the others find it: who."""
        ended = {a: self.finish(p, what) for a, p in racing.items()}
        within_limits(what, *ended.values())
        won = [a for a, r in ended.items() if r.errno is None]
        assert len(won) == 1, f"{len(won)} of {len(ended)} exclusive creations by {what} succeeded"
        for a in ended.keys() - won:
            fails(ended[a], "EEXIST", f"{what} by actor {a}")
        return won[0]

    def kill_actor(self, actor: int, what: str = "kill") -> None:
        """Kills it (or makes it exit), and returns when it has been reaped."""
        seen = len(self.events)
        self.fault(what, actor)
        self.wait_event("actor", since=seen, actor=actor, **{"is": "exited" if what == "exit" else "signalled"})

    def dies_of(self, signal: str, actor: int, f: str, on: str = OBJECT, **args: Any) -> None:
        """The call must end its process by this signal: "BUS", "SEGV". The actor is dead then."""
        try:
            r = self.call(actor, f, on, **args)
        except DriverError as e:
            if e.kind != "crash" or not e.fields.get("in"):
                raise
            assert e.fields.get("signal") == signal, f"{f} ended its process by SIG{e.fields.get('signal')} instead of SIG{signal}"
            return
        assert False, f"{f} gave {said(r)} instead of ending its process by SIG{signal}"

    def note(self, text: str) -> None:
        """What a clause of kind record has seen: goes into the result."""
        self.notes.append(text)

    def signals(self, r: Result) -> list[dict[str, Any]]:
        """Signals that the actor's handler has seen since its reply before this one."""
        return r.out.get("signals", [])

    def rounds(self, plan: Sequence[dict[str, Any]], **kw: Any) -> dict[str, Any]:
        """Rounds judged inside the driver: a violation raises, no verdict is Unknown."""
        seen = len(self.events)
        ok = self.run(plan={"actors": list(plan)}, on=OBJECT, **kw)
        return self.judged(ok, seen)

    def judged(self, ok: dict[str, Any], seen: int = 0) -> dict[str, Any]:
        self.clock.asked = True
        if ok["verdict"] == "violated":
            ev = next((e for e in self.events[seen:] if e["ev"] == "violation"), {})
            self._bring(ev.get("files") or [])
            found = Violation(**{"rule": "?", "text": "no event told what", **ev})
            if self.clock.why and ev.get("slack_ns", -1) >= 0:
                raise Unknown(f"CLOCK: {self.clock.why}; {found}")
            raise found
        if ok["verdict"] == "unknown" or not ok["judged"]:
            raise Unknown(ok.get("why", "no round was judged"))
        if self.clock.why:
            raise Unknown(f"CLOCK: {self.clock.why}")
        return ok

    def _bring(self, files: Sequence[str]) -> None:
        """Histories that a driver behind an agent has kept: the agent's folder goes with it."""
        for name in files if self._far else ():
            with contextlib.suppress(OSError):
                self._far.fetch(name, self.home / name, [HISTORY_MAX])


def said(r: Result) -> str:
    return f"{r.ret}" if r.errno is None else f"{r.ret} {r.errno}"


def within_limits(what: str, *results: Result) -> None:
    """What has met a limit of the system's is not what the test is about."""
    for r in results:
        if r.limit:
            raise NotHere(f"limit {r.limit}: {what} gave {r.errno}")


def fails(r: Result, errno: str, what: str) -> None:
    if r.errno != errno:
        within_limits(what, r)
    assert (r.ret, r.errno) == (-1, errno), f"{what} gave {said(r)} instead of {errno}"


def gives(r: Result, ret: int, what: str) -> None:
    within_limits(what, r)
    assert r.errno is None and r.ret == ret, f"{what} gave {said(r)} instead of {ret}"
