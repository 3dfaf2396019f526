# SPDX-License-Identifier: MIT
"""Drivers asked who they are: `plumb-X --hello`, here or through a target."""
from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import protocol
from .agent import run
from .places import Places
from .target import Target, elf_machine, elf_static

HELLO_S = 5.0


@dataclass
class Known:
    """A driver file and its hello; `why` says what went wrong when there is none."""

    name: str
    path: Path
    hello: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def build(self) -> str:
        static = elf_static(self.path)
        return "script" if static is None else f"{'static' if static else 'dynamic'} {elf_machine(self.path)}"

    @property
    def variants(self) -> list[dict[str, Any]]:
        return [v for v in self.hello.get("variants", []) if isinstance(v, dict)]


def ask(places: Places, target: Target, names: list[str] | None = None) -> list[Known]:
    """All drivers' hellos, a few at a time. A driver that does not answer is in the list with its reason."""
    chosen = places.driver_names() if names is None else names
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda n: _hello(n, places.driver(n), target), chosen))


def _hello(name: str, path: Path, target: Target) -> Known:
    known = Known(name, path)
    try:
        r = run(target, [path, "--hello"], HELLO_S)
    except subprocess.TimeoutExpired:
        known.why = f"no hello within {HELLO_S:g} s"
        return known
    except OSError as e:
        known.why = f"cannot be started: {e.strerror}" if not target.agent else str(e.strerror)
        return known
    try:
        known.hello = protocol.decode(r.stdout.split(b"\n")[0])
    except protocol.FrameError as e:
        last = r.stderr.strip().splitlines()[-1:] or [str(e)]
        known.why = f"exit status {r.returncode}: {last[0]}"
        return known
    bad = protocol.hello_problems(known.hello, strict=False)
    known.why = "its hello is wrong: " + "; ".join(bad[:3]) if bad else ""
    return known
