# SPDX-License-Identifier: MIT
"""plumbline diff: what two runs disagree about, in both directions; the figures of their stress side by side.

It judges nothing: its exit code is 0 whatever it finds. `gate` judges.
"""
from __future__ import annotations

import argparse
import json
from typing import Any

from . import gateforms, store
from .compare import SHUT, Change, Comparison, compare
from .console import Out
from .outcomes import plural

_WORSE = (*SHUT, "expected", "known", "advisory")
_FIGURES = ("judged", "done", "ops_per_s", "overlap", "violated")


def command(out: Out, a: argparse.Namespace) -> int:
    c = compare(store.find([a.a], a.out), store.find([a.b], a.out), pin=0, expected=[])
    changed = [x for x in c.changes if x.before != x.after or x.kind == "violation"]
    if a.json is not None:
        print(json.dumps(_as_json(c, changed), ensure_ascii=False))
    out.say(f"a  {gateforms.about(c.base)}")
    out.say(f"b  {gateforms.about(c.cand)}")
    _claims(out, changed)
    _figures(out, c)
    return 0


def _claims(out: Out, changed: list[Change]) -> None:
    """Grouped by what happened; the worst first."""
    groups: dict[tuple[bool, str], list[Change]] = {}
    for x in changed:
        groups.setdefault((x.kind not in _WORSE, x.words), []).append(x)
    for (_, words), some in sorted(groups.items(), key=lambda g: g[0]):
        out.say(f"{words}: {plural(len(some), 'claim')}", "bold")
        for where in dict.fromkeys(x.key.where for x in some):
            out.say(f"  {where}: {', '.join(x.key.clause for x in some if x.key.where == where)}")
    if not changed:
        out.say("no claim ended differently")


def _figures(out: Out, c: Comparison) -> None:
    rows = []
    for place in sorted({*c.base.kinds, *c.cand.kinds}):
        a, b = c.base.kinds.get(place, {}), c.cand.kinds.get(place, {})
        row = [place]
        for name in _FIGURES:
            row += [_figure(a.get(name)), _figure(b.get(name))]
        rows.append(row + [_figure((k.get("lat_ns") or {}).get("p99")) for k in (a, b)])
    if rows:
        heads = ("judged", "ops", "ops/s", "overlap", "violated", "p99 ns")
        out.table(["under load", *(h for name in heads for h in (f"{name} a", "b"))], rows, right=range(1, 13))


def _figure(v: Any) -> str:
    if not isinstance(v, (int, float)):
        return "-"
    return f"{v:.2f}" if isinstance(v, float) and v < 10 else f"{v:,.0f}"


def _as_json(c: Comparison, changed: list[Change]) -> dict[str, Any]:
    v = gateforms.View(c, {}, "", "", "plumbline")
    return {
        "a": {"name": c.base.name, **c.base.about},
        "b": {"name": c.cand.name, **c.cand.about},
        "changes": [gateforms.change_json(v, x) for x in changed],
        "load": {p: {"a": c.base.kinds.get(p), "b": c.cand.kinds.get(p)} for p in {*c.base.kinds, *c.cand.kinds}},
    }
