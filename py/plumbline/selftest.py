# SPDX-License-Identifier: MIT
"""plumbline selftest: how much of what is broken on purpose is noticed, and what harmless oddities set off.

One line a mutant or oddity as it ends, then the score by mechanism. The words: killed (every trial named the right
clause), missed, wrong clause; quiet, alarm; not here, broken, interrupted.
"""
from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from . import machine, mutants
from .console import Out
from .mutants import LOAD, SUITES, Book, Lab, Plan, Subject, Trial
from .outcomes import EXIT_BROKEN, EXIT_HELD, EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_VIOLATED, Trouble, plural
from .places import Places
from .runfolder import RunFolder, tidy

SCHEMA = 1
FOLDER = "selftest"
LENGTH_S, QUICK_S = 20.0, 2.0  # of an oddity's rounds; the engine gives a mutant LENGTH_S at most
_WORST_FIRST = ("alarm", "broken", "wrong clause", "missed", "interrupted", "killed", "quiet", "not here")
_STYLE = {"alarm": "bold red", "missed": "bold red", "wrong clause": "bold red", "broken": "bold magenta"}


def word(trials: list[Trial]) -> str:
    """One word for all trials of a subject: the worst."""
    return min((t.outcome for t in trials), key=_WORST_FIRST.index, default="interrupted")


def chosen(book: Book, names: list[str], lab: Lab, quick: bool, benign: bool) -> list[Subject]:
    """Those of the names (also numbers and mechanisms), the oddities last. `quick`: a mutant in one place only."""
    mutants_ = [] if benign else book.mutants
    subjects = [*mutants_, *book.oddities]
    known = {key for s in [*book.mutants, *book.oddities] for key in _keys(s, lab)}
    for name in names:
        if name not in known:
            raise Trouble(f"no mutant, oddity, number or mechanism {name!r}: plumbline selftest --list")
    kept = [s for s in subjects if not names or set(names) & _keys(s, lab)]
    return [_once(s) if quick else s for s in kept]


def _keys(s: Subject, lab: Lab) -> set[str]:
    return {s.name, str(s.number or s.name), *([] if s.benign else [mechanism(s, lab)])}


def _once(s: Subject) -> Subject:
    return Subject(s.name, s.what, s.plans[:1], s.number, s.benign)


def mechanism(s: Subject, lab: Lab) -> str:
    owner = lab.known.by_id.get(s.clauses[0]) if s.clauses else None
    return owner.mechanism if owner else ""


