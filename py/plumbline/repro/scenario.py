# SPDX-License-Identifier: MIT
"""A violated round as a few operations that can be made again and again: those of its witness, and what makes them go
on for ever where the promise is kept: whoever waits is served, and at the end nothing is left inside.

What time forced on the witness is forced on them (`after`); what overlapped there may overlap. Where somebody has to be
inside of a call, or to sleep in it, the other waits for that (`during`).
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterator

from .. import history
from ..history import Record
from .script import NoScript

STEPS_MAX = 12
PIPE_BUF = 4096
BLOCKS, TIMED = 1, 2  # PL_BLOCKS, PL_TIMED
QUEUES = ("fifo", "priority", "select", "datagram")
DEATHS = frozenset("DEADNONE DEADFALSE DEADTWICE DEADHOLDER NOTRECOV BADNOTRECOV FREEUNHELD CRASH".split())
FULL = frozenset("OVERCAP OVERFULL BADNOROOM".split())


@dataclass
class Act:
    """One operation. `begin` and `end` say what came before what in the witness."""

    actor: int
    f: str
    kind: str  # PUT TAKE LOOK ACQUIRE RELEASE
    begin: int
    end: int
    n: int = 0  # bytes, or how many of a counter
    tag: int = 0
    after: list["Act"] = field(default_factory=list)  # not before these have returned
    during: "Act | None" = None  # not before this one sleeps in its call, or has returned
    given: "Act | None" = None  # only if this one has succeeded


_KINDS = {"put": "PUT", "take": "TAKE", "observe": "LOOK", "acquire": "ACQUIRE", "release": "RELEASE"}


class Round:
    """A violated round: what plumb-check says of it, and its histories."""

    def __init__(self, said: dict[str, Any], folder: Path):
        self.said, self.rule, self.model = said, said["rule"], said["model"]
        paths = sorted(folder.glob(f"round-{said['round']}.*.hist"))
        self.logs = {h.head.actor: h for h in map(history.read, paths)}
        actors = [h for a, h in self.logs.items() if a != history.CONTROL]
        if not actors or history.CONTROL not in self.logs:
            raise NoScript("its histories are not all there")
        self.how = {name: how for name, _, how in actors[0].head.ops}
        self.all = sorted((r for h in actors for r in h.records), key=lambda r: r.t_invoke)
        self._by_place = {(r.actor, r.seq): r for h in self.logs.values() for r in h.records}

    def operations(self, key: str) -> list[Record]:
        """Of actors, `witness` (what the finding points at) or `shown` (the fewest that are enough)."""
        found = (self._by_place.get((o["actor"], o["seq"])) for o in self.said.get(key) or ())
        return [r for r in found if r and r.actor != history.CONTROL and r.state in ("invoked", "ok", "fail")]

    def witness(self) -> list[Record]:
        return self.operations("shown" if self.said.get("enough") else "witness")

    def dies(self) -> bool:
        """Somebody was killed before what is wrong was seen."""
        control = self.logs[history.CONTROL].records
        seen = max((r.t_invoke for r in control if r.f == "asleep"), default=None)
        shown = {o["seq"] for o in self.said.get("shown") or () if o["actor"] == history.CONTROL}
        kills = [r for r in control if r.f == "kill" and (r.seq in shown or self.rule == "LOSTWAKE")]
        return any(self.rule != "LOSTWAKE" or seen is None or r.t_invoke < seen for r in kills)

    def near(self, kind: str, t: int, but: int | None = None) -> Record | None:
        """The last success of its kind that began before `t`, else the first one."""
        found = [r for r in self.all if _KINDS.get(r.role) == kind and r.state == "ok" and r.actor != but]
        return next((r for r in reversed(found) if r.t_invoke < t), found[0] if found else None)

    def needed(self, kind: str, t: int, but: int | None = None) -> Record:
        found = self.near(kind, t, but)
        if not found:
            raise NoScript(f"nobody else made a call of the kind {kind.lower()} in it")
        return found

    def waits(self, f: str) -> bool:
        return bool(self.how.get(f, BLOCKS) & (BLOCKS | TIMED))


def acts(r: Round, piecemeal: bool) -> list[Act]:
    """In the order of their begins. NoScript: what these rounds show is no story of a few calls."""
    if r.rule in DEATHS or r.dies():
        raise NoScript("a death is part of what it shows: that has no C yet")
    if r.rule in FULL or (r.rule == "BADFULL" and not r.witness()):
        raise NoScript("it needs an object that is full: that has no C yet")
    maker = {"stream": _stream, "counter": _counter, "sum": _counter, "lock": _lock}.get(r.model)
    if not maker and r.model not in QUEUES:
        raise NoScript(f"rounds of the model {r.model} have no C yet")
    found = maker(r, piecemeal) if maker else _queue(r)
    found.sort(key=lambda a: a.begin)
    if len(found) > STEPS_MAX:
        raise NoScript(f"its witness has more than {STEPS_MAX} operations")
    _forced(found, r.model)
    return found


def _act(r: Record, **changes: Any) -> Act:
    kind = _KINDS.get(r.role)
    if not kind:
        raise NoScript(f"{r.f} has no part in what the model is about")
    end = r.t_return if r.state != "invoked" else 1 << 62
    n = r.len if kind in ("PUT", "TAKE") else 0
    return replace(Act(r.actor, r.f, kind, r.t_invoke, end, n, r.tag), **changes)


def _sequel(first: Act, *more: Act) -> list[Act]:
    """One after the other, in the order given."""
    t, out = first.begin, [first]
    for a in more:
        t += 2
        out.append(replace(a, begin=t, end=t + 1))
    first.end = min(first.end, first.begin + 1)
    return out


# queues
def _queue(r: Round) -> list[Act]:
    points = r.operations("witness")
    if r.rule == "LOSTWAKE":
        return _sleeper(r, points)
    found = points if r.rule in ("VCORRUPT", "BADFULL") else r.witness()
    tokens = list(dict.fromkeys(o.token for o in found if o.token and o.state == "ok"))
    puts = [o for o in r.all if o.role == "put" and o.token in tokens and o.state == "ok"]
    takes = {o.token: o for o in reversed(r.all) if o.role == "take" and o.token in tokens and o.state == "ok"}
    out = [_act(o) for o in puts] + [_take(r, o) for o in takes.values()]
    out += [_take(r, o) if o.role == "take" else _act(o) for o in found if o.state == "fail"]
    for o in (o for o in found if o.role == "take" and o.state == "ok" and not o.token):
        lost = _unnamed(r, o)
        out += [_act(p) for p in lost]
        out += _sequel(*(_take(r, o) for _ in lost))
    if r.model == "select":
        out += _wanted(out)
    if not any(a.kind == "PUT" for a in out):
        raise NoScript("its witness does not tell what was put")
    return _served(r, out)


def _take(r: Round, o: Record) -> Act:
    """`sum` is what it selects, as a number of 32 bits."""
    select = o.sum - (1 << 32) if o.sum >> 31 else o.sum
    return _act(o, tag=select if r.model == "select" else 0)


def _unnamed(r: Round, o: Record) -> list[Record]:
    """What was put and not received by its name: those whose lengths are most like what came."""
    received = {t.token for t in r.all if t.role == "take" and t.token}
    lost = [
        p for p in r.all if p.role == "put" and p.state == "ok" and p.token not in received and p.t_invoke < o.t_return
    ]
    if not lost:
        raise NoScript("what was put in its place cannot be told")
    pairs = [[p, q] for i, p in enumerate(lost) for q in lost[i + 1 : i + 9] if p.len + q.len == o.ret]
    return min([[p] for p in lost], key=lambda c: abs(c[0].len - o.ret)) if not pairs else pairs[0]


def _wanted(found: list[Act]) -> list[Act]:
    """Something for each take that selects what nobody puts."""
    tags, first = [a.tag for a in found if a.kind == "PUT"], next((a for a in found if a.kind == "PUT"), None)
    out = []
    for a in (a for a in found if a.kind == "TAKE" and a.tag):
        fits = [t for t in tags if (t == a.tag if a.tag > 0 else t <= -a.tag)]
        if fits:
            tags.remove(fits[0])
        elif first:
            out.append(replace(first, tag=abs(a.tag), begin=first.end + 1, end=first.end + 2))  # behind the wrong one
    return out


def _served(r: Round, found: list[Act]) -> list[Act]:
    """Without the last takes that would wait for ever: what comes too much is found at the end."""
    puts = sum(a.kind == "PUT" for a in found)
    takes = sorted((a for a in found if a.kind == "TAKE" and r.waits(a.f)), key=lambda a: a.begin)
    too_many = {id(a) for a in takes[puts:]}
    return [a for a in found if id(a) not in too_many]


def _sleeper(r: Round, points: list[Record]) -> list[Act]:
    """Somebody sleeps in a take; somebody else puts what it waits for."""
    asleep = next((o for o in points if o.role == "take"), None)
    if not asleep:
        raise NoScript("it needs an object that is full: that has no C yet")
    take = _take(r, asleep)
    put = _act(
        r.needed("PUT", asleep.t_invoke, but=asleep.actor), begin=take.begin + 1, end=take.begin + 2, during=take
    )
    if r.model == "select" and take.tag > 0:
        put.tag = take.tag
    return [replace_end(take), put]


def replace_end(take: Act) -> Act:
    """It may last as long as it likes."""
    take.end = 1 << 62
    return take


# byte streams
def _stream(r: Round, piecemeal: bool) -> list[Act]:
    """One read beside the writes that the finding is about; what it leaves is read at the end."""
    points = r.operations("witness")
    tokens = list(dict.fromkeys(t for o in points for t in (o.token, *(m.token for m in o.more)) if t))[:4]
    puts = [o for o in r.all if o.role == "put" and o.token in tokens and o.state == "ok"]
    read = next((o for o in points if o.role == "take"), None)
    read = read or next((o for o in r.all if o.role == "take" and _tells(o, tokens)), None)
    read = read or r.needed("TAKE", 1 << 62)
    if not puts:
        puts = [r.needed("PUT", read.t_return or read.t_invoke, but=read.actor)]
        beside = r.near("PUT", puts[0].t_invoke, but=puts[0].actor)
        puts += [beside] if beside and beside.actor != read.actor and not piecemeal else []
    takes = [_act(read, begin=min(p.t_invoke for p in puts), end=1 << 62, tag=0)]
    if any(p.actor == read.actor for p in puts):  # the drain's reads are made by one that wrote before
        takes[0].actor = max(r.logs, key=lambda a: (a != history.CONTROL, a)) + 1
    out = [_act(p, tag=0) for p in puts]
    if piecemeal or any(p.n > PIPE_BUF for p in out):  # they may mix
        out = _sequel(*sorted(out, key=lambda a: a.begin))
    if r.rule in ("BADEOF", "LOSTWAKE", "STALE"):
        min(out, key=lambda a: a.begin).during = takes[0]
    return out + takes


def _tells(o: Record, tokens: list[int]) -> bool:
    return o.token in tokens or any(m.token in tokens for m in o.more)


# counters
def _counter(r: Round, piecemeal: bool) -> list[Act]:
    """Puts, and takes of no more; what the finding points at comes last."""
    points = r.operations("witness")
    named = next((o for o in points if o.role in ("take", "observe")), None)
    taker = named if named and named.role == "take" else r.needed("TAKE", 1 << 62, but=None)
    put = r.needed("PUT", (named or taker).t_invoke, but=(named or taker).actor)
    p = _act(put, n=put.tag or 1)
    t = _act(taker, n=taker.tag or 1, end=1 << 62) if r.model == "counter" else _act(taker, n=0, end=1 << 62)
    p.n = max(p.n, t.n)
    if r.rule == "LOSTWAKE":
        return [t, replace(p, begin=t.begin + 1, end=t.begin + 2, during=t)]
    if r.model == "sum":
        return [*_sequel(p, replace(p, n=p.n + 1)), replace(t, begin=p.begin)]
    if r.rule == "BADEMPTY":
        return _sequel(p, t)
    if r.rule == "BADVALUE" and named:
        return [*_sequel(p, p), _act(named, begin=p.begin, end=1 << 62)]
    if r.rule == "OVERTAKEN" and not r.waits(t.f):
        ordinary = r.near("TAKE", 1 << 62)
        first = _act(ordinary, actor=t.actor, n=p.n) if ordinary else t
        return _sequel(p, replace(first, n=p.n), t)
    if r.rule in ("OVERTAKEN", "TOKENSLOST", "TAKENOTHING", "BADSUM"):
        return [*_sequel(p, p), replace(t, begin=p.begin)]
    raise NoScript(f"what the rule {r.rule} says has no C yet")


# locks
def _lock(r: Round, piecemeal: bool) -> list[Act]:
    """One is inside while another tries to get in; or was, and the other must get in."""
    points = [o for o in r.operations("witness") if o.role == "acquire"]
    other = next((o for o in points if o.state == "fail"), points[-1] if points else r.needed("ACQUIRE", 1 << 62))
    owner = next((o for o in points if o.actor != other.actor), None)
    owner = owner or r.needed("ACQUIRE", other.t_invoke, but=other.actor)
    a, b = _sequel(_act(owner, **_shares(owner)), _act(other, **_shares(other)))
    if a.tag and b.tag:
        a.f, a.tag = a.f.removesuffix("_shared"), 0
    outs = _leaves(r, a), _leaves(r, b)
    if r.rule == "BADBUSY":
        a, leave_a, b, leave_b = _sequel(a, outs[0], b, outs[1])
    elif r.rule in ("OVERLAP", "COUNTER", "INSIDE", "LOSTWAKE"):
        a, b, leave_b, leave_a = _sequel(a, b, outs[1], outs[0])
        leave_a.during = b
    else:
        raise NoScript(f"what the rule {r.rule} says has no C yet")
    leave_a.given, leave_b.given = a, b
    return [a, b, leave_a, leave_b]


def _shares(o: Record) -> dict[str, Any]:
    return {"tag": int(o.f.endswith("_shared") or bool(o.sum & 2))}


def _leaves(r: Round, a: Act) -> Act:
    release = r.needed("RELEASE", 1 << 62)
    return Act(a.actor, release.f, "RELEASE", a.begin, a.end, tag=a.tag)


# the order
def _forced(found: list[Act], model: str) -> None:
    """Each waits for the last one of each other actor that had ended before it began; not if it would wait for ever."""
    for i, a in enumerate(found):
        mine = [b for b in found[:i] if b.actor == a.actor]
        for b in reversed(found[:i]):
            if b.actor == a.actor or b.end >= a.begin or a.during:
                continue
            known = [c for m in (*mine, a) for c in m.after if c.actor == b.actor and c.begin >= b.begin]
            if not known and not (a.kind == "PUT" and b.kind == "TAKE" and _starves(found[:i], model)):
                a.after.append(b)


def _starves(before: list[Act], model: str) -> bool:
    puts, takes = (sum(b.kind == kind for b in before) for kind in ("PUT", "TAKE"))
    return model == "select" or takes > puts


def actors(found: list[Act]) -> Iterator[int]:
    """In the order of their first operations."""
    return iter(dict.fromkeys(a.actor for a in found))
