# SPDX-License-Identifier: MIT
"""What a long run weighs: memory of engine and drivers, kernel objects; and whether any of it only ever grows.

A sample is one number a series. The series are bounded: at SAMPLES_MAX every second sample goes. A number that cannot
be had here is left out, never guessed.
"""
from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES_MAX = 960
PARTS = 6  # a run is judged by sixths ...
SAMPLES_MIN = 3 * PARTS  # ... of three samples at least
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CLONE_NEWIPC = 0x08000000


@dataclass(frozen=True)
class Series:
    """`floor`: growth below it is never worth a word."""

    name: str
    means: str
    floor: float
    bytes: bool = False
    shared: bool = False  # of the whole machine: others move it too


SERIES = (
    Series("engine", "resident memory of the engine", 1 << 20, bytes=True),
    Series("drivers", "memory of all drivers and actors, shared pages divided", 4 << 20, bytes=True),
    Series("plumbline", "resident memory of plumbline itself", 2 << 20, bytes=True),
    Series("processes", "processes below the engine", 8),
    Series("engine_fds", "descriptors of the engine", 16),
    Series("sysv", "System V queues, sets and segments", 8),
    Series("queues", "POSIX message queues", 8),
    Series("shm", "names of runs in /dev/shm", 8),
    Series("files", "open files of the kernel", 256, shared=True),
    Series("slab", "unreclaimable slab of the kernel", 16 << 20, bytes=True, shared=True),
    Series("disk", "the run's folder", 64 << 20, bytes=True),
)


def sample(engine: int | None, folder: Path) -> dict[str, int]:
    """One number a series; `engine` is None between two segments."""
    found: dict[str, int | None] = {"plumbline": _rss(os.getpid()), "shm": _names("/dev/shm"), "disk": _disk(folder)}
    found["files"] = _first_int("/proc/sys/fs/file-nr")
    found["slab"] = _meminfo("SUnreclaim")
    found |= _ipc(engine)
    if engine is not None:
        found |= _alive(engine)
    return {s.name: v for s in SERIES if (v := found.get(s.name)) is not None}


def _alive(engine: int) -> dict[str, int | None]:
    """Of the engine and what is below it; nothing once it has ended, though nobody has waited for it yet."""
    below = descendants(engine)
    found = {"processes": len(below), "engine_fds": _count(f"/proc/{engine}/fd")}
    found["drivers"] = sum(filter(None, map(_pss, below))) or None
    rss = _rss(engine)
    return found | {"engine": rss} if rss else {}


