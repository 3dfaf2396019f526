# SPDX-License-Identifier: MIT
"""plumbline expect: brings a file of known deviations up to date with a run, and leaves what people wrote in it alone.

What is violated and not listed is added, with the reason "not explained yet". What is listed and holds is taken out.
Comments, reasons, links, dates and order of all other entries stay as they are; an expired entry is never renewed.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from . import expect, gate, store
from .console import Out
from .expect import Expectation
from .outcomes import EXIT_BROKEN, EXIT_HELD, Trouble
from .snapshot import Key, Snapshot

UNEXPLAINED = "not explained yet"
_HEAD = """# SPDX-License-Identifier: MIT
# Known deviations: shown as expected, and not counted, where --expect names this file.
"""
_TABLE = re.compile(r"\s*\[")
_ENTRY = re.compile(r"\s*\[\[\s*expect\s*\]\]\s*(#.*)?$")


@dataclass
class Plan:
    """What is to be done to a file of `entries`."""

    add: list[tuple[Key, str]] = field(default_factory=list)  # a claim, and why it was violated
    drop: dict[int, str] = field(default_factory=dict)  # number of an entry → the claim that holds now
    narrow: dict[int, list[str]] = field(default_factory=dict)  # number of an entry → the variants that stay
    notes: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.add or self.drop or self.narrow)


def command(out: Out, a: argparse.Namespace) -> int:
    known, path = gate.catalogue(), Path(a.file)
    there = path.exists()
    if not there and not a.update:
        raise Trouble(f"no file {a.file}; --update writes it")
    entries = expect.load(a.file, known.by_id) if there else []
    run = store.find(a.runs or ["latest"], a.out)
    p = plan(entries, run, set(known.by_id))
    _tell(out, a, entries, p)
    if a.update and (not there or not p.empty):
        text = edited(path.read_text(encoding="utf-8") if there else _HEAD, entries, p, run)
        _check(a.file, text, entries, p)
        _write(path, text)
    if a.json is not None:
        names = {"added": [_claim(k) for k, _ in p.add], "removed": list(p.drop.values()), "notes": p.notes}
        print(json.dumps({**names, "written": bool(a.update and not p.empty)}, ensure_ascii=False))
    return EXIT_HELD


def _tell(out: Out, a: argparse.Namespace, entries: list[Expectation], p: Plan) -> None:
    for n, what in p.drop.items():
        out.say(f"- {what}: holds now; the reason was: {entries[n].reason}")
    for n, variants in p.narrow.items():
        out.say(f"~ {entries[n].clause}: only {', '.join(variants)} of {', '.join(entries[n].variants)} still deviate")
    for key, why in p.add:
        out.say(f"+ {_claim(key)}: violated: {' '.join(why.split())[:200]}")
    for note in p.notes:
        out.say(f"! {note}")
    if p.empty:
        out.say(f"{a.file}: nothing to change")
    else:
        done = f"{len(p.add)} added, {len(p.drop)} removed, {len(p.narrow)} narrowed"
        out.say(f"{a.file}: {done}" if a.update else f"{a.file}: would be {done}; --update writes it")


def _claim(key: Key) -> str:
    return f"{key.clause} ({key.place})"


# what is to be done
def plan(entries: list[Expectation], run: Snapshot, known: set[str]) -> Plan:
    p = Plan()
    ended: dict[tuple[str, str], dict[Key, str]] = {}  # (clause, place) → how it ended in suites and under load
    for key, fact in run.facts.items():
        ended.setdefault((key.clause, key.place), {})[key] = fact.outcome
    for n, x in enumerate(entries):
        _one(p, n, x, {k: set(v.values()) for k, v in ended.items() if x.matches(k[0], k[1].split("/")[-1])})
    for (clause, _), parts in ended.items():
        bad = [k for k, outcome in parts.items() if outcome == "violated"]
        if not bad or any(x.matches(clause, bad[0].variant) for x in entries):
            continue
        if known and clause not in known:
            p.notes.append(f"{_claim(bad[0])}: violated, but it is no clause, so it cannot be expected")
        else:
            p.add.append((bad[0], run.facts[bad[0]].reason))
    p.notes += expect.expired(entries)
    return p


def _one(p: Plan, n: int, x: Expectation, found: dict[tuple[str, str], set[str]]) -> None:
    """What becomes of one entry. `found`: the outcomes of each claim that it speaks of and the run has tried."""
    still = [place for (_, place), ended in found.items() if x.outcome in ended]
    holds = [place for (_, place), ended in found.items() if x.outcome not in ended and ended <= {"held", "skipped"}]
    holds = [place for place in holds if "held" in found[x.clause, place]]
    for (_, place), ended in found.items():
        if place not in still and place not in holds and ended != {"skipped"}:
            words = ", ".join(sorted(ended))
            p.notes.append(f"{x.clause} ({place}): {words}, not {x.outcome} as expected; the entry is left alone")
    if not holds:
        return
    places = ", ".join(holds)
    gone = {place.split("/")[-1] for place in holds}
    stay = [v for v in x.variants if v not in gone]
    if not still and len(holds) == len(found) and (not stay or stay == ["*"]):
        p.drop[n] = f"{x.clause} ({places})"
    elif "*" in x.variants:
        p.notes.append(f"{x.clause}: holds on {places}; the entry is for all variants and left alone")
    else:
        p.narrow[n] = stay


# the file
def edited(text: str, entries: list[Expectation], p: Plan, run: Snapshot) -> str:
    """The text with the plan carried out, line by line. Trouble when it is laid out in a way that this cannot edit."""
    lines = text.splitlines(keepends=True)
    spans = _spans(lines)
    if len(spans) != len(entries):
        raise Trouble(f"{len(entries)} entries but {len(spans)} lines [[expect]]: edit the file by hand")
    for n in sorted({*p.drop, *p.narrow}, reverse=True):
        first, last = spans[n]
        lines[first:last] = [] if n in p.drop else _narrowed(lines[first:last], p.narrow[n])
    body = re.sub(r"\n{3,}", "\n\n", "".join(lines)).rstrip("\n") + "\n" if p.drop else "".join(lines)
    body += "" if body.endswith("\n") or not body else "\n"
    return body + "".join("\n" + _entry(key, why, run) for key, why in p.add)


def _spans(lines: list[str]) -> list[tuple[int, int]]:
    """First and last line of each entry, with the comments that stand right above it."""
    heads = [i for i, line in enumerate(lines) if _ENTRY.match(line)]
    spans = []
    for i in heads:
        end = next((j for j in range(i + 1, len(lines)) if _TABLE.match(lines[j])), len(lines))
        end = _above(lines, end) if end < len(lines) else end
        spans.append((_above(lines, i), end))
    return spans


def _above(lines: list[str], at: int) -> int:
    """Where the comments right above a line begin. Those at the head of the file are the file's own."""
    first = at
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first if first else at


