# SPDX-License-Identifier: MIT
"""Two snapshots, claim by claim: what got worse, what is merely different, and the one verdict of a gate."""
from __future__ import annotations

from dataclasses import dataclass, field

from .claims import OF_THE_RUN
from .expect import Expectation, expired, foreseen
from .outcomes import EXIT_BROKEN, EXIT_HELD, EXIT_NOTHING, EXIT_UNKNOWN, EXIT_VIOLATED
from .snapshot import CONFORM, LOAD, Fact, Key, Snapshot

# What a difference means. The first four keep a gate shut; the order is that of the screen.
SHUT = ("violation", "broken", "regression", "unknown")
OPEN = ("expected", "known", "advisory", "unexpected pass", "better", "gone", "new", "same")
EXIT = {"violation": EXIT_VIOLATED, "broken": EXIT_BROKEN, "regression": EXIT_VIOLATED, "unknown": EXIT_UNKNOWN}
MISSING = "missing"


@dataclass(frozen=True)
class Change:
    """One claim, before and after."""

    key: Key
    kind: str
    before: str
    after: str
    fact: Fact  # the candidate's; where it has none, the base's
    note: str = ""  # why it is excused

    @property
    def missing(self) -> bool:
        return self.after == MISSING

    @property
    def words(self) -> str:
        return f"{self.before} → {self.after}" if self.before != self.after else self.after


@dataclass
class Comparison:
    base: Snapshot
    cand: Snapshot
    changes: list[Change]
    trouble: list[tuple[str, str]] = field(default_factory=list)
    news: list[str] = field(default_factory=list)  # about expectations

    def of(self, *kinds: str) -> list[Change]:
        """Kind by kind; what is missing stands last in its own."""
        return [
            c for kind in kinds for gone in (False, True) for c in self.changes if c.kind == kind and c.missing == gone
        ]

    @property
    def shut(self) -> list[Change]:
        return self.of(*SHUT)

    @property
    def exit(self) -> int:
        """A violation first: it is certain. Then what makes the rest uncertain. Nothing compared is not green."""
        kinds = {c.kind for c in self.changes} | {outcome for outcome, _ in self.trouble}
        for kind in SHUT:
            if kind in kinds:
                return EXIT[kind]
        tried = any(f.outcome in ("held", "violated") for f in self.cand.facts.values())
        return EXIT_HELD if tried else EXIT_NOTHING


def compare(
    base: Snapshot,
    cand: Snapshot,
    pin: int | None = None,
    expected: list[Expectation] | None = None,
    since: dict[str, int] | None = None,
) -> Comparison:
    """`pin`: clauses of a newer catalogue are advisory (default: the base's). `expected`: instead of the candidate's
    own expectations. `since`: which catalogue brought a clause, where the run does not say."""
    pin, since = base.catalogue if pin is None else pin, since or {}
    changes = []
    for key in sorted({*base.facts, *cand.facts}):
        before, after = base.facts.get(key), cand.facts.get(key)
        fact = after or before
        assert fact is not None
        excused, note = _foreseen(key, fact, expected)
        newer = 0 < pin < (fact.since or since.get(key.clause, 0))
        kind = _kind(key, before, after, excused, newer)
        if kind == "unexpected pass" and _elsewhere(key, cand) == excused:
            kind = "same" if _word(before) == "held" else "new"
        changes.append(Change(key, kind, _word(before), _word(after), fact, note if kind == "expected" else ""))
    news = cand.news if expected is None else expired(expected)
    return Comparison(base, cand, changes, list(cand.trouble), list(news))


def _word(fact: Fact | None) -> str:
    return fact.outcome if fact else MISSING


def _elsewhere(key: Key, cand: Snapshot) -> str:
    """How the same clause ended in the other layer: what is expected may show in one of them only."""
    other = CONFORM if key.layer == LOAD else LOAD
    return _word(cand.facts.get(Key(other, key.place, key.clause)))


def _foreseen(key: Key, fact: Fact, expected: list[Expectation] | None) -> tuple[str, str]:
    """The outcome that is excused, and why; ("", "") when none is."""
    if expected is None:
        return fact.expected, fact.note
    x = foreseen(expected, key.clause, key.variant)
    return (x.outcome, x.words) if x else ("", "")


def _kind(key: Key, before: Fact | None, after: Fact | None, excused: str, newer: bool) -> str:
    was, now = _word(before), _word(after)
    if newer and now not in ("held", MISSING):
        return "advisory"
    if now in ("broken", "unknown"):
        return now
    if now == "violated":
        if excused == "violated":
            return "expected"
        return "known" if was == "violated" and _same_rules(key, before, after) else "violation"
    if was == "held" and now != "held":
        return "advisory" if newer else "expected" if excused == now else "regression"
    if now == "held":
        return (
            "unexpected pass"
            if excused not in ("", "held")
            else "new"
            if was == MISSING
            else "same"
            if was == "held"
            else "better"
        )
    if was == now or was == MISSING:
        return "same" if was == now else "new"
    return "gone"  # what had not held is no longer tried


def _same_rules(key: Key, before: Fact | None, after: Fact | None) -> bool:
    """Under load a clause has several judges: one that was silent before has found something else. What no list names
    may be anything."""
    if key.clause == "ROUNDS":
        return False
    return key.layer != LOAD or set(after.rules if after else ()) <= set(before.rules if before else ())


def text_of(change: Change, texts: dict[str, str]) -> str:
    clause = change.key.clause
    return change.fact.text or texts.get(clause, "") or OF_THE_RUN.get(clause, "")
