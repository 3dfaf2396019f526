# SPDX-License-Identifier: MIT
"""A comparison in the forms that others read: blocks of text, JSON, JUnit, KTAP, GitHub's markdown and annotations."""
from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Iterable, Iterator

from . import github, junit, ktap
from .compare import MISSING, SHUT, Change, Comparison, text_of
from .outcomes import plural
from .snapshot import LOAD, Snapshot

HERE = "this machine"  # as Target says it
_EXCUSED = {
    "expected": "as expected",
    "known": "violated before as well",
    "advisory": "newer than the pinned catalogue",
}
_FEW = 2  # missing of one place: more are one line


@dataclass
class View:
    comparison: Comparison
    texts: dict[str, str]  # of clauses, by id
    sentence: str
    word: str
    program: str


def about(s: Snapshot) -> str:
    facts = [s.about.get(k, "") for k in ("written", "kernel", "libc", "target")]
    named = s.name if s.name == s.about.get("run") else f"{s.name} ({s.about.get('run', '')})"
    return ", ".join(filter(None, [named, *facts]))


def replay(v: View, c: Change) -> str:
    """The command that tries this claim again."""
    if c.fact.replay and not c.missing:
        return c.fact.replay
    target = v.comparison.cand.about.get("target", "")
    where = f" --target {shlex.quote(target)}" if target not in ("", HERE) else ""
    if c.key.layer == LOAD:
        return f"{v.program} stress {c.key.mechanism}/{c.key.variant}=4 --for 10s{where}"
    return f"{v.program} conform {c.key.mechanism}/{c.key.variant} -k {c.key.clause}{where}"


def blocks(v: View) -> Iterator[tuple[str, list[str]]]:
    """What keeps the gate shut, the worst first: a heading, and the lines below it. Many missing of a place are one."""
    missing: dict[str, list[Change]] = {}
    for c in v.comparison.shut:
        if c.missing:
            missing.setdefault(c.key.where, []).append(c)
        else:
            yield _heading(v, c), _body(v, c)
    there = {k.place for k in v.comparison.cand.facts}
    for where, some in missing.items():
        if len(some) <= _FEW:
            yield from ((_heading(v, c), _body(v, c)) for c in some)
            continue
        names = ", ".join(c.key.clause for c in some) if some[0].key.place in there else "the candidate has none of it"
        yield f"{some[0].words} {where}: {plural(len(some), 'claim')}: {names}", []


def _heading(v: View, c: Change) -> str:
    return f"{c.words} {c.key.clause} {c.key.where}: {text_of(c, v.texts)}"


def _body(v: View, c: Change) -> list[str]:
    return [x for x in (_reason(c), f"replay {replay(v, c)}") if x]


def _reason(c: Change) -> str:
    """Why it ended so; nothing when it did not."""
    named = c.fact.reason.startswith(c.fact.rules[:1] or "\n")
    return "" if c.missing else c.fact.reason if named else f"{' '.join(c.fact.rules)} {c.fact.reason}".strip()


def as_json(v: View) -> dict[str, Any]:
    c = v.comparison
    kinds = dict.fromkeys(x.kind for x in c.changes)
    return {
        "verdict": v.word,
        "exit": c.exit,
        "sentence": v.sentence,
        "base": {"name": c.base.name, "catalogue": c.base.catalogue, **c.base.about},
        "run": {"name": c.cand.name, "catalogue": c.cand.catalogue, **c.cand.about},
        "counts": {k: len(c.of(k)) for k in kinds},
        "changes": [change_json(v, x) for x in c.changes if x.kind != "same"],
        "trouble": [{"outcome": outcome, "reason": why} for outcome, why in c.trouble],
        "news": c.news,
    }


def change_json(v: View, c: Change) -> dict[str, Any]:
    return {
        "kind": c.kind,
        "clause": c.key.clause,
        "mechanism": c.key.mechanism,
        "variant": c.key.variant,
        "layer": c.key.layer,
        "before": c.before,
        "after": c.after,
        "rules": list(c.fact.rules),
        "text": text_of(c, v.texts),
        "reason": c.fact.reason if not c.missing else "",
        "replay": replay(v, c) if c.kind in SHUT else "",
        "note": c.note,
    }


def _why(c: Change) -> str:
    return f"{c.words}: {_reason(c)}" if _reason(c) else c.words


def junit_cases(v: View) -> list[junit.Case]:
    out = []
    for c in v.comparison.changes:
        if c.kind == "gone":
            continue
        ending = None
        if c.kind in ("violation", "regression"):
            body = "\n".join([text_of(c, v.texts), *_body(v, c)])
            ending = "failure", {"type": c.kind, "message": _why(c)}, body
        elif c.kind in SHUT:
            ending = "error", {"type": c.kind, "message": _why(c)}, "\n".join(_body(v, c))
        elif c.kind in _EXCUSED:
            ending = "skipped", {"message": f"{_EXCUSED[c.kind]}: {c.note or _why(c)}"}, ""
        elif c.after == "skipped":
            ending = "skipped", {"message": c.fact.reason or "skipped"}, ""
        load = ".load" if c.key.layer == LOAD else ""
        name = f"plumbline.gate.{c.key.mechanism}.{c.key.variant}{load}"
        about = {"clause": c.key.clause, "before": c.before, "after": c.after}
        out.append(
            junit.Case(name, c.key.clause, ending, seconds=c.fact.seconds if not c.missing else 0, properties=about)
        )
    for n, (outcome, why) in enumerate(v.comparison.trouble, 1):
        out.append(junit.Case("plumbline.gate", f"run is whole #{n}", ("error", {"type": outcome, "message": why}, "")))
    return out


