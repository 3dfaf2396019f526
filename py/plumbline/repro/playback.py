# SPDX-License-Identifier: MIT
"""A test played against a script instead of a driver: no process, no waiting, a clock that the script moves.

The test asks what it asked before, or the script does not fit it; what it then does is a function of the answers alone.
"""
from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from .. import protocol
from .script import Line, Script

BEGUN_NS = 1_000_000_000  # what the clock says at the driver's 0
IGNORED = frozenset({"id", "deadline_ms", "grace_ms"})


class Beyond(BaseException):
    """The test goes on where the script ends: nothing in it was wrong. No Exception: no test takes it for one."""


class Astray(BaseException):
    """The test asks for something else than it did: an answer leads it another way."""

    def __init__(self, asked: dict[str, Any], expected: dict[str, Any]):
        super().__init__(f"asked {asked}, where the script has {expected}")
        self.asked, self.expected = asked, expected


@dataclass
class Clock:
    """What time.monotonic says during a playback: the time of the line that came last, plus what was waited since."""

    ns: int = BEGUN_NS

    def seconds(self) -> float:
        return self.ns / 1e9

    def nanoseconds(self) -> int:
        return self.ns

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        real = time.monotonic, time.monotonic_ns
        time.monotonic, time.monotonic_ns = self.seconds, self.nanoseconds
        try:
            yield
        finally:
            time.monotonic, time.monotonic_ns = real


class Timeless(threading.Condition):
    """Nobody else will notify: a wait is over at once, and the clock says that it was long."""

    def __init__(self, clock: Clock):
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            raise RuntimeError("a wait without a limit has no end in a playback")
        self._clock.ns += max(1, int(timeout * 1e9))
        return False


class Player:
    """Stands where wire.Wire stands: what is sent to it is compared with the script, which answers."""

    gone, pid, stderr_tail = "", 0, ()

    def __init__(self, script: Script, clock: Clock, on_line: Callable[[bytes], None]):
        self._lines, self._clock, self._on_line = list(script.lines), clock, on_line
        self._ids: dict[int, int] = {}  # recorded → asked now
        self._waiting: dict[int, int] = {}  # recorded id of a call → its actor
        self.asked = 0  # requests that fitted

    def start(self) -> "Player":
        if not self._lines or self._lines[0].message.get("ev") != "hello":
            raise Astray({}, {"ev": "hello"})
        self._answer()
        return self

    def send(self, line: bytes) -> None:
        message = protocol.decode(line)
        if message["op"] in ("status", "ping"):
            return self._say({"re": message["id"], "t": self._clock.ns, "ok": self._status()})
        if message["op"] == "stop" or not self._lines:
            raise Beyond
        expected = self._lines[0].message
        if not self._fits(message, expected):
            raise Astray(message, expected)
        self._lines.pop(0)
        self.asked += 1
        self._ids[expected["id"]] = message["id"]
        if expected["op"] == "call":
            self._waiting[expected["id"]] = expected["actor"]
        self._answer()

    def _fits(self, asked: dict[str, Any], expected: dict[str, Any]) -> bool:
        if asked["op"] == expected["op"] == "init":
            return True
        target = {"target": self._ids.get(expected["target"])} if "target" in expected else {}
        return _core(asked) == _core(expected | target)

    def _answer(self) -> None:
        """All that came before the test asked again."""
        while self._lines and not self._lines[0].out:
            self._deliver(self._lines.pop(0))

    def _deliver(self, line: Line) -> None:
        message = dict(line.message)
        if line.request is not None:
            self._waiting.pop(line.request, None)
            message["re"] = self._ids[line.request]
        if message.get("ev") != "hello":  # whose clock has another beginning
            self._clock.ns = max(self._clock.ns, BEGUN_NS + message.get("t", 0))
        self._say(message)

    def _say(self, message: dict[str, Any]) -> None:
        self._on_line(protocol.encode(message))

    def _status(self) -> dict[str, Any]:
        asleep = [{"id": a, "pid": 0, "is": "blocked", "held_ns": 0} for a in self._waiting.values()]
        return {"state": "idle", "actors": asleep, "handles": 0, "rss_kib": 0, "fds": 0, "rung": "syscall"}

    # a process that never was
    def close_stdin(self) -> None:
        pass

    def exit_status(self, timeout: float = 0) -> int | None:
        return 0

    def signal(self, number: int, group: bool = False) -> None:
        pass

    def join(self, timeout: float) -> None:
        pass

    def kill(self) -> int:
        return 0


def _core(message: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in message.items() if k not in IGNORED}
