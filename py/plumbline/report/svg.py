# SPDX-License-Identifier: MIT
"""The few drawings of the report, made from data. Colours come from the page's classes: dark and light both work."""
from __future__ import annotations

import math
from typing import Any, Sequence

from markupsafe import Markup, escape

from ..history import CONTROL

_OPS_MAX = 20  # of a witness; more are cut from its middle
_LANE, _LEFT, _STEP, _LETTER = 42, 74, 58, 6.4
_LABEL_MAX = 60


def duration(ns: float) -> str:
    """1.2 µs, 34 ms: three digits at most."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def number(n: float) -> str:
    """12.3 M, 45 k."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(n) >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.3g}"


def timeline(witness: Sequence[dict[str, Any]]) -> Markup:
    """Operations as bars, a row an actor. Left to right is the order of the stamps; the gaps between them are named."""
    ops = [w for w in witness if isinstance(w, dict) and isinstance(w.get("t_inv"), int)]
    if not ops:
        return Markup("")
    if len(ops) > _OPS_MAX:
        ops = ops[: _OPS_MAX // 2] + ops[-_OPS_MAX // 2 :]
    actors = sorted({str(w.get("actor", "?")) for w in ops}, key=lambda a: (len(a), a))
    stamps = sorted({t for w in ops for t in (w["t_inv"], _end(w)) if t is not None})
    place = _places(ops, stamps)
    right = max(place[stamps[-1]] + _STEP, *(place[w["t_inv"]] + _wide(w) for w in ops if _end(w) is None), 0)
    height = len(actors) * _LANE + 34
    out = [
        f'<svg class="timeline" viewBox="0 0 {right + 150} {height}" width="{right + 150}" height="{height}" '
        f'role="img" aria-label="{len(ops)} operations of {len(actors)} actors">'
    ]
    for i, a in enumerate(actors):
        y = i * _LANE + 24
        out.append(
            f'<text class="who" x="0" y="{y + 4}">{escape("control" if a == str(CONTROL) else f"actor {a}")}</text>'
            f'<line class="lane" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        )
    for w in sorted(ops, key=lambda w: w["t_inv"]):
        who = str(w.get("actor", "?"))
        out.append(_bar(w, actors.index(who) * _LANE + 24, place, right))
    for a, b in zip(stamps, stamps[1:]):
        out.append(
            f'<text class="gap" x="{(place[a] + place[b]) / 2}" y="{height - 4}">{escape(duration(b - a))}</text>'
        )
    return Markup("".join(out) + "</svg>")


def _places(ops: Sequence[dict[str, Any]], stamps: Sequence[int]) -> dict[int, float]:
    """Where each stamp stands: as far from the one before as the labels of what ends there ask for."""
    place: dict[int, float] = {}
    at = _LEFT + 14.0
    for t in stamps:
        at = max([at, *(place[w["t_inv"]] + _wide(w) for w in ops if _end(w) == t and w["t_inv"] < t)])
        place[t] = at
        at += max([_STEP, *(_wide(w) for w in ops if w["t_inv"] == t == _end(w))])
    return place


def _wide(w: dict[str, Any]) -> float:
    return 12 + _LETTER * len(_label(w))


def _end(w: dict[str, Any]) -> int | None:
    t = w.get("t_ret")
    return t if isinstance(t, int) and t >= w["t_inv"] and w.get("state") not in ("invoked", 1) else None


def _bar(w: dict[str, Any], y: int, place: dict[int, float], right: float) -> str:
    x0, end = place[w["t_inv"]], _end(w)
    x1 = place[end] if end is not None else right
    kind = "open" if end is None else "fail" if w.get("errno") else "okay"
    more = ", ".join(f"{k} {w[k]}" for k in ("seq", "token", "tag", "ret") if w.get(k) not in (None, "", "0x0"))
    return (
        f"<g><title>{escape(_label(w))}; {escape(more)}</title>"
        f'<rect class="op {kind}" x="{x0}" y="{y - 8}" width="{max(x1 - x0, 6)}" height="16" rx="3"/>'
        f'<text class="op" x="{x0 + 1}" y="{y - 12}">{escape(_label(w))}</text></g>'
    )


def _label(w: dict[str, Any]) -> str:
    """What the driver calls it, "send 0#17"; or in words made from its record."""
    end, label = _end(w), w.get("label")
    if isinstance(label, str) and label:
        return label[:_LABEL_MAX] if end is not None or w.get("actor") == CONTROL else f"{label[:_LABEL_MAX]} …"
    what = " ".join(filter(None, [str(w.get("f", "?")), token(w.get("token"))]))
    what += f" ({w['tag']})" if w.get("tag") else ""
    return f"{what} → {'never returned' if end is None else w.get('errno') or w.get('ret', '')}"


def token(value: Any) -> str:
    """A payload's token as judges write it, actor#number (hist/payload.h); what is none stays as it is."""
    try:
        t = int(value, 16) if isinstance(value, str) else int(value)
    except (TypeError, ValueError):
        return str(value or "")
    return "" if t == 0 else f"{(t >> 48) - 1}#{t & 0xffffffffff}" if t >> 48 else hex(t)


def _beside(rows: Sequence[tuple]) -> int:
    """Room for the longest name."""
    return 24 + round(7.4 * max((len(name) for name, *_ in rows), default=0))


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> Markup:
    """Horizontal bars from zero: (name, value, how the value is written)."""
    top = max((v for _, v, _ in rows), default=0) or 1
    h, left, width = 26, _beside(rows), 310
    out = [
        f'<svg class="bars" viewBox="0 0 {left + width + 80} {len(rows) * h}" role="img" '
        f'aria-label="{escape(title)}">'
    ]
    for i, (name, value, shown) in enumerate(rows):
        y, w = i * h, max(value / top * width, 1)
        out.append(
            f'<text class="name" x="{left - 10}" y="{y + 17}">{escape(name)}</text>'
            f'<rect class="bar" x="{left}" y="{y + 5}" width="{w:.1f}" height="16" rx="2"/>'
            f'<text class="value" x="{left + w + 7:.1f}" y="{y + 17}">{escape(shown)}</text>'
        )
    return Markup("".join(out) + "</svg>")


def latencies(rows: Sequence[tuple[str, float, float, float]]) -> Markup:
    """(name, p50, p99, max) in ns on a logarithmic axis: a dot, a tick, a ring."""
    values = [v for r in rows for v in r[1:] if v > 0]
    if not values:
        return Markup("")
    lo, hi = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    hi = max(hi, lo + 1)
    h, left, width = 26, _beside(rows), 310
    height = len(rows) * h + 24

    def x(v: float) -> float:
        return left + (math.log10(max(v, 10**lo)) - lo) / (hi - lo) * width

    out = [
        f'<svg class="bars" viewBox="0 0 {left + width + 80} {height}" role="img" '
        'aria-label="Latency of one operation by kind: p50, p99 and longest">'
    ]
    every = 1 if hi - lo <= 5 else 2  # labels of more would meet
    for p in range(lo, hi + 1):
        words = "" if (p - lo) % every else duration(10**p)
        out.append(
            f'<line class="lane" x1="{x(10**p):.1f}" x2="{x(10**p):.1f}" y1="0" y2="{height - 20}"/>'
            f'<text class="gap" x="{x(10**p):.1f}" y="{height - 6}">{escape(words)}</text>'
        )
    for i, (name, p50, p99, most) in enumerate(rows):
        y = i * h + 13
        out.append(f'<text class="name" x="{left - 10}" y="{y + 4}">{escape(name)}</text>')
        if p50 > 0:
            out.append(
                f"<g><title>p50 {duration(p50)}, p99 {duration(p99)}, max {duration(most)}</title>"
                f'<line class="span" x1="{x(p50):.1f}" x2="{x(max(most, p50)):.1f}" y1="{y}" y2="{y}"/>'
                f'<circle class="p50" cx="{x(p50):.1f}" cy="{y}" r="5"/>'
                f'<rect class="p99" x="{x(p99) - 1.5:.1f}" y="{y - 6}" width="3" height="12"/>'
                f'<circle class="max" cx="{x(most):.1f}" cy="{y}" r="4"/></g>'
            )
    return Markup("".join(out) + "</svg>")
