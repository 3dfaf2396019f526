# SPDX-License-Identifier: MIT
"""How a test can end, and the one record a result leaves.

An AssertionError is the mechanism's fault (violated); everything else is not, and is never mixed with it: a limit or
a missing capability is skipped, a judge without verdict unknown, a harness in trouble broken.
"""
from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from errno import EAGAIN
from typing import Any

import pytest

from plumbline.calls import LIMITS, Doubtful

from .catalogue import Clause

#: What only a process itself can be the cause of: SIGKILL may be the machine's own need.
OWN_SIGNALS = ("ABRT", "SEGV", "BUS", "ILL", "FPE")
OUTCOMES = ("held", "violated", "skipped", "broken", "unknown")


class Violation(AssertionError):
    """A judge's finding: rule, words, and what else its event tells."""

    def __init__(self, rule: str, text: str, **event: Any):
        super().__init__(f"{rule}: {text}")
        self.rule, self.text, self.event = rule, text, event


class Unknown(Exception):
    """The judge came to no verdict; the text says why."""


class NotHere(Exception):
    """Cannot be tried on this target; the text is the probe's reason."""


@dataclass
class Ended:
    outcome: str
    reason: str = ""
    witness: Any = None
    rule: str = ""
    timeline: list[str] = field(default_factory=list)  # the witness, drawn
    slack_ns: int | None = None  # what a violation that rests on the clock does by


def classify(error: BaseException | None) -> Ended:
    """The outcome that an exception of a test means."""
    if error is None:
        return Ended("held")
    if isinstance(error, Violation):
        e, slack = error.event, error.event.get("slack_ns", -1)
        return Ended("violated", str(error), e.get("witness"), error.rule, e.get("timeline") or [],
                     slack if slack >= 0 else None)
    if isinstance(error, AssertionError):
        return Ended("violated", _first_words(error))
    if isinstance(error, (Unknown, Doubtful)):
        return Ended("unknown", str(error))
    if isinstance(error, (NotHere, pytest.skip.Exception)):
        return Ended("skipped", str(error))
    kind = getattr(error, "kind", None)
    limit = getattr(error, "limit", None)
    if kind == "os" and limit:
        return Ended("skipped", f"limit {limit}: {error}")
    if isinstance(error, OSError) and error.errno in LIMITS and error.errno != EAGAIN:  # which has other reasons, too
        return Ended("skipped", f"limit {LIMITS[error.errno]}: the suite itself met it: {error}")
    if kind == "unsupported":
        return Ended("skipped", str(error))
    fields = getattr(error, "fields", {})
    if kind == "crash" and fields.get("in") and fields.get("signal") in OWN_SIGNALS:
        return Ended("violated", f"{fields['in']} did not return: its process died of SIG{fields['signal']} in it")
    return Ended("broken", f"{type(error).__name__}: {error}")


def _first_words(error: AssertionError) -> str:
    """The test's own sentence; what pytest adds below it, values and their difference, is for its own report."""
    return str(error).strip().split("\n")[0] or "assertion failed"


class Results:
    """Appends JSON Lines, one file a writer: O_APPEND and one write a record."""

    def __init__(self, path: str | None, worker: str | None):
        self.path = f"{path}.{worker}" if path and worker else path

    def add(self, clause: Clause, variant: str, test: str, ended: Ended, seconds: float, expected: str | None,
            by_clock: bool) -> None:
        if not self.path:
            return
        record = {"clause": clause.id, "variant": variant, "mechanism": clause.mechanism, "test": test,
                  "outcome": ended.outcome, "reason": ended.reason, "text": clause.text, "source": clause.source,
                  "level": clause.level, "kind": clause.kind, "witness": ended.witness, "seconds": round(seconds, 4)}
        more = {"rule": ended.rule, "expected": expected, "timeline": ended.timeline, "by_clock": by_clock}
        record |= {k: v for k, v in more.items() if v}
        if ended.slack_ns is not None:
            record["slack_ns"] = ended.slack_ns
        line = json.dumps(record, ensure_ascii=False, default=str) + "\n"
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)
