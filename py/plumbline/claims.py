# SPDX-License-Identifier: MIT
"""What a run's folder says, claim by claim: the records of the suites, and one a clause that rounds spoke for."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .outcomes import OUTCOMES, Record, column
from .runfolder import RunFolder
from .stress import VIOLATIONS, accuses, hang_words

UNDER_LOAD = "stress::under_load"  # what stands for a test in a record of the engine's
# What the engine may find beyond any clause.
OF_THE_RUN = {
    "HANG": "Every operation that can be carried out is carried out.",
    "DRIVER": "The driver lives until it is told to stop.",
    "RESIDUE": "Nothing is left behind.",
    "ROUNDS": "Every round agrees with its model.",
}
SCENE = "scene"  # kind of a record of the deadlock gallery
_KINDS = ("per_mech", "mechanisms", "mix")  # where an engine's summary may keep its figures by kind of driver


@dataclass
class Told:
    """A run's folder, read."""

    run: dict[str, Any]
    env: dict[str, Any]
    conform: dict[str, Any]
    records: list[Record]  # of the suites
    under_load: list[Record]  # of the engine
    kinds: list[dict[str, Any]]  # the engine's figures, one entry a kind of driver, each with its `label`

    @property
    def stress(self) -> dict[str, Any]:
        return self.run.get("stress") or {}


def of_folder(folder: RunFolder) -> Told:
    """Any part of a run will do: conform alone, stress alone, neither. What makes no sense is left out."""
    run, env, conform = folder.read_json("run.json"), folder.read_json("env.json"), folder.read_json("conform.json")
    fields = Record.__dataclass_fields__
    records = [Record(**{k: v for k, v in r.items() if k in fields}) for r in conform.get("records", []) if _usable(r)]
    for r in records:
        r.replay = r.replay or _replay(run, r)
    kinds = _kinds(run.get("stress") or {})
    return Told(run, env, conform, records, _under_loads(run, kinds), kinds)


def _replay(run: dict[str, Any], r: Record) -> str:
    """The command that shows a violation of the suites again, as the run noted it."""
    same = ("clause", "mechanism", "variant", "test")
    found = (v for v in _dicts(run.get("violations")) if r.outcome == "violated" and v.get("where") == "conform")
    return next((str(v.get("replay") or "") for v in found if all(v.get(k) == getattr(r, k) for k in same)), "")


def _usable(r: Any) -> bool:
    return (
        isinstance(r, dict)
        and all(isinstance(r.get(k), str) for k in ("clause", "variant", "mechanism"))
        and r.get("outcome") in OUTCOMES
    )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _kinds(stress: dict[str, Any]) -> list[dict[str, Any]]:
    for key in _KINDS:
        value = stress.get(key)
        if found := _dicts(value):
            return [
                {**m, "label": column(str(m.get("mechanism") or m.get("name") or "?"), str(m.get("variant") or ""))}
                for m in found
            ]
        if isinstance(value, dict):
            return [
                {**m, "label": column(*name.partition("/")[::2])} for name, m in value.items() if isinstance(m, dict)
            ]
    return []


def _under_loads(run: dict[str, Any], kinds: list[dict[str, Any]]) -> list[Record]:
    """One record a clause and kind whose rounds were judged under load, then what is no clause's."""
    bad: dict[tuple[str, str], list[dict[str, Any]]] = {}
    found = [v for v in _dicts(run.get("violations")) if v.get("where") == "stress"]
    for v in found:
        key = v.get("clause") or v.get("rule") or "?", column(v.get("mechanism", ""), v.get("variant", ""))
        bad.setdefault(key, []).append(v)
    stress = run.get("stress") or {}
    judged, skips = {k["label"]: k.get("judged", 0) for k in kinds}, _skips(stress, kinds)
    unknown = _unknowns(stress, kinds)
    out = []
    for where, clauses in (run.get("rules") or {}).items():
        mech, _, variant = where.partition("/")
        label = column(mech, variant)
        for c in clauses if judged.get(label) else ():
            out.append(_record(c["id"], mech, variant or mech, bad.pop((c["id"], label), []), c))
        for c in clauses if not judged.get(label) and label in unknown else ():
            found_here = bad.pop((c["id"], label), [])
            out.append(_unknown(_record(c["id"], mech, variant or mech, found_here, c), unknown[label]))
        for c in clauses if not judged.get(label) and label in skips else ():
            out.append(_skipped(_record(c["id"], mech, variant or mech, [], c), skips[label]))
    out += [_record(c, v[0].get("mechanism", ""), v[0].get("variant", ""), v, v[0]) for (c, _), v in bad.items()]
    hangs = [h for h in _dicts(run.get("hangs")) if accuses(h)]
    out += [_of_the_run("HANG", "violated", h, hang_words(h), str(h.get("kind", ""))) for h in hangs]
    out += [_of_the_run("DRIVER", "broken", b, str(b.get("why", ""))) for b in _dicts(stress.get("broken"))]
    out += [
        _of_the_run("RESIDUE", "broken", r, f"{r.get('kind', '')} {r.get('name', '')} was left behind")
        for r in _dicts(run.get("residue"))
    ]
    out += [_scene(g) for g in _dicts(stress.get("gallery")) if g.get("scene")]
    return out + _untold(kinds, found, bool(stress.get("shortened")) or len(found) >= VIOLATIONS)


