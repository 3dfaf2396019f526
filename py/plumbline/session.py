# SPDX-License-Identifier: MIT
"""A driver spoken to without mercy: raw lines in, every line out kept, right or wrong. What drivercheck is made of."""
from __future__ import annotations

import threading
import time
from typing import Any, Callable

from . import protocol
from .wire import Wire

PATIENCE_S = 5.0


class Failed(Exception):
    """The driver does not do what the protocol asks; the text says what was seen."""


class Skipped(Exception):
    """The driver offers nothing that this check could be tried on."""


class Session:
    """One process of the driver. All waits raise Failed at their deadline; nothing is thrown away."""

    def __init__(self, argv: list[str], init: bool = True, **args: Any):
        self.messages: list[dict[str, Any]] = []
        self.impure: list[str] = []  # lines of stdout that are no messages
        self._cond = threading.Condition()
        self._ended = False
        self._id = 0
        self.wire = Wire(argv, self._line, self._end).start()
        self.hello: dict[str, Any] = self.wait(lambda m: m.get("ev") == "hello", "hello")
        if init:
            self.ok(
                "init",
                **{"proto": 1, "run": f"check{self.wire.pid}", "inst": 0, "seed": "0x1", "tick_ms": 1000, **args},
            )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *why: Any) -> None:
        """End of input first: a driver that hears it removes what it made."""
        self.wire.close_stdin()
        self.wire.exit_status(1.0)
        self.wire.kill()

    # out
    def raw(self, line: bytes) -> None:
        try:
            self.wire.send(line)
        except OSError as e:
            raise Failed(f"it takes no more input: {e.strerror}; {self.how_it_ended()}") from None

    def taken(self, timeout: float = 1.0) -> None:
        """Waits until what was sent has been read, so that the next bytes come in a read of their own."""
        deadline = time.monotonic() + timeout
        while self.wire.unread() and time.monotonic() < deadline:
            with self._cond:
                self._cond.wait(0.001)

    def send(self, op: str, **fields: Any) -> int:
        self._id += 1
        self.raw(protocol.encode({"id": self._id, "op": op, **fields}))
        return self._id

    # in
    def wait(
        self, match: Callable[[dict[str, Any]], bool], what: str, timeout: float | None = None, count: int = 1
    ) -> dict[str, Any]:
        """The `count`th message that matches."""
        timeout = PATIENCE_S if timeout is None else timeout
        deadline = time.monotonic() + timeout
        with self._cond:
            while True:
                found = [m for m in self.messages if match(m)]
                if len(found) >= count:
                    return found[count - 1]
                if self._ended:
                    break
                if not self._cond.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise Failed(f"no {what} within {timeout:g} s" + (f"; {self.impure[0]}" if self.impure else ""))
        raise Failed(f"no {what}; {self.how_it_ended()}")

    def reply(self, ident: int | None) -> dict[str, Any]:
        return self.wait(
            lambda m: "re" in m and m["re"] == ident,
            'reply with "re":null' if ident is None else f"reply to request {ident}",
        )

    def ok(self, op: str, **fields: Any) -> dict[str, Any]:
        r = self.reply(self.send(op, **fields))
        if not isinstance(r.get("ok"), dict):
            raise Failed(f"{op} was refused: {r.get('err')}")
        return r["ok"]

    def err(self, op: str, *kinds: str, **fields: Any) -> dict[str, Any]:
        """The `err` of a request that must be refused with one of `kinds`."""
        r = self.reply(self.send(op, **fields))
        err = r.get("err")
        if not isinstance(err, dict) or err.get("kind") not in kinds:
            raise Failed(
                f"{op} {fields} should be answered err {' or '.join(kinds)}; "
                f"it said {r.get('err') or {'ok': r.get('ok')}}"
            )
        return err

    def replies(self, ident: int) -> int:
        with self._cond:
            return sum(m.get("re") == ident and "re" in m for m in self.messages)

    def exit(self) -> int:
        status = self.wire.exit_status(PATIENCE_S)
        if status is None:
            raise Failed(f"it still runs after {PATIENCE_S:g} s")
        self.wire.join(2)
        return status

    def how_it_ended(self) -> str:
        status = self.wire.exit_status(0.5)
        words = "; ".join(self.wire.stderr_tail[-3:])
        return ("it closed its stdout" if status is None else f"it ended with {status}") + (
            f"; stderr: {words}" if words else ""
        )

    def object(self) -> tuple[str, list[int]]:
        """An open object of the first supported variant, and two actors."""
        variant = next((v for v in self.hello.get("variants", []) if v.get("supported") is not False), None)
        if variant is None:
            raise Skipped("no variant is supported here")
        self.ok("open", **{"as": "o", "variant": variant["name"]})
        return "o", self.ok("actor", n=2, kind="process").get("ids", [])

    def op(self, *roles: str, blocks: bool | None = None) -> tuple[str, dict[str, Any]]:
        """An operation of one of the roles; Skipped when there is none."""
        for role in roles:
            for name, op in self.hello.get("ops", {}).items():
                if op.get("role") == role and blocks in (None, bool(op.get("blocks"))):
                    return name, self.arguments(op)
        raise Skipped(f"no {'blocking ' if blocks else ''}operation with role {' or '.join(roles)}")

    @staticmethod
    def arguments(op: dict[str, Any]) -> dict[str, int]:
        """A payload of about 32 bytes, room for the largest one; else nothing: arguments have defaults."""
        size = op.get("size")
        lo, hi = op.get("args", {}).get(size, [0, 0]) if size else (0, 0)
        return {size: min(hi, 65536) if op.get("role") == "take" else min(max(32, lo), hi)} if size else {}

    def _line(self, raw: bytes) -> None:
        try:
            message = protocol.decode(raw)
            bad = protocol.problems(message)
        except protocol.FrameError as e:
            message, bad = None, [str(e)]
        with self._cond:
            self.impure += [f"{b}: {protocol.shorten(raw)}" if message else b for b in bad]
            if message:
                self.messages.append(message)
            self._cond.notify_all()

    def _end(self) -> None:
        with self._cond:
            self._ended = True
            self._cond.notify_all()
