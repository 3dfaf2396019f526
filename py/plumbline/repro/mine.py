# SPDX-License-Identifier: MIT
"""What a test insists on, found by asking it: each answer of its script is changed, and the test plays it again.

A value is checked by the program only if the test has called another one a violation; how far it may go is bisected.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterator

from .judge import ASTRAY, ON, OWN, VIOLATED, Judge, Verdict
from .playback import IGNORED, Astray
from .script import NoScript, Script

STRANGE = "EXDEV"  # an error that no call of this kind gives
FAR = 1 << 20
_PLAIN = frozenset("ret errno t_inv t_ret dt_ns token sum tag len canceled signals pieces".split())


@dataclass
class Bounds:
    """The test calls what is below `lo` or above `hi` violated; None: it has no such limit."""

    lo: int | None = None
    hi: int | None = None
    follow: int | None = None  # with another value than this the story goes on in another way
    like: tuple[int, str] | None = None  # it must be what this result of that request is

    def __bool__(self) -> bool:
        return any(x is not None for x in (self.lo, self.hi, self.follow, self.like))


@dataclass
class Wants:
    """What must be true of one answer."""

    returns: bool = False  # it must come
    ret: Bounds = field(default_factory=Bounds)
    succeeds: bool = True  # a success may be
    errors: list[str] | None = None  # those that may be; None: any
    out: dict[str, Bounds] = field(default_factory=dict)
    content: list[int] = field(default_factory=list)  # requests that put one of which it must be
    group: int = 0  # takes of one group may come in any order
    after: int | None = None  # the request before which it may not return
    not_early: bool = False  # its time-out must have passed
    signals: bool = False  # those that came are those that had to


@dataclass
class Step:
    request: dict[str, Any]
    answer: dict[str, Any] | None  # `ok`, or {"err": …}; None: it never came
    before: list[int]  # requests that were made before its answer came
    ended: int  # its answer's place among all lines
    wants: Wants = field(default_factory=Wants)
    settled: bool = False  # what it had to be is known already (see repair.py), and `answer` says so

    @property
    def id(self) -> int:
        return self.request["id"]

    def like(self, other: "Step") -> bool:
        """The same call, by another."""
        own, its = ({k: v for k, v in s.request.items() if k not in ("id", "actor", "as")} for s in (self, other))
        return own == its and self.request["actor"] != other.request["actor"]

    def insists(self) -> tuple[Any, ...]:
        """On what, beside contents."""
        w = self.wants
        return bool(self.before), w.returns, w.succeeds, w.errors, w.ret.lo, w.ret.hi

    @property
    def op(self) -> str:
        return self.request["op"]


def steps_of(script: Script) -> list[Step]:
    out, asked, when, place = [], [], {}, {}
    for i, line in enumerate(script.lines):
        if line.out:
            asked.append(line.message["id"])
        elif line.request is not None:
            when[line.request], place[line.request] = list(asked), i
    for line in script.requests():
        reply = script.reply(line.message["id"])
        said = reply.message if reply else {}
        answer = said.get("ok") if "ok" in said else {"err": said["err"]} if "err" in said else None
        after = when.get(line.message["id"], [*asked])
        ended = place.get(line.message["id"], len(script.lines))
        out.append(Step(line.message, answer, after[after.index(line.message["id"]) + 1 :], ended))
    return out


def first(steps: list[Step], n: int) -> list[Step]:
    """The story up to its first so many requests. Of calls that returned later it does not say what they gave."""
    ids = {s.id for s in steps[:n]}
    late = Wants()
    return [s if set(s.before) <= ids else replace(s, answer=None, before=[], wants=late) for s in steps[:n]]


class Miner:
    """`errors`: names of errors that the test knows of."""

    def __init__(self, judge: Judge, script: Script, errors: list[str]):
        self.judge, self.script, self.errors = judge, script, errors
        self.base = judge.of(script)
        if self.base.word not in (ON, VIOLATED):
            again = "" if self.base.why == OWN else "played again, the test does not do what it did: "
            raise NoScript(again + self.base.why)
        self.steps = steps_of(script)
        self.flows: dict[
            tuple[int, str], tuple[int, str, int]
        ] = {}  # argument of a request → call, result, how much more
        ops = next((x.message["ops"] for x in script.lines if x.message.get("ev") == "hello"), {})
        self.roles = {f: op.get("role", "none") for f, op in ops.items()}
        self.puts = {s.answer["sum"]: s.id for s in self.calls() if "sum" in s.answer and not self._took(s)}

    def calls(self) -> list[Step]:
        """Calls that were answered by what the operation gave."""
        return [s for s in self.steps if s.op == "call" and s.answer and "ret" in s.answer]

    def verdict(self, script: Script) -> Verdict:
        return self.judge.of(script)

    def rejected(self, script: Script) -> bool:
        """The test calls it a violation, and another one than that with which the script ends."""
        v = self.verdict(script)
        return v.word == VIOLATED and (self.base.word == ON or v.asked < self.base.asked)

    def varied(self, s: Step, **values: Any) -> Script:
        """None takes a field away. The error of an answer goes when `ret` is no error, and comes with -1."""

        def change(message: dict[str, Any]) -> None:
            ok = message["ok"]
            for k, v in values.items():
                ok.pop(k, None) if v is None else ok.__setitem__(k, v)

        return self.script.varied(s.id, change)

    def _took(self, s: Step) -> bool:
        return self.roles.get(s.request["f"]) == "take"

    # what is insisted on
    def mine(self) -> list[Step]:
        for s in self.steps:
            if s.op == "call" and s.answer is not None and not s.settled:
                self._step(s)
        self._groups()
        self._alike()
        if self.base.word == ON:
            self._races()
        return self.steps

    def _step(self, s: Step) -> None:
        w = s.wants
        w.returns = self.rejected(self.script.without(s.id))
        if "ret" not in s.answer:
            return
        self._result(s)
        for name, value in s.answer.items():
            if (name not in _PLAIN or name == "tag") and isinstance(value, int):
                w.out[name] = self._bounds(s, name, value, lambda x, n=name: self.varied(s, **{n: x}), None)
        if "token" in s.answer and self.roles.get(s.request["f"]) in ("observe", "update"):
            word = int(s.answer["token"], 16)  # what carries no bytes is a number
            w.out["token"] = Bounds(word, word) if self.rejected(self.varied(s, token=hex(word ^ 1))) else Bounds()
        w.out = {k: b for k, b in w.out.items() if b}
        if self._took(s):
            self._content(s)
        self._time(s)
        w.signals = self._signals(s)

    def _result(self, s: Step) -> None:
        w, ret, errno = s.wants, s.answer["ret"], s.answer.get("errno")
        others = [e for e in self.errors if e != errno]
        if errno is None:
            w.ret = self._bounds(s, "ret", ret, lambda x: self.varied(s, ret=x), 0)
            if self.rejected(self._failed(s, STRANGE)):
                w.errors = [e for e in others if not self.rejected(self._failed(s, e))]
            elif self.verdict(self._failed(s, STRANGE)).word == ASTRAY and not w.ret:
                w.ret.follow = ret
        else:
            if self.rejected(self._failed(s, STRANGE)):
                w.errors = [errno, *(e for e in others if not self.rejected(self._failed(s, e)))]
            size = s.request.get("size", 0)
            w.succeeds = not all(self.rejected(self.varied(s, ret=r, errno=None)) for r in {0, 1, size})

    def _failed(self, s: Step, errno: str) -> Script:
        return self.varied(s, ret=-1, errno=errno, sum=None, token=None, tag=None, len=None, pieces=None)

    def _bounds(self, s: Step, name: str, value: int, vary: Callable[[int], Script], floor: int | None) -> Bounds:
        """Bisected on both sides of `value`, which is right. A limit beyond which something else is right is none."""

        def bad(x: int) -> bool:
            return self.rejected(vary(x))

        b, far_down = Bounds(), floor if floor is not None else min(-FAR, -2 * abs(value))
        if value > far_down and bad(value - 1):
            b.lo = value
        elif value > far_down and bad(far_down):
            b.lo = _edge(bad, far_down, value)
        if bad(value + 1):
            b.hi = value
        elif bad(far_up := max(FAR, 4 * abs(value))):
            b.hi = _edge(bad, far_up, value)
        near = {x for x in (0, 1, value // 2, 2 * value, value - 1, value + 1) if floor is None or x >= floor}
        if b.lo is not None and any(x < b.lo and not bad(x) for x in near):
            b.lo = None
        if b.hi is not None and any(x > b.hi and not bad(x) for x in near):
            b.hi = None
        other = None if b else self.verdict(vary(value + 1))
        while other and other.word == ASTRAY:
            if not self._flows(other.astray, s, name):
                b.follow = value
                break
            other = self.verdict(self._carried(vary(value + 1), s, name, value + 1))
        return b

    def _flows(self, astray: Astray, s: Step, name: str) -> bool:
        """A later request has as an argument what this call gave, or so much more."""
        asked, expected = astray.asked, astray.expected
        ints = {k for k in asked.keys() & expected.keys() if isinstance(asked[k], int) and k != "id"}
        rest = {
            k for k in asked.keys() | expected.keys() if k not in ints | IGNORED and asked.get(k) != expected.get(k)
        }
        moved = {k for k in ints - IGNORED if asked[k] != expected[k]}
        if rest or not moved or any(asked[k] != expected[k] + 1 for k in moved):
            return False
        value = s.answer[name]
        self.flows |= {(expected["id"], k): (s.id, name, expected[k] - value) for k in moved}
        return True

    def _carried(self, script: Script, s: Step, name: str, value: int) -> Script:
        """Later requests have as arguments what is made of this result of the call."""
        for (request, k), (source, kept, more) in self.flows.items():
            if (source, kept) == (s.id, name):
                script = script.asking(request, k, value + more)
        return script

    def _content(self, s: Step) -> None:
        """Which payloads it may be, if not any."""
        if s.answer["ret"] < 0 or "sum" not in s.answer or not self.rejected(self.varied(s, sum="0x1bad")):
            return
        s.wants.content = [i for sum_, i in self.puts.items() if not self.rejected(self.varied(s, sum=sum_))]
        if s.answer["sum"] not in self.puts:
            s.wants.content = []

    def _time(self, s: Step) -> None:
        """Before which of the requests made meanwhile it may not return; and whether its time-out may be cut short."""
        for request in reversed(s.before):
            if self.rejected(self.script.earlier(s.id, request)):
                s.wants.after = request
                break
        if s.answer.get("errno") in ("ETIMEDOUT", "EAGAIN") and s.request.get("timeout_ns", 0) > 0:
            begun = s.answer["t_inv"]

            def at_once(message: dict[str, Any]) -> None:
                message["t"] = message["ok"]["t_ret"] = begun
                message["ok"]["dt_ns"] = 0

            s.wants.not_early = self.rejected(self.script.varied(s.id, at_once))

    def _signals(self, s: Step) -> bool:
        came = s.answer.get("signals", [])
        one = {"signal": "USR1", "code": -3, "pid": 1, "value": 0}
        pipe = {"signal": "PIPE", "code": 128, "pid": 1, "value": 0}
        return any(self.rejected(self.varied(s, signals=v)) for v in ([*came, one], [*came, pipe], came[1:], None))

    def _groups(self) -> None:
        """Takes whose contents may be exchanged: what matters is that together they got all."""
        takes = [s for s in self.calls() if s.wants.content]
        for i, s in enumerate(takes):
            for t in takes[i + 1 : i + 8]:
                if s.answer["sum"] != t.answer["sum"] and not self.rejected(self._exchanged(s, t)):
                    t.wants.group = s.wants.group = s.wants.group or t.wants.group or s.id

    def _races(self) -> None:
        """NoScript where one of two calls at once got what the other may have got: a program would have to insist."""
        at = {s.id: s for s in self.calls()}
        for s in at.values():
            for t in (at[i] for i in s.before if i in at):
                if s.like(t) and s.insists() != t.insists():
                    if self.verdict(self.script.crossed(s.id, t.id)).word != VIOLATED:
                        raise NoScript(f"who gets what of those that call {s.request['f']} at once is open")

    def _alike(self) -> None:
        """Numbers that must be what an earlier call gave, whatever that is, and not what it happened to be."""
        for t in self.calls():
            for name, b in (("ret", t.wants.ret), *t.wants.out.items()):
                if t.settled or b.lo is None or b.lo != b.hi or abs(b.lo) < 2:
                    continue
                for s, other in self._same(t, name, b.lo):
                    if not self.rejected(self._moved([(s, other), (t, name)], b.lo)):
                        self._free(s, other, b.lo)
                        b.lo, b.hi, b.like = None, None, (s.id, other)
                        break

    @staticmethod
    def _free(s: Step, name: str, value: int) -> None:
        """It may be another number, if that of the later call is, too."""
        b = s.wants.ret if name == "ret" else s.wants.out.get(name)
        if b and b.lo == b.hi == value:
            b.lo = b.hi = None
            if name != "ret":
                s.wants.out.pop(name)

    def _same(self, t: Step, name: str, value: int) -> Iterator[tuple[Step, str]]:
        for s in self.calls():
            if s is t or s.id > t.id:
                return
            yield from (
                (s, k) for k, v in s.answer.items() if v == value and (k == "ret" or k not in _PLAIN or k == "tag")
            )

    def _moved(self, results: list[tuple[Step, str]], value: int) -> Script:
        """These results are one more, and so is what the test made of them."""
        script = self.script
        for s, name in results:
            script = script.varied(s.id, lambda message, n=name: message["ok"].update({n: value + 1}))
            script = self._carried(script, s, name, value + 1)
        return script

    def _exchanged(self, s: Step, t: Step) -> Script:
        def put(which: Step) -> Callable[[dict[str, Any]], None]:
            fields = {k: which.answer[k] for k in ("sum", "token", "tag", "ret", "len") if k in which.answer}
            return lambda message: message["ok"].update(fields)

        return self.script.varied(s.id, put(t)).varied(t.id, put(s))


def _edge(bad: Callable[[int], bool], wrong: int, right: int) -> int:
    """The last value that is right on the way to one that is wrong."""
    while abs(wrong - right) > 1:
        middle = (wrong + right) // 2
        wrong, right = (middle, right) if bad(middle) else (wrong, middle)
    return right
