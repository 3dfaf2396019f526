# SPDX-License-Identifier: MIT
"""KTAP version 1, as the kernel's own test tools read it: a subtest a mechanism and variant, in it a line a claim.

Names hold no durations, pids or seeds. What is no plain pass or failure says so by a directive: SKIP, XFAIL (violated,
as expected), ERROR (broken, unknown).
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable

from .outcomes import Cell, Record, cells

VERSION = "KTAP version 1"
_LINE_MAX = 400
_NOTES_MAX = 20


@dataclass
class Line:
    name: str
    ok: bool = True
    directive: str = ""  # "SKIP why"
    notes: list[str] = field(default_factory=list)  # shown as diagnostics


def render(suites: dict[str, list[Line]]) -> str:
    """The whole file. A suite is skipped when all of it was."""
    full = {name: lines for name, lines in suites.items() if lines}
    out = [VERSION, f"1..{len(full)}" + ("" if full else " # SKIP nothing ran")]
    for n, (name, lines) in enumerate(full.items(), 1):
        out += [f"  {VERSION}", f"  # Subtest: {_plain(name)}", f"  1..{len(lines)}"]
        for k, line in enumerate(lines, 1):
            out += [f"  # {_plain(note)}" for note in line.notes[:_NOTES_MAX]]
            out.append("  " + _result(k, line))
        skipped = all(x.directive.startswith("SKIP") for x in lines)
        out.append(_result(n, Line(name, all(x.ok for x in lines), "SKIP all of it was skipped" if skipped else "")))
    return "\n".join(out) + "\n"


def _result(number: int, line: Line) -> str:
    text = f"{'ok' if line.ok else 'not ok'} {number} {_plain(line.name).replace('#', ' ').strip() or '?'}"
    return text + (f" # {_plain(line.directive)}" if line.directive else "")


def _plain(text: str) -> str:
    """One line, without what a terminal or a parser might take for its own."""
    whole = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return whole if len(whole) <= _LINE_MAX else whole[: _LINE_MAX - 1] + "…"


def of_records(records: Iterable[Record], under_load: Iterable[Record]) -> dict[str, list[Line]]:
    """The suites of a run: what was tried clause by clause, then what rounds under load said."""
    suites: dict[str, list[Line]] = {}
    for part, suffix in ((records, ""), (under_load, " under load")):
        for (clause, place), cell in cells(part).items():
            suites.setdefault(place + suffix, []).append(_line(clause, cell))
    return suites


def _line(clause: str, cell: Cell) -> Line:
    r = cell.speaker
    if r.outcome == "held":
        return Line(clause)
    if r.outcome == "skipped":
        return Line(clause, True, f"SKIP {r.reason}")
    if r.outcome == "violated" and not r.counts_against:
        return Line(clause, True, f"XFAIL {r.note or r.reason}")
    notes = [n for n in (r.text, r.reason, r.source and f"source: {r.source}", r.replay and f"replay: {r.replay}") if n]
    return Line(clause, False, "" if r.outcome == "violated" else f"ERROR {r.outcome}: {r.reason}", notes)
