# SPDX-License-Identifier: MIT
"""A story as one C file. Its head says what it is about, story() what happens; program.in has what is fixed."""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from . import calls
from .lines import Block, Entry, includes, looped, main, numbers_of, parts_of, story
from .mine import Bounds, Step
from .script import NoScript

LINES_MAX = 150
PATIENCE_S = 10
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SKIPPED = frozenset({"init"})


@dataclass
class About:
    clause: str
    text: str
    source: str
    test: str
    mechanism: str
    variant: str
    machine: str = ""
    observed: str = ""  # of a violation: what was seen, and where


@dataclass
class Story:
    """What a program is written from."""

    about: About
    steps: list[Step]
    hello: dict[str, Any]
    total: int  # requests of the whole transcript
    flows: dict[tuple[int, str], tuple[int, str, int]] = field(default_factory=dict)  # see Miner.flows
    include: set[str] = field(default_factory=set)
    declare: list[str] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)  # handle → variable
    opened: list[str] = field(default_factory=list)  # handles that the director opened, in order
    actors: dict[int, str] = field(default_factory=dict)
    pids: dict[int, str] = field(default_factory=dict)
    room: int = 64  # of the buffer
    numbered: set[int] = field(default_factory=set)  # requests that are steps
    expected: str = ""

    # the text
    def program(self) -> str:
        """NoScript or NoCall when there is none."""
        self.table = calls.table(self.about.mechanism)
        self.include |= set(self.table.get("include", ()))
        blocks, first = self._lines()
        body = story(blocks, first)
        wrong = next((e for b in blocks for e in b.entries if e.violated), None)
        if wrong:
            self.expected = f"In step {numbers_of(blocks, first)[wrong.request]} of story() what is said there of it."
        quiet = "EPIPE" in body and not re.search(r"\b(SIGNALS|SEND_SIGNAL|INTERRUPT)\b", body)
        names = self._names() + (["signal(SIGPIPE, SIG_IGN);"] if quiet else [])
        text = f"{body}\n{main(names)}"
        parts, headers = parts_of("\n".join([text, *self.declare]) + " all leave spawn")
        helpers = [d for d in self.declare if re.search(r"\)\n\{", d)]
        variables = [d for d in self.declare if d not in helpers]
        out = [self._head(), includes(self.include | headers), self._enum(text, " ".join(parts)), *variables]
        out += [self._filled_in(part, text) for part in parts] + helpers + [body, main(names)]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(o for o in out if o)) + "\n"
        return re.sub(r"(#define .*|static char buf.*)\n\n(?=#define)", r"\1\n", text)

    def _filled_in(self, part: str, text: str) -> str:
        """What the parts leave to the mechanism: how objects are removed, and what a new actor does first."""
        clean = [self._fill(self.table["clean"], {}, {}, h) for h in self.opened] if "clean" in self.table else []
        own = self.table["open"].get("each")
        arrive = [self._fill(own, self.table["open"], {}, h) + ";" for h in self.opened] if own else []
        hears = re.search(r"\b(SIGNALS|SEND_SIGNAL|INTERRUPT)\b", text)
        arrive += [f"signal(SIG{n}, on_signal);" for n in ("USR1", "USR2", "PIPE", "ALRM")] if hears else []
        arrive += (
            ["sigaction(KICK, &(struct sigaction){ .sa_handler = on_signal }, NULL);"] if "INTERRUPT" in text else []
        )
        part = part.replace(" STUCK", " && (rival < 0 || !all->step[rival].done)" if "END_OR" in text else "")
        part = part.replace("HEARD ", "s->heard = heard, heard = 0, " if hears else "")
        arrive = ["if (child != 0)", "\treturn;", *arrive] if arrive else []
        for word, lines in (("CLEAN", clean), ("ARRIVE", arrive)):
            part = re.sub(rf"^\t+{word}\n", "".join(f"\t{line}\n" for line in lines), part, flags=re.M)
        return part

    def _head(self) -> str:
        a, last = self.about, self.steps[-1].id if self.steps else 0
        rows = [
            ("Clause", f"{a.clause}: {a.text}"),
            ("Source", f"{a.source}."),
            ("Expected", self.expected or "Each call gives what story() says of it."),
            ("Observed", a.observed or f"Just that, on {a.machine}."),
        ]
        words = "\n".join(
            textwrap.fill(t.strip(), 96, initial_indent=f" * {n:<10}", subsequent_indent=" *           ")
            for n, t in rows
        )
        asked = len([s for s in self.steps if s.op != "init"])
        part = f" The first {asked} of {self.total - 1} requests of it." if asked < self.total - 1 else ""
        name = f"{a.clause.lower()}"
        how = f"cc -pthread -o {name} {name}.c -lrt && ./{name}"
        return (
            f"/* {words[3:]}\n *\n"
            + textwrap.fill(
                f"From {a.test}, by plumbline repro.{part}", 96, initial_indent=" * ", subsequent_indent=" * "
            )
            + f"\n * Exit 0: held, 1: violated, 77: not possible here.  {how}\n */\n#define _GNU_SOURCE"
        )

    def _enum(self, text: str, parts: str) -> str:
        actors = ", ".join([*self.actors.values(), "ACTORS"])
        numbers = [int(n) for n in re.findall(r"(?:CALL|START|EXIT|KILL|SEND_SIGNAL|STOP|CONT)\((\d+)", text)]
        steps = max(numbers, default=0) + 1
        room = f", BUF = {self.room + 8}" if "[BUF]" in parts else ""
        return f"\nenum {{ DIRECTOR = -1, {actors}, STEPS = {steps}, PATIENCE_S = {PATIENCE_S}{room} }};"

    def _names(self) -> list[str]:
        path = self.table.get("path")
        if self.table.get("key"):
            return [f"{self._key(h)} = 0x52000000 + {i} + ((int)getpid() << 3);" for i, h in enumerate(self.opened)]
        if not path:
            return []
        return [
            f'(void)snprintf({self._name(h)}, sizeof {self._name(h)}, "{path}{f".{i}" if i else ""}", (int)getpid());'
            for i, h in enumerate(self.opened)
        ]

    def _name(self, handle: str) -> str:
        return "name" if self.opened[:1] == [handle] else f"name_{handle}"

    def _key(self, handle: str) -> str:
        return "key" if self.opened[:1] == [handle] else f"key_{handle}"

    # requests
    def _lines(self) -> tuple[list[Block], dict[int, int]]:
        entries, pending = [], {}
        for s in _in_order(self.steps):
            if s.op in _SKIPPED:
                continue
            entries += self._request(s, pending)
            entries += self._ended(s, pending)
        left = [self._end(s, pending) for s in list(pending.values()) if s.wants.returns and s.answer is None]
        return looped(entries + left)

    def _request(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        maker = getattr(self, f"_{s.op}", None)
        if not maker:
            raise NoScript(
                "rounds judged inside the driver have no steps to tell" if s.op == "run" else f"{s.op} has no C yet"
            )
        made = maker(s, pending)
        self.numbered |= {s.id} if any(e.numbered for e in made) else set()
        return made

    def _open(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        r, handle, spec = s.request, s.request["as"], self.table["open"]
        if s.answer is None or "err" in s.answer or r.get("mode") == "attach" or r.get("name"):
            raise NoScript("an open by name, or one that fails, has no C yet")
        if more := calls.unsaid(spec, r, self._of_variant()):
            raise NoScript(f"an open with {more} has no C yet")
        if handle in self.opened:
            raise NoScript("an object that is made again under its name has no C yet")
        self.opened.append(handle)
        self._object(handle)
        if "path" in self.table:
            self.declare.append(f"static char {self._name(handle)}[64];")
        self.declare += [f"static int {self._key(handle)};"] if self.table.get("key") else []
        self.declare.append(self._fill(self.table["declare"], {}, {}, handle))
        self.declare += [d for d in [spec.get("declare", "")] if d and d not in self.declare]
        self.include |= set(spec.get("include", ()))
        return [Entry(s.id, f"OPEN({self._fill(spec['call'], spec, r, handle)});", False)]

    def _object(self, handle: str) -> str:
        name = self.table.get("object", "o")
        self.objects[handle] = name if not self.objects else f"{name}_{handle}"
        return self.objects[handle]

    def _actor(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        if s.request.get("kind", "process") != "process":
            raise NoScript(f"actors of kind {s.request['kind']} have no C yet")
        names = ["one_cpu()"] if s.request.get("place") == "same" else []
        for i, pid in zip(s.answer["ids"], s.answer["pids"]):
            if len(self.actors) >= len(_LETTERS):
                raise NoScript("more actors than letters")
            self.actors[i] = _LETTERS[len(self.actors)]
            self.pids[pid] = f"all->pid[{self.actors[i]}]"
            names.append(f"spawn({self.actors[i]})")
        return [Entry(s.id, f"{', '.join(names)};", False)]

    def _release(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        if self.table["open"].get("each"):
            raise NoScript("an object that is given up, and found again by its name, has no C yet")
        spec = calls.entry(self.about.mechanism, "close")
        handle, _, end = s.request["on"].partition(".")
        each = [end] if end or not self.table.get("ends") else self.table["ends"]
        ons = [f"{handle}.{e}" if e else handle for e in each]
        return [Entry(s.id, f"HERE({self._fill(spec['call'], spec, {}, on)});", False) for on in ons]

    def _close(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        """Its name goes; that actors keep it open harms nobody."""
        on = s.request["on"]
        return (
            [Entry(s.id, f"HERE({self._fill(self.table['clean'], {}, {}, on).rstrip(';')});", False)]
            if "clean" in self.table
            else []
        )

    def _fault(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        what, actor = s.request["what"], self.actors[s.request["actor"]]
        if what in ("kill", "exit"):
            pending.pop(s.request["actor"], None)
            return [Entry(s.id, f"{what.upper()}({{N}}, {actor});")]
        if what == "signal":
            return [Entry(s.id, f"SEND_SIGNAL({{N}}, {actor}, SIG{s.request['signal']});")]
        if what in ("stop", "cont"):
            return [Entry(s.id, f"{what.upper()}({{N}}, {actor});")]
        raise NoScript(f"a fault of kind {what} has no C yet")

    def _cancel(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        return [Entry(s.id, f"INTERRUPT({{id:{s.request['target']}}});", False)]

    def _call(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        r, actor = s.request, self.actors[s.request["actor"]]
        spec = calls.entry(self.about.mechanism, r["f"])
        if "kill_before" in r or "kill_after" in r:
            raise NoScript("who dies as it is woken may have taken what there was: one story does not tell")
        call = self._text(s, spec)
        if s.answer is None or s.before:
            pending[r["actor"]] = s
            return [Entry(s.id, f"START({{N}}, {actor}, {call});")]
        if "err" in s.answer:
            raise NoScript(f"{r['f']} was answered {s.answer['err'].get('kind')}: that has no C yet")
        return [Entry(s.id, f"CALL({{N}}, {actor}, {call}, {self._want(s)});", True, s.settled)]

    def _text(self, s: Step, spec: dict[str, Any]) -> str:
        """The call as an expression, with what must be kept of it."""
        r = s.request
        if more := calls.unsaid(spec, r, self._of_variant()):
            raise calls.NoCall(f"the argument {more} of {r['f']} is not in the table of C calls")
        self.include |= set(spec.get("include", ()))
        self.declare += [d for d in [spec.get("declare", "")] if d and d not in self.declare]
        on = r.get("on") or (self.opened[0] if self.opened else "o")
        put = self.hello["ops"].get(r["f"], {}).get("role") == "put"
        handle, dot, end = on.partition(".")
        if not dot and put and self.table.get("ends") and handle in self.opened:
            on = f"{handle}.{self.table['ends'][-1]}"
        size = r.get("size", spec.get("args", {}).get("size", 0))
        self.room = max(self.room, size)
        call = self._fill(
            spec["call"], spec, r, on, payload=f"payload({{N}}, {size})", step="{N}", token=f"{r.get('token', '{N}')}"
        )
        if "as" in r:
            var = self._object(r["as"])
            self.declare.append(f"static {spec.get('as', 'int')} {var};")
            call = f"{var} = {call}"
        if s.wants.content:
            call = f"TAKE({spec.get('took', 'buf')}, {call})"
        if self._kept(s):
            kept = [self._result(spec, name, r["f"]) for name in self._kept(s)]
            for i, value in enumerate(self._fill(k, spec, r, on) for k in kept):
                call = f"OUT({call}, {i}, {value})"
        if s.wants.not_early:
            call = f"TIMED({call})"
        return call

    def _told(self, request: int, name: str) -> str:
        """A result of an earlier step."""
        source = next(s for s in self.steps if s.id == request)
        where = "ret" if name == "ret" else f"out[{self._kept(source).index(name)}]"
        return f"all->step[{{id:{request}}}].{where}"

    def _kept(self, s: Step) -> list[str]:
        """Results that are looked at, or are arguments of later calls."""
        needed = [name for request, name, _ in self.flows.values() if request == s.id and name != "ret"]
        alike = [b.like for t in self.steps for b in (t.wants.ret, *t.wants.out.values()) if b.like]
        needed += [name for request, name in alike if request == s.id and name != "ret"]
        return list(dict.fromkeys([*s.wants.out, *needed]))

    def _of_variant(self) -> dict[str, str]:
        return self.table.get("variant", {}).get(self.about.variant, {})

    @staticmethod
    def _result(spec: dict[str, Any], name: str, f: str) -> str:
        if name not in spec.get("out", {}):
            raise calls.NoCall(f"the result {name} of {f} is not in the table of C calls")
        return spec["out"][name]

    def _fill(self, template: str, spec: dict[str, Any], values: dict[str, Any], on: str, **words: str) -> str:
        handle, _, end = on.partition(".")
        o = self.objects[handle]
        ends = self.table.get("ends")
        if ends and handle in self.opened:
            o = (
                f"{o}[{ends.index(end) if end else 0}]"
                if "$o[" not in template and template != self.table["declare"]
                else o
            )
        more = dict(self._of_variant())
        more |= {"o": o, "buf": "buf"}
        whom = values.get("to")
        if whom is not None:  # never a number: 0 is a whole group, and what an actor was may be anybody now
            values = {k: v for k, v in values.items() if k != "to"}
            who = self.actors.get(whom)
            more |= {"to": f"(all->pid[{who}] ?: 1 << 22)"} if who else {}
        if "path" in self.table:
            more["name"] = self._name(handle) if handle in self.opened else "name"
        more |= {"all": self.objects[handle], "key": self._key(handle) if handle in self.opened else "key"}
        if "timeout_ns" in values:
            ns = values["timeout_ns"]
            more |= {"deadline": f"in_ns(CLOCK_REALTIME, {ns}L)", "mono": f"in_ns(CLOCK_MONOTONIC, {ns}L)"}
            more["wait"] = f"&(struct timespec){{ {ns // 10**9}, {ns % 10**9} }}"
        if "abstime" in values:
            sec, nsec = values["abstime"]
            more |= {k: f"&(struct timespec){{ {sec}, {nsec} }}" for k in ("deadline", "mono", "wait")}
        for k in values:
            if (values.get("id"), k) in self.flows:
                request, name, more_ = self.flows[values["id"], k]
                more[k] = f"(int){self._told(request, name)}" + (f" + {more_}" if more_ else "")
        text = calls.filled(template, spec, {k: v for k, v in values.items() if k not in more}, more | words)
        if "buf" in text and re.search(r"\bbuf\b", text):
            self.room = max(self.room, values.get("size", spec.get("args", {}).get("size", 0)))
        return text

    # what has returned
    def _ended(self, s: Step, pending: dict[int, Step]) -> list[Entry]:
        """Calls whose answers came before anything else was asked."""
        out = []
        for actor, p in list(pending.items()):
            if p.before and p.before[-1] == s.id and p.answer is not None:
                if "err" in p.answer:
                    raise NoScript(f"{p.request['f']} was answered {p.answer['err'].get('kind')}: that has no C yet")
                out.append(self._end(p, pending))
        return out

    def _end(self, p: Step, pending: dict[int, Step]) -> Entry:
        pending.pop(p.request["actor"])
        rivals = [
            q
            for q in pending.values()
            if q.request["f"] == p.request["f"] and (q.answer is None or q.before[-1:] != p.before[-1:])
        ]
        verb = f"END_OR({{id:{p.id}}}, {{id:{rivals[0].id}}}" if rivals else f"END({{id:{p.id}}}"
        return Entry(p.id, f"{verb}, {self._want(p)});", False, p.settled)

    def _want(self, s: Step) -> str:
        w, out = s.wants, []
        if s.answer is None:
            return "ANY"
        failed = s.answer.get("errno")
        if w.errors is not None and failed and not w.succeeds:
            out += [f"FAILS({failed})"] if w.errors == [failed] else [_one_of(w.errors)]
        elif w.errors is not None and not failed:
            out += self._success(w.ret, w.errors)
        if w.ret.follow is not None and not failed:
            if s.op == "call" and calls.entry(self.about.mechanism, s.request["f"]).get("gives") == "id":
                raise NoScript(f"what it does after {s.request['f']} depends on a number that the system chose")
            out.append(f"FOLLOW(s->ret, {w.ret.follow})")
        if w.content and not failed:
            out.append(self._payload(s))
        for i, (name, b) in enumerate(w.out.items()):
            out.append(self._bounded(b, f"s->out[{i}]", name))
        if (told := self._told_before(s)) is not None:
            out.append(f"AFTER({{id:{told}}})")
        if w.not_early:
            out.append(f'WANT(s->out[5] >= {s.request["timeout_ns"]}, "to last as long as its time-out")')
        if w.signals:
            out.append(f"SIGNALS({len(s.answer.get('signals', []))})")
        return "; ".join(out) or "ANY"

    def _told_before(self, s: Step) -> int | None:
        """The request before which it may not return, or the last one before that which is a step."""
        last = s.wants.after if s.wants.after is not None else 0
        return next((i for i in reversed(s.before) if i <= last and i in self.numbered), None)

    def _success(self, b: Bounds, errors: list[str]) -> list[str]:
        if b.like and not errors:
            return ["OK", self._bounded(b, "s->ret", "the result")]
        if errors:
            either = " || ".join(f"s->err == {e}" for e in errors)
            return [f'WANT(s->ret >= 0 || {either}, "success or {" ".join(errors)}")']
        if b.lo is None and b.hi is None:
            return ["OK"]
        if b.hi is not None and b.hi in (b.lo, 0):
            return [f"GIVES({self._value(b.hi)})"]
        return ["OK", self._bounded(b, "s->ret", "the result")]

    def _value(self, value: int) -> str:
        return self.pids.get(value) or (
            str(value) if abs(value) < 1 << 31 else f"{value}UL" if value >= 1 << 63 else f"{value}L"
        )

    def _bounded(self, b: Bounds, what: str, name: str) -> str:
        if b.like:
            return f'WANT({what} == {self._told(*b.like)}, "{name} as step {{id:{b.like[0]}}} told")'
        if b.follow is not None:
            return f"FOLLOW({what}, {self._value(b.follow)})"
        if b.lo == b.hi and b.lo is not None and b.lo >= 1 << 63:
            what = f"(unsigned long){what}"
        if b.lo == b.hi:
            return f'WANT({what} == {self._value(b.lo)}, "{name} {self._value(b.lo)}")'
        conds = ([f"{what} >= {self._value(b.lo)}"] if b.lo is not None else []) + (
            [f"{what} <= {self._value(b.hi)}"] if b.hi is not None else []
        )
        limits = " to ".join([str(b.lo) if b.lo is not None else "any", str(b.hi) if b.hi is not None else "any"])
        return f'WANT({" && ".join(conds)}, "{name} {limits}")'

    def _payload(self, s: Step) -> str:
        ids = s.wants.content
        if s.wants.group:
            ids = sorted({i for t in self.steps if t.wants.group == s.wants.group for i in t.wants.content})
        if len(ids) == 1:
            return f"IS({{id:{ids[0]}}})"
        return f'WANT({" || ".join(f"s->got == {{id:{i}}}" for i in ids)}, "one of what was put")'


def says_something(steps: list[Step]) -> bool:
    """More than that the calls succeed."""
    wants = [s.wants for s in steps if s.op == "call"]
    return any(
        w.ret or w.out or w.content or w.after or w.not_early or w.signals or not w.succeeds for w in wants
    ) or any(s.op == "call" and s.wants.returns and s.before for s in steps)


def _one_of(errors: list[str]) -> str:
    return f"WANT(s->ret < 0 && ({' || '.join(f's->err == {e}' for e in errors)}), \"{' or '.join(errors)}\")"


def _in_order(steps: list[Step]) -> list[Step]:
    """Calls that were begun together sleep in the order in which they returned: a queue of sleepers is mostly one."""
    actor = next((i for i, s in enumerate(steps) if s.op == "actor"), len(steps))
    late = [s for s in steps[actor:] if s.op == "open"]  # actors get it by their birth, not by a message
    out = steps[:actor] + late + [s for s in steps[actor:] if s.op != "open"]
    for i in range(len(out)):
        for j in range(i, 0, -1):
            a, b = out[j - 1], out[j]
            if not (_waits(a) and _waits(b)) or a.request["f"] != b.request["f"] or a.ended <= b.ended:
                break
            out[j - 1], out[j] = b, a
    return out


def _waits(s: Step) -> bool:
    return s.op == "call" and (s.answer is None or bool(s.before))
