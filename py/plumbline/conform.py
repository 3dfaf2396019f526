# SPDX-License-Identifier: MIT
"""The conformance suites: pytest on conformance/, its results gathered clause by clause."""
from __future__ import annotations

import importlib.util
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from . import agent, clock, expect
from .catalogue import Catalogue
from .console import Out, mark, plain
from .drivers import Known
from .outcomes import EXIT_BROKEN, OUTCOMES, Record, Trouble, cells, counts, plural, verdict
from .places import Places
from .runfolder import RunFolder
from .story import drawing
from .target import Target
from .tether import tied

RESULTS = "results.jsonl"
_FILES_BASE, _FILES_WORKER = 48, 4  # descriptors that pytest needs, and for each worker more
_WORKERS_MORE = 4  # than CPUs
_INTERRUPT_S = 20.0  # what pytest gets to tear down after Ctrl-C


@dataclass
class Conform:
    """What a conformance run found."""

    records: list[Record] = field(default_factory=list)
    news: list[str] = field(default_factory=list)  # about expectations
    clock: dict[str, Any] = field(default_factory=dict)  # its audits, as the engine tells of its own
    notes: list[str] = field(default_factory=list)  # about the clock
    trouble: str = ""  # why the suites themselves could not run
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        tally = counts(self.records)
        if self.trouble:
            tally["broken"] += 1
        return verdict(tally, len(self.against), self.interrupted)

    @property
    def against(self) -> list[Record]:
        """Violations that nobody expected, one a clause and variant."""
        return [c.speaker for c in cells(self.records).values() if c.speaker.counts_against]


def parse_shard(text: str) -> str:
    m = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not m or int(m[1]) > int(m[2]):
        raise Trouble(f"--shard {text}: say which of how many, as in 2/4")
    return text


def check_mechanisms(chosen: list[str], names: list[str]) -> None:
    for c in chosen:
        if c.split("/")[0] not in names:
            raise Trouble(f"no mechanism {c!r}; there are: {' '.join(names)}")


def check_variants(chosen: list[str], known: list[Known]) -> None:
    """Of the drivers that answered: the others' tests say what is wrong with them."""
    for k in known:
        there = [f"{k.name}/{v['name']}" for v in k.variants]
        for c in chosen:
            if there and c.startswith(f"{k.name}/") and c not in there:
                raise Trouble(f"no variant {c!r}; there are: {' '.join(there)}")


def run(
    out: Out,
    places: Places,
    folder: RunFolder,
    target: Target,
    chosen: list[str],
    *,
    keyword: str = "",
    shard: str = "",
    expectations: str | None = None,
    budget_s: float | None = None,
    jobs: str = "auto",
) -> Conform:
    """Runs the suites and gathers what they found. Trouble only for bad input; all else is in the answer."""
    known = Catalogue.load(places.conformance / "clauses")
    expected = expect.load(expectations, known.by_id)
    names = places.need_drivers()
    check_mechanisms(chosen, names)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        str(places.conformance),
        "-q",
        "--no-header",
        "-p",
        "plumbline.selection",
        "-p",
        "no:cacheprovider",
        "--tb=short",
    ]
    argv += ["-n", jobs] if importlib.util.find_spec("xdist") and jobs != "0" else []
    argv += ["-k", keyword] if keyword else []
    begun = time.monotonic()
    watched = clock.Watched(places, target, list(dict.fromkeys(c.split("/")[0] for c in chosen)) or names)
    agent.close_all()  # each worker has its own
    env = _environment(places, folder, target, chosen, shard) | {clock.VARIABLE: watched.words}
    status, interrupted = _pytest(out, folder, argv, env, budget_s)
    c = Conform(gather(folder, known), interrupted=interrupted)
    c.notes = watched.notes + watched.end(c.records)
    c.clock, c.seconds = watched.found, time.monotonic() - begun
    c.news = expect.apply(c.records, expected)
    if not interrupted:
        c.trouble = _trouble(status, c.records, folder)
    return c


