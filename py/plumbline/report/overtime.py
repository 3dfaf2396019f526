# SPDX-License-Identifier: MIT
"""The run over time: operations a second and their latency, from the engine's ticks; where faults fell, a band.

The engine tells every second what has been done since the start: sums, operations by latency, faults. A point is what
came between two ticks, so that a tick which is missing makes a point wider, and not wrong.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Iterable, Sequence

from markupsafe import Markup, escape

from .svg import duration, number

_POINTS_MAX = 150
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_LEFT, _WIDTH, _RATE, _LAT, _BETWEEN = 80, 600, 110, 110, 30


@dataclass
class Point:
    """Between two ticks, in ns since the start."""

    begun: int
    ended: int
    rate: float  # operations a second
    p50: float | None  # ns; None: none was judged
    p99: float | None
    faults: dict[str, int] = field(default_factory=dict)


def points(lines: Iterable[dict[str, Any]]) -> list[Point]:
    """From the lines of an events.jsonl, in their order."""
    armed, faults, sums = False, {}, []
    for line in lines:
        ev, t = line.get("ev"), line.get("t")
        if ev == "armed":
            armed = True
            sums.append((t, 0, {}, {}))
        elif ev == "tick" and armed and isinstance(line.get("mechs"), dict):
            sums.append((t, *_sum(line["mechs"].values()), {}))
        elif ev == "fault" and sums:  # follows its tick
            faults = {k: n for k, n in line.items() if k not in ("ev", "t") and type(n) is int}
            sums[-1] = (*sums[-1][:3], faults)
    sums = [s for s in sums if type(s[0]) is int]
    step = max(1, math.ceil((len(sums) - 1) / _POINTS_MAX))
    kept = sums[::step] if (len(sums) - 1) % step == 0 else sums[::step] + sums[-1:]
    return [_between(a, b) for a, b in zip(kept, kept[1:]) if b[0] > a[0] and b[1] >= a[1]]


def _sum(kinds: Iterable[Any]) -> tuple[int, dict[int, int]]:
    done, hist = 0, {}
    for k in kinds:
        if not isinstance(k, dict):
            continue
        done += k["done"] if type(k.get("done")) is int else 0
        for edge, n in k["lat_hist"].items() if isinstance(k.get("lat_hist"), dict) else ():
            if edge.isdecimal() and type(n) is int:
                hist[int(edge)] = hist.get(int(edge), 0) + n
    return done, hist


def _between(a: tuple, b: tuple) -> Point:
    hist = {edge: n - a[2].get(edge, 0) for edge, n in sorted(b[2].items())}
    faults = {k: n - a[3].get(k, 0) for k, n in b[3].items() if n > a[3].get(k, 0)}
    rate = (b[1] - a[1]) / (b[0] - a[0]) * 1e9
    return Point(a[0], b[0], rate, _quantile(hist, 0.5), _quantile(hist, 0.99), faults)


def _quantile(hist: dict[int, int], q: float) -> float | None:
    """The upper edge of the bucket that holds it."""
    total = sum(n for n in hist.values() if n > 0)
    seen = 0
    for edge, n in hist.items():
        seen += max(n, 0)
        if total and seen >= q * total:
            return float(edge)
    return None


def drawn(of: Sequence[Point]) -> Markup:
    """Two plots over one axis of time. Nothing for fewer than two points: a dot is no course."""
    if len(of) < 2:
        return Markup("")
    begun, span = of[0].begun, of[-1].ended - of[0].begun
    height = _RATE + _BETWEEN + _LAT + 24

    def x(t: int) -> float:
        return _LEFT + (t - begun) / span * _WIDTH

    hit = sum(bool(p.faults) for p in of)
    words = f"Operations a second and latency over {duration(span)}, {hit} of {len(of)} intervals with faults"
    out = [
        f'<svg class="course" viewBox="0 0 {_LEFT + _WIDTH + 50} {height}" role="img" aria-label="{words}">'
        f"<title>{words}</title>"
    ]
    for p in of:
        if p.faults:
            what = ", ".join(f"{n} × {escape(k)}" for k, n in p.faults.items())
            out.append(
                f'<g><title>{what}</title><rect class="fault" x="{x(p.begun):.1f}" y="0" '
                f'width="{x(p.ended) - x(p.begun):.1f}" height="{height - 22}"/></g>'
            )
    out += _rates(of, x) + _latencies(of, x) + _clock(span, height)
    return Markup("".join(out) + "</svg>")


def _rates(of: Sequence[Point], x: Any) -> list[str]:
    top = max(p.rate for p in of) or 1.0
    y = lambda v: _RATE - v / top * (_RATE - 14)  # noqa: E731
    return [_rule(y(v), number(v) + "/s") for v in (0.0, top)] + [_steps("rate", [(p, y(p.rate)) for p in of], x)]


def _latencies(of: Sequence[Point], x: Any) -> list[str]:
    values = [v for p in of for v in (p.p50, p.p99) if v]
    if not values:
        return []
    lo = math.floor(math.log10(min(values)))
    hi = max(math.ceil(math.log10(max(values))), lo + 1)
    foot = _RATE + _BETWEEN + _LAT
    y = lambda v: foot - (math.log10(v) - lo) / (hi - lo) * _LAT  # noqa: E731
    every = max(1, (hi - lo + 3) // 4)
    out = [_rule(y(10.0**p), duration(10.0**p)) for p in range(lo, hi + 1, every)]
    for name in ("p50", "p99"):
        known = [(p, y(v)) for p in of if (v := getattr(p, name))]
        last, at = known[-1]
        out.append(_steps(name, known, x))
        out.append(f'<text class="end" x="{x(last.ended) + 6:.1f}" y="{at + 4:.1f}">{name}</text>')
    return out


def _rule(y: float, words: str) -> str:
    return (
        f'<line class="lane" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="name small" x="{_LEFT - 8}" y="{y + 4:.1f}">{escape(words)}</text>'
    )


def _steps(name: str, of: Sequence[tuple[Point, float]], x: Any) -> str:
    """A level line an interval, joined where one follows the other."""
    path, last = [], None
    for p, y in of:
        path.append(f"{'V' if last == p.begun else f'M{x(p.begun):.1f} '}{y:.1f}H{x(p.ended):.1f}")
        last = p.ended
    return f'<path class="course {name}" d="{"".join(path)}"/>'


def _clock(span: int, height: int) -> list[str]:
    """At most six times below, round ones."""
    step = next((s * 1e9 for s in _STEPS_S if s * 1e9 * 5 >= span), span / 4)
    times = [step * i for i in range(int(span / step) + 1)]
    return [
        f'<text class="gap" x="{_LEFT + min(t / span, 1) * _WIDTH:.1f}" y="{height - 6}">{_time(t)}</text>'
        for t in times
    ]


def _time(ns: float) -> str:
    s = ns / 1e9
    return "0" if not s else duration(ns) if s < 120 else f"{s / 60:.3g} min" if s < 7200 else f"{s / 3600:.3g} h"
