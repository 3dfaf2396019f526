# SPDX-License-Identifier: MIT
"""What a signal does to a call that waits: waits.toml read, which describes itself."""
from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field
from typing import Any

from .catalogue import HERE, Clause

RESTART = ("goes on", "EINTR", "either")
STOP = ("goes on", "either")


@dataclass(frozen=True)
class Wait:
    """A call that waits, with the calls before it, and what becomes of it."""

    call: tuple[str, dict[str, Any]]
    restart: str
    stop: str
    do: tuple = ()
    open: dict[str, Any] = field(default_factory=dict)
    variant: tuple[str, ...] = ()

    @staticmethod
    def of(raw: dict[str, Any]) -> "Wait":
        call = (*raw["call"], {})[:2]
        if raw["restart"] not in RESTART or raw["stop"] not in STOP:
            raise ValueError(f"waits.toml: {call}: restart is one of {RESTART}, stop one of {STOP}")
        return Wait(call, raw["restart"], raw["stop"], tuple(raw.get("do", ())), raw.get("open", {}),
                    tuple(raw.get("variant", ())))

    def name(self) -> str:
        """What tells it from the others of its clause: the call, and how it is limited."""
        f, args = self.call
        limits = [k for k, v in args.items() if k in ("timeout_ms", "timeout_ns") and v >= 0]
        limits += [step[0] for step in self.do if step[0] == "settimeo"]
        flags = [f"{k}{args[k]}" for k in ("flags",) if k in args]
        return "-".join([f, *flags, *("timed" for _ in limits)])


@functools.cache
def table() -> dict[str, tuple[Wait, ...]]:
    """Rows by clause."""
    raw = tomllib.loads((HERE / "waits.toml").read_text())
    return {clause: tuple(Wait.of(r) for r in part["rows"]) for clause, part in raw.items()}


def waits_of(clause: Clause, variant: str) -> list[tuple[str, Wait]]:
    return [(w.name(), w) for w in table().get(clause.id, ()) if not w.variant or variant in w.variant]
