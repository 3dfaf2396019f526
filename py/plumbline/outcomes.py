# SPDX-License-Identifier: MIT
"""The five words for how a claim ended, and the one exit code that a run makes of them."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Iterable

OUTCOMES = ("held", "violated", "skipped", "broken", "unknown")
EXIT_HELD, EXIT_VIOLATED, EXIT_USAGE, EXIT_BROKEN, EXIT_NOTHING, EXIT_UNKNOWN, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
VERDICT_EXIT = {"held": 0, "violated": 1, "broken": 3, "skipped": 4, "unknown": 5, "interrupted": 130}
_WORST_FIRST = ("violated", "broken", "unknown", "held", "skipped")


class Trouble(Exception):
    """Something that ends the command with one clear line and an exit code; never a traceback."""

    def __init__(self, text: str, code: int = EXIT_USAGE):
        super().__init__(text)
        self.code = code


@dataclass
class Record:
    """One test's result, as conformance/ writes it, and what the expectations said about it."""

    clause: str
    variant: str
    mechanism: str
    outcome: str
    test: str = ""
    reason: str = ""
    text: str = ""
    source: str = ""
    level: str = ""
    kind: str = ""
    rule: str = ""
    witness: Any = None
    slack_ns: int | None = None  # by how much a violation rests on stamps of two processes; None: it does not
    by_clock: bool = False  # such stamps were compared for it
    timeline: list[str] = field(default_factory=list)  # the witness as a judge has drawn it
    seconds: float = 0.0
    since: int = 0  # the catalogue's version that brought the clause; 0: not known
    replay: str = ""  # the command that shows it again, of a finding under load
    expected: str = ""  # the outcome that an expectation foresaw, "" when none did
    note: str = ""  # its reason and link

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "Record":
        """Unknown fields are ignored, an unknown outcome is broken. KeyError when it says nothing of use."""
        known = {
            k: raw[k] for k in cls.__dataclass_fields__ if raw.get(k) is not None and k not in ("expected", "note")
        }
        r = cls(
            **{
                "clause": raw["clause"],
                "mechanism": raw["mechanism"],
                "variant": raw.get("variant", raw["mechanism"]),
                "outcome": raw["outcome"],
                **known,
            }
        )
        if r.outcome not in OUTCOMES:
            r.outcome, r.reason = "broken", f"the suite said {r.outcome!r}: {r.reason}"
        return r

    @property
    def counts_against(self) -> bool:
        return self.outcome == "violated" and self.expected != "violated"


@dataclass
class Cell:
    """All tests of one clause on one variant: the worst of them speaks, of these one that shows a witness."""

    records: list[Record] = field(default_factory=list)

    @property
    def speaker(self) -> Record:
        return min(self.records, key=lambda r: (_WORST_FIRST.index(r.outcome), not r.counts_against, not r.timeline))

    @property
    def outcome(self) -> str:
        return self.speaker.outcome


def cells(records: Iterable[Record]) -> dict[tuple[str, str], Cell]:
    """(clause, mechanism/variant) → Cell, in the order of the records."""
    out: dict[tuple[str, str], Cell] = {}
    for r in records:
        out.setdefault((r.clause, column(r.mechanism, r.variant)), Cell()).records.append(r)
    return out


def column(mechanism: str, variant: str) -> str:
    """How a variant is called where mechanisms meet: "mq", "mutex/robust"."""
    return mechanism if variant in ("", mechanism) else f"{mechanism}/{variant}"


def counts(records: Iterable[Record]) -> dict[str, int]:
    """Cells by outcome, all five words present."""
    tally = Counter(c.outcome for c in cells(records).values())
    return {o: tally[o] for o in OUTCOMES}


def verdict(tally: dict[str, int], unexpected: int, interrupted: bool = False) -> str:
    """One word for a run. `unexpected`: violations that no expectation names."""
    if unexpected:
        return "violated"
    if interrupted:
        return "interrupted"
    for word in ("broken", "unknown"):
        if tally.get(word):
            return word
    return "held" if tally.get("held") or tally.get("violated") else "skipped"


def worst(words: Iterable[str]) -> str:
    """The verdict of several parts of a run."""
    order = ("violated", "interrupted", "broken", "unknown", "held", "skipped")
    return min(words, key=order.index, default="skipped")


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun[:-1]}ies" if noun.endswith("y") else f"{n:,} {noun}s"
