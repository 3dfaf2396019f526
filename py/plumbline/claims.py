# SPDX-License-Identifier: MIT
"""What a run's folder says, claim by claim: the records of the suites, and one a clause that rounds spoke for."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .outcomes import OUTCOMES, Record, column
from .runfolder import RunFolder
from .stress import hang_words

UNDER_LOAD = "stress::under_load"  # what stands for a test in a record of the engine's
# What the engine may find beyond any clause.
OF_THE_RUN = {
    "HANG": "Every operation that can be carried out is carried out.",
    "DRIVER": "The driver lives until it is told to stop.",
    "RESIDUE": "Nothing is left behind.",
    "ROUNDS": "Every round agrees with its model.",
}
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
    for v in _dicts(run.get("violations")):
        if v.get("where") == "stress":
            key = v.get("clause") or v.get("rule") or "?", column(v.get("mechanism", ""), v.get("variant", ""))
            bad.setdefault(key, []).append(v)
    named = {label for _, label in bad}
    judged = {k["label"]: k.get("judged", 0) for k in kinds}
    out = []
    for where, clauses in (run.get("rules") or {}).items():
        mech, _, variant = where.partition("/")
        label = column(mech, variant)
        for c in clauses if judged.get(label) or judged.get(where) else ():
            out.append(_record(c["id"], mech, variant or mech, bad.pop((c["id"], label), []), c))
    out += [_record(c, v[0].get("mechanism", ""), v[0].get("variant", ""), v, v[0]) for (c, _), v in bad.items()]
    stress = run.get("stress") or {}
    out += [_of_the_run("HANG", "violated", h, hang_words(h), str(h.get("kind", ""))) for h in _dicts(run.get("hangs"))]
    out += [_of_the_run("DRIVER", "broken", b, str(b.get("why", ""))) for b in _dicts(stress.get("broken"))]
    out += [
        _of_the_run("RESIDUE", "broken", r, f"{r.get('kind', '')} {r.get('name', '')} was left behind")
        for r in _dicts(run.get("residue"))
    ]
    return out + [_untold(k) for k in kinds if k.get("violated") and k["label"] not in named]


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


def _of_the_run(name: str, outcome: str, about: dict[str, Any], reason: str, rule: str = "") -> Record:
    mech = str(about.get("mechanism") or "?")
    variant = str(about.get("variant") or mech)
    return Record(name, variant, mech, outcome, UNDER_LOAD, reason, text=OF_THE_RUN[name], rule=rule)


def _untold(kind: dict[str, Any]) -> Record:
    """Violated rounds of a kind of which the engine's list, cut on a full disk or when too long, names none."""
    mech, _, variant = kind["label"].partition("/")
    reason = f"{kind['violated']} of {kind.get('judged', '?')} rounds contradict their model; none is in the list"
    return Record("ROUNDS", variant or mech, mech, "violated", UNDER_LOAD, reason, text=OF_THE_RUN["ROUNDS"])
