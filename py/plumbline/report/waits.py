# SPDX-License-Identifier: MIT
"""A wait-for graph, drawn: actors on a circle, an arrow from who sleeps to whoever could end it, and what it is for."""
from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup, escape

_W, _H = 144, 40  # a box
_GAP = 86.0  # between boxes along the circle
_NODES_MAX = 24


def waits(nodes: Any, edges: Any, tip: str = "tip") -> Markup:
    """`nodes` [{actor, pid, is, f, instance}], `edges` [{from, to, what, cycle}] by index; else nothing is drawn.

    `tip` is the name of the arrow heads, one a page."""
    boxes = [n for n in nodes if isinstance(n, dict)][:_NODES_MAX] if isinstance(nodes, list) else []
    arrows = [e for e in edges if _usable(e, len(boxes))] if isinstance(edges, list) else []
    if not arrows or len(boxes) != len(nodes[:_NODES_MAX]):
        return Markup("")
    n = len(boxes)
    radius = max(150.0, n * (_W + _GAP) / (2 * math.pi)) if n > 1 else 0.0
    first = -math.pi / 2 if n == 2 else 0.0  # two are side by side
    at = [(radius * math.sin(t), -0.7 * radius * math.cos(t)) for t in (first + 2 * math.pi * i / n for i in range(n))]
    several = len({str(b.get("instance")) for b in boxes}) > 1
    left, right = (f(x for x, _ in at) for f in (min, max))
    top, foot = (f(y for _, y in at) for f in (min, max))
    beside, above = (60, 60) if any(e["from"] == e["to"] for e in arrows) else (40, 28)
    width, height = right - left + _W + 2 * beside, foot - top + _H + 2 * above
    out = [
        f'<svg class="waits{" wide" if width > 600 else ""}" '
        f'viewBox="{left - _W / 2 - beside:.0f} {top - _H / 2 - above:.0f} '
        f'{width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(_aloud(boxes, arrows))}">'
        f'<defs><marker id="{tip}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>'
    ]
    out += [_arrow(at, e, tip) for e in arrows]
    out += [_box(x, y, b, several) for (x, y), b in zip(at, boxes)]
    return Markup("".join(out) + "</svg>")


def _usable(e: Any, n: int) -> bool:
    return isinstance(e, dict) and all(type(e.get(k)) is int and 0 <= e[k] < n for k in ("from", "to"))


def _aloud(boxes: list[dict[str, Any]], arrows: list[dict[str, Any]]) -> str:
    name = [f"actor {b.get('actor')}" for b in boxes]
    return "; ".join(f"{name[e['from']]} waits for {e.get('what')}, of {name[e['to']]}" for e in arrows)


def _box(x: float, y: float, b: dict[str, Any], several: bool) -> str:
    who = f"actor {b.get('actor')}" + (f" of {b.get('instance')}" if several else "")
    state = str(b.get("is", ""))
    doing = f"in {b['f']}" if state == "asleep" and b.get("f") else state
    return (
        f'<g class="actor {"dead" if state == "dead" else ""}"><title>{escape(who)}, pid {escape(b.get("pid"))}: '
        f'{escape(doing)}</title><rect x="{x - _W / 2:.1f}" y="{y - _H / 2:.1f}" width="{_W}" height="{_H}" rx="6"/>'
        f'<text class="head" x="{x:.1f}" y="{y - 3:.1f}">{escape(who)}</text>'
        f'<text class="what" x="{x:.1f}" y="{y + 12:.1f}">{escape(doing)}, pid {escape(b.get("pid"))}</text></g>'
    )


def _edge_of_box(box: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    k = min((_W / 2 + 3) / abs(dx) if dx else math.inf, (_H / 2 + 3) / abs(dy) if dy else math.inf)
    return box[0] + dx * k, box[1] + dy * k


def _arrow(at: list[tuple[float, float]], e: dict[str, Any], tip: str) -> str:
    """Bent to the left of its way, so that the two of a pair do not meet; one to itself is a loop below its box."""
    a, b = at[e["from"]], at[e["to"]]
    kind = "cycle" if e.get("cycle") is True else ""
    if e["from"] == e["to"]:
        x, y = a[0], a[1] + _H / 2 + 3
        path = f"M{x - 26:.1f} {y:.1f}C{x - 60:.1f} {y + 50:.1f} {x + 60:.1f} {y + 50:.1f} {x + 26:.1f} {y:.1f}"
        return _drawn(path, kind, x, y + 50, e, tip)
    mx, my = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.hypot(dx, dy) or 1.0
    bend = max(26.0, length * 0.16)
    cx, cy = mx + dy / length * bend, my - dx / length * bend
    p, q = _edge_of_box(a, (cx, cy)), _edge_of_box(b, (cx, cy))
    path = f"M{p[0]:.1f} {p[1]:.1f}Q{cx:.1f} {cy:.1f} {q[0]:.1f} {q[1]:.1f}"
    return _drawn(path, kind, (p[0] + 2 * cx + q[0]) / 4, (p[1] + 2 * cy + q[1]) / 4, e, tip)


def _drawn(path: str, kind: str, x: float, y: float, e: dict[str, Any], tip: str) -> str:
    what = str(e.get("what", ""))[:32]
    wide = len(what) * 6.7 + 6
    return (
        f'<path class="edge {kind}" d="{path}" marker-end="url(#{tip})"/>'
        f'<rect class="behind" x="{x - wide / 2:.1f}" y="{y - 7:.1f}" width="{wide:.1f}" height="14"/>'
        f'<text class="label {kind}" x="{x:.1f}" y="{y + 4:.1f}">{escape(what)}</text>'
    )