def _skips(stress: dict[str, Any], kinds: list[dict[str, Any]]) -> dict[str, str]:
    """Why no round of a kind was judged, by label."""
    unreached = "no round of it was judged: none of its drivers had a turn in time, a longer --for gives them one"
    out = {k["label"]: unreached for k in kinds if k.get("judged") == 0 and not k.get("rounds")}
    out |= {
        column(str(s.get("mechanism", "")), str(s.get("variant") or "")): str(s.get("why") or s.get("reason") or "")
        for s in _dicts(stress.get("skips"))
    }
    return out | {k["label"]: str(k["skipped"]) for k in kinds if k.get("skipped")}


def _unknowns(stress: dict[str, Any], kinds: list[dict[str, Any]]) -> dict[str, str]:
    """Why rounds of a kind, of which there were some, could not be judged, by label."""
    clock = stress.get("clock") if isinstance(stress.get("clock"), dict) else {}
    why = f"CLOCK: {clock['why']}" if clock.get("why") else str(stress.get("why") or "no round of it could be judged")
    return {k["label"]: why for k in kinds if k.get("judged") == 0 and k.get("rounds")}


def _unknown(r: Record, why: str) -> Record:
    if r.outcome == "held":
        r.outcome, r.reason = "unknown", why
    return r


def _skipped(r: Record, why: str) -> Record:
    r.outcome, r.reason = "skipped", why
    return r


def _record(clause: str, mech: str, variant: str, found: list[dict[str, Any]], about: dict[str, Any]) -> Record:
    r = Record(clause, variant, mech, "violated" if found else "held", UNDER_LOAD)
    r.text, r.source, r.level = (str(about.get(k) or "") for k in ("text", "source", "level"))
    r.since = about.get("since") or 0
    if found:
        v = found[0]
        r.reason, r.witness, r.replay = v.get("reason", ""), v.get("witness"), v.get("replay", "")
        r.expected, r.note = v.get("expected", ""), v.get("note", "")
        r.rule = " ".join(sorted({str(x["rule"]) for x in found if x.get("rule")}))
    return r


def _scene(g: dict[str, Any]) -> Record:
    """A row of the deadlock gallery: is each wait called what it is?"""
    mech, _, variant = str(g.get("on") or "?").partition("/")
    outcome = str(g.get("verdict"))
    r = Record(str(g["scene"]), variant or mech, mech, outcome if outcome in OUTCOMES else "broken", UNDER_LOAD)
    r.reason = "" if outcome == "held" else str(g.get("why") or outcome)
    r.replay = f"plumb-stress --job deadlock-gallery:{g['scene']}"
    r.kind, r.text = SCENE, "A wait that was arranged is named as what it is."
    return r


def _of_the_run(name: str, outcome: str, about: dict[str, Any], reason: str, rule: str = "") -> Record:
    mech = str(about.get("mechanism") or "?")
    variant = str(about.get("variant") or mech)
    return Record(name, variant, mech, outcome, UNDER_LOAD, reason, text=OF_THE_RUN[name], rule=rule)


def _untold(kinds: list[dict[str, Any]], found: list[dict[str, Any]], is_cut: bool) -> list[Record]:
    """Kinds with more violated rounds than the engine's list, cut on a full disk or when too long, names."""
    out = []
    for k in kinds:
        mech, _, variant = k["label"].partition("/")
        named = sum(column(v.get("mechanism", ""), v.get("variant", "")) == k["label"] for v in found)
        rounds = k.get("violated") or 0
        if rounds and (not named or is_cut and rounds > named):
            reason = f"{rounds} of {k.get('judged', '?')} rounds contradict their model; the list names {named}"
            outcome = "unknown" if named else "violated"
            about = OF_THE_RUN["ROUNDS"]
            out.append(Record("ROUNDS", variant or mech, mech, outcome, UNDER_LOAD, reason, text=about))
    return out
