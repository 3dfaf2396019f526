# SPDX-License-Identifier: MIT
"""results.sqlite in the results folder: every run that was made there, for `runs`, `diff`, and whoever asks in SQL.

The folder of a run is what counts; this is a copy. So whatever goes wrong here is one warning and never a lost run.
Several commands may write at once (WAL, a wait for the lock); a file of a newer schema is left alone.
"""
from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any, Iterator

from . import claims, snapshot
from .outcomes import EXIT_BROKEN, Trouble
from .runfolder import ROOT, RunFolder

NAME = "results.sqlite"
SCHEMA = 1  # PRAGMA user_version; a change adds columns or tables, and one to this
WAIT_S = 20.0

_TABLES = """
CREATE TABLE run (
    run TEXT PRIMARY KEY, started TEXT, seconds REAL, command TEXT, argv TEXT, seed TEXT, target TEXT, kernel TEXT,
    libc TEXT, catalogue INTEGER, verdict TEXT, exit INTEGER, held INTEGER, violated INTEGER, skipped INTEGER,
    broken INTEGER, unknown INTEGER, folder TEXT) WITHOUT ROWID;
CREATE TABLE claim (
    run TEXT, layer TEXT, place TEXT, clause TEXT, outcome TEXT, rules TEXT, since INTEGER, expected TEXT, note TEXT,
    reason TEXT, text TEXT, replay TEXT, seconds REAL, PRIMARY KEY (run, layer, place, clause)) WITHOUT ROWID;
CREATE TABLE load (
    run TEXT, place TEXT, drivers INTEGER, rounds INTEGER, judged INTEGER, violated INTEGER, unknown INTEGER,
    ops INTEGER, ops_per_s REAL, ordered INTEGER, killed INTEGER, overlap REAL, p50_ns REAL, p99_ns REAL, max_ns REAL,
    PRIMARY KEY (run, place)) WITHOUT ROWID;
CREATE TABLE trouble (run TEXT, outcome TEXT, why TEXT);
"""
_TEXT_MAX = 2000  # of a reason: witnesses stay in the folder


def keep(folder: RunFolder) -> str:
    """Writes the run down, again if it was there. Why that failed, or ""."""
    path = folder.path.parent / NAME
    try:
        told = claims.of_folder(folder)
        with _open(path) as db, db:
            _shared(db)
            db.execute("BEGIN IMMEDIATE")
            _ready(db)
            for table in ("run", "claim", "load", "trouble"):
                db.execute(f"DELETE FROM {table} WHERE run = ?", (folder.run,))
            _insert(db, folder, told)
    except (sqlite3.Error, OSError, Trouble, ValueError) as e:
        return f"{path}: {e}; the run is in its folder all the same"
    return ""


@contextlib.contextmanager
def _open(path: Path, how: str = "mode=rwc") -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=WAIT_S, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def _shared(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.OperationalError):  # another command is at it
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")


def _version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def _ready(db: sqlite3.Connection) -> None:
    found = _version(db)
    if found > SCHEMA:
        raise Trouble(f"a newer plumbline keeps it (schema {found})")
    if found == 0:
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")


def _insert(db: sqlite3.Connection, folder: RunFolder, told: claims.Told) -> None:
    run, env, s = told.run, told.env, snapshot.of_told([(folder.run, told)])
    tally = run.get("counts") or {}
    row = {k: run.get(k) for k in ("started", "seconds", "command", "argv", "seed", "target", "verdict", "exit")}
    row |= {"kernel": env.get("kernel"), "libc": env.get("libc"), "catalogue": run.get("catalogue")}
    row |= {k: tally.get(k) for k in ("held", "violated", "skipped", "broken", "unknown")}
    _put(db, "run", {"run": folder.run, **row, "folder": str(folder.path.resolve())})
    for key, f in s.facts.items():
        about = {k: getattr(f, k) for k in ("outcome", "since", "expected", "note", "text", "replay", "seconds")}
        about |= {"rules": " ".join(f.rules), "reason": f.reason[:_TEXT_MAX]}
        about["text"] = f.text if f.outcome != "held" else ""  # the catalogue has it
        _put(db, "claim", {"run": folder.run, **key._asdict(), **about})
    for place, k in s.kinds.items():
        figures = {n: k.get(n) for n in ("drivers", "rounds", "judged", "violated", "unknown", "ops_per_s", "ordered")}
        figures |= {"killed": k.get("killed"), "overlap": k.get("overlap"), "ops": k.get("done")}
        lat = k.get("lat_ns") if isinstance(k.get("lat_ns"), dict) else {}
        figures |= {f"{p}_ns": lat.get(p) for p in ("p50", "p99", "max")}
        _put(db, "load", {"run": folder.run, "place": place, **figures})
    for outcome, why in s.trouble:
        _put(db, "trouble", {"run": folder.run, "outcome": outcome, "why": why})


