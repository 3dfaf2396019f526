# SPDX-License-Identifier: MIT
"""From a run's folder to its page: the view (data only), then the template."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from .. import __version__, claims
from ..history import CONTROL, STATES
from ..outcomes import OUTCOMES, Record, cells, column, plural
from ..runfolder import RunFolder
from ..stress import FOLDER, accuses, hang_words
from . import overtime, svg
from .waits import waits

MARKS = {"held": "✓", "violated": "✗", "skipped": "–", "broken": "!", "unknown": "?"}
_HANDFUL = 40  # findings shown in full
_NAMES_MAX = 6  # in the sentence
TITLES = {
    "trouble": "What went wrong in the harness",
    "promises": "Promises",
    "violations": "Violations",
    "load": "Under load",
    "hangs": "Who waits for whom",
    "residue": "Left behind",
    "environment": "Environment",
    "skips": "Skipped, and how to lift it",
}


@dataclass
class Square:
    """One cell of the matrix."""

    outcome: str = ""
    expected: bool = False
    reason: str = ""
    load: str = ""  # "held" or "violated" under stress, "" when not judged there

    @property
    def mark(self) -> str:
        return MARKS.get(self.outcome, "")


@dataclass
class Row:
    clause: str
    text: str
    source: str
    level: str
    kind: str
    squares: list[Square]


@dataclass
class Matrix:
    mechanism: str
    columns: list[str]
    rows: list[Row]

    @property
    def amiss(self) -> list[tuple[str, int]]:
        """What is neither held nor skipped, counted."""
        told = [s.outcome for r in self.rows for s in r.squares]
        return [(o, told.count(o)) for o in OUTCOMES if o not in ("held", "skipped") and o in told]

    @property
    def foreseen(self) -> bool:
        """All that is violated here was expected."""
        return all(s.expected for r in self.rows for s in r.squares if s.outcome == "violated")

    @property
    def words(self) -> str:
        told = [s.outcome for r in self.rows for s in r.squares]
        tally = ", ".join(f"{told.count(o)} {o}" for o in OUTCOMES if o in told)
        return f"{plural(len(self.rows), 'clause')}, {plural(len(self.columns), 'variant')}: {tally}"


@dataclass
class View:
    run: dict[str, Any]
    env: dict[str, Any]
    sentence: str
    records: list[Record]
    stress_records: list[Record]
    matrices: list[Matrix] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    skips: list[tuple[str, list[str]]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    kinds: list[dict[str, Any]] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    hangs: list[dict[str, Any]] = field(default_factory=list)
    unshown: dict[str, int] = field(default_factory=dict)  # of findings and hangs, beyond a handful
    course: list[overtime.Point] = field(default_factory=list)

    @property
    def junit_records(self) -> list[Record]:
        return self.records + self.stress_records


def view(folder: RunFolder) -> View:
    """Everything the page shows. Works on a folder of any part of a run: conform alone, stress alone, neither."""
    told = claims.of_folder(folder)
    run, conform, stress, records, under_load = told.run, told.conform, told.stress, told.records, told.under_load
    v = View(run, told.env, "", records, under_load, kinds=told.kinds, news=list(conform.get("news", [])))
    v.matrices = _matrices(records, under_load)
    for name, found in (("findings", _findings(run.get("violations") or [])), ("hangs", _hangs(run.get("hangs")))):
        setattr(v, name, found[:_HANDFUL])
        v.unshown[name] = len(found[_HANDFUL:])
    v.course = overtime.points(folder.read_lines(f"{FOLDER}/events.jsonl")) if v.kinds else []
    v.skips = _reasons(records, "skipped") + _engine_skips(stress)
    v.trouble = [conform["trouble"]] if conform.get("trouble") else []
    v.trouble += [f"{', '.join(where)}: {why}" for o in ("broken", "unknown") for why, where in _reasons(records, o)]
    v.trouble += [_words(b) for b in stress.get("broken") or []]
    if stress and run["stress"].get("exit") in (3, 5) and not v.trouble:
        v.trouble += stress.get("stderr", [])[-5:]
    v.sentence = _sentence(v)
    return v


def _matrices(records: list[Record], under_load: list[Record]) -> list[Matrix]:
    out = []
    load = {(r.clause, column(r.mechanism, r.variant)): r for r in under_load if r.outcome != "skipped"}
    everything = records + [r for r in under_load if r.clause not in claims.OF_THE_RUN and r.kind != claims.SCENE]
    for mech in dict.fromkeys(r.mechanism for r in everything):
        mine = [r for r in everything if r.mechanism == mech]
        table = cells(r for r in mine if r.test != claims.UNDER_LOAD)
        columns = sorted({column(r.mechanism, r.variant) for r in mine})
        about = {r.clause: r for r in reversed(mine)}
        rows = [
            Row(
                c,
                about[c].text,
                about[c].source,
                about[c].level,
                about[c].kind,
                [_square(table.get((c, w)), load.get((c, w))) for w in columns],
            )
            for c in sorted(about)
        ]
        out.append(Matrix(mech, columns, rows))
    return out


def _square(cell: Any, load: Record | None) -> Square:
    s = Square()
    if cell:
        r = cell.speaker
        s = Square(cell.outcome, bool(r.expected) and r.expected == cell.outcome, r.reason)
    if load:
        s.load = load.outcome
        if load.outcome == "violated" or not s.outcome:
            s.outcome, s.reason, s.expected = load.outcome, load.reason, load.expected == load.outcome
    return s


def _findings(violations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Violations grouped: the first of a kind in full, the others counted; the unexpected ones first."""
    groups: dict[tuple, dict[str, Any]] = {}
    for v in violations:
        key = (v.get("where"), v.get("clause"), v.get("mechanism"), v.get("variant"), v.get("rule"))
        if key in groups:
            groups[key]["times"] += 1
            continue
        witness = v.get("witness") if isinstance(v.get("witness"), list) else []
        groups[key] = {
            **v,
            "times": 1,
            "label": column(str(v.get("mechanism", "")), str(v.get("variant", ""))),
            "ops": [_readable(w) for w in witness if isinstance(w, dict)],
            "svg": svg.timeline(witness),
            "foreseen": v.get("expected") == "violated",
            "of": v["of"] if type(v.get("of")) is int else 0,
            "before": v["level"] if type(v.get("level")) is int and v["level"] >= 0 else None,
            "shown": sum(isinstance(w, dict) and w.get("actor") != CONTROL for w in witness),
        }
    return sorted(groups.values(), key=lambda g: g["foreseen"])


