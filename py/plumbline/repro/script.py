# SPDX-License-Identifier: MIT
"""A transcript as a script: what the test asked, what came back, in that order. Read from what client.Driver writes."""
from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

LOOKS = frozenset({"status", "ping", "stop"})  # how often they are asked is a matter of time: no part of the story
BYTES_MAX = 4 << 20


class NoScript(Exception):
    """There is no transcript that a story could be made of; the text says why."""


@dataclass
class Line:
    """One message. `request` is the id of the request that it is, or answers; events have none."""

    out: bool
    message: dict[str, Any]
    request: int | None = None


@dataclass
class Script:
    """Lines in the order in which they crossed. Ids are those of the requests as they were recorded."""

    lines: list[Line] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Script":
        """NoScript when it is not there, too long, or no transcript."""
        try:
            if path.stat().st_size > BYTES_MAX:
                raise NoScript(f"the story is too long for a program: its transcript has {path.stat().st_size:,} bytes")
            return cls.of(path.read_text(errors="replace"))
        except (OSError, ValueError, KeyError) as e:
            raise NoScript(f"{path}: no transcript: {e}") from None

    @classmethod
    def of(cls, text: str) -> "Script":
        script, looks = cls(), set()
        for raw in text.splitlines():
            mark, message = raw[:2], json.loads(raw[2:])
            if mark == "= ":
                script.about = message
            elif mark == "> " and message["op"] in LOOKS:
                looks.add(message["id"])
            elif mark == "> ":
                script.lines.append(Line(True, message, message["id"]))
            elif message.get("re") not in looks and message.get("ev") not in ("tick", "state"):
                script.lines.append(Line(False, message, message.get("re")))
        return script

    def requests(self) -> list[Line]:
        return [line for line in self.lines if line.out]

    def reply(self, request: int) -> Line | None:
        return next((line for line in self.lines if not line.out and line.request == request), None)

    def cut(self, requests: int) -> "Script":
        """The story up to its first so many requests, with their answers, as far as they came; rounds end it."""
        rounds = (i for i, line in enumerate(self.requests()) if line.message["op"] == "run")
        requests = min(requests, next(rounds, requests))
        kept: set[int] = {line.message["id"] for line in self.requests()[:requests]}
        count, lines = 0, []
        for line in self.lines:
            count += line.out
            if line.request in kept or line.request is None and not line.out and count <= requests:
                lines.append(line)
        return Script(lines, self.about)

    def varied(self, request: int, change: Callable[[dict[str, Any]], None]) -> "Script":
        """The same story with another answer to one request."""
        lines = list(self.lines)
        for i, line in enumerate(lines):
            if not line.out and line.request == request:
                message = copy.deepcopy(line.message)
                change(message)
                lines[i] = Line(False, message, request)
        return Script(lines, self.about)

    def asking(self, request: int, name: str, value: int) -> "Script":
        """The same story with another argument in one request."""
        lines = [
            Line(True, x.message | {name: value}, request) if x.out and x.request == request else x for x in self.lines
        ]
        return Script(lines, self.about)

    def without(self, request: int) -> "Script":
        """The same story, in which one request is never answered."""
        return Script([x for x in self.lines if x.out or x.request != request], self.about)

    def crossed(self, one: int, other: int) -> "Script":
        """The same story, in which each of two requests under way at once got what the other one did, when it did."""
        begun = {r: self.reply(r).message["ok"].get("t_inv", 0) for r in (one, other)}
        lines = list(self.lines)
        for i, line in enumerate(lines):
            if not line.out and line.request in (one, other):
                request = other if line.request == one else one
                message = copy.deepcopy(line.message) | {"id": request}
                ok = message["ok"]
                ok["t_inv"] = min(begun[request], ok.get("t_ret", begun[request]))
                lines[i] = Line(False, message, request)
        return Script(lines, self.about)

    def earlier(self, request: int, before: int) -> "Script":
        """The same story, in which the answer to `request` came just before `before` was asked, and says so."""
        lines = [x for x in self.lines if x.out or x.request != request]
        at = next(i for i, x in enumerate(lines) if x.out and x.request == before)
        answer, then = copy.deepcopy(self.reply(request).message), self.reply(before)
        ok = answer.get("ok", {})
        if "t_inv" in ok:
            limit = then.message.get("ok", {}).get("t_inv") if then else None
            answer["t"] = (then.message["t"] if limit is None and then else limit or answer["t"]) - 1
            ok["t_ret"] = answer["t"] if limit is None else limit - 1
        lines.insert(at, Line(False, answer, request))
        return Script(lines, self.about)
