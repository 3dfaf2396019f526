# SPDX-License-Identifier: MIT
"""The catalogue: clauses/*.toml read, checked and asked. README.md describes the format."""
from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline import expect

HERE = Path(__file__).resolve().parent.parent
LEVELS = ("posix", "linux", "impl")
KINDS = ("safety", "liveness", "error", "record")


@dataclass(frozen=True)
class Row:
    """One call and what it must give, with the calls before and after it."""

    do: tuple
    expect: Any
    then: tuple = ()
    open: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(raw: dict[str, Any]) -> "Row":
        return Row(tuple(raw["do"]), raw["expect"], tuple(raw.get("then", ())), raw.get("open", {}))


@dataclass(frozen=True)
class Clause:
    id: str
    mechanism: str
    variants: tuple[str, ...]  # ("*",): all
    text: str
    source: str
    level: str
    kind: str
    since: int
    rules: tuple[str, ...]
    rows: tuple[Row, ...]
    planned: bool

    @staticmethod
    def of(raw: dict[str, Any], mechanism: str) -> "Clause":
        variant = raw["variant"]
        rows = raw.get("row", [raw] if "do" in raw else [])
        return Clause(raw["id"], mechanism, (variant,) if isinstance(variant, str) else tuple(variant), raw["text"],
                      raw["source"], raw["level"], raw["kind"], raw["since"], tuple(raw.get("rules", ())),
                      tuple(Row.of(r) for r in rows), raw.get("status") == "planned")

    def covers(self, variant: str) -> bool:
        return "*" in self.variants or variant in self.variants


@functools.cache
def catalogue() -> dict[str, Clause]:
    """All clauses by id, in the files' order. ValueError when an id is used twice."""
    found: dict[str, Clause] = {}
    for path in sorted((HERE / "clauses").glob("*.toml")):
        raw = tomllib.loads(path.read_text())
        for entry in raw["clause"]:
            clause = Clause.of(entry, raw["mechanism"])
            if clause.id in found:
                raise ValueError(f"{path.name}: {clause.id} is used twice; ids are frozen for ever")
            found[clause.id] = clause
    return found


def rows_of(clause: Clause, _variant: str) -> list[tuple[str, Row]]:
    return [(str(i) if len(clause.rows) > 1 else "", row) for i, row in enumerate(clause.rows, 1)]


def mechanisms() -> list[str]:
    return list(dict.fromkeys(c.mechanism for c in catalogue().values()))


def owner_of(rule: str, mechanism: str, variant: str) -> Clause | None:
    """The clause that a checker's rule speaks for, in this variant."""
    return next((c for c in catalogue().values()
                 if c.mechanism == mechanism and c.covers(variant) and rule in c.rules), None)


@functools.cache
def expectations(path: str) -> list[expect.Expectation]:
    """Known deviations: expect/*.toml."""
    return expect.load(path, catalogue())


def expected(path: str, clause: Clause, variant: str) -> str:
    """Why this claim is expected to be violated; "" when it is not."""
    x = expect.foreseen(expectations(path), clause.id, variant) if path else None
    return x.reason if x and x.outcome == "violated" else ""