class Bench:
    """The trials of one command: as many at once as asked for."""

    def __init__(self, out: Out, lab: Lab, folder: RunFolder, args: Any):
        self.out, self.lab, self.folder, self.args = out, lab, folder, args
        self.home = folder.path / FOLDER
        self.before: dict[str, str] = {}
        self.done: dict[Subject, list[Trial]] = {}
        self.length_s = QUICK_S if args.quick else LENGTH_S
        self.jobs = args.jobs or min(4, os.cpu_count() or 1)

    def run(self, subjects: list[Subject]) -> bool:
        """Tries all of them; False when Ctrl-C came in between."""
        oddities = [s for s in subjects if s.benign]
        if self.args.for_s and oddities:
            self.length_s = max(1.0, self.args.for_s * self.jobs / len(oddities))
        with ThreadPoolExecutor(self.jobs) as pool:
            pending: list[Future] = []
            try:
                self._plain(Book([s for s in subjects if not s.benign], [], []).plain)
                pending = [pool.submit(self._try, s) for s in subjects]
                for f in as_completed(pending):
                    self._tell(*f.result())
            except KeyboardInterrupt:
                self._stop(pending)
                return False
        return True

    def _stop(self, pending: list[Future]) -> None:
        """In order; Ctrl-C once more kills. What was under way is told."""
        begun = [f for f in pending if not f.cancel()]
        while True:
            self.lab.stop()
            try:
                ended = [f.result() for f in begun]
                break
            except KeyboardInterrupt:
                continue
        for s, trials in ended:
            if s not in self.done:
                self._tell(s, trials)

    def _plain(self, plain: Subject) -> None:
        """Without a mutant first: what does not hold then can convict nobody."""
        suites, load = plain.plans
        trials = []
        if suites.clauses:
            begun = time.monotonic()
            records = self.lab.suites(suites, self._room(plain, suites), self.jobs)
            self.before = mutants.honest(records)
            red = {r["clause"]: r.get("reason") or "" for r in records if r["outcome"] == "violated"}
            t = Trial(SUITES, "alarm" if red else "quiet", [], red, seconds=time.monotonic() - begun)
            t.why = "; ".join(f"{c}: {why}" for c, why in red.items()) or f"{len(self.before)} clauses tried"
            trials.append(t)
        if load.mix:
            trials.append(mutants.stays_quiet(self.lab, load, self._room(plain, load), self.length_s))
        if trials:
            self._tell(plain, trials)

    def _room(self, s: Subject, plan: Plan) -> Path:
        """A folder for one trial. Its name is short: names of sockets are made from it."""
        path = self.home / f"{s.name}.{plan.where}"
        path.mkdir(parents=True)
        return path

    def _try(self, s: Subject) -> tuple[Subject, list[Trial]]:
        trials = []
        for plan in s.plans:
            try:
                trials.append(self._trial(s, plan))
            except KeyboardInterrupt:
                trials.append(Trial(plan.where, "interrupted", list(plan.clauses)))
            except Trouble as e:
                trials.append(Trial(plan.where, "broken", list(plan.clauses), why=str(e)))
        return s, trials

    def _trial(self, s: Subject, plan: Plan) -> Trial:
        room = self._room(s, plan)
        if s.benign:
            t = mutants.stays_quiet(self.lab, plan, room, self.length_s)
        elif plan.where == SUITES:
            t = mutants.in_suites(self.lab, plan, room, self.before)
        else:
            t = mutants.under_load(self.lab, plan, room, LENGTH_S)
        if t.outcome in ("killed", "quiet", "not here"):
            shutil.rmtree(room, ignore_errors=True)  # what went as it should; the rest is kept to look at
        return t

    def _tell(self, s: Subject, trials: list[Trial]) -> None:
        self.done[s] = trials
        said = word(trials)
        number = str(s.number or "")
        self.out.say(f"{said:12} {number:>3} {s.name:22} {'; '.join(t.words for t in trials)}", _STYLE.get(said))
        if said in _STYLE:
            self.out.say(f"{'':16} {s.what}; kept in {self.home}/{s.name}.*")


class Score:
    """What came of it all, in numbers."""

    def __init__(self, done: dict[Subject, list[Trial]], lab: Lab):
        self.mutants = {s: t for s, t in done.items() if not s.benign}
        self.benign = {s: t for s, t in done.items() if s.benign}
        self.words = Counter(word(t) for t in done.values())
        self.by_mechanism: dict[str, list[Subject]] = {}
        for s in self.mutants:
            self.by_mechanism.setdefault(mechanism(s, lab), []).append(s)

    @property
    def tried(self) -> int:
        return sum(word(t) in ("killed", "missed", "wrong clause") for t in self.mutants.values())

    def exit(self, finished: bool) -> int:
        w = self.words
        if w["missed"] or w["wrong clause"] or w["alarm"]:
            return EXIT_VIOLATED
        if not finished:
            return EXIT_INTERRUPTED
        if w["broken"]:
            return EXIT_BROKEN
        return EXIT_HELD if w["killed"] or w["quiet"] else EXIT_NOTHING

    def rows(self) -> list[list[Any]]:
        """A mechanism each: mutants tried and killed, operations until then."""
        out = []
        for name in sorted(self.by_mechanism):
            trials = {s: self.mutants[s] for s in self.by_mechanism[name]}
            words = Counter(word(t) for t in trials.values())
            killed = [t for ts in trials.values() for t in ts if t.where == LOAD and t.outcome == "killed"]
            ops = sorted(t.operations for t in killed)
            figures = [f"{statistics.median(ops):,.0f}", f"{ops[-1]:,}"] if ops else ["", ""]
            tried = words["killed"] + words["missed"] + words["wrong clause"]
            out.append([name, words["killed"], tried, words["not here"], *figures])
        return out

    def sentence(self, seconds: float, finished: bool = True) -> str:
        w, done = self.words, sum(t.operations for ts in self.benign.values() for t in ts)
        wrong = [f"{w[k]} {k}" for k in ("missed", "wrong clause", "broken", "not here") if w[k]]
        alarms = plural(w["alarm"], "false alarm") if w["alarm"] else "no false alarm"
        killed = f"{w['killed']} of {plural(self.tried, 'mutant')} killed"
        return (
            f"selftest: {'' if finished else 'interrupted; '}{killed}{''.join(f', {x}' for x in wrong)}; "
            f"{plural(len(self.benign), 'harmless run')} of {done:,} operations, {alarms} ({seconds:.0f} s)"
        )


