# SPDX-License-Identifier: MIT
"""metrics.prom: a run's figures for node_exporter's textfile collector. Base units, no timestamps."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass
class Family:
    """One metric: its kind, its help, and (suffix, labels, value) lines in order."""

    name: str
    kind: str
    help: str
    lines: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", **labels: str) -> "Family":
        self.lines.append((suffix, labels, value))
        return self


def render(families: list[Family]) -> str:
    out = []
    for f in families:
        assert _NAME.fullmatch(f.name), f.name
        if f.lines:
            text = f.help.replace("\\", "\\\\").replace("\n", "\\n")
            out += [f"# HELP {f.name} {text}", f"# TYPE {f.name} {f.kind}"]
            out += [f"{f.name}{suffix}{_labels(labels)} {_number(value)}" for suffix, labels, value in f.lines]
    return "\n".join(out) + "\n"


def _labels(labels: dict[str, str]) -> str:
    def quote(text: str) -> str:
        return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{k}="{quote(v)}"' for k, v in labels.items()) + "}" if labels else ""


def _number(v: float) -> str:
    return str(v) if isinstance(v, int) else repr(float(v))


def write(path: Path, text: str) -> None:
    """By a rename: a collector never reads half. Its `.tmp` is not read, as it does not end in .prom."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def families(
    info: dict[str, str], kinds: dict[str, dict[str, Any]], now: dict[str, Any], weights: dict[str, int]
) -> list[Family]:
    """`kinds`: sums by kind of driver; `now`: the soak's own figures; `weights`: the last sample, with its series."""
    out = [
        Family("plumbline_run_info", "gauge", "What runs; always 1.").add(1, **info),
        Family("plumbline_soaked_seconds_total", "counter", "Time that drivers ran.").add(float(now["soaked"])),
        Family("plumbline_rounds_total", "counter", "Rounds, by what their check said."),
        Family("plumbline_ops_total", "counter", "Operations of judged rounds."),
        Family("plumbline_op_latency_seconds", "histogram", "From call to return, of judged rounds."),
        Family("plumbline_violations_total", "counter", "Rounds that contradict their model, and hangs."),
        Family("plumbline_blocked_actors", "gauge", "Actors that have been in one call for longer than a tick."),
        Family("plumbline_residue_objects", "gauge", "Things that drivers of this run have left behind."),
        Family("plumbline_memory_bytes", "gauge", "Memory of the run's processes."),
        Family("plumbline_kernel_objects", "gauge", "What the kernel holds; `files` is of the whole machine."),
    ]
    by = {f.name: f for f in out}
    for mech, k in kinds.items():
        _kind(by, mech, k)
    by["plumbline_residue_objects"].add(now["residue"])
    for name in ("engine", "drivers", "plumbline"):
        if name in weights:
            by["plumbline_memory_bytes"].add(weights[name], of=name)
    for name in ("sysv", "queues", "shm", "files", "processes"):
        if name in weights:
            by["plumbline_kernel_objects"].add(weights[name], kind=name)
    return out


def _kind(by: dict[str, Family], mech: str, k: dict[str, Any]) -> None:
    rounds, violated, unknown = k.get("rounds", 0), k.get("violated", 0), k.get("unknown", 0)
    for result, n in (("held", max(0, rounds - violated - unknown)), ("violated", violated), ("unknown", unknown)):
        by["plumbline_rounds_total"].add(n, mech=mech, result=result)
    for op, (okay, fail) in sorted((k.get("op") or {}).items()):
        by["plumbline_ops_total"].add(okay, mech=mech, op=op, result="ok")
        by["plumbline_ops_total"].add(fail, mech=mech, op=op, result="fail")
    by["plumbline_violations_total"].add(violated + k.get("hangs", 0), mech=mech)
    by["plumbline_blocked_actors"].add(k.get("blocked", 0), mech=mech)
    _histogram(by["plumbline_op_latency_seconds"], mech, {int(e): n for e, n in (k.get("lat_hist") or {}).items()})


def _histogram(f: Family, mech: str, hist: dict[int, int]) -> None:
    """Cumulative. The buckets are fixed, so that a rate over them means something; sums are of upper edges."""
    total = 0
    for i in range(16, 72):  # 256 ns to about a minute, two an octave
        low = 1 << i // 2
        edge = low + low // 2 if i & 1 else low
        total = sum(n for e, n in hist.items() if e <= edge)
        f.add(total, "_bucket", mech=mech, le=repr(edge / 1e9))
    f.add(sum(hist.values()), "_bucket", mech=mech, le="+Inf")
    f.add(sum(e * n for e, n in hist.items()) / 1e9, "_sum", mech=mech)
    f.add(sum(hist.values()), "_count", mech=mech)
