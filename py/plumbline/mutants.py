# SPDX-License-Identifier: MIT
"""Faults made on purpose: what conformance/mutants/mutants.toml lists, and the trial of one.

A mutant is a libc whose calls lie (libplumb-mutants.so, chosen by PLUMB_MUTANT) or a driver that does; the suites or
the engine must name the right clause. An oddity is strange and allowed: nothing may be said of it.
"""
from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from .catalogue import Catalogue
from .outcomes import EXIT_BROKEN, EXIT_NOTHING, Trouble
from .places import Places
from .target import elf_static
from .tether import tied

SHIM, FAULTY = "libplumb-mutants.so", "faulty"
SUITES, LOAD = "suites", "load"
DEADLINE_S = 120.0  # of a trial, beyond its own length
SEED = "7"


@dataclass(frozen=True)
class Plan:
    """One way to try a fault: which clauses must say `violated` (none: nothing may), and what runs for it."""

    where: str  # SUITES, LOAD
    clauses: tuple[str, ...]
    spec: str  # PLUMB_MUTANT; "": the shim does nothing
    mix: tuple[str, ...] = ()
    fault: str = ""
    faulty: bool = False  # not the shim lies, but the driver: one of those in FAULTY


@dataclass(frozen=True)
class Subject:
    """A mutant, or an oddity, and its plans."""

    name: str
    what: str
    plans: tuple[Plan, ...]
    number: int = 0  # in the list of faults that anybody could make; 0: not one of those
    benign: bool = False

    @property
    def clauses(self) -> list[str]:
        return list(dict.fromkeys(c for p in self.plans for c in p.clauses))


@dataclass(frozen=True)
class Book:
    mutants: list[Subject]
    oddities: list[Subject]
    untried: list[dict[str, Any]]  # number, breaks, why

    @classmethod
    def load(cls, path: Path) -> "Book":
        try:
            raw = tomllib.loads(path.read_text())
            return cls([_mutant(m) for m in raw["mutant"]], [_oddity(o) for o in raw["oddity"]], raw["untried"])
        except (OSError, ValueError, KeyError) as e:
            raise Trouble(f"{path}: {type(e).__name__} {e}", EXIT_BROKEN) from None

    @property
    def plain(self) -> Subject:
        """Everything that is tried below, with the shim loaded and nothing asked of it."""
        plans = [p for m in self.mutants for p in m.plans if not p.faulty]
        clauses = {c for p in plans if p.where == SUITES for c in p.clauses}
        mix = {part for p in plans for part in p.mix}
        return Subject(
            "no-mutant",
            "the shim is loaded and does nothing",
            (Plan(SUITES, tuple(sorted(clauses)), ""), Plan(LOAD, (), "", tuple(sorted(mix)))),
            benign=True,
        )


def _mutant(raw: dict[str, Any]) -> Subject:
    name, plans = raw["name"], []
    for where, key in ((SUITES, "conform"), (LOAD, "stress")):
        if form := raw.get(key):
            spec = "" if raw.get("faulty") else form.get("spec", name)
            mix = tuple(form.get("run", "").split())
            plans.append(
                Plan(where, tuple(form["clauses"]), spec, mix, form.get("fault", ""), bool(raw.get("faulty")))
            )
    return Subject(name, raw["breaks"], tuple(plans), raw.get("number", 0))


def _oddity(raw: dict[str, Any]) -> Subject:
    spec = raw["name"] if raw["name"].startswith("odd-") else ""
    return Subject(
        raw["name"], raw["what"], (Plan(LOAD, (), spec, tuple(raw["runs"]), raw.get("fault", "")),), benign=True
    )


@dataclass
class Trial:
    """What came of a plan."""

    where: str
    outcome: str  # killed, missed, wrong clause; quiet, alarm; not here, broken, interrupted
    clauses: list[str] = field(default_factory=list)  # that had to be named
    named: dict[str, str] = field(default_factory=dict)  # clause: the rule that spoke, or the test's own words
    operations: int = 0  # until then: under load all operations of the driver, in the suites calls that could show it
    seconds: float = 0.0
    lies: int = 0
    why: str = ""

    @property
    def words(self) -> str:
        """One line for people."""
        if self.outcome in ("killed", "wrong clause"):
            what = ", ".join(f"{c} ({self.named[c]})" if self.where == LOAD else c for c in self.named)
        else:
            what = self.why or "nothing said"
        ops = f"{self.operations:,} {'operations' if self.where == LOAD else 'calls'}, " if self.operations else ""
        return f"{self.where}: {what} [{ops}{self.seconds:.2f} s]"