def workers(asked: str) -> str:
    """How many tests at once: all CPUs and a few, as most of a test is waiting; fewer where descriptors are few.
    Trouble where the suites themselves cannot work, whatever the mechanisms do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = sys.maxsize if hard == resource.RLIM_INFINITY else (hard - _FILES_BASE) // _FILES_WORKER
    count = min((os.cpu_count() or 1) + _WORKERS_MORE, max(1, room)) if asked == "auto" else int(asked)
    need = _FILES_BASE + _FILES_WORKER * count
    if count > room:
        raise Trouble(f"RLIMIT_NOFILE is {hard}, the suites need {need}: raise it (ulimit -n)", EXIT_BROKEN)
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
    return str(count)


def _environment(places: Places, folder: RunFolder, target: Target, chosen: list[str], shard: str) -> dict[str, str]:
    path = str(Path(__file__).resolve().parents[1])
    here = folder.path.resolve()
    kept = {k: v for k, v in os.environ.items() if k != "PYTEST_XDIST_WORKER"}
    return {
        **kept,
        "PLUMBLINE_RESULTS": str(here / RESULTS),
        "PLUMBLINE_DRIVERS": str(places.drivers.resolve()),
        "PLUMBLINE_TARGET": "" if not target.argv else str(target),
        "PLUMBLINE_AGENT": target.agent,
        "PLUMBLINE_RUN_DIR": str(here),
        "PLUMBLINE_RUN": folder.run,
        "PLUMBLINE_MECH": " ".join(chosen),
        "PLUMBLINE_SHARD": shard,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")])),
    }


def _pytest(
    out: Out, folder: RunFolder, argv: list[str], env: dict[str, str], budget_s: float | None
) -> tuple[int, bool]:
    """pytest's exit status, and whether it was interrupted. Its output goes to conform.log."""
    try:
        log = open(folder.path / "conform.log", "wb")
    except OSError as e:
        raise Trouble(f"cannot write {folder.path}/conform.log: {e.strerror}", EXIT_BROKEN) from None
    begun, interrupted = time.monotonic(), False
    with log, out.watch() as watch:
        child = subprocess.Popen(
            tied(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env, process_group=0
        )
        try:
            while (status := _wait(child, 0.5)) is None:
                tally = counts(gather(folder))
                words = ", ".join(f"{n} {o}" for o, n in tally.items() if n) or "collecting"
                watch.show(Text(f"conform  {time.monotonic() - begun:4.0f} s  {words}"), f"conform: {words}")
                if budget_s and time.monotonic() - begun > budget_s:
                    out.warn(
                        f"conform: the budget of {budget_s:g} s is used up; what has not run counts as interrupted"
                    )
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            interrupted, status = True, _interrupt(child)
    return status, interrupted


def _wait(child: subprocess.Popen, seconds: float) -> int | None:
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _interrupt(child: subprocess.Popen) -> int:
    """Ctrl-C to pytest's group; a second one, or 20 s, kills it."""
    os.killpg(child.pid, signal.SIGINT)
    try:
        status = _wait(child, _INTERRUPT_S)
    except KeyboardInterrupt:
        status = None
    if status is None:
        os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
    return status


def gather(folder: RunFolder, known: Catalogue | None = None) -> list[Record]:
    """All workers' results, in the order of clause and test. A line that says nothing of use is left out."""
    raw = [r for path in sorted(folder.path.glob(RESULTS + "*")) for r in folder.read_lines(path.name)]
    records = []
    for r in raw:
        try:
            records.append(Record.of(r))
        except (KeyError, TypeError):
            continue
    for r in records if known else ():
        r.since = known.by_id[r.clause].since if r.clause in known.by_id else 0
    order = {c: i for i, c in enumerate(known.by_id if known else ())}
    return sorted(records, key=lambda r: (order.get(r.clause, len(order)), r.clause, r.mechanism, r.variant, r.test))


def _trouble(status: int, records: list[Record], folder: RunFolder) -> str:
    """Why the suites did not do their work although pytest ended; "" when all is well. Never a silent green."""
    bad = any(r.outcome in ("violated", "broken", "unknown") for r in records)
    if status in (0, 5) or status == 1 and bad:
        return ""
    try:
        tail = (folder.path / "conform.log").read_text(errors="replace").strip().splitlines()[-12:]
    except OSError:
        tail = []
    what = {
        1: "a test failed without leaving a result",
        2: "pytest was interrupted or could not collect",
        4: "pytest refused its options",
    }
    return f"{what.get(status, f'pytest ended with {status}')}; see {folder.path}/conform.log\n  " + "\n  ".join(tail)


# what people see
def matrix(records: list[Record]) -> tuple[list[str], list[list[Any]]]:
    """Rows: clauses. Columns: variants. Cells: marks."""
    table = cells(records)
    columns = sorted({where for _, where in table})
    rows: list[list[Any]] = []
    for clause in dict.fromkeys(c for c, _ in table):
        row: list[Any] = [clause]
        for where in columns:
            cell = table.get((clause, where))
            row.append(mark(cell.outcome, cell.speaker.expected == cell.outcome) if cell else "")
        rows.append(row)
    return ["clause", *columns], rows


def show(out: Out, c: Conform) -> None:
    """The matrix, a mechanism at a time; violations, drawn; skips with reasons; news about clock and expectations."""
    for mech in dict.fromkeys(r.mechanism for r in c.records):
        part = [r for r in c.records if r.mechanism == mech]
        columns, rows = matrix(part)
        text = {r.clause: r.text for r in part}
        columns = [c.split("/")[-1] for c in columns]
        out.say(mech, "bold")
        out.table(
            [*columns, "promise"],
            [[*row, _cut(text[plain(row[0])], 140 if out.live else 90)] for row in rows],
            cut=True,
        )
        out.say()
    drawn: set[str] = set()  # one witness a clause: the report has the others
    for r in c.against:
        out.say(f"VIOLATED {r.clause} {r.mechanism}/{r.variant}: {r.text}", "bold red")
        out.say(f"  {r.reason}\n  source: {r.source}\n  test: {r.test}")
        lines = drawing(r.timeline) if r.clause not in drawn else []
        drawn |= {r.clause} if lines else set()
        for line in lines:
            out.say(f"  {line}")
    for outcome in ("broken", "unknown", "skipped"):
        for reason, where in _by_reason(c.records, outcome).items():
            out.say(f"{outcome} {_few(where)}: {_cut(reason, 300)}")
    for line in c.notes:
        out.say(line, "yellow")
    for line in c.news:
        out.say(f"expectations: {line}", "yellow")
    if c.trouble:
        out.say(f"broken: {c.trouble}", "bold magenta")
    out.say(summary(c))


def _few(where: list[str]) -> str:
    return ", ".join(where) if len(where) <= 12 else f"{', '.join(where[:10])} and {len(where) - 10} more"


def _by_reason(records: list[Record], outcome: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (clause, where), cell in cells(records).items():
        if cell.outcome == outcome:
            found.setdefault(cell.speaker.reason or "no reason given", []).append(f"{clause} ({where})")
    return found


def summary(c: Conform) -> str:
    tally = counts(c.records)
    expected = sum(cell.outcome == "violated" and not cell.speaker.counts_against for cell in cells(c.records).values())
    clauses = len({r.clause for r in c.records})
    words = ", ".join(
        f"{tally[o]} {o}" + (f" ({expected} expected)" if o == "violated" and expected else "")
        for o in OUTCOMES
        if tally[o]
    )
    what = f"{plural(clauses, 'clause')} in {plural(len(c.records), 'test')}"
    return f"conform: {what}: {words or 'nothing ran'} ({c.seconds:.1f} s)"


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
