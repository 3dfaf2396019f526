# SPDX-License-Identifier: MIT
"""`plumbline repro --list`: which clauses have a program, by making them all, and why others have none."""
from __future__ import annotations

import os
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

from ..catalogue import Catalogue
from ..outcomes import EXIT_HELD, EXIT_NOTHING, Trouble, plural
from ..places import Places

WIDE = 118


@dataclass
class Coverage:
    """Of each "CLAUSE/variant" that was tried: "" if it has a program, else why not."""

    why: dict[str, str] = field(default_factory=dict)

    def add(self, told: Iterable[dict[str, Any]]) -> None:
        """One test with a program will do; else what the first one said."""
        for r in told:
            name = f"{r['clause']}/{r['variant']}"
            why = "" if "file" in r else _general(r["why"])
            self.why[name] = "" if not why else self.why.get(name, why)

    def clauses(self) -> tuple[set[str], set[str]]:
        """Those that have a program in one variant at least, and all that were tried."""
        return {n.partition("/")[0] for n, why in self.why.items() if not why}, {n.partition("/")[0] for n in self.why}

    def lines(self) -> list[str]:
        """A paragraph for those that have one, then one a reason, the most frequent first. All sorted."""
        reasons = sorted({w for w in self.why.values() if w}, key=lambda w: (-self._of(w)[1], w))
        out = []
        for why in ["", *reasons]:
            names, n = self._of(why)
            if n:
                head = f"{why or 'a program'} ({n})"
                out += textwrap.wrap(f"{head}: {names}", WIDE, subsequent_indent="    ", break_on_hyphens=False)
        return out

    def _of(self, why: str) -> tuple[str, int]:
        """Names, those of one clause together; and how many."""
        variants: dict[str, list[str]] = {}
        for name in sorted(n for n, w in self.why.items() if w == why):
            clause, _, variant = name.partition("/")
            variants.setdefault(clause, []).append(variant)
        words = [f"{c}/{v[0]}" if len(v) == 1 else f"{c}/{{{','.join(v)}}}" for c, v in variants.items()]
        return " ".join(words), sum(map(len, variants.values()))


def _general(why: str) -> str:
    """Without what is of one test only."""
    single = "played again", "no single other answer", "the story is", "as a program"
    return why.partition(": ")[0] if why.startswith(single) else why


def show(
    out: Any, places: Places, known: Catalogue, what: str, swept: Callable[[str, str], list[dict[str, Any]]]
) -> int:
    """Of a mechanism or variant, or of all that are here."""
    mechanism, _, variant = what.partition("/")
    mechanisms = sorted({c.mechanism for c in known} & set(places.driver_names()))
    if what and mechanism not in mechanisms:
        raise Trouble(f"{what}: no mechanism here; there are {', '.join(mechanisms)}")
    found = Coverage()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for told in pool.map(lambda m: swept(m, variant), [mechanism] if what else mechanisms):
            found.add(told)
    for line in found.lines():
        out.say(line)
    made, tried = found.clauses()
    out.say(
        f"{plural(len(made), 'clause')} of {len(tried)} that tests try here, in {plural(len(found.why), 'variant')}"
    )
    return EXIT_HELD if made else EXIT_NOTHING
