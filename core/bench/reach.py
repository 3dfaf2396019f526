#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What Plumbline costs, beside raw floors taken in the same run.

usage: reach.py BUILD [NAME…]

Prints one line a measure: what it is, what was measured, the reach it is held against. A ratio is the median of
paired turns (floor, recorded, floor): the machine's speed moves in phases longer than a turn.
Exit 0 when every reach is met, 1 otherwise. Needs an idle machine to mean anything.
"""
from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "py"))
from plumbline.client import Driver  # noqa: E402

TURNS = 7
HZ = os.sysconf("SC_CLK_TCK")


@dataclass
class Measure:
    """One figure held against its reach. `least`: the figure must not be below it, else not above."""

    name: str
    value: float
    reach: float
    unit: str
    least: bool

    def met(self) -> bool:
        return self.value >= self.reach if self.least else self.value <= self.reach


def static_or_dynamic(build: Path) -> Path:
    static = build / "static"
    return static if (static / "plumb-pipe").exists() else build / "drivers"


def floor(build: Path, name: str) -> float:
    out = subprocess.run([build / "core/bench/floor", name], check=True, capture_output=True, text=True)
    return float(out.stdout.split()[1])


def recorded_pipe(build: Path) -> float:
    """Operations a second of write+read by one actor, rounds' own time left out."""
    plan = {"actors": [{"ids": [0], "do": ["write", "read"], "seq": True, "size": 64}]}
    with Driver("pipe", drivers=static_or_dynamic(build), run="bench", inst=0, seed=1) as d:
        d.open("p")
        d.actors(1)
        ok = d.run(rounds=20, ops=16000, plan=plan)
    return ok["done"] / ((ok["elapsed_ns"] - ok["round_ns"] - ok["check_ns"]) / 1e9)


def recording(build: Path) -> list[Measure]:
    ratios = []
    for _ in range(2 * TURNS):
        before = floor(build, "pipe")
        recorded = recorded_pipe(build)
        ratios.append(2 * recorded / (before + floor(build, "pipe")))
    value = statistics.median(ratios)
    return [Measure("recorded / raw, pipe of 64 bytes in one process", value, 0.8, "x", True)]


def round_overhead(build: Path) -> list[Measure]:
    best = float("inf")
    for _ in range(TURNS):
        with Driver("mq", drivers=static_or_dynamic(build), run="bench", inst=0, seed=1) as d:
            d.open("q")
            d.actors(4)
            ok = d.run(rounds=50, ops=200)
        best = min(best, ok["round_ns"] / ok["rounds"] / 1e6)
    return [Measure("overhead of a round, 4 actors", best, 0.3, "ms", False)]


def proc_field(pid: int, *fields: int) -> list[int]:
    text = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(text[f - 3]) for f in fields]


def private_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def idle(build: Path) -> list[Measure]:
    many, kib, cpu = 20, 0, 0.0
    drivers = [Driver("mq", drivers=static_or_dynamic(build), run="bench", inst=i, seed=1) for i in range(many)]
    try:
        pids: list[int] = []
        for d in drivers:
            d.open("q")
            d.actors(4)
            pids += [d.hello["pid"]] + [a["pid"] for a in d.status()["actors"]]
        kib = sum(private_kib(p) for p in pids)
        before = sum(sum(proc_field(p, 14, 15)) for p in pids)
        begun = time.monotonic()
        drivers[0].wait_event("tick", timeout=10)
        drivers[0].wait_event("tick", timeout=10)
        cpu = (sum(sum(proc_field(p, 14, 15)) for p in pids) - before) / HZ / (time.monotonic() - begun)
    finally:
        for d in drivers:
            d.stop()
    return [
        Measure("private memory of an idle driver with 4 actors", kib / many, 200, "KiB", False),
        Measure("CPU of 20 idle drivers", cpu * 100, 1, "%", False),
    ]


def stress(build: Path, *args: str) -> tuple[list[dict], float]:
    """Events of a run of the engine, and its own CPU use in per cent (children not counted).

    The run's folder lies in memory where it can: a thousand directories made on a disk are not what is measured.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as out:
        argv = [build / "plumb-stress", *args, "--json", "--drivers", static_or_dynamic(build), "--out", f"{out}/run"]
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        events, cpu, armed_at, base = [], 0.0, 0.0, 0
        for line in p.stdout:
            events.append(json.loads(line))
            if events[-1]["ev"] == "armed":
                armed_at, base = time.monotonic(), sum(proc_field(p.pid, 14, 15))
            elif events[-1]["ev"] == "tick" and armed_at and time.monotonic() > armed_at + 0.5:
                cpu = (sum(proc_field(p.pid, 14, 15)) - base) / HZ / (time.monotonic() - armed_at) * 100
        p.wait()
    return events, cpu


def fleet(build: Path) -> list[Measure]:
    ready = min(
        next(e for e in stress(build, "pipe=1000", "--for", "1s")[0] if e["ev"] == "armed")["ms"] for _ in range(3)
    )
    events, cpu = stress(build, "pipe/packet=100", "mq=100", "mutex/robust=100", "--for", "8s")
    end = next(e for e in events if e["ev"] == "end")
    return [
        Measure("1,000 drivers with 4 actors each ready", ready / 1000, 1.0, "s", False),
        Measure("engine's CPU at 300 drivers", cpu, 5, "%", False),
        Measure("overlap at 300 drivers", end["overlap"], 0.6, "", True),
    ]


MEASURES: dict[str, Callable[[Path], list[Measure]]] = {
    "recording": recording,
    "round": round_overhead,
    "idle": idle,
    "fleet": fleet,
}


def main() -> int:
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(MEASURES):
        print(f"usage: reach.py BUILD [{' '.join(MEASURES)}]", file=sys.stderr)
        return 2
    build, missed = Path(sys.argv[1]), 0
    for name in sys.argv[2:] or MEASURES:
        for m in MEASURES[name](build):
            missed += not m.met()
            sign = "at least" if m.least else "at most"
            print(f"{m.name:52} {m.value:9.3f} {m.unit:4} reach: {sign} {m.reach:g}   {'met' if m.met() else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
