# SPDX-License-Identifier: MIT
"""The clock of a target, audited by one of its drivers (`plumb-X --clock`) before the suites and after them.

What an audit finds goes to every judge of theirs; what is found of the clock is the rule of core/hist/clock.c.
"""
from __future__ import annotations

import json
import subprocess
from typing import Any

from . import protocol
from .agent import LinkError, run
from .outcomes import Record
from .places import Places
from .target import Target

AUDIT_S = 10.0  # it takes a quarter of a second, and starting threads
ANY_NS = 1 << 40  # longer than any test: by how much a clock may be wrong that was not looked at
VARIABLE = "PLUMBLINE_CLOCK"  # the audit, as the suites read it


class Unaudited(Exception):
    """The clock could not be looked at; the text says why."""


def audit(places: Places, target: Target, names: list[str]) -> dict[str, Any]:
    """By the first of these drivers that can do it. Unaudited in the words of the last that could not."""
    why = "no driver"
    for name in names:
        try:
            r = run(target, [places.drivers / f"plumb-{name}", "--clock"], AUDIT_S)
        except subprocess.TimeoutExpired:
            raise Unaudited(f"plumb-{name} --clock did not end within {AUDIT_S:g} s") from None
        except LinkError as e:
            raise Unaudited(e.strerror) from None
        except OSError as e:
            why = f"plumb-{name} cannot be started: {e.strerror}"
            continue
        if found := _read(r.stdout):
            return found
        why = f"plumb-{name} --clock gave no audit, exit status {r.returncode}"
    raise Unaudited(why)


def _read(stdout: bytes) -> dict[str, Any]:
    try:
        found = protocol.decode(stdout.split(b"\n")[0])
    except protocol.FrameError:
        return {}
    good = found.pop("ev", "") == "clock" and type(found.get("error_ns")) is int and found["error_ns"] >= 0
    return found if good else {}


def differs(audited: dict[str, Any], other: dict[str, Any]) -> str:
    """Why another reading is not of the clock that was audited, as far as can be told; "" when it may be."""

    def both(key: str) -> bool:
        return bool(audited.get(key) and other.get(key)) and audited[key] != other[key]

    if both("boot"):
        return "another kernel's clock"
    if both("timens"):
        was, now = audited["timens"], other["timens"]
        return f"another time namespace, {now}, than {was}, in which the clock was looked at"
    return ""


def doubt(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Why stamps between two audits are in doubt: another clock, or a step beyond what was allowed for."""
    if why := differs(before, after):
        return why
    if before.get("source") != after.get("source"):
        return f"the clock source changed from {before.get('source')} to {after.get('source')}"
    if after["error_ns"] > before["error_ns"]:
        return (
            f"the clock stepped back by {after.get('step_ns')} ns at the end; {before['error_ns']} ns were allowed for"
        )
    return ""


class Watched:
    """The clock of one run of the suites: `error_ns` goes to their judges, end() looks at it again."""

    def __init__(self, places: Places, target: Target, names: list[str]):
        self._ask = places, target, names
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.why = ""  # what is in doubt
        self.notes: list[str] = []  # for people
        try:
            self.before = audit(*self._ask)
        except Unaudited as e:
            self.notes.append(f"clock: not audited: {e}; findings that rest on stamps are unknown")
            return
        k = self.before
        if k.get("backwards"):
            self.notes.append(
                f"clock: it steps back between CPUs, by up to {k.get('step_ns')} ns: what rests on less than "
                f"{k['error_ns']} ns is unknown"
            )
        if k.get("unpinned"):
            self.notes.append(
                f"clock: nobody can be bound to {k['unpinned']} of {k.get('cpus')} CPUs: those were not looked at"
            )

    @property
    def words(self) -> str:
        """For the suites, in $PLUMBLINE_CLOCK."""
        return json.dumps({"error_ns": ANY_NS, **self.before})

    @property
    def found(self) -> dict[str, Any]:
        """For the run's file: as the engine tells of its own."""
        why = {"why": self.why} if self.why else {}
        return {**self.before, "after": self.after, **why} if self.before else {}

    def end(self, records: list[Record]) -> list[str]:
        """The second audit, and what it makes of the records; lines for people."""
        if not self.before:
            return []
        try:
            self.after = audit(*self._ask)
            self.why = doubt(self.before, self.after)
        except (Unaudited, KeyboardInterrupt) as e:
            self.why = f"it could not be looked at again: {e or 'interrupted'}"
        if not self.why:
            return []
        doubtful = [r for r in records if _rests(r, held=bool(self.after))]
        for r in doubtful:
            found = f"; it was {r.outcome}: {r.reason}" if r.reason else ""
            r.outcome, r.reason = "unknown", f"CLOCK: {self.why}{found}"
        return [f"clock: {self.why}: {len(doubtful)} results rest on it, which are unknown"]


def _rests(r: Record, held: bool) -> bool:
    """On the stamps of several processes: a violation that had none of it stays. `held`: nor is agreement believed."""
    return r.slack_ns is not None if r.outcome == "violated" else held and r.outcome == "held" and r.by_clock
