# SPDX-License-Identifier: MIT
"""The reference client of plumb/1: one driver, its actors, their calls.

    with Driver("mq", drivers="build/drivers") as d:
        d.open("q", maxmsg=10, msgsize=64)
        a, b = d.actors(2)
        waiting = d.start(b, "recv", "q", size=64)
        d.wait_blocked(b)
        d.call(a, "send", "q", size=32, prio=1)
        assert waiting.result().ret == 32

Every wait has a deadline. A driver that dies, hangs, floods or talks garbage raises DriverError, with its last words.
Nothing sleeps: waits are on conditions that the reader thread signals.
"""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import protocol
from .agent import LinkError, connect
from .agent import run as run_there
from .calls import LIMITS, Clock, DriverError, Pending, Result
from .target import Target
from .wire import WireError

__all__ = ["Clock", "Driver", "DriverError", "Pending", "Result"]

HELLO_S = 5.0  # protocol.md: no hello within 5 s is a broken driver
REPLY_S = 10.0  # control answers within 100 ms; a loaded machine gets slack
GRACE_S = 5.0  # beyond a call's own watchdog
STOP_S = (2.0, 2.0, 5.0)  # after `stop`, after EOF, after SIGTERM; then SIGKILL
EVENTS_MAX = 100_000  # a driver with more events than that floods


