# SPDX-License-Identifier: MIT
"""`plumbline repro`: a clause's test, run now or as a run has kept it, or a violated round, as one C file."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..catalogue import Catalogue
from ..outcomes import EXIT_BROKEN, EXIT_HELD, EXIT_NOTHING, Trouble, column, plural
from ..places import Places
from ..runfolder import RunFolder
from ..tether import tied
from . import coverage, instance

TRANSCRIPTS = "transcripts"


def command(out: Any, places: Places, a: Any) -> int:
    """Writes the program, or a folder of them; says why there is none."""
    known = Catalogue.load(places.conformance / "clauses")
    if a.list:
        return coverage.show(out, places, known, a.what or "", lambda *one: _swept(places, *one, a.keyword))
    if not a.what:
        raise Trouble(
            "say what to make a program of: a clause, a mechanism, or RUN/INSTANCE; --list tells what has one"
        )
    if at := instance_of(a.what, known):
        return _put(out, instance.program(places, RunFolder.find(at[0], a.out), at[1], known), a.o)
    run, clause, variant, mechanism = parsed(a.what, known, places.driver_names())
    with tempfile.TemporaryDirectory(prefix="plumbline-repro.") as work:
        kept = _kept(RunFolder.find(run, a.out), clause, variant) if run else []
        told = [r for k in kept for r in _tests(places, Path(work), clause, variant, mechanism, a.keyword, k)]
        told = told or _tests(places, Path(work), clause, variant, mechanism, a.keyword)
        if clause:
            return _one(out, told, a.o)
        return _all(out, told, a.o)


def parsed(what: str, known: Catalogue, mechanisms: list[str]) -> tuple[str, str, str, str]:
    """RUN, clause, variant, mechanism of "RUN/PMQ-16/mq", "PMQ-16", "mutex/robust" …; "" for what is not said."""
    parts = what.split("/")
    at = next((i for i, p in enumerate(parts) if p.upper() in known.by_id), None)
    if at is not None:
        clause = known.by_id[parts[at].upper()]
        return "/".join(parts[:at]), clause.id, "/".join(parts[at + 1 :]), clause.mechanism
    if parts[0] in mechanisms and len(parts) < 3:
        return "", "", "/".join(parts[1:]), parts[0]
    raise Trouble(
        f"{what}: say a clause, as in PMQ-16, PMQ-16/mq or RUN/PMQ-16/mq, a mechanism, or RUN/INSTANCE; "
        "`plumbline list` has the clauses"
    )


def instance_of(what: str, known: Catalogue) -> tuple[str, int] | None:
    """RUN and INSTANCE of "latest/3"."""
    run, _, last = what.rpartition("/")
    if run and last.isdigit() and not any(p.upper() in known.by_id for p in what.split("/")):
        return run, int(last)
    return None


def _kept(folder: RunFolder, clause: str, variant: str) -> list[Path]:
    """Transcripts of the run's violated tests of the clause: what is not there is run anew."""
    return sorted((folder.path / TRANSCRIPTS).glob(f"{clause}-{variant or '*'}-*.jsonl"))


def _tests(
    places: Places, work: Path, clause: str, variant: str, mechanism: str, keyword: str, transcript: Path | None = None
) -> list[dict[str, Any]]:
    """What became of each test: results of the plugin, whose files are in a folder of their own."""
    folder = Path(tempfile.mkdtemp(dir=work))
    words = [w for w in (clause and f"{clause}/{variant}" if variant else clause, keyword) if w]
    if transcript:
        about = json.loads(transcript.read_text().partition("\n")[0][2:])
        words = [about["test"].rpartition("::")[2].partition("[")[0], f"{about['clause']}/{about['variant']}"]
    argv = [sys.executable, "-m", "pytest", str(places.conformance), "-q", "-p", "plumbline.repro.plugin"]
    argv += ["-p", "plumbline.selection", "-p", "no:cacheprovider", "--ignore", str(places.conformance / "mutants")]
    argv += ["-k", " and ".join(f"({w})" for w in words)] if words else []
    env = _environment(places, folder, mechanism, variant) | (
        {"PLUMBLINE_TRANSCRIPT": str(transcript)} if transcript else {}
    )
    done = subprocess.run(tied(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd=folder)
    results = folder / "results.jsonl"
    if not results.exists():
        tail = "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-6:])
        raise Trouble(f"no test left a story to tell; pytest ended with {done.returncode}\n  {tail}", EXIT_NOTHING)
    found = [json.loads(line) | {"folder": folder} for line in results.read_text().splitlines()]
    return [r for r in found if not variant or r["variant"] == variant]


def _swept(places: Places, mechanism: str, variant: str, keyword: str) -> list[dict[str, Any]]:
    """What becomes of each test of a mechanism; nothing when it is not here."""
    with tempfile.TemporaryDirectory(prefix="plumbline-repro.") as work:
        try:
            return _tests(places, Path(work), "", variant, mechanism, keyword)
        except Trouble:
            return []


def _environment(places: Places, folder: Path, mechanism: str, variant: str) -> dict[str, str]:
    path = str(Path(__file__).resolve().parents[2])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PLUMBLINE_"))}
    return {
        **kept,
        "PLUMBLINE_REPRO": str(folder),
        "PLUMBLINE_DRIVERS": str(places.drivers.resolve()),
        "PLUMBLINE_MECH": f"{mechanism}/{variant}" if variant else mechanism,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")])),
    }


def _one(out: Any, told: list[dict[str, Any]], to: str | None) -> int:
    """What was violated goes first; else the first that there is."""
    programs = sorted((r for r in told if "file" in r), key=lambda r: r["outcome"] != "violated")
    if not programs:
        for r in told:
            out.warn(f"{r['clause']} ({column(r['mechanism'], r['variant'])}): no C: {r['why']} ({r['test']})")
        return EXIT_NOTHING
    text = (programs[0]["folder"] / programs[0]["file"]).read_text()
    return _put(out, text, to, f"{programs[0]['test']}, {programs[0]['outcome']}")


def _put(out: Any, text: str, to: str | None, what: str = "from a violated round") -> int:
    if not to or to == "-":
        print(text, end="")
    else:
        _write(Path(to), text)
        out.say(f"{to}: {what}")
    return EXIT_HELD


def _all(out: Any, told: list[dict[str, Any]], to: str | None) -> int:
    if not to:
        raise Trouble("of a whole mechanism the programs go into a folder: say -o DIR")
    Path(to).mkdir(parents=True, exist_ok=True)
    names: set[str] = set()
    for r in told:
        where = f"{r['clause']} ({column(r['mechanism'], r['variant'])})"
        if "file" not in r:
            out.say(f"no C    {where}: {r['why']}")
            continue
        stem, n = f"{r['clause'].lower()}-{r['variant']}", 1
        while (name := stem + (f"-{n}" if n > 1 else "") + ".c") in names:
            n += 1
        names.add(name)
        shutil.copyfile(r["folder"] / r["file"], Path(to) / name)
        out.say(f"{r['outcome']:<8}{where}: {name}")
    clauses, of = {r["clause"] for r in told if "file" in r}, {r["clause"] for r in told}
    out.say(
        f"{plural(len(names), 'program')} of {plural(len(told), 'test')}; {len(clauses)} of {plural(len(of), 'clause')}"
    )
    return EXIT_HELD if names else EXIT_NOTHING


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as e:
        raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None
