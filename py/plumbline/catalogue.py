# SPDX-License-Identifier: MIT
"""The clauses of conformance/clauses/*.toml: what is promised, where it is written, which rule speaks for it."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .outcomes import EXIT_BROKEN, Trouble


@dataclass(frozen=True)
class Clause:
    id: str
    mechanism: str
    variants: tuple[str, ...]  # ("*",): every one
    text: str
    source: str
    level: str
    kind: str
    rules: tuple[str, ...]
    planned: bool
    since: int = 0  # version of the catalogue that brought it

    def covers(self, variant: str) -> bool:
        return "*" in self.variants or variant in self.variants


class Catalogue:
    """All clauses by id, in the files' order."""

    def __init__(self, clauses: list[Clause], version: int = 0):
        self.by_id = {c.id: c for c in clauses}
        self.version = version

    @classmethod
    def load(cls, folder: Path) -> "Catalogue":
        """Every *.toml of the folder; Trouble names the file that cannot be read."""
        found: list[Clause] = []
        version = 0
        for path in sorted(folder.glob("*.toml")):
            try:
                raw = tomllib.loads(path.read_text())
                version = max(version, int(raw.get("catalogue", 0)))
                found += [_clause(entry, raw.get("mechanism", path.stem)) for entry in raw.get("clause", [])]
            except (OSError, ValueError, KeyError, TypeError) as e:
                raise Trouble(f"{path}: {type(e).__name__} {e}", EXIT_BROKEN) from None
        return cls(found, version)

    def __iter__(self):
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def owner(self, mechanism: str, variant: str, rule: str) -> Clause | None:
        """The clause for which a judge's rule speaks in this variant."""
        return next((c for c in self if c.mechanism == mechanism and rule in c.rules and c.covers(variant)), None)


def _clause(raw: dict[str, Any], mechanism: str) -> Clause:
    variant = raw.get("variant", "*")
    return Clause(
        raw["id"],
        mechanism,
        (variant,) if isinstance(variant, str) else tuple(variant),
        raw["text"],
        raw.get("source", ""),
        raw.get("level", ""),
        raw.get("kind", ""),
        tuple(raw.get("rules", ())),
        raw.get("status") == "planned",
        int(raw.get("since", 0)),
    )