class Lab:
    """A build that can be told to lie, and the trials in it. Several may run at once, in threads of one process."""

    def __init__(self, places: Places, shim: Path):
        self.places, self.shim = places, shim
        self.known = Catalogue.load(places.conformance / "clauses")
        self.journals: Path | None = None  # where the suites' drivers keep theirs
        self.stopped = False
        self._alive: set[subprocess.Popen] = set()
        self._mutex = threading.Lock()

    @classmethod
    def find(cls, places: Places) -> "Lab":
        """Trouble says in one line what is missing, or why these drivers cannot be told to lie."""
        names = places.need_drivers()
        folders = (places.drivers.parent / "conformance/mutants", places.drivers)
        shim = next((f / SHIM for f in folders if (f / SHIM).is_file()), None)
        if not shim:
            raise Trouble(f"no {SHIM} beside the drivers in {places.drivers}: ninja -C build", EXIT_BROKEN)
        driver = places.driver(names[0])
        if elf_static(driver):
            raise Trouble(f"{driver} is static: no library can be loaded before its libc", EXIT_NOTHING)
        if any(mark in driver.read_bytes() for mark in (b"__asan_init", b"__tsan_init")):
            raise Trouble("drivers built with a sanitizer want to be the first to be loaded", EXIT_NOTHING)
        if any(c in os.fspath(shim) for c in ":;"):
            raise Trouble(f"LD_LIBRARY_PATH cannot name a path with a colon: {shim.parent}", EXIT_NOTHING)
        return cls(places, shim.resolve())

    # what goes on at any time
    def stop(self) -> None:
        """Ends all trials in order; said again, at once."""
        with self._mutex:
            number = signal.SIGKILL if self.stopped else signal.SIGINT
            self.stopped = True
            for child in self._alive:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, number)

    @contextlib.contextmanager
    def _child(self, argv: list[str], env: dict[str, str], seconds: float, **how: Any) -> Iterator[subprocess.Popen]:
        """A process group on a tether, killed after so long, and when the body ends by an exception."""
        with self._mutex:
            if self.stopped:
                raise KeyboardInterrupt
            child = subprocess.Popen(tied(argv), stdin=subprocess.DEVNULL, env=env, process_group=0, **how)
            self._alive.add(child)
        killer = threading.Timer(seconds, lambda: os.killpg(child.pid, signal.SIGKILL))
        killer.start()
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    os.killpg(child.pid, signal.SIGKILL)
                    raise
        finally:
            killer.cancel()
            with self._mutex:
                self._alive.discard(child)

    def _environment(self) -> dict[str, str]:
        """For a process of its own: what was said to this one, and pytest to its workers, is not for it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PLUMB"))}
        package = os.fspath(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        return kept | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    # where a fault comes in
    def _drivers(self, plan: Plan) -> Path:
        return self.shim.parent / FAULTY if plan.faulty else self.places.drivers

    def _prefix(self, plan: Plan, folder: Path) -> str:
        """The target that loads the shim under a driver."""
        preload = [f"LD_PRELOAD={SHIM}", f"LD_LIBRARY_PATH={self.shim.parent}"]  # LD_PRELOAD ends at a space
        mutant = [f"PLUMB_MUTANT={plan.spec}", f"PLUMB_MUTANT_STATE={folder / 'state'}"]
        return "" if plan.faulty else shlex.join(["env", *preload, *mutant])

    # the two places where it must show
    def suites(self, plan: Plan, folder: Path, jobs: int = 0) -> list[dict[str, Any]]:
        """The results of the tests that judge the plan's clauses."""
        home = self.places.conformance
        argv = [sys.executable, "-m", "pytest", home, "-q", "-p", "no:cacheprovider", "--ignore", home / "mutants"]
        argv += ["--ignore", home / "examples"]  # the same clauses once more, as stories
        argv += ["-k", " or ".join(plan.clauses), "--drivers", self._drivers(plan)]
        argv += ["--results", folder / "results.jsonl"]
        argv += ["--target", self._prefix(plan, folder)] if self._prefix(plan, folder) else []
        argv += ["-n", str(jobs)] if jobs > 1 else []
        env = self._environment() | ({"PLUMBLINE_RUN_DIR": os.fspath(self.journals)} if self.journals else {})
        deadline = DEADLINE_S * (1 + len(plan.clauses) / 10)
        with open(folder / "suites.log", "wb") as log:
            with self._child(list(map(os.fspath, argv)), env, deadline, stdout=log, stderr=log) as child:
                child.wait()
        found = sorted(folder.glob("results.jsonl*"))
        records = [json.loads(line) for path in found for line in path.read_text().splitlines()]
        if not records and not self.stopped:
            said = (folder / "suites.log").read_text(errors="replace").strip().splitlines()[-3:]
            raise Trouble(f"no test ended: {' / '.join(said)}", EXIT_BROKEN)
        return records

    def load(self, plan: Plan, folder: Path, seconds: float) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        """The engine's exit code, the violations it told, its `end`. It stops when a clause of the plan was named."""
        argv = [self.places.tool("plumb-stress"), *plan.mix, "--for", f"{seconds * 1000:.0f}ms", "--seed", SEED]
        argv += ["--json", "--drivers", self._drivers(plan), "--out", folder]
        argv += ["--target", self._prefix(plan, folder)] if self._prefix(plan, folder) else []
        argv += ["--fault", plan.fault] if plan.fault else []
        told: list[dict[str, Any]] = []
        last: dict[str, Any] = {}
        armed = 0
        with open(folder / "stderr", "wb") as errors:
            argv = list(map(os.fspath, argv))
            how = {"stdout": subprocess.PIPE, "stderr": errors, "text": True}
            with self._child(argv, self._environment(), seconds + DEADLINE_S, **how) as engine:
                for line in engine.stdout:
                    event = json.loads(line)
                    if event["ev"] == "armed":
                        armed = event["t"]
                    elif event["ev"] == "violation" and not self._right(plan, told):
                        told.append(event | {"clause": self._clause(event), "after": (event["t"] - armed) / 1e9})
                        if self._right(plan, told):
                            engine.send_signal(signal.SIGINT)
                    elif event["ev"] == "end":
                        last = event
                return engine.wait(), told, last

    @staticmethod
    def _right(plan: Plan, told: list[dict[str, Any]]) -> bool:
        return bool(told) and told[-1]["clause"] in plan.clauses

    def _clause(self, violation: dict[str, Any]) -> str:
        mechanism = violation["mechanism"].partition("/")[0]
        owner = self.known.owner(mechanism, violation["variant"], violation["rule"])
        return owner.id if owner else violation["rule"]


