# SPDX-License-Identifier: MIT
"""What held, and what did not, at one time: of one run, of several together, or of a stored baseline.

A baseline is TOML to be kept in a repository: a header, then a table a mechanism and variant, a line a claim, sorted.

    schema = 1
    catalogue = 1
    kernel = "Linux 6.18"
    [conform."mutex/robust"]
    MTX-09 = "held"
    [load.mq]
    PMQ-03 = "violated VORD"        # the rules of the judges that found it
"""
from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, NamedTuple

from . import claims
from .outcomes import EXIT_BROKEN, OUTCOMES, Cell, Record, Trouble, cells
from .runfolder import RunFolder

SCHEMA = 1
CONFORM, LOAD = LAYERS = ("conform", "load")
_ABOUT = ("run", "written", "kernel", "libc", "target")


class Key(NamedTuple):
    """A claim: the suites' or that of rounds under load, on a mechanism's variant, by clause."""

    layer: str
    place: str
    clause: str

    @property
    def where(self) -> str:
        return self.place + (" under load" if self.layer == LOAD else "")

    @property
    def mechanism(self) -> str:
        return self.place.split("/")[0]

    @property
    def variant(self) -> str:
        return self.place.split("/")[-1]


@dataclass(frozen=True)
class Fact:
    outcome: str
    rules: tuple[str, ...] = ()  # that a judge of rounds named
    since: int = 0  # version of the catalogue that brought the clause; 0: not known
    text: str = ""
    reason: str = ""
    replay: str = ""
    expected: str = ""  # the outcome that the run's own expectations foresaw
    note: str = ""
    seconds: float = 0.0


@dataclass
class Snapshot:
    name: str
    facts: dict[Key, Fact] = field(default_factory=dict)
    catalogue: int = 0
    about: dict[str, str] = field(default_factory=dict)
    trouble: list[tuple[str, str]] = field(default_factory=list)  # ("broken" or "unknown", why), beyond any claim
    news: list[str] = field(default_factory=list)  # about expectations
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)  # the engine's figures


def of_runs(folders: Iterable[RunFolder]) -> Snapshot:
    return of_told([(f.run, claims.of_folder(f)) for f in folders])


def of_told(told: list[tuple[str, claims.Told]]) -> Snapshot:
    """Several are parts of one: where two speak of one claim the worse one counts."""
    s = Snapshot(", ".join(name for name, _ in told))
    for layer, pick in ((CONFORM, lambda t: t.records), (LOAD, lambda t: t.under_load)):
        for (clause, place), cell in cells(r for _, t in told for r in pick(t)).items():
            s.facts[Key(layer, place, clause)] = _fact(cell)
    for name, t in told:
        s.catalogue = max(s.catalogue, _int(t.run.get("catalogue")))
        found = list(_trouble(t)) or list(_unaccounted(t))
        s.trouble += [(outcome, f"run {name}: {why}") for outcome, why in found]
        s.news += [str(n) for n in t.run.get("news") or ()]
        s.kinds |= {k["label"]: k for k in t.kinds}
    run, env = (told[0][1].run, told[0][1].env) if told else ({}, {})
    s.about = {"run": s.name, "written": str(run.get("started", ""))[:10], "target": str(run.get("target", ""))}
    s.about |= {k: str(env.get(k, "")) for k in ("kernel", "libc")}
    return s


def _fact(cell: Cell) -> Fact:
    r: Record = cell.speaker
    same = [x for x in cell.records if x.outcome == r.outcome]
    rules = sorted({rule for x in same for rule in x.rule.split()}) if r.outcome == "violated" else ()
    seconds = sum(x.seconds for x in cell.records)
    return Fact(r.outcome, tuple(rules), r.since, r.text, r.reason, r.replay, r.expected, r.note, seconds)


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _trouble(t: claims.Told) -> Iterable[tuple[str, str]]:
    """Why a run is not whole, beyond what its claims say."""
    if t.conform.get("trouble"):
        yield "broken", str(t.conform["trouble"]).split("\n")[0]
    engine = t.stress.get("exit")
    if engine == EXIT_BROKEN:
        yield "broken", f"stress: {t.stress.get('why') or 'the engine failed'}"
    elif engine == 5:
        yield "unknown", f"stress: {t.stress.get('why') or 'no verdict'}"
    if t.run.get("verdict") == "interrupted" or engine == 130:
        yield "unknown", "it was interrupted: what had not run by then is missing"


