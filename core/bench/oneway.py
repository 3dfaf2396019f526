# SPDX-License-Identifier: MIT
"""Recorded and judged throughput of each mechanism, beside a plain loop of the same calls in the same run.

Two processes: one puts and the other takes 64 bytes at a time, or both lock and unlock. What a driver needs for its rounds,
the records and the verdict counts; its start does not.
"""
from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from plumbline.client import Driver

ROUNDS, OPS = 12, 16000


@dataclass(frozen=True)
class Cost:
    rate: float  # operations a second
    cpu_ns: float  # of processor time an operation, all processes


@dataclass(frozen=True)
class Way:
    """One mechanism's: what actor 0 does, what actor 1 does, and the ratio to reach; 0: none, where a call that never
    enters the kernel costs less than two looks at the clock. `rival`: stress-ng's stressor."""

    name: str
    put: str
    take: str | None
    reach: float
    rival: str | None = None
    args: dict = field(default_factory=dict)


WAYS = (
    Way("pipe/stream", "write", "read", 0.45, "pipe"),
    Way("fifo/fifo", "write", "read", 0.45, "fifo"),
    Way("unix/stream", "send", "recv", 0.75, "sockpair"),
    Way("unix/dgram", "send", "recv", 0.75),
    Way("unix/seqpacket", "send", "recv", 0.75),
    Way("inet/tcp4", "send", "recv", 0.75),
    Way("mq/mq", "send", "receive", 0.75, "mq"),
    Way("sysvmsg/fifo", "msgsnd", "msgrcv", 0.75, "msg"),
    Way("signal/rt", "sigqueue", "sigwaitinfo", 0.6, "sigq", {"signo": 0}),
    Way("eventfd/semaphore", "write", "read", 0.75, None, {"n": 1}),
    Way("sysvsem/plain", "post", "wait", 0.75, "sem-sysv"),
    Way("lock/record", "lock", None, 0.75),
    Way("sem/unnamed", "post", "wait", 0, "sem"),
    Way("mutex/normal", "lock", None, 0, "mutex"),
)


def floor(build: Path, name: str) -> Cost | None:
    """Of the plain loop; None where it cannot be had."""
    out = subprocess.run([build / "core/bench/floor", name], check=True, capture_output=True, text=True).stdout.split()
    return Cost(float(out[1]), float(out[2])) if out else None


def group(actors: list[int], op: str, spec: dict, args: dict) -> dict:
    size = {spec["size"]: 64} if spec.get("size") else {}
    return {"ids": actors, "do": [op], **size, **{k: v for k, v in args.items() if k in spec.get("args", {})}}


def processor_s() -> float:
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def judged(drivers: Path, way: Way) -> Cost:
    """Of rounds, verdict included; of the processor, the driver's start too."""
    name, variant = way.name.split("/")
    before = processor_s()
    with Driver(name, drivers=drivers, run="bench", inst=0, seed=1) as d:
        ops = d.hello["ops"]
        d.open("o", variant=variant)
        d.actors(2)
        actors = [group([0, 1], way.put, ops[way.put], way.args)]
        if way.take:
            actors = [group([i], op, ops[op], way.args) for i, op in enumerate((way.put, way.take))]
        ok = d.run(rounds=ROUNDS, ops=OPS, plan={"actors": actors}, sched="free", timeout=300)
    if ok["verdict"] != "held":
        raise RuntimeError(f"{way.name}: {ok['verdict']} {ok.get('why', '')}")
    return Cost(ok["okay"] / (ok["elapsed_ns"] / 1e9), (processor_s() - before) * 1e9 / ok["okay"])


def compare(build: Path, drivers: Path, way: Way, turns: int) -> tuple[Cost, Cost, float, float] | None:
    """Raw, judged, and their ratios in time and in processor time: medians of pairs, for a machine's speed comes in
    phases."""
    pairs = []
    for _ in range(turns):
        raw = floor(build, way.name)
        if not raw:
            return None
        pairs.append((raw, judged(drivers, way)))
    middle = statistics.median
    return (
        Cost(middle(r.rate for r, _ in pairs), middle(r.cpu_ns for r, _ in pairs)),
        Cost(middle(j.rate for _, j in pairs), middle(j.cpu_ns for _, j in pairs)),
        middle(j.rate / r.rate for r, j in pairs),
        middle(r.cpu_ns / j.cpu_ns for r, j in pairs),
    )


def rival(way: Way, seconds: int = 2) -> Cost | None:
    """Of stress-ng's bogo operations, with two workers that verify, where it is installed."""
    if not way.rival or not shutil.which("stress-ng"):
        return None
    argv = ["stress-ng", f"--{way.rival}", "2", "--verify", "--timeout", f"{seconds}s", "--metrics-brief"]
    out = subprocess.run(argv, capture_output=True, text=True)
    for line in (out.stdout + out.stderr).splitlines():
        words = line.split("]", 1)[-1].split()
        if words[:1] == [way.rival] and len(words) >= 7:  # seconds: real, user, system; ops/s: real, processor
            rate, busy = float(words[5]), float(words[6])
            return Cost(rate, 1e9 / busy) if busy else None
    return None