def lies(folder: Path) -> tuple[int, int]:
    """(calls that could show it, lies told), as the shim has counted them: did a mutant go unnoticed, or never run?"""
    state = folder / "state"
    return struct.unpack("QQ", state.read_bytes()[:16]) if state.exists() else (0, 0)


def honest(records: list[dict[str, Any]]) -> dict[str, str]:
    """Why a clause can convict nobody here, from its results without a mutant; "" when it can."""
    why: dict[str, str] = {}
    for r in records:
        if r["outcome"] == "held":
            why.setdefault(r["clause"], "")
    for r in records:
        if r["outcome"] == "violated" or r["outcome"] != "held" and r["clause"] not in why:
            why[r["clause"]] = f"{r['clause']} is {r['outcome']} without it: {r.get('reason') or ''}"
    return why


def in_suites(lab: Lab, plan: Plan, folder: Path, before: dict[str, str]) -> Trial:
    """`before`: what honest() said of the plan's clauses."""
    wanted = [c for c in plan.clauses if not before.get(c, "it has no test here")]
    t = Trial(SUITES, "not here", wanted, why="; ".join(before.get(c, f"{c} has no test here") for c in plan.clauses))
    if not wanted:
        return t
    records = lab.suites(plan, folder)
    red = [r for r in records if r["outcome"] == "violated"]
    t.named = {r["clause"]: r.get("reason") or "" for r in reversed(red)}
    t.operations, t.lies = lies(folder)
    t.seconds = min((r["seconds"] for r in red), default=0.0)
    missing = [c for c in wanted if c not in t.named]
    t.outcome = "killed" if not missing else "wrong clause" if not set(wanted) & set(t.named) and t.named else "missed"
    t.why = f"{' '.join(missing)} not violated, {t.lies} lies told" if missing else ""
    return t


def under_load(lab: Lab, plan: Plan, folder: Path, seconds: float) -> Trial:
    code, told, last = lab.load(plan, folder, seconds)
    t = Trial(LOAD, "missed", list(plan.clauses), seconds=told[-1]["after"] if told else last.get("seconds") or 0.0)
    t.named = {v["clause"]: v["rule"] for v in told}
    done = sum(k.get("done") or 0 for k in (last.get("per_mech") or {}).values())
    t.operations = told[-1].get("done") or done if told else done
    t.lies = lies(folder)[1]
    if set(t.named) & set(plan.clauses):
        t.outcome = "killed"
        t.named = {c: rule for c, rule in t.named.items() if c in plan.clauses}
    elif t.named:
        t.outcome = "wrong clause"
        t.why = told[-1]["text"]
    elif code in (3, 4, 130):
        t.outcome = {3: "broken", 4: "not here", 130: "interrupted"}[code]
        t.why = str(last.get("why") or (folder / "stderr").read_text(errors="replace").strip()[-300:])
    else:
        t.why = f"no violation, {t.lies} lies told" if plan.spec else "no violation"
    return t


def stays_quiet(lab: Lab, plan: Plan, folder: Path, seconds: float) -> Trial:
    """An oddity, or nothing at all, under load: whatever the engine says against a mechanism is our own fault."""
    code, told, last = lab.load(plan, folder, seconds)
    done = sum(k.get("done") or 0 for k in (last.get("per_mech") or {}).values())
    t = Trial(LOAD, "quiet", [], {v["clause"]: v["rule"] for v in told}, done, last.get("seconds") or 0.0)
    t.lies = lies(folder)[1]
    t.why = str(last.get("why") or "")
    if told or code == 1:
        t.outcome, t.why = "alarm", told[0]["text"] if told else t.why
    elif code != 0:
        t.outcome = {4: "not here", 130: "interrupted"}.get(code, "broken")
    elif plan.spec and not t.lies:
        t.outcome, t.why = "broken", "it never happened"
    return t