def _unaccounted(t: claims.Told) -> Iterable[tuple[str, str]]:
    """A verdict that no claim explains: whatever it is about is not green."""
    word = str(t.run.get("verdict", ""))
    if word in ("violated", "broken", "unknown") and not any(r.outcome == word for r in t.records + t.under_load):
        yield "unknown" if word == "unknown" else "broken", f"its verdict is {word}, and no claim of it is"


# the stored form
def write_baseline(path: str, s: Snapshot) -> None:
    """Trouble when the run is no measure: one that broke or was cut short would hide what it could not try."""
    broken = [f"{k.clause} ({k.where}): {f.reason}" for k, f in s.facts.items() if f.outcome == "broken"]
    why = next((f"{why}" for _, why in s.trouble), "") or next(iter(broken), "")
    if why:
        raise Trouble(f"{s.name} cannot be a baseline, it is not whole: {why}", EXIT_BROKEN)
    if not s.facts:
        raise Trouble(f"{s.name} cannot be a baseline: nothing ran in it", EXIT_BROKEN)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        Path(temporary).write_text(baseline_text(s), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as e:
        Path(temporary).unlink(missing_ok=True)
        raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None


def baseline_text(s: Snapshot) -> str:
    lines = [
        "# What held and what did not: `plumbline gate --baseline THIS` compares a run with it.",
        "# `plumbline gate --write-baseline THIS RUN` writes it again; review the difference, then commit it.",
        f"schema = {SCHEMA}",
        f"catalogue = {s.catalogue}",
        *(f"{k} = {_quote(s.about[k])}" for k in _ABOUT if s.about.get(k)),
    ]
    table: tuple[str, str] | None = None
    for key, fact in sorted(s.facts.items()):
        if key[:2] != table:
            table = key[:2]
            lines += ["", f"[{key.layer}.{_name(key.place)}]"]
        lines.append(f"{_name(key.clause)} = {_quote(' '.join([fact.outcome, *fact.rules]))}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _name(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quote(text)


def of_baseline(path: str) -> Snapshot:
    """Trouble (exit 2) says what is wrong with the file."""
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise Trouble(f"{path}: {getattr(e, 'strerror', None) or e}") from None
    if raw.get("schema") != SCHEMA:
        what = "a newer plumbline wrote it" if _int(raw.get("schema")) > SCHEMA else "it has no `schema = 1`"
        raise Trouble(f"{path}: no baseline that this plumbline reads: {what}")
    about = {k: str(raw.get(k, "")) for k in _ABOUT}
    s = Snapshot(path, catalogue=_int(raw.get("catalogue")), about=about)
    for layer in LAYERS:
        for place, table in _tables(raw.get(layer, {}), f"{path}: {layer}"):
            for clause, value in table.items():
                word, *rules = str(value).split() or [""]
                if word not in OUTCOMES:
                    raise Trouble(f"{path}: [{layer}.{place}] {clause}: {value!r} is none of {' '.join(OUTCOMES)}")
                s.facts[Key(layer, place, clause)] = Fact(word, tuple(rules))
    if not s.facts:
        raise Trouble(f"{path}: a baseline without a claim")
    return s


def _tables(value: Any, where: str) -> Iterable[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict) or any(not isinstance(t, dict) for t in value.values()):
        raise Trouble(f"{where}: tables are expected, as in [conform.mq]")
    return value.items()
