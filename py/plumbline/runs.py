# SPDX-License-Identifier: MIT
"""plumbline runs: what was run here, the newest last."""
from __future__ import annotations

import argparse
import json

from . import store
from .console import Out, mark
from .outcomes import EXIT_HELD, OUTCOMES


def command(out: Out, a: argparse.Namespace) -> int:
    runs = store.listed(a.out)
    if a.json is not None:
        print(json.dumps(runs, ensure_ascii=False))
    if not runs:
        out.say("no run is kept here; --out DIR says where results are")
        return EXIT_HELD
    rows = [
        [
            r["run"],
            _when(r),
            r["command"] or "",
            mark(r["verdict"] or ""),
            _tally(r),
            f"{r['seconds'] or 0:.0f} s",
            _on(r),
        ]
        for r in runs[-a.last :]
    ]
    out.table(["run", "started (UTC)", "command", "verdict", "claims", "took", "on"], rows, right=(5,), cut=True)
    return EXIT_HELD


def _tally(r: dict) -> str:
    return ", ".join(f"{r[o]} {o}" for o in OUTCOMES if r[o])


def _when(r: dict) -> str:
    return str(r["started"] or "")[:16].replace("T", " ")


def _on(r: dict) -> str:
    text = ", ".join(filter(None, ("" if r["there"] else "folder gone", r["target"], r["kernel"])))
    return text if len(text) <= 80 else text[:79] + "…"
