# SPDX-License-Identifier: MIT
"""plumbline gate: does what held before still hold? One exit code, and one screen that says why.

A screen is the sentence, the claims that keep the gate shut, what is merely worth knowing, and the two runs.
"""
from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Iterable

from . import expect, gateforms, github, junit, ktap, snapshot, store
from .catalogue import Catalogue
from .compare import SHUT, Change, Comparison, compare
from .console import Out
from .outcomes import EXIT_BROKEN, EXIT_HELD, EXIT_NOTHING, EXIT_UNKNOWN, EXIT_VIOLATED, OUTCOMES, Trouble, plural
from .places import Places, program
from .runfolder import RunFolder

_WORD = {
    EXIT_HELD: "passed",
    EXIT_VIOLATED: "blocked",
    EXIT_BROKEN: "broken",
    EXIT_NOTHING: "nothing",
    EXIT_UNKNOWN: "inconclusive",
}
_MEANS = {"violated": "so known to the gate from now on", "unknown": "so the gate stays shut until they are judged"}
_NAMES = 6  # in one line
_CUT = 160


def command(out: Out, a: argparse.Namespace) -> int:
    if a.write_baseline:
        return _write(out, a)
    known = catalogue()
    base, cand = _sides(a)
    expected = expect.load(a.expect, known.by_id) if a.expect else None
    c = compare(base, cand, a.catalogue, expected, {k.id: k.since for k in known})
    v = gateforms.View(c, {k.id: k.text for k in known}, sentence(c), _WORD[c.exit], program())
    if a.json is not None:
        print(json.dumps(gateforms.as_json(v), ensure_ascii=False))
    show(out, v, max(0, a.show))
    try:
        _outputs(out, a, v)
    except Trouble as e:  # a verdict is not lost with its file
        out.warn(f"plumbline: {e}")
        return c.exit if c.exit == EXIT_VIOLATED else EXIT_BROKEN
    return c.exit


def catalogue() -> Catalogue:
    """That of this tree; an empty one where there is none: a gate also works on results alone."""
    try:
        return Catalogue.load(Places.find().conformance / "clauses")
    except Trouble:
        return Catalogue([])


def _sides(a: argparse.Namespace) -> tuple[snapshot.Snapshot, snapshot.Snapshot]:
    if a.baseline:
        if not Path(a.baseline).exists():
            write = f"{program()} gate --write-baseline {a.baseline} RUN"
            raise Trouble(f"no baseline {a.baseline}: write it with `{write}`, review it, commit it")
        return snapshot.of_baseline(a.baseline), store.find(a.runs or ["latest"], a.out)
    if len(a.runs) != 2:
        raise Trouble("gate compares BASE with CAND: name two runs, or say --baseline FILE")
    return store.find(a.runs[:1], a.out), store.find(a.runs[1:], a.out)


def _write(out: Out, a: argparse.Namespace) -> int:
    if a.baseline:
        raise Trouble("--baseline compares, --write-baseline writes: one of them")
    s = snapshot.of_runs([RunFolder.find(r, a.out) for r in a.runs or ["latest"]])
    snapshot.write_baseline(a.write_baseline, s)
    tally = ", ".join(f"{n} {o}" for o in OUTCOMES if (n := sum(f.outcome == o for f in s.facts.values())))
    out.say(f"baseline {a.write_baseline}: {plural(len(s.facts), 'claim')} of {s.name}: {tally}")
    for word in ("violated", "unknown"):
        if names := [f"{k.clause} ({k.where})" for k, f in s.facts.items() if f.outcome == word]:
            out.say(f"{word} in it, {_MEANS[word]}: {_some(names)}")
    if a.json is not None:
        print(json.dumps({"baseline": a.write_baseline, "claims": len(s.facts), "run": s.name}))
    return EXIT_HELD


