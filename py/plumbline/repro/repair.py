# SPDX-License-Identifier: MIT
"""What a violated test would have accepted: one answer of its script is replaced until the test goes on."""
from __future__ import annotations

from typing import Any, Iterator

from .judge import ON
from .mine import Bounds, Miner, Step
from .script import Line, NoScript, Script

STEPS_BACK = 12


def repaired(miner: Miner) -> None:
    """Changes the step that was violated to what it had to be. NoScript when no single answer explains it."""
    calls = [s for s in miner.steps if s.op == "call"][-STEPS_BACK:]
    for s in (c for c in calls if c.answer is None):
        if miner.verdict(_answered(miner.script, s)).word == ON:
            s.wants.returns = s.settled = True
            return
    for s in (c for c in reversed(calls) if c.answer and "ret" in c.answer):
        if found := _accepted(miner, s):
            return _settle(miner, s, found)
    raise NoScript(f"no single other answer would have satisfied the test: {miner.base.why}")


def _answered(script: Script, s: Step) -> Script:
    """The story in which a call that never returned does so in the end."""
    t = max(line.message.get("t", 0) for line in script.lines if line.request is not None and not line.out)
    ok = {"ret": s.request.get("size", 0), "t_inv": t, "t_ret": t, "dt_ns": 0}
    return Script([*script.lines, Line(False, {"re": s.id, "t": t, "ok": ok}, s.id)], script.about)


def _accepted(miner: Miner, s: Step) -> list[dict[str, Any]]:
    return [v for v in _candidates(miner, s) if miner.verdict(miner.varied(s, **v)).word == ON]


def _candidates(miner: Miner, s: Step) -> Iterator[dict[str, Any]]:
    """Other errors, then success, then other results, then other payloads."""
    answer, size = s.answer, s.request.get("size", 0)
    for e in miner.errors:
        yield {"ret": -1, "errno": e}
    for r in dict.fromkeys((0, size, 1)):
        yield {"ret": r, "errno": None}
    numbers = {v for c in miner.calls() for v in c.answer.values() if isinstance(v, int) and abs(v) < 1 << 20}
    for name, value in answer.items():
        if isinstance(value, int) and not name.startswith(("t_", "dt_")) and name not in ("len",):
            near = {value - 1, value + 1, 0, 1, *numbers}
            yield from ({name: v} for v in sorted(near, key=lambda v: abs(v - value)) if v != value)
    if "sum" in answer:
        for sum_ in miner.puts:
            yield {"sum": sum_}
    signals = answer.get("signals", [])
    yield {"signals": signals[1:] or None}
    one = {"signal": "USR1", "code": -3, "pid": 1, "value": 0}
    yield {"signals": [*signals, one]}


def _settle(miner: Miner, s: Step, found: list[dict[str, Any]]) -> None:
    first, w = found[0], s.wants
    was = dict(s.answer)
    kind = set(first)
    if first.get("ret") == -1 and "errno" in first:
        w.succeeds, w.errors = False, [v["errno"] for v in found if v.get("ret") == -1 and "errno" in v]
    elif "errno" in first:
        w.errors, w.succeeds = [], True
        rets = [v["ret"] for v in found if "errno" in v and v["errno"] is None]
        w.ret = Bounds(min(rets), min(rets)) if len(rets) == 1 else Bounds()
    elif kind == {"sum"}:
        w.content = [miner.puts[v["sum"]] for v in found if set(v) == {"sum"}]
    elif kind == {"signals"}:
        w.signals = True
    else:
        name = next(iter(kind))
        values = [v[name] for v in found if set(v) == {name}]
        b = Bounds(values[0], values[0]) if len(values) == 1 else _limits(was[name], values)
        if name == "ret":
            w.ret, w.errors = b, w.errors or []
        else:
            w.out[name] = b
    s.settled = True
    s.answer = {k: v for k, v in {**s.answer, **first}.items() if v is not None}


def _limits(wrong: int, right: list[int]) -> Bounds:
    """All that was right lies on one side of what was wrong, or what was right is one value only."""
    if min(right) > wrong:
        return Bounds(lo=min(right))
    if max(right) < wrong:
        return Bounds(hi=max(right))
    return Bounds(right[0], right[0])