def _narrowed(block: list[str], variants: list[str]) -> list[str]:
    value = json.dumps(variants[0] if len(variants) == 1 else variants)
    return [re.sub(r"^(\s*variant\s*=\s*)\[[^\]]*\]", lambda m: m[1] + value, line) for line in block]


def _entry(key: Key, why: str, run: Snapshot) -> str:
    seen = " ".join("".join(c if c.isprintable() else " " for c in why).split())[:100]
    about = ", ".join(filter(None, (run.about.get("kernel"), run.about.get("libc"), run.about.get("target"))))
    return (
        f"# seen on {about or run.name}: {seen}\n"
        f'[[expect]]\nclause = "{key.clause}"\nvariant = "{key.variant}"\noutcome = "violated"\n'
        f'reason = "{UNEXPLAINED}"\n'
    )


def _check(path: str, text: str, entries: list[Expectation], p: Plan) -> None:
    """The new text says exactly what was planned, or nothing is written."""
    want = []
    for n, x in enumerate(entries):
        if n not in p.drop:
            want.append((x.clause, tuple(p.narrow.get(n, x.variants)), x.outcome, x.reason, x.link, x.expires))
    want += [(k.clause, (k.variant,), "violated", UNEXPLAINED, "", None) for k, _ in p.add]
    try:
        made = [expect.entry(e, path, set()) for e in tomllib.loads(text).get("expect", [])]
    except tomllib.TOMLDecodeError as e:
        raise Trouble(f"{path}: this layout cannot be edited here ({e}): do it by hand") from None
    if [(x.clause, x.variants, x.outcome, x.reason, x.link, x.expires) for x in made] != want:
        raise Trouble(f"{path}: this layout cannot be edited here: do it by hand, as said above")


def _write(path: Path, text: str) -> None:
    path = path.resolve()  # a link stays one
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None