# what people see
def sentence(c: Comparison) -> str:
    new, lost = len(c.of("violation")), len(c.of("regression"))
    parts = []
    if new:
        were = "is violated and was" if new == 1 else "are violated and were"
        parts.append(f"{plural(new, 'claim')} {were} not before")
    if lost:
        parts.append(f"{plural(lost, 'claim')} held before and {'does' if lost == 1 else 'do'} not now")
    parts += [f"{n} {word}" for word in ("broken", "unknown") if (n := len(c.of(word)))]
    parts += [why for _, why in c.trouble] if not parts else []
    why = "; ".join(parts)
    return {
        EXIT_HELD: f"Passed: {_passed(c)}.",
        EXIT_VIOLATED: f"Blocked: {why}.",
        EXIT_BROKEN: f"Broken: the harness or its surroundings failed: {why}.",
        EXIT_UNKNOWN: f"Inconclusive: {why}.",
        EXIT_NOTHING: "Nothing to judge: the candidate has tried nothing.",
    }[c.exit]


def _passed(c: Comparison) -> str:
    held = [x for x in c.changes if x.before == "held"]
    fewer = [x for x in held if x.after != "held"]
    before = f"{plural(len(held), 'claim')} held before"
    if not fewer:
        return before + ", and all of that still holds"
    return before + f": {len(held) - len(fewer)} still hold, {len(fewer)} excused or advisory"


def show(out: Out, v: "gateforms.View", shown: int) -> None:
    c = v.comparison
    out.say(v.sentence, "bold" if c.exit == EXIT_HELD else "bold red")
    blocks = list(gateforms.blocks(v))
    for head, body in blocks[:shown]:
        out.say(f"  {_cut(head)}")
        for line in body:
            out.say(f"      {line if line.startswith('replay') else _cut(line)}")
    if len(blocks) > shown:
        out.say(f"  … and {len(blocks) - shown} more: --show {len(blocks)} has them all")
    for line in _worth_knowing(v):
        out.say(line)
    tally = {k: n for k in ("same", "expected", "known", "better", "new", "gone", *SHUT) if (n := len(c.of(k)))}
    out.say(f"claims  {', '.join(f'{n} {k}' for k, n in tally.items())}")
    out.say(f"base    {_cut(gateforms.about(c.base))}")
    out.say(f"now     {_cut(gateforms.about(c.cand))}")


def _worth_knowing(v: "gateforms.View") -> Iterable[str]:
    c = v.comparison
    for outcome, why in c.trouble:
        yield f"{outcome}: {_cut(why)}"
    for note, some in _by_note(c.of("expected")).items():
        yield f"expected: {_names(some)}: {_cut(note)}"
    if known := c.of("known"):
        yield f"violated as before: {_names(known)}; `{v.program} expect --update FILE RUN` lists them with a reason"
    for ch in c.of("unexpected pass")[:_NAMES]:
        yield f"unexpected pass: {ch.key.clause} ({ch.key.where}) holds; update the expectations"
    if new := c.of("advisory"):
        top = max(c.cand.catalogue, 1)
        yield f"advisory, newer than the pinned catalogue: {_names(new)}; --catalogue {top} makes them count"
    if better := c.of("better"):
        yield f"holds now: {_names(better)}; write the baseline again to keep it"
    for line in c.news:
        yield f"expectations: {line}"
    if c.base.about.get("target") != c.cand.about.get("target"):
        yield "note: the two are of different targets"


def _by_note(changes: list[Change]) -> dict[str, list[Change]]:
    out: dict[str, list[Change]] = {}
    for c in changes:
        out.setdefault(c.note, []).append(c)
    return out


def _names(changes: list[Change]) -> str:
    return _some([f"{c.key.clause} ({c.key.where})" for c in changes])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")


def _cut(line: str) -> str:
    line = " ".join(line.split())
    return line if len(line) <= _CUT else line[: _CUT - 1] + "…"


def _outputs(out: Out, a: argparse.Namespace, v: "gateforms.View") -> None:
    """The files that a CI system reads. A summary that cannot be written is a warning: the verdict stands."""
    if a.junit:
        properties = {"base": v.comparison.base.name, "run": v.comparison.cand.name, "verdict": v.word}
        junit.write(Path(a.junit), gateforms.junit_cases(v), properties)
    if a.ktap:
        try:
            Path(a.ktap).write_text(ktap.render(gateforms.ktap_suites(v)), encoding="utf-8", errors="replace")
        except OSError as e:
            raise Trouble(f"cannot write {a.ktap}: {e.strerror}", EXIT_BROKEN) from None
    if a.github_summary and (why := github.append(a.github_summary, gateforms.markdown(v))):
        out.warn(f"--github-summary: {why}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in gateforms.annotations(v):
            out.say(line)
