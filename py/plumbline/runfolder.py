# SPDX-License-Identifier: MIT
"""A run's folder: plumbline-results/<run>/, locked while the run lives, and what dead runs left behind.

    run.json env.json events.jsonl conform.json junit.xml results.ktap report.html  lock
    conform.*/{objects,…} (the suites' drivers)  stress/ (the engine's own)
"""
from __future__ import annotations

import fcntl
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from .outcomes import EXIT_BROKEN, Trouble
from .places import Places

ROOT = "plumbline-results"
_UNLINK_S = 10
_SWEEP_S = 2.0


class RunFolder:
    """Made by create() or found by find(). Writing raises Trouble (exit 3) in one line: full disk, no permission."""

    def __init__(self, path: Path):
        self.path = path
        self.run = path.name
        self._lock: int | None = None

    @classmethod
    def create(cls, out: str | None, latest: bool = True) -> "RunFolder":
        """A new folder under `out` (default ./plumbline-results), locked, with `latest` pointing at it if it may."""
        root = Path(out or ROOT)
        run = f"r{os.urandom(4).hex()}"
        folder = cls(root / run)
        try:
            (folder.path / "inst").mkdir(parents=True)
            folder._lock = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(folder._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(folder._lock, f"plumbline {run}\n".encode())
            if latest:
                folder._link(root / "latest")
            folder.write_json("env.json", {})
        except OSError as e:
            raise Trouble(f"cannot keep results in {root}: {e.strerror}; say --out DIR", EXIT_BROKEN) from None
        return folder

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """A dead run's folder, locked again. Trouble when somebody works in it."""
        folder, deadline = cls(path), time.monotonic() + _SWEEP_S
        while folder._lock is None:
            try:
                fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as e:
                raise Trouble(f"cannot go on in {path}: {e.strerror}", EXIT_BROKEN) from None
            if _alone(fd, path / "lock"):
                folder._lock = fd
            else:  # a sweep of another run may hold it for a moment, and then remove it
                os.close(fd)
                if time.monotonic() > deadline:
                    raise Trouble(f"run {path.name} is still at work", EXIT_BROKEN)
                threading.Event().wait(0.02)
        os.truncate(folder._lock, 0)
        os.pwrite(folder._lock, f"plumbline {path.name}\n".encode(), 0)
        folder._link(path.parent / "latest")
        return folder

    @classmethod
    def find(cls, text: str, out: str | None = None) -> "RunFolder":
        """A run by path or by id (also "latest") under `out`."""
        for path in (Path(text), Path(out or ROOT) / text):
            if (path / "run.json").is_file():
                return cls(path.resolve())
        raise Trouble(f"no run {text!r}: no run.json in {Path(text)} nor in {Path(out or ROOT) / text}")

    def _link(self, link: Path) -> None:
        fresh = link.with_name(f".latest.{self.run}")
        os.symlink(self.run, fresh)
        try:
            os.replace(fresh, link)
        except OSError:  # somebody keeps a real folder called latest: his
            fresh.unlink()

    def close(self) -> None:
        """The run is over. A lock that nobody holds means a run that died, so it goes."""
        if self._lock is not None:
            (self.path / "lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def write(self, name: str, text: str) -> Path:
        """All of it or Trouble; through a temporary file, so that a reader never sees half."""
        path = self.path / name
        try:
            temporary = path.with_name(f".{name}.tmp")
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
            os.replace(temporary, path)
        except OSError as e:
            raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None
        return path

    def write_json(self, name: str, value: Any) -> Path:
        return self.write(name, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """{} when it is not there; Trouble when it is no JSON object."""
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as e:
            raise Trouble(f"{path}: {e}", EXIT_BROKEN) from None
        if not isinstance(value, dict):
            raise Trouble(f"{path}: no object", EXIT_BROKEN)
        return value

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        """The objects of a JSONL file. A last line cut off by a death is left out."""
        try:
            lines = (self.path / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [v for v in map(_object, lines) if v is not None]

    def event(self, ev: str, **fields: Any) -> None:
        """Appends to events.jsonl; a full disk is reported when the run ends, not here."""
        line = json.dumps({"ev": ev, "t": time.monotonic_ns(), **fields}, ensure_ascii=False, default=str) + "\n"
        try:
            with open(self.path / "events.jsonl", "a", encoding="utf-8") as f:
                f.write(line)
        except OSError:
            pass


def _alone(fd: int, path: Path) -> bool:
    """The lock is ours, and still the file of that name."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(fd).st_ino == path.stat().st_ino
    except OSError:
        return False


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def sweep(root: Path, places: Places, target: list[str]) -> list[str]:
    """Removes the objects that dead runs under `root` journalled, and only theirs: a live run holds its lock.

    The journal, inst/NN/objects, has a line "driver name" an object. Returns what was removed.
    """
    removed = []
    for lock in sorted(p for place in ("*", "*/stress", "*/selftest/*") for p in root.glob(f"{place}/lock")):
        try:
            fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # it lives
        else:
            for journal in [*lock.parent.glob("inst/*/objects"), *lock.parent.glob("conform.*/objects")]:
                removed += _unlink(journal, places, target)
            lock.unlink(missing_ok=True)
        finally:
            os.close(fd)
    return removed


def _unlink(journal: Path, places: Places, target: list[str]) -> list[str]:
    try:
        pairs = {tuple(line.split(" ", 1)) for line in journal.read_text().splitlines() if " " in line}
    except (OSError, UnicodeDecodeError):
        return []
    done = []
    for driver, name in sorted(pairs):
        if "/" in driver or not name.startswith("/plumb."):
            continue  # a name that is not ours is not ours to remove
        try:
            r = subprocess.run(
                [*target, places.drivers / f"plumb-{driver}", "--unlink", name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_UNLINK_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if r.returncode == 0:
            done.append(f"{driver} {name}")
    try:
        journal.unlink()
        journal.parent.rmdir()  # what else a test left in it stays
    except OSError:
        pass
    return done


def tidy(folder: RunFolder, places: Places, target: list[str]) -> None:
    """The end of a run: the suites' journals go, and with them whatever a killed driver did not remove."""
    for home in folder.path.glob("conform.*"):
        if home.is_dir():
            _unlink(home / "objects", places, target)
            try:
                home.rmdir()
            except OSError:
                pass