def descendants(pid: int) -> list[int]:
    """All processes below one, by the parents that /proc names."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _text(f"/proc/{name}/stat")):
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    out = list(children.get(pid, ()))
    for p in out:
        out += children.get(p, ())
    return out


def _text(path: str) -> str:
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _first_int(path: str) -> int | None:
    words = _text(path).split()
    return int(words[0]) if words and words[0].isdigit() else None


def _kib(text: str, key: str) -> int | None:
    for line in text.splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _meminfo(key: str) -> int | None:
    return _kib(_text("/proc/meminfo"), key)


def _rss(pid: int) -> int | None:
    words = _text(f"/proc/{pid}/statm").split()
    return int(words[1]) * _PAGE if len(words) > 1 else None


def _pss(pid: int) -> int | None:
    """Its share of memory; its resident memory where the kernel does not tell."""
    pss = _kib(_text(f"/proc/{pid}/smaps_rollup"), "Pss")
    return _rss(pid) if pss is None else pss


def _count(folder: str) -> int | None:
    try:
        return len(os.listdir(folder))
    except OSError:
        return None


def _names(folder: str | int) -> int | None:
    """Names that drivers give: /dev/shm/plumb.RUN…, /dev/shm/sem.plumb.RUN…, the queue /plumb.RUN…"""
    try:
        return sum(n.removeprefix("sem.").startswith("plumb.") for n in os.listdir(folder))
    except OSError:
        return None


def _disk(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                pass
    return total


# objects of an IPC namespace: the engine may have one of its own, which only a process inside it can count
def _ipc(engine: int | None) -> dict[str, int | None]:
    try:
        if engine is None or os.readlink(f"/proc/{engine}/ns/ipc") == os.readlink("/proc/self/ns/ipc"):
            return ipc_here()
        r = subprocess.run(
            [sys.executable, "-m", __name__, str(engine)],
            capture_output=True,
            timeout=10,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        )
        return json.loads(r.stdout) if r.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}


def ipc_here() -> dict[str, int | None]:
    tables = [_text(f"/proc/sysvipc/{kind}").splitlines() for kind in ("msg", "sem", "shm")]
    sysv = sum(len(t) - 1 for t in tables) if all(tables) else None
    return {"sysv": sysv, "queues": _queues()}


def _queues() -> int | None:
    """By a mount that nobody sees, where we may make one: /dev/mqueue is often not mounted."""
    libc = ctypes.CDLL(None, use_errno=True)
    fs = libc.syscall(430, b"mqueue", 1)  # fsopen, fsconfig and fsmount have one number on all processors
    fd = -1
    if fs >= 0:
        if libc.syscall(431, fs, 6, None, None, 0) == 0:
            fd = libc.syscall(432, fs, 1, 0)
        os.close(fs)
    if fd < 0:
        return _names("/dev/mqueue")
    try:
        top = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)  # fsmount gives a path only
        try:
            return _names(top)
        finally:
            os.close(top)
    finally:
        os.close(fd)


class Meter:
    """The samples of a run: one list a series, and when each was taken, in seconds soaked."""

    def __init__(self, kept: dict[str, Any] | None = None):
        kept = kept or {}
        self.at: list[float] = list(kept.get("at", []))
        self.of: dict[str, list[int | None]] = {s.name: list(kept.get("of", {}).get(s.name, [])) for s in SERIES}
        self.stride, self._skip = int(kept.get("stride", 1)), 0
        self.last: dict[str, int] = {}

    def state(self) -> dict[str, Any]:
        return {"at": self.at, "of": self.of, "stride": self.stride}

    def add(self, at: float, values: dict[str, int]) -> None:
        self.last = values
        self._skip += 1
        if self._skip < self.stride:
            return
        self._skip = 0
        self.at.append(round(at, 1))
        for name, series in self.of.items():
            series.append(values.get(name))
        if len(self.at) >= SAMPLES_MAX:
            self.stride *= 2
            self.at = self.at[1::2]
            self.of = {name: series[1::2] for name, series in self.of.items()}

    def table(self) -> str:
        """samples.tsv: a line a sample, bytes in KiB; `-` where nothing was measured."""
        head = ["minute", *(s.name + ("_kib" if s.bytes else "") for s in SERIES)]
        lines = ["\t".join(head)]
        for i, at in enumerate(self.at):
            cells = (self.of[s.name][i] for s in SERIES)
            figures = ["-" if v is None else str(v // 1024 if s.bytes else v) for s, v in zip(SERIES, cells)]
            lines.append("\t".join([f"{at / 60:.1f}", *figures]))
        return "\n".join(lines) + "\n"

    def trend(self) -> "Trend":
        return Trend([t for s in SERIES if (t := _trend(s, self.of[s.name]))], len(self.at))


@dataclass(frozen=True)
class Line:
    """One series: its low-water mark in each sixth of the run, the first tenth left out as warming up."""

    series: Series
    marks: tuple[int, ...]

    @property
    def grows(self) -> bool:
        """Never down, up in all but one step, and by more than what is worth a word."""
        steps = [b - a for a, b in zip(self.marks, self.marks[1:])]
        grown = self.marks[-1] - self.marks[0]
        return (
            min(steps) >= 0
            and sum(s > 0 for s in steps) >= PARTS - 2
            and grown >= max(self.series.floor, self.marks[0] * 0.05)
        )

    def figures(self) -> str:
        return " ".join(amount(self.series, m) for m in self.marks)


@dataclass(frozen=True)
class Trend:
    lines: list[Line]
    samples: int

    @property
    def warnings(self) -> list[str]:
        return [
            f"{x.series.name} only grew ({x.series.means}{'; other programs count too' if x.series.shared else ''}): "
            f"lowest of each sixth of the run: {x.figures()}"
            for x in self.lines
            if x.grows
        ]

    def words(self) -> str:
        if not self.lines:
            return f"trend: {self.samples} samples are too few for one ({SAMPLES_MIN} needed)"
        flat = [
            f"{x.series.name} {amount(x.series, x.marks[0])} to {amount(x.series, x.marks[-1])}"
            for x in self.lines
            if not x.grows
        ]
        return f"flat over {self.samples} samples: {', '.join(flat)}" if flat else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "marks": {x.series.name: list(x.marks) for x in self.lines},
            "grew": [x.series.name for x in self.lines if x.grows],
        }


def _trend(series: Series, values: list[int | None]) -> Line | None:
    there = [v for v in values[len(values) // 10 :] if v is not None]
    if len(there) < SAMPLES_MIN:
        return None
    cuts = [len(there) * i // PARTS for i in range(PARTS + 1)]
    return Line(series, tuple(min(there[a:b]) for a, b in zip(cuts, cuts[1:])))


def amount(series: Series, v: int) -> str:
    return f"{v / 2**20:.1f}M" if series.bytes else f"{v}"


def _inside(pid: int) -> int:
    """The helper: enters the engine's IPC namespace and prints what is there."""
    fd = os.open(f"/proc/{pid}/ns/ipc", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWIPC) != 0:
        return 1
    print(json.dumps(ipc_here()))
    return 0


if __name__ == "__main__":
    sys.exit(_inside(int(sys.argv[1])))