def _hangs(hangs: Any) -> list[dict[str, Any]]:
    """Each hang with its drawing; what is held against the mechanism first."""
    out = [
        {**h, "svg": waits(h.get("nodes"), h.get("edges"), f"tip{i}"), "against": accuses(h), "words": hang_words(h)}
        for i, h in enumerate(hangs or [])
        if isinstance(h, dict)
    ]
    return sorted(out, key=lambda h: (not h["against"], str(h.get("mechanism"))))


def _readable(w: dict[str, Any]) -> dict[str, Any]:
    state = w.get("state")
    return {**w, "state": STATES.get(state, state)} if isinstance(state, int) else w


def _reasons(records: list[Record], outcome: str) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for (clause, where), cell in cells(records).items():
        if cell.outcome == outcome:
            found.setdefault(cell.speaker.reason or "no reason given", []).append(f"{clause} ({where})")
    return list(found.items())


def _engine_skips(stress: dict[str, Any]) -> list[tuple[str, list[str]]]:
    out = []
    for s in stress.get("skips") or [] if isinstance(stress.get("skips"), list) else []:
        if isinstance(s, dict):
            out.append(
                (
                    str(s.get("why") or s.get("reason") or "no reason given"),
                    [f"stress of {column(str(s.get('mechanism', '?')), str(s.get('variant') or ''))}"],
                )
            )
    return out


def _words(value: Any) -> str:
    return (
        " ".join(f"{k} {v}" for k, v in value.items() if v not in (None, "", []))
        if isinstance(value, dict)
        else str(value)
    )


