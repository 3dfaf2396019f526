#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What judging and recording cost, as one table.

usage: table.py BUILD [--quick] [--readme FILE]

Judging is told in processor time, so others on the machine matter little; recording beside plain loops of the same
calls, taken in turn with them, by the clock and in processor time, which is what the reach is held against. --readme
writes the table between its two marks in FILE. Exit 1 when a reach is missed.
"""
from __future__ import annotations

import argparse
import math
import os
import platform
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "py"), str(Path(__file__).resolve().parent)]
import oneway  # noqa: E402

MARKS = "<!-- figures: core/bench/table.py -->", "<!-- end of figures -->"
REACH = {"(counting)": 10e6, "fifo": 10e6}
REACH_OTHERS, REACH_BYTES, REACH_GROWTH = 5e6, 64, 1.15


def machine() -> str:
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.machine())
    load = os.getloadavg()[0]
    beside = f", others busy beside it (load average {load:.0f})" if load > 1 else ""
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}, {date.today()}{beside}"


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line through them, least squares."""
    x, y = [math.log(p[0]) for p in points], [math.log(p[1]) for p in points]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)


def judging(build: Path, quick: bool) -> tuple[list[str], list[str]]:
    """Rows, and what is missed. A figure is that of the longest history."""
    sizes = (10**4, 10**5, 10**6) if quick else (10**4, 10**5, 10**6, 10**7)
    found: dict[str, dict[int, list[tuple[int, float, float]]]] = {}
    for ops in sizes:
        out = subprocess.run([build / "core/bench/judge", str(ops)], capture_output=True, text=True)
        if out.returncode:
            raise RuntimeError(out.stdout + out.stderr)
        for line in out.stdout.splitlines():
            model, actors, n, rate, bytes_, *_ = line.split()
            found.setdefault(model, {}).setdefault(int(actors), []).append((int(n), float(rate), float(bytes_)))
    rows, missed = [], []
    for model, by in found.items():
        cells = [model]
        for actors, points in sorted(by.items()):
            growth = slope([(n, n / rate) for n, rate, _ in points])
            rates, memory = [rate for _, rate, _ in points], points[-1][2]
            cells += [" ".join(f"{r / 1e6:.1f}" for r in rates), f"{growth:.2f}", f"{memory:.0f}"]
            if rates[-1] < REACH.get(model, REACH_OTHERS) or memory > REACH_BYTES or growth > REACH_GROWTH:
                figures = f"{rates[-1] / 1e6:.1f} M/s, growth {growth:.2f}, {memory:.0f} B"
                missed.append(f"{model} with {actors} clients: {figures}")
        rows.append(cells)
    heads = ["model"]
    for actors in sorted(next(iter(found.values()))):
        heads += [f"{actors} clients: M op/s at " + " ".join(f"10^{int(math.log10(s))}" for s in sizes), "growth", "B/op"]
    return markdown(heads, rows), missed


def recording(build: Path, drivers: Path, turns: int) -> tuple[list[str], list[str]]:
    rows, missed = [], []
    for way in oneway.WAYS:
        told = oneway.compare(build, drivers, way, turns)
        if not told:
            continue
        raw, judged, in_time, in_cpu = told
        rival = oneway.rival(way)
        rows.append([way.name, *(f"{c.rate / 1e3:,.0f}" for c in (raw, judged)), f"{in_time:.2f}"])
        rows[-1] += [*(f"{c.cpu_ns:,.0f}" for c in (raw, judged)), f"{in_cpu:.2f}", f"{way.reach or '–'}"]
        rows[-1] += [f"{rival.rate / 1e3:,.0f}", f"{rival.cpu_ns:,.0f}"] if rival else ["–", "–"]
        if in_cpu < way.reach:
            missed.append(f"{way.name}: raw / judged {in_cpu:.2f} in processor time, reach {way.reach:g}")
        if rival and rival.cpu_ns < judged.cpu_ns:
            missed.append(f"{way.name}: {judged.cpu_ns:.0f} ns, stress-ng {rival.cpu_ns:.0f} ns of processor time")
    heads = ["mechanism", "raw, k op/s", "judged, k op/s", "ratio", "raw, CPU ns/op", "judged, CPU ns/op", "ratio", "reach"]
    return markdown([*heads, "stress-ng, k bogo op/s", "CPU ns/op"], rows), missed


def markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    rule = "|".join(["---"] + ["--:"] * (len(heads) - 1))
    return [f"| {' | '.join(heads)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def write_between(path: Path, text: str) -> None:
    was = path.read_text()
    parts = re.split(f"({re.escape(MARKS[0])}|{re.escape(MARKS[1])})", was)
    if [p for p in parts if p in MARKS] != list(MARKS):
        raise SystemExit(f"table.py: {path} has not the two marks {MARKS}")
    parts[2] = f"\n{text}\n"
    path.write_text("".join(parts))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", type=Path)
    p.add_argument("--quick", action="store_true", help="shorter histories, fewer turns")
    p.add_argument("--readme", type=Path, metavar="FILE", help="write the table between its marks in FILE")
    a = p.parse_args()
    build = a.build.resolve()
    drivers = build / "static" if (build / "static/plumb-pipe").exists() else build / "drivers"
    said = machine()
    judged, missed = judging(build, a.quick)
    recorded, more = recording(build, drivers, 1 if a.quick else 5)
    missed += more
    text = "\n".join([f"On {said}.", "", *judged, "", *recorded])
    print(text)
    for line in missed:
        print(f"MISSED {line}")
    if a.readme:
        write_between(a.readme, text)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
