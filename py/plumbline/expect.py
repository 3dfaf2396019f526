# SPDX-License-Identifier: MIT
"""Known deviations of a target: a TOML file that says which clause is expected to end how, and why.

    [[expect]]
    clause = "MTX-09"
    variant = "robust"        # or a list; left out: every variant
    outcome = "violated"
    reason = "qemu-user has no set_robust_list"
    link = "https://…"        # optional
    expires = 2027-01-01      # optional: from that day on it no longer counts
"""
from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from .outcomes import OUTCOMES, Record, Trouble, cells

_FIELDS = {"clause", "variant", "outcome", "reason", "link", "expires"}


@dataclass(frozen=True)
class Expectation:
    clause: str
    variants: tuple[str, ...]
    outcome: str
    reason: str
    link: str = ""
    expires: datetime.date | None = None

    def matches(self, clause: str, variant: str) -> bool:
        return clause == self.clause and (variant in self.variants or "*" in self.variants)

    @property
    def words(self) -> str:
        return self.reason + (f" ({self.link})" if self.link else "")

    @property
    def expired(self) -> bool:
        return self.expires is not None and datetime.date.today() >= self.expires


def load(path: str | None, known: Iterable[str] = ()) -> list[Expectation]:
    """Reads and checks the file. Trouble (exit 2) says which entry is wrong and how. `known`: the catalogue's ids."""
    if not path:
        return []
    try:
        raw = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as e:
        raise Trouble(f"--expect {path}: {getattr(e, 'strerror', e)}") from None
    except tomllib.TOMLDecodeError as e:
        raise Trouble(f"--expect {path}: {e}") from None
    ids = set(known)
    return [entry(e, f"--expect {path}: [[expect]] {n}", ids) for n, e in enumerate(raw.get("expect", []), 1)]


def entry(e: dict, where: str, ids: set[str]) -> Expectation:
    if not isinstance(e, dict) or not isinstance(e.get("clause"), str):
        raise Trouble(f"{where}: `clause` is missing")
    if unknown := set(e) - _FIELDS:
        raise Trouble(
            f"{where} ({e['clause']}): unknown field {sorted(unknown)[0]!r}; known are {' '.join(sorted(_FIELDS))}"
        )
    if ids and e["clause"] not in ids:
        raise Trouble(f"{where}: no clause {e['clause']!r} in the catalogue; `plumbline list` shows them")
    if e.get("outcome") not in OUTCOMES:
        raise Trouble(f"{where} ({e['clause']}): outcome {e.get('outcome')!r} is none of {' '.join(OUTCOMES)}")
    if not e.get("reason"):
        raise Trouble(f"{where} ({e['clause']}): a deviation needs its `reason`")
    variant = e.get("variant", "*")
    expires = e.get("expires")
    if expires is not None and not isinstance(expires, datetime.date):
        raise Trouble(f"{where} ({e['clause']}): expires is a date, as in 2027-01-31")
    if isinstance(expires, datetime.datetime):
        expires = expires.date()
    return Expectation(
        e["clause"],
        (variant,) if isinstance(variant, str) else tuple(variant),
        e["outcome"],
        e["reason"],
        e.get("link", ""),
        expires,
    )


def expired(expected: list[Expectation]) -> list[str]:
    """A line for each that excuses nothing any more."""
    return [f"{x.clause}: the expectation expired on {x.expires}: {x.reason}" for x in expected if x.expired]


def foreseen(expected: list[Expectation], clause: str, variant: str) -> Expectation | None:
    """The first entry in force that speaks of the claim."""
    return next((x for x in expected if not x.expired and x.matches(clause, variant)), None)


def apply(records: list[Record], expected: list[Expectation]) -> list[str]:
    """Marks each record with what was expected of it. Returns lines about expectations that did not come true."""
    news = expired(expected)
    for r in records:
        if x := foreseen(expected, r.clause, r.variant):
            r.expected, r.note = x.outcome, x.words
    for (clause, where), cell in cells(records).items():
        wanted = next((r.expected for r in cell.records if r.expected), "")
        if wanted and cell.outcome != wanted and cell.outcome != "skipped":
            what = "unexpectedly held" if cell.outcome == "held" else f"ended {cell.outcome}"
            news.append(f"{clause} on {where} {what} (expected: {wanted}); update the expectations")
    return news
