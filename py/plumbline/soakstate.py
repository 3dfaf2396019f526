# SPDX-License-Identifier: MIT
"""What a soak knows, kept in soak.json: enough to go on after kill -9. Sums only: it does not grow with the hours."""
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from .outcomes import EXIT_BROKEN, Trouble

FILE = "soak.json"
SCHEMA = 1
LISTED = 100  # entries kept of each list; of violations, those of one kind leave room for others
PER_KIND = 20
_LISTS = ("hangs", "broken", "residue", "skips")
_FATES = ("held", "violated", "skipped", "broken", "unknown")
_NOT_SUMS = {"ops_per_s", "overlap", "lat_ns", "lat_max_ns", "drivers", "n", "skipped", "ops", "op", "lat_hist"}


def durable(path: Path, text: str) -> None:
    """All of it or what was there before, also after a power cut. OSError when it cannot be."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class State:
    """`next`: the segment that has not been counted yet. Everything in `d` is JSON."""

    def __init__(self, d: dict[str, Any]):
        self.d = d

    @classmethod
    def fresh(cls, seed: str, mix: list[str], options: dict[str, Any], command: str) -> "State":
        total = {"per_mech": {}, "violations": [], "seconds": 0.0, "counts": dict.fromkeys(_FATES, 0), "faults": []}
        total |= {k: [] for k in _LISTS} | {k: 0 for k in ("told", "hung", "left", "dropped")}
        return cls(
            {
                "schema": SCHEMA,
                "seed": seed,
                "mix": mix,
                "options": options,
                "command": command,
                "next": 0,
                "resumes": 0,
                "barren": 0,
                "total": total,
                "meter": {},
            }
        )

    @classmethod
    def load(cls, folder: Path) -> "State":
        path = folder / FILE
        try:
            d = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise Trouble(f"cannot resume: {path}: {getattr(e, 'strerror', None) or e}", EXIT_BROKEN) from None
        if not isinstance(d, dict) or d.get("schema") != SCHEMA:
            raise Trouble(f"cannot resume: {path} is of another version of plumbline", EXIT_BROKEN)
        return cls(d)

    def save(self, folder: Path) -> None:
        durable(folder / FILE, json.dumps(self.d, ensure_ascii=False) + "\n")

    @property
    def total(self) -> dict[str, Any]:
        return self.d["total"]

    @property
    def next(self) -> int:
        return self.d["next"]

    @property
    def soaked(self) -> float:
        return self.total["seconds"]

    def seed(self, segment: int) -> str:
        """Of a segment: follows from the soak's seed alone, so that a resumed soak goes on as it would have."""
        text = f"{int(self.d['seed'], 0):#x}/{segment}"
        return "0x" + hashlib.sha256(text.encode()).hexdigest()[:16]

    def add(self, segment: dict[str, Any], number: int) -> None:
        """One segment's summary (the engine's run.json, or what could be told of a killed one)."""
        t = self.total
        t["seconds"] += segment.get("seconds") or 0.0
        for name, kind in (segment.get("per_mech") or {}).items():
            add_kind(t["per_mech"].setdefault(name, {}), kind)
        for word in _FATES:
            t["counts"][word] += (segment.get("counts") or {}).get(word, 0)
        for name in _LISTS:
            found = [{**x, "segment": number} for x in segment.get(name) or [] if isinstance(x, dict)]
            t[name] += found[: max(0, LISTED - len(t[name]))]
        for h in segment.get("hangs") or []:
            kind = t["per_mech"].setdefault(f"{h.get('mechanism')}/{h.get('variant')}", {})
            kind["hangs"] = kind.get("hangs", 0) + 1
        t["hung"] += len(segment.get("hangs") or [])
        t["left"] += len(segment.get("residue") or [])
        t["dropped"] += len(segment.get("broken") or [])
        self._violations(segment.get("violations") or [], number)
        _add_faults(t["faults"], segment.get("faults") or [])
        for key in ("drivers", "actors", "lanes", "place", "private_ipc", "clock"):
            if key in segment:
                t[key] = segment[key]
        self.d["barren"] = 0 if sum_of(segment, "judged") else self.d["barren"] + 1
        self.d["next"] = number + 1

    def _violations(self, found: list[dict[str, Any]], number: int) -> None:
        kept = self.total["violations"]
        self.total["told"] += len(found)
        for v in found:
            same = sum(_kind(k) == _kind(v) for k in kept)
            if same < PER_KIND and len(kept) < LISTED:
                kept.append({**v, "segment": number, "segment_seed": self.seed(number)})

    def summary(self) -> dict[str, Any]:
        """In the shape of the engine's run.json, for reports."""
        t = self.total
        out = {k: t[k] for k in ("violations", "seconds", "counts", "faults", *_LISTS)}
        out |= {k: t[k] for k in ("drivers", "actors", "lanes", "place", "private_ipc", "clock") if k in t}
        out["per_mech"] = {name: _figures(kind, t["seconds"]) for name, kind in t["per_mech"].items()}
        for key in ("rounds", "judged", "unknown", "violated", "done", "okay", "fail", "pending", "killed", "ordered"):
            out[key] = sum_of(t, key)
        out["verdict"], out["why"] = self.verdict()
        out["segments"] = self.next
        return out

    def verdict(self, but_violations: bool = False) -> tuple[str, str]:
        """The worst that is certain comes first, over all segments together."""
        t, s = self.total, lambda key: sum_of(self.total, key)
        if not but_violations and (s("violated") or t["told"] or t["hung"]):
            hung = f", {t['hung']:,} hangs" if t["hung"] else ""
            return (
                "violated",
                f"{max(s('violated'), t['told']):,} of {s('rounds'):,} rounds contradict their model{hung}",
            )
        if t["dropped"] or t["left"]:
            return "broken", f"{t['dropped']:,} drivers broke, {t['left']:,} things were left behind"
        if not s("rounds"):
            return "skipped", "nothing ran"
        if not s("judged") or s("unknown") * 100 > s("rounds"):
            return "unknown", f"{s('unknown'):,} of {s('rounds'):,} rounds could not be judged"
        return "held", "every round agreed with its model"


