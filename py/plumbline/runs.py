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
        [r["run"], _when(r), r["command"], mark(r["verdict"] or ""), *(str(r[o] or "") for o in OUTCOMES)]
        + [f"{r['seconds'] or 0:.0f} s", r["kernel"] or "", _target(r)]
        for r in runs[-a.last :]
    ]
    columns = ["run", "started (UTC)", "command", "verdict", *OUTCOMES, "took", "kernel", "target"]
    out.table(columns, rows, right=range(4, 10))
    return EXIT_HELD


def _when(r: dict) -> str:
    return str(r["started"] or "")[:16].replace("T", " ")


def _target(r: dict) -> str:
    text = str(r["target"] or "") + ("" if r["there"] else "; folder gone")
    return text if len(text) <= 60 else "…" + text[-59:]