def ktap_suites(v: View) -> dict[str, list[ktap.Line]]:
    suites: dict[str, list[ktap.Line]] = {}
    for c in v.comparison.changes:
        if c.kind == "gone":
            continue
        line = ktap.Line(c.key.clause)
        if c.kind in SHUT:
            error = f"ERROR {_why(c)}" if c.kind in ("broken", "unknown") else ""
            line = ktap.Line(c.key.clause, False, error, [text_of(c, v.texts), _why(c), *_body(v, c)[-1:]])
        elif c.kind in _EXCUSED:
            line.directive = f"{'SKIP' if c.after == 'skipped' else 'XFAIL'} {_EXCUSED[c.kind]}: {c.note or _why(c)}"
        elif c.after == "skipped":
            line.directive = f"SKIP {c.fact.reason}"
        suites.setdefault(c.key.where, []).append(line)
    for outcome, why in v.comparison.trouble:
        suites.setdefault("run", []).append(ktap.Line("run is whole", False, f"ERROR {outcome}: {why}"))
    return suites


# GitHub
_SIGN = {"held": "✅", "violated": "❌", "skipped": "➖", "broken": "💥", "unknown": "❔", MISSING: "⬜"}


def annotations(v: View) -> list[str]:
    """The ten worst."""
    found = [(head.partition(": ")[0], "\n".join([head, *body])) for head, body in blocks(v)]
    found += [(f"the run is {outcome}", why) for outcome, why in v.comparison.trouble]
    return [github.annotation("error", f"plumbline: {t}", m) for t, m in found[: github.ANNOTATIONS_MAX]]


def markdown(v: View) -> list[str]:
    """The sentence, the matrix, what keeps the gate shut, then every claim, a mechanism at a time."""
    c = v.comparison
    lines = [f"## Plumbline: {github.text(v.sentence)}", "", *_matrix(c), ""]
    for head, body in blocks(v):
        lines.append(f"- **{github.text(head)}**")
        for line in body:
            is_replay = line.startswith("replay ")
            lines.append("  <br>" + (github.code(line[len("replay ") :]) if is_replay else github.text(line)))
    lines += [f"- **{github.text(why)}**" for _, why in c.trouble]
    for kind, title in (*_EXCUSED.items(), ("unexpected pass", "unexpectedly held")):
        rows = [[x.key.clause, x.key.where, x.words, x.note or text_of(x, v.texts)] for x in c.of(kind)]
        if rows:
            lines += [
                "",
                *github.details(f"{title}: {plural(len(rows), 'claim')}", github.table(["clause", "on", "", ""], rows)),
            ]
    lines += [f"- expectations: {github.text(n)}" for n in c.news]
    lines += ["", f"base {github.text(about(c.base))}<br>", f"now {github.text(about(c.cand))}", ""]
    for mech in dict.fromkeys(x.key.mechanism for x in c.changes):
        lines += github.details(f"{mech}: every claim", _claims(v, mech))
    return lines


def _matrix(c: Comparison) -> list[str]:
    """A row a mechanism and variant: how its claims ended, and how many keep the gate shut."""
    rows: dict[str, list[Change]] = {}
    for x in c.changes:
        rows.setdefault(x.key.where, []).append(x)
    ends = ("held", "violated", "skipped", "broken", "unknown", MISSING)
    return github.table(
        ["", "mechanism", *ends, "worse"],
        [
            ["❌" if any(x.kind in SHUT for x in some) else "✅", where]
            + [str(n) if (n := sum(x.after == e for x in some)) else "" for e in ends]
            + [str(n) if (n := sum(x.kind in SHUT for x in some)) else ""]
            for where, some in rows.items()
        ],
    )


def _claims(v: View, mech: str) -> list[str]:
    mine = [x for x in v.comparison.changes if x.key.mechanism == mech]
    columns = list(dict.fromkeys(x.key.where for x in mine))
    table: dict[str, dict[str, Change]] = {}
    for x in mine:
        table.setdefault(x.key.clause, {})[x.key.where] = x
    return github.table(
        ["clause", *columns, "promise"],
        [
            [clause, *(_cell(row.get(w)) for w in columns), text_of(next(iter(row.values())), v.texts)]
            for clause, row in sorted(table.items())
        ],
    )


def _cell(c: Change | None) -> str:
    if c is None:
        return ""
    return _SIGN.get(c.after, c.after) if c.before == c.after else f"{_SIGN.get(c.before, '')}→{_SIGN.get(c.after, '')}"