def _sentence(v: View) -> str:
    """The verdict in words, with what stands behind it."""
    word = v.run.get("verdict", "")
    tally = {o: sum(c.outcome == o for c in cells(v.records).values()) for o in OUTCOMES}
    outcomes: dict[str, set[str]] = {}
    for (clause, _), cell in cells(v.records).items():
        outcomes.setdefault(clause, set()).add(cell.outcome)
    held = sum("held" in o <= {"held", "skipped"} for o in outcomes.values())  # wherever they could be tried
    rounds = sum(k.get("judged") or 0 for k in v.kinds)
    load = f"{plural(rounds, 'round')} under load" if rounds else ""
    scenes = (v.run.get("stress") or {}).get("gallery")
    named = sum(isinstance(g, dict) and g.get("verdict") == "held" for g in scenes) if isinstance(scenes, list) else 0
    load = load or (f"{plural(named, 'scene')} of the deadlock gallery" if named else "")
    basis = " and ".join(filter(None, [f"{plural(held, 'clause')}" if held else "", load]))
    against, known = (
        list(
            dict.fromkeys(
                f"{f.get('clause') or f.get('rule')} ({f['label']})" for f in v.findings if f["foreseen"] == x
            )
        )
        for x in (False, True)
    )
    if word == "violated":
        hangs = [h for h in v.hangs if h["against"]]
        hung = f"{plural(len(hangs), 'driver')} hung under load." if hangs else ""
        text = " ".join(
            filter(None, [f"{plural(len(against), 'promise')} violated: {_some(against)}." if against else "", hung])
        )
    elif word == "held" and known:
        text = (
            f"Nothing unexpected: {basis} {'holds' if held + rounds == 1 else 'hold'}."
            if basis
            else "Nothing unexpected."
        )
    elif word == "held":
        text = f"Every promise that could be tried here holds: {basis or 'all'}."
    elif word == "skipped":
        text = "Nothing could be tried here: every test was skipped." if v.skips else "Nothing ran."
    elif word == "broken":
        text = "Broken: the harness or its surroundings kept some claims from being tried."
    elif word == "interrupted":
        text = (
            f"Interrupted: until then {basis or 'nothing'} held."
            if basis
            else "Interrupted before anything was judged."
        )
    else:
        text = "Inconclusive: some claims could be neither confirmed nor refuted."
    text += f" Violated as expected: {_some(known)}." if known else ""
    return text + (f" {tally['skipped']} skipped." if tally["skipped"] else "")


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def render(v: View) -> str:
    """The page as one HTML text. Everything from a run is escaped."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    env.filters |= {"duration": svg.duration, "number": svg.number}
    rate = [(k["label"], r, svg.number(r) + "/s") for k in v.kinds if (r := _rate(k))]
    lat = [(k["label"], *(float((k.get("lat_ns") or {}).get(p) or 0) for p in ("p50", "p99", "max"))) for k in v.kinds]
    return env.get_template("report.html.j2").render(
        v=v,
        run=v.run,
        env=v.env,
        version=__version__,
        outcomes=OUTCOMES,
        marks=MARKS,
        titles=TITLES,
        expected=sum(c.outcome == "violated" and not c.speaker.counts_against for c in cells(v.records).values()),
        totals=_totals(v),
        rate=svg.bars(rate, "Operations a second of one driver, by kind") if rate else "",
        latency=svg.latencies(lat),
        course=overtime.drawn(v.course),
        faults=any(p.faults for p in v.course),
        tally={o: sum(c.outcome == o for c in cells(v.records).values()) for o in OUTCOMES},
    )


def _rate(k: dict[str, Any]) -> float:
    """Operations a second of one driver while it has its turn: what others' turns take is not its cost."""
    done, elapsed = k.get("done"), k.get("elapsed_ns")
    return (
        done / elapsed * 1e9
        if isinstance(done, (int, float)) and isinstance(elapsed, (int, float)) and elapsed > 0
        else 0.0
    )


def _totals(v: View) -> dict[str, Any]:
    total = {
        k: sum(m.get(k) or 0 for m in v.kinds)
        for k in (
            "rounds",
            "judged",
            "done",
            "ordered",
            "killed",
            "pending",
            "short",
            "overlapped",
            "violated",
            "unknown",
        )
    }
    total["overlap"] = total["overlapped"] / total["short"] if total["short"] else None
    return total