class Driver:
    """One driver process, spoken to. `driver`: a name (of `drivers` or $PLUMBLINE_DRIVERS), a path, or an argv list.

    `target`: argv prefix, string, list or Target ($PLUMBLINE_TARGET and $PLUMBLINE_AGENT when None). `dir`: where
    histories and the journal go. `transcript`: a file that gets every line of both directions. `wire`: what is spoken
    to instead of a process, made from what takes its lines. `clock_error_ns`: by how much stamps of its actors may be
    wrong; None: the resolution that its hello tells. Thread-safe.
    """

    def __init__(
        self,
        driver: str | os.PathLike[str] | Sequence[str],
        *,
        drivers: str | os.PathLike[str] | None = None,
        target: str | Sequence[str] | Target | None = None,
        run: str | None = None,
        inst: int = 0,
        seed: int = 1,
        dir: str | os.PathLike[str] | None = None,
        init: bool = True,
        tick_ms: int = 1000,
        clock_error_ns: int | None = None,
        hello_timeout: float = HELLO_S,
        transcript: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stderr: str | os.PathLike[str] | None = None,
        wire: Callable[[Callable[[bytes], None]], Any] | None = None,
    ):
        self.target = Target.here() if target is None else Target.parse(target)
        self._program = _find(driver, drivers)
        self.argv = self.target.command(*self._program)
        self.run_id = run or f"r{os.urandom(3).hex()}"
        self.hello: dict[str, Any] = {}
        self.caps: list[str] = []
        self.transcript = transcript
        self.clock = Clock()
        self._cond = threading.Condition()
        self._pending: dict[int, Pending] = {}
        self._answered: set[int] = set()
        self._on_actor: dict[int, Pending] = {}
        self._events: list[dict[str, Any]] = []
        self._next = 0
        self._names: list[str] = []  # of objects made through this driver, which it removes if it stops in order
        self._fatal: DriverError | None = None
        self._ended = self._stopping = False
        self._script = open(transcript, "a", buffering=1) if transcript else None
        try:
            errors = Path(stderr) if stderr else None
            self._wire = (
                wire(self._line) if wire else connect(self.target, self._program, self._line, self._end, env, errors)
            )
        except LinkError as e:
            raise DriverError("crash", e.strerror) from None
        except WireError as e:
            if limit := LIMITS.get(e.errno):
                raise DriverError("os", e.strerror, limit=limit, argv=self.argv) from None
            raise DriverError(
                "crash",
                e.strerror,
                argv=self.argv,
                hint="build it, or say where it is: --drivers DIR, $PLUMBLINE_DRIVERS",
            ) from None
        try:
            self._wire.start()
            self._handshake(hello_timeout, init, inst=inst, seed=seed, dir=dir, tick_ms=tick_ms, error=clock_error_ns)
        except BaseException:
            self.kill()
            raise

    # requests
    def request(self, op: str, /, timeout: float = REPLY_S, **fields: Any) -> dict[str, Any]:
        """Sends one request and waits for its reply: the `ok` object, or DriverError."""
        return self.post(op, timeout=timeout, **fields).ok()

    def post(self, op: str, /, timeout: float = REPLY_S, **fields: Any) -> Pending:
        """Sends one request and returns at once. None-valued fields are left out; `as_` is sent as `as`."""
        with self._cond:
            self._alive()
            self._next += 1
            p = Pending(self, self._next, op, timeout)
            self._pending[p.id] = p
        body = {k.rstrip("_"): v for k, v in fields.items() if v is not None}
        self._send(p.id, {"id": p.id, "op": op, **body})
        return p

    def open(self, as_: str, **args: Any) -> dict[str, Any]:
        """Opens an object under a handle: variant=, mode=, name=, and the driver's own arguments."""
        ok = self.request("open", as_=as_, **args)
        if args.get("mode") != "attach" and ok.get("name"):
            self._names.append(ok["name"])
        return ok

    def actors(self, n: int, kind: str = "process", place: str | None = None) -> list[int]:
        """Starts n actors: their ids."""
        return self.request("actor", n=n, kind=kind, place=place, timeout=REPLY_S + n * 0.05)["ids"]

    def start(
        self, actor: int, f: str, on: str | None = None, *, deadline_ms: int | None = None, **args: Any
    ) -> Pending:
        """Begins an operation of one actor: Pending at once. `as_=` names a descriptor that it returns."""
        watchdog = (10_000 if deadline_ms is None else deadline_ms) / 1000
        p = self.post("call", timeout=watchdog + GRACE_S, actor=actor, f=f, on=on, deadline_ms=deadline_ms, **args)
        with self._cond:
            self._on_actor[actor] = p
        return p

    def call(self, actor: int, f: str, on: str | None = None, *, deadline_ms: int | None = None, **args: Any) -> Result:
        """One operation of one actor, waited for. A failing system call is a Result with .errno, not an exception."""
        return self.start(actor, f, on, deadline_ms=deadline_ms, **args).result()

    def run(self, *, timeout: float | None = None, **args: Any) -> dict[str, Any]:
        """Rounds: plan=, on=, ops=, rounds=, for_ms=, start_in_ms=. `timeout` defaults to for_ms and a minute."""
        return self.request("run", timeout=timeout or args.get("for_ms", 0) / 1000 + 60, **args)

    def status(self) -> dict[str, Any]:
        return self.request("status")

    def ping(self) -> dict[str, Any]:
        return self.request("ping")

    def release(self, on: str) -> dict[str, Any]:
        """Control closes its own copies of `on` ("p.w"): without that a reader never sees EOF."""
        return self.request("release", on=on)

    def close(self, on: str) -> dict[str, Any]:
        return self.request("close", on=on)

    def fault(self, what: str, actor: int, **args: Any) -> dict[str, Any]:
        """kill, stop, cont, close (on=), signal (signal="USR1")."""
        return self.request("fault", what=what, actor=actor, **args)

    # waiting
    def wait_blocked(self, actor: int, timeout: float = 5.0) -> bool:
        """True when `actor` sleeps in its call; False if the call was answered first. DriverError when neither.

        Where the driver cannot tell (status says rung "none") it is True after a bounded number of looks at a call that
        stays unanswered: that costs power, not soundness, as verdicts come from stamps.
        """
        with self._cond:
            p = self._on_actor.get(actor)
        if p is None:
            raise ValueError(f"actor {actor} has no call to be blocked in: start() one first")
        deadline, pause, looks = time.monotonic() + timeout, 0.0005, 0
        while not p.done():
            st = self.status()
            me = next((a for a in st.get("actors", []) if a.get("id") == actor), {})
            if p.done():
                return False
            if me.get("is") == "blocked":
                return True
            if me.get("is") == "dead":
                raise DriverError("crash", f"actor {actor} died in {p.f()}", actor=actor)
            looks += st.get("rung") == "none" and me.get("is") == "running"
            if looks >= 40:
                return True
            if time.monotonic() > deadline:
                raise DriverError(
                    "timeout", f"actor {actor} was not seen blocked in {p.f()} for {timeout:g} s; status says {me}"
                )
            p.wait(pause)
            pause = min(pause * 2, 0.02)
        return False

    @property
    def events(self) -> list[dict[str, Any]]:
        """A copy of all events so far, hello included."""
        with self._cond:
            return list(self._events)

    def wait_event(self, ev: str, /, timeout: float = 5.0, since: int = 0, **match: Any) -> dict[str, Any]:
        """The first event `ev`, at or after index `since` of .events, whose fields equal `match`."""
        seen, deadline = since, time.monotonic() + timeout
        with self._cond:
            while True:
                for e in self._events[seen:]:
                    if e["ev"] == ev and all(e.get(k) == v for k, v in match.items()):
                        return e
                seen = max(seen, len(self._events))
                if self._fatal or self._ended:
                    raise self._fatal or DriverError("crash", f"the driver ended before an event {ev} {match or ''}")
                if not self._cond.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise DriverError("timeout", f"no event {ev} {match or ''} within {timeout:g} s")

    # its end
    def stop(self) -> list[str]:
        """stop, EOF, SIGTERM, SIGKILL of its group: each when the one before did not help. The `leaked` names.

        DriverError if it crashed, or had to be killed. A second stop() does nothing.
        """
        if self._stopping:
            return []
        leaked: list[str] = []
        refusal: DriverError | None = None
        try:
            if self._fatal:
                raise self._fatal
            try:
                leaked = self.request("stop", timeout=STOP_S[0]).get("leaked", [])
            except DriverError as e:
                refusal = None if e.kind in ("timeout", "crash") else e
            self._stopping = True
            status = self._escalate()
            if self._fatal or refusal:
                raise self._fatal or refusal
            if status != 0:
                raise self._death(f"it stopped with {_status(status)}")
            self._names.clear()
        finally:
            self.kill()
        return leaked

    def _escalate(self) -> int | None:
        w = self._wire
        if (status := w.exit_status(STOP_S[0])) is None:
            w.close_stdin()
            if (status := w.exit_status(STOP_S[1])) is None:
                w.signal(signal.SIGTERM)
                if (status := w.exit_status(STOP_S[2])) is None:
                    w.kill()
                    raise self._death("it ignored stop, end of input and SIGTERM, and was killed")
        w.join(2)
        return status

    def kill(self) -> int | None:
        """SIGKILL to the driver's process group, at once; its exit status. Safe to repeat.

        Names that the driver can no longer remove are removed by a second start of it, with --unlink.
        """
        self._stopping = True
        status = self._wire.kill()
        while self._names:
            argv = [*self._program, "--unlink", self._names.pop()]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                run_there(self.target, argv, 5)
        if self._script:
            self._script.close()
        return status

    @property
    def pid(self) -> int:
        """Of the child: the driver itself, or the target's program that runs it."""
        return self._wire.pid

    @property
    def stderr(self) -> list[str]:
        """The last 32 lines that it wrote to stderr."""
        return self._wire.stderr_tail

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        try:
            self.stop()
        except DriverError:
            if kind is None:
                raise

    # inside
    def _handshake(
        self, timeout: float, init: bool, *, inst: int, seed: int, dir: Any, tick_ms: int, error: int | None
    ) -> None:
        try:
            self.hello = self.wait_event("hello", timeout=timeout)
        except DriverError as e:
            if e.kind == "timeout":
                raise self._death(f"no hello within {timeout:g} s", kind="timeout") from None
            raise
        if bad := protocol.hello_problems(self.hello, strict=False):
            raise self._death("its hello is wrong: " + "; ".join(bad[:4]), kind="proto")
        self.clock.error_ns = _resolution(self.hello) if error is None else error
        if not init:
            return
        if protocol.VERSION not in self.hello["proto"]:
            raise self._death(f"it speaks versions {self.hello['proto']}, this client {protocol.VERSION}", kind="proto")
        t0 = time.monotonic_ns() if self.target.native else None
        ok = self.request(
            "init",
            proto=protocol.VERSION,
            run=self.run_id,
            inst=inst,
            seed=protocol.u64(seed),
            t0=t0,
            dir=os.fspath(dir) if dir else None,
            tick_ms=tick_ms,
            clock_error_ns=error,
            timeout=HELLO_S,
        )
        self.caps = ok.get("caps", [])

    def _send(self, ident: int, message: dict[str, Any]) -> None:
        try:
            line = protocol.encode(message)
        except protocol.FrameError as e:
            with self._cond:
                del self._pending[ident]
            raise DriverError("usage", str(e)) from None
        if self._script and not self._script.closed:
            self._script.write("> " + line.decode())
        try:
            self._wire.send(line)
        except WireError as e:
            self._wire.join(1)
            raise self._fatal or self._death(e.strerror) from None

    def _alive(self) -> None:
        if self._fatal:
            raise self._fatal
        if self._ended or self._stopping:
            raise DriverError("usage", "the driver has been stopped")

    def _death(self, why: str, kind: str = "crash") -> DriverError:
        if self._wire.gone:  # the same words for every driver that was on it
            return DriverError("crash", self._wire.gone)
        status = self._wire.exit_status(0.5)
        return DriverError(kind, f"{self.argv[-1]}: {why}", exit=status, stderr=self._wire.stderr_tail, argv=self.argv)

    def _line(self, raw: bytes) -> None:
        """Reader thread: one line of the driver's stdout."""
        if self._fatal:
            return
        if self._script and not self._script.closed:
            self._script.write("< " + protocol.shorten(raw, protocol.LINE_MAX) + "\n")
        try:
            message = protocol.decode(raw)
            if bad := protocol.problems(message):
                raise protocol.FrameError(f"{'; '.join(bad)}: {protocol.shorten(raw)}")
            with self._cond:
                self._event(message) if "ev" in message else self._reply(message)
        except protocol.FrameError as e:
            half = not raw.endswith(b"\n")
            self._fail(
                f"half a line at its end: {e}" if half else f"it broke the protocol: {e}", "crash" if half else "proto"
            )

    def _event(self, message: dict[str, Any]) -> None:
        if len(self._events) >= EVENTS_MAX:
            raise protocol.FrameError(f"a flood of more than {EVENTS_MAX} events")
        self._events.append(message)
        self._cond.notify_all()

    def _reply(self, message: dict[str, Any]) -> None:
        if message["re"] is None:
            raise protocol.FrameError(f"it could not read a request: {json.dumps(message.get('err'))}")
        p = self._pending.pop(message["re"], None)
        if p is None:
            again = message["re"] in self._answered
            raise protocol.FrameError(
                f"{'a second' if again else 'a'} reply to request {message['re']}"
                + ("" if again else ", which nobody made")
            )
        self._answered.add(p.id)
        p.set(message)
        self._cond.notify_all()

    def _fail(self, why: str, kind: str) -> None:
        self._wire.signal(signal.SIGKILL, group=True)
        error = self._death(why, kind)
        with self._cond:
            self._fatal = self._fatal or error
            self._cond.notify_all()

    def _end(self) -> None:
        """Reader thread: stdout is closed or the child is dead."""
        with self._cond:
            said_bye = any(e["ev"] == "bye" for e in self._events[-4:])
        status = self._wire.exit_status(0.5)
        orderly = said_bye and status == 0 and not self._wire.gone
        if not self._fatal and not orderly and not self._stopping:
            self._fail(
                f"it ended unasked with {_status(status)}" if status is not None else "it closed its stdout", "crash"
            )
        with self._cond:
            self._ended = True
            self._cond.notify_all()


def _resolution(hello: dict[str, Any]) -> int:
    clock = hello.get("clock")
    found = clock.get("res_ns") if isinstance(clock, dict) else 0
    return found if isinstance(found, int) else 0


def _status(status: int | None) -> str:
    if status is None:
        return "no exit status"
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def _find(driver: Any, drivers: Any) -> list[str]:
    if not isinstance(driver, (str, os.PathLike)):
        return list(map(os.fspath, driver))
    name = os.fspath(driver)
    if "/" in name:
        return [name]
    folder = drivers or os.environ.get("PLUMBLINE_DRIVERS")
    if not folder:
        raise DriverError(
            "usage", f"where is the driver {name!r}?", hint="drivers=DIR, $PLUMBLINE_DRIVERS, or a path with a slash"
        )
    return [os.path.join(folder, f"plumb-{name}")]