def _put(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names, values = ", ".join(row), [_plain(v) for v in row.values()]
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", values)


def _plain(value: Any) -> Any:
    """What SQLite takes: a lone surrogate, a number too large, a list that should be none do not lose the run."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, float) or isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    return json.dumps(value, default=str)


# reading
def find(texts: list[str], out: str | None = None) -> snapshot.Snapshot:
    """Runs by folder, id or `latest`, kept ones whose folder is gone too; or one file with a baseline."""
    if len(texts) == 1 and Path(texts[0]).is_file():
        return snapshot.of_baseline(texts[0])
    try:
        return snapshot.of_runs([RunFolder.find(t, out) for t in texts])
    except Trouble:
        kept = snapshot_of(texts[0], out) if len(texts) == 1 else None
        if kept is None:
            raise
        return kept


def listed(out: str | None) -> list[dict[str, Any]]:
    """The runs kept there, oldest first. [] without a file; Trouble when it cannot be read."""
    path = Path(out or ROOT) / NAME
    if not path.is_file():
        return []
    with _reading(path) as db:
        rows = db.execute("SELECT * FROM run ORDER BY started, run").fetchall()
    return [dict(r) | {"there": (path.parent / r["run"] / "run.json").is_file()} for r in rows]


def snapshot_of(run: str, out: str | None) -> snapshot.Snapshot | None:
    """A run whose folder is gone, as far as it was kept. None when it is not known."""
    path = Path(out or ROOT) / NAME
    if not path.is_file():
        return None
    with _reading(path) as db:
        row = db.execute("SELECT * FROM run WHERE run = ?", (run,)).fetchone()
        if row is None:
            return None
        facts = db.execute("SELECT * FROM claim WHERE run = ?", (run,)).fetchall()
        loads = db.execute("SELECT * FROM load WHERE run = ?", (run,)).fetchall()
        trouble = db.execute("SELECT outcome, why FROM trouble WHERE run = ?", (run,)).fetchall()
    about = {k: str(row[k] or "") for k in ("run", "kernel", "libc", "target")}
    s = snapshot.Snapshot(run, catalogue=row["catalogue"] or 0, about=about)
    s.about["written"] = str(row["started"] or "")[:10]
    fields = ("outcome", "since", "text", "reason", "replay", "expected", "note", "seconds")
    for f in facts:
        key = snapshot.Key(f["layer"], f["place"], f["clause"])
        s.facts[key] = snapshot.Fact(rules=tuple(f["rules"].split()), **{k: f[k] for k in fields})
    for k in loads:
        lat = {p: k[f"{p}_ns"] for p in ("p50", "p99", "max")}
        s.kinds[k["place"]] = {**dict(k), "done": k["ops"], "lat_ns": lat, "label": k["place"]}
    s.trouble = [(t["outcome"], t["why"]) for t in trouble]
    return s


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """On a read-only medium WAL's own files cannot be made: then it is read as it lies there."""
    how = "mode=ro" if os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    try:
        with _open(path, how) as db:
            db.row_factory = sqlite3.Row
            if _version(db) > SCHEMA:
                raise Trouble(f"{path}: a newer plumbline keeps it (schema {_version(db)})", EXIT_BROKEN)
            yield db
    except sqlite3.Error as e:
        raise Trouble(f"{path}: {e}", EXIT_BROKEN) from None