def sum_of(summary: dict[str, Any], key: str) -> int:
    return sum(k.get(key) or 0 for k in (summary.get("per_mech") or {}).values())


def _kind(v: dict[str, Any]) -> tuple[Any, ...]:
    return v.get("mechanism"), v.get("variant"), v.get("clause"), v.get("rule")


def add_kind(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if key in _NOT_SUMS:
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            into[key] = into.get(key, 0) + value
    for op, (ok, fail) in (more.get("op") or {}).items():
        old = into.setdefault("op", {}).setdefault(op, [0, 0])
        old[0] += ok
        old[1] += fail
    for edge, n in (more.get("lat_hist") or {}).items():
        hist = into.setdefault("lat_hist", {})
        hist[edge] = hist.get(edge, 0) + n
    into["lat_max_ns"] = max(into.get("lat_max_ns", 0), (more.get("lat_ns") or {}).get("max") or 0)
    for key in ("drivers", "skipped"):
        if key in more:
            into[key] = more[key]


def _figures(kind: dict[str, Any], seconds: float) -> dict[str, Any]:
    """With what follows from the sums."""
    out = dict(kind)
    out["ops"] = kind.get("done", 0)
    out["ops_per_s"] = kind.get("done", 0) / seconds if seconds > 0 else 0.0
    out["overlap"] = kind["overlapped"] / kind["short"] if kind.get("short") else None
    hist = {int(edge): n for edge, n in (kind.get("lat_hist") or {}).items()}
    out["lat_ns"] = {"p50": quantile(hist, 0.5), "p99": quantile(hist, 0.99), "max": kind.get("lat_max_ns", 0)}
    return out


def quantile(hist: dict[int, int], q: float) -> int:
    """The upper edge of the bucket that holds it; 0 of nothing."""
    seen, want = 0, sum(hist.values()) * q
    for edge in sorted(hist):
        seen += hist[edge]
        if seen >= want:
            return edge
    return 0


def _add_faults(into: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    for i, f in enumerate(more):
        if i >= len(into):
            into.append({"what": f.get("what"), "per_s": f.get("per_s"), "asked": 0, "done": 0, "refused": 0})
        for key in ("asked", "done", "refused"):
            into[i][key] += f.get(key) or 0


def of_killed(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What an engine that was killed had told: its last tick, and everything it had found."""
    out: dict[str, Any] = {"cut": True, "per_mech": {}, "seconds": 0.0}
    armed = next((e.get("t", 0) for e in events if e.get("ev") == "armed"), None)
    for e in events:
        if e.get("ev") == "tick" and armed is not None and e.get("t", 0) >= armed:
            out["seconds"] = (e["t"] - armed) / 1e9
            out["per_mech"] = {name: _of_tick(m) for name, m in (e.get("mechs") or {}).items()}
    bare = [{k: v for k, v in e.items() if k not in ("ev", "t")} | {"_": e.get("ev")} for e in events]
    for name, ev in (("violations", "violation"), ("hangs", "hang")):
        out[name] = [{k: v for k, v in e.items() if k != "_"} for e in bare if e["_"] == ev]
    return out


def _of_tick(m: dict[str, Any]) -> dict[str, Any]:
    n = m.get("judged")
    judged = n if isinstance(n, int) else max(0, m.get("rounds", 0) - m.get("unknown", 0))
    names = ("done", "okay", "fail", "bytes", "rounds", "violated", "unknown", "op", "lat_hist")
    return {k: m[k] for k in names if k in m} | {"judged": judged, "drivers": m.get("n", 0)}
