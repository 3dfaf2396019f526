# SPDX-License-Identifier: MIT
"""What a driver's replies become: Result, Pending, DriverError."""
from __future__ import annotations

import errno
import shlex
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Driver

_STANDARD = frozenset("ret errno limit t_inv t_ret dt_ns token sum tag len canceled".split())

# what stands in the way of a process of ours, its pipes and its files
LIMITS = {
    errno.EMFILE: "RLIMIT_NOFILE",
    errno.ENFILE: "fs.file-max",
    errno.EAGAIN: "RLIMIT_NPROC",
    errno.ENOMEM: "memory",
}


class DriverError(Exception):
    """A request that was not carried out. `kind` is one of proto usage unsupported os timeout canceled crash internal.

    `fields`: the reply's other fields (name, call, limit, definite, hint), or for a dead driver exit, stderr, argv.
    """

    def __init__(self, kind: str, msg: str, **fields: Any):
        super().__init__(kind, msg)
        self.kind, self.msg, self.fields = kind, msg, fields

    @property
    def limit(self) -> str | None:
        """The sysctl or RLIMIT that stood in the way: a reason to skip, not to fail."""
        return self.fields.get("limit")

    def __str__(self) -> str:
        f = self.fields
        text = f"{self.kind}: {self.msg}"
        text += "".join(
            f"; {k} {f[k]}" for k in ("name", "call", "limit", "hint") if f.get(k) and str(f[k]) not in self.msg
        )
        if f.get("exit") is not None and "exit status" not in self.msg and "signal" not in self.msg:
            text += f"; exit status {f['exit']}"
        if f.get("stderr"):
            text += "\n  its last words:\n    " + "\n    ".join(f["stderr"])
        if f.get("argv"):
            text += f"\n  started as: {shlex.join(f['argv'])}"
        return text


class Doubtful(Exception):
    """The stamps of two processes do not tell what came first: the text says why."""


@dataclass
class Clock:
    """What stamps of different processes are good for, and what was concluded from them."""

    error_ns: int = 0  # by how much they may be wrong
    why: str = ""  # they are not to be trusted at all: why
    asked: bool = False  # a judgement rests on them
    slack_ns: int | None = None  # one was against the mechanism, by so much

    def before(self, end: int, begin: int) -> bool:
        """Is `end` of one process before `begin` of another? Doubtful where it may be."""
        self.asked = True
        if self.why:
            raise Doubtful(f"CLOCK: {self.why}")
        if 0 < begin - end <= self.error_ns:
            ahead = f"{begin - end} ns before the other"
            raise Doubtful(f"one came {ahead}, by a clock that may be {self.error_ns} ns wrong")
        self.slack_ns = begin - end if begin > end else self.slack_ns
        return begin > end


@dataclass(frozen=True)
class Result:
    """One operation as it happened. Stamps are nanoseconds on the run's clock; `errno` is a name, None on success."""

    ret: int
    errno: str | None = None
    t_inv: int = 0
    t_ret: int = 0
    dt_ns: int = 0
    token: str | None = None
    sum: str | None = None
    tag: int | None = None
    len: int | None = None
    canceled: bool = False
    limit: str | None = None  # that this error can mean: RLIMIT_NOFILE for EMFILE
    out: dict[str, Any] = field(default_factory=dict)  # what only this operation returns
    clock: Clock = field(default_factory=Clock, repr=False, compare=False)  # that stamped it

    @classmethod
    def of(cls, ok: dict[str, Any], clock: Clock) -> "Result":
        own = {k: v for k, v in ok.items() if k not in _STANDARD}
        return cls(**{k: v for k, v in ok.items() if k in _STANDARD}, out=own, clock=clock)

    def before(self, other: "Result") -> bool:
        """It had returned before the other was invoked: the only order that a verdict may rest on. May be Doubtful."""
        return self.clock.before(self.t_ret, other.t_inv)


class Pending:
    """A request on its way. Made by Driver.start and Driver.post."""

    def __init__(self, driver: "Driver", ident: int, op: str, timeout: float):
        self.id, self.op = ident, op
        self._driver, self._timeout = driver, timeout
        self._begun = time.monotonic()
        self._reply: dict[str, Any] | None = None
        self._arrived = threading.Event()

    def set(self, reply: dict[str, Any]) -> None:
        """For the reader thread only."""
        self._reply = reply
        self._arrived.set()

    def f(self) -> str:
        return f"request {self.id} ({self.op})"

    def done(self) -> bool:
        """Answered, or never to be: then result() raises."""
        return self._arrived.is_set() or self._driver._fatal is not None

    def wait(self, timeout: float) -> bool:
        """Waits at most `timeout` seconds for the reply; False when it has not come."""
        cond, deadline = self._driver._cond, time.monotonic() + timeout
        with cond:
            while not self.done() and not self._driver._ended and (left := deadline - time.monotonic()) > 0:
                cond.wait(left)
        return self._arrived.is_set()

    def ok(self, timeout: float | None = None) -> dict[str, Any]:
        """The reply's `ok`; DriverError for its `err`, for a dead driver, or when `timeout` seconds bring no answer."""
        limit = self._timeout if timeout is None else timeout
        if not self.wait(limit):
            raise self._driver._fatal or self._no_answer(limit)
        reply = self._reply or {}
        if "err" in reply:
            err = dict(reply["err"])
            raise DriverError(err.pop("kind"), err.pop("msg"), **err)
        return reply["ok"]

    def result(self, timeout: float | None = None) -> Result:
        """ok() of a `call`, as a Result."""
        ok = self.ok(timeout)
        if not isinstance(ok.get("ret"), int):
            raise DriverError("proto", f"{self.f()} was answered without `ret`: {ok}")
        return Result.of(ok, self._driver.clock)

    def cancel(self, grace_ms: int = 200) -> dict[str, Any]:
        """Asks the driver to end the call: EINTR, or after grace_ms the actor's death. The call still gets a reply."""
        return self._driver.request("cancel", target=self.id, grace_ms=grace_ms, timeout=grace_ms / 1000 + 10)

    def _no_answer(self, limit: float) -> DriverError:
        if self._driver._ended:
            return DriverError("crash", f"the driver ended before it answered {self.f()}")
        waited = time.monotonic() - self._begun
        return DriverError(
            "timeout",
            f"{self.f()} was not answered within {max(limit, waited):.3g} s",
            hint="the driver is hung, or the call blocks: start() it and cancel()",
            stderr=self._driver.stderr,
        )