COLUMNS = ["mechanism", "killed", "tried", "not here", "operations: median", "most"]


def command(out: Out, places: Places, a: Any) -> int:
    lab = Lab.find(places)
    book = Book.load(places.conformance / "mutants/mutants.toml")
    subjects = chosen(book, a.names, lab, a.quick, a.benign)
    if a.list:
        return _list(out, book, subjects, lab)
    begun = time.monotonic()
    folder = RunFolder.create(a.out, latest=False)
    try:
        lab.journals = folder.path.resolve()
        faults = sum(not s.benign for s in subjects)
        out.say(f"selftest {folder.run}: {plural(faults, 'mutant')}, {len(subjects) - faults} oddities")
        bench = Bench(out, lab, folder, a)
        finished = bench.run(subjects)
        score = Score(bench.done, lab)
        code = score.exit(finished)
        sentence = score.sentence(time.monotonic() - begun, finished)
        told = _told(folder, bench, score, book, code, sentence)
        folder.write_json("selftest.json", told)
        _show(out, folder, score, told, a)
        return code
    finally:
        tidy(folder, places, [])
        folder.close()


def _told(folder: RunFolder, bench: Bench, score: Score, book: Book, code: int, sentence: str) -> dict[str, Any]:
    def told(s: Subject, trials: list[Trial]) -> dict[str, Any]:
        about = {"name": s.name, "number": s.number or None, "what": s.what, "outcome": word(trials)}
        return about | {"mechanism": mechanism(s, bench.lab), "trials": [vars(t) for t in trials]}

    return {
        "schema": SCHEMA,
        "run": folder.run,
        "exit": code,
        "sentence": sentence,
        "counts": dict(score.words),
        "tried": score.tried,
        "by_mechanism": [dict(zip(("mechanism", "killed", "tried", "not_here"), row)) for row in score.rows()],
        "mutants": [told(s, t) for s, t in score.mutants.items()],
        "benign": [told(s, t) for s, t in score.benign.items()],
        "untried": [] if bench.args.names or bench.args.benign else book.untried,
        "env": machine.environment(),
    }


def _show(out: Out, folder: RunFolder, score: Score, told: dict[str, Any], a: Any) -> None:
    rows = score.rows()
    out.say()
    if rows:
        out.table(COLUMNS, rows, right=range(1, 6))
    for u in told["untried"]:
        out.say(_untried(u))
    if a.markdown:
        _markdown(Path(a.markdown), told, rows)
    if a.json is not None:
        print(json.dumps(told, ensure_ascii=False, default=str))
    out.say()
    out.say(told["sentence"], "bold red" if told["exit"] == EXIT_VIOLATED else "bold")
    out.say(f"results {folder.path / 'selftest.json'}")


def _markdown(path: Path, told: dict[str, Any], rows: list[list[Any]]) -> None:
    def line(cells: list[Any]) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"

    lines = [f"**{told['sentence']}**", "", line(COLUMNS), "|---|" + "--:|" * (len(COLUMNS) - 1), *map(line, rows), ""]
    lines += [line(["", "fault", "is", "where it showed"]), "|--:|---|---|---|"]
    for s in [*told["mutants"], *told["benign"]]:
        shown = "; ".join(Trial(**t).words for t in s["trials"])
        lines.append(line([s["number"] or "", f"{s['name']}: {s['what']}", s["outcome"], shown]))
    lines += [line([u["number"], u["breaks"], "not tried", u["why"]]) for u in told["untried"]]
    try:
        path.write_text("\n".join(lines) + "\n")
    except OSError as e:
        raise Trouble(f"--markdown {path}: {e.strerror}", EXIT_BROKEN) from None


def _list(out: Out, book: Book, subjects: list[Subject], lab: Lab) -> int:
    rows = [
        [s.number or "", s.name, mechanism(s, lab), " ".join(s.clauses), s.what]
        for s in sorted(subjects, key=lambda s: (s.benign, s.number or 1000))
    ]
    out.table(["number", "name", "mechanism", "clauses", "what"], rows, right=[0], cut=True)
    for u in book.untried:
        out.say(_untried(u))
    return EXIT_HELD


def _untried(u: dict[str, Any]) -> str:
    return f"{'not tried':12} {u['number']:>3} {u['breaks']}: {u['why']}"
