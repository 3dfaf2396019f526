# SPDX-License-Identifier: MIT
"""A scenario as one C file that goes through it again and again. Its head says what a round has shown, story() what
each actor does; round.in has what is fixed, and a judge for each model that tries all orders of the calls."""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import calls
from .lines import includes, parts_of
from .program import LINES_MAX, PATIENCE_S
from .scenario import QUEUES, Act, actors
from .script import NoScript

PARTS = Path(__file__).with_name("round.in")
TURNS = 20000
WIDE = 118
_DRAWN_MAX = 5
_HEADERS = frozenset("signal.h stdio.h stdlib.h string.h sys/mman.h sys/prctl.h unistd.h errno.h".split())
_LETTERS = "ABCDEFGH"
_TAGS = {"PUT": ("prio", "type"), "TAKE": ("select",), "ACQUIRE": ("shared",)}
_FIELDS = {**dict.fromkeys(QUEUES, "got"), "stream": "runs, of[MOST], bytes[MOST]", "select": "got, select"}
_KINDS = {"lock": "ACQUIRE, RELEASE, NONE", "counter": "TAKE, PUT, LOOK"}
_CHOICES = {  # which of what is inside a take gets
    "priority": ["for (int j = 1; j < in->n; j++)", "\tk = TAG(j) > TAG(k) ? j : k;"],
    "lowest": ["for (int j = 1; j < in->n; j++)", "\tk = TAG(j) < TAG(k) ? j : k;"],
    "select": [
        "while (k < in->n && s->select && (s->select > 0 ? TAG(k) != s->select : TAG(k) > -s->select))",
        "\tk++;",
        "for (int j = k + 1; j < in->n; j++)",
        "\tk = s->select < 0 && TAG(j) < TAG(k) ? j : k;",
    ],
}


@dataclass
class Told:
    """What the head says."""

    clause: str
    text: str
    source: str
    promise: str
    observed: str
    timeline: list[str]


@dataclass
class RoundProgram:
    told: Told
    mechanism: str
    variant: str
    model: str
    rule: str
    acts: list[Act]
    include: set[str] = field(default_factory=lambda: set(_HEADERS))
    declare: list[str] = field(default_factory=list)
    tag: str = ""  # what a take gives beside its bytes, in C
    took: str = "buf"

    def text(self) -> str:
        """NoScript or NoCall when there is none."""
        self.table = calls.table(self.mechanism)
        self.words = self.table.get("round", {})
        self.names = dict(zip(actors(self.acts), _LETTERS))
        self.include |= {*self.table.get("include", ()), *self.table["open"].get("include", ())}
        self._declare([self._fill(self.table["declare"]), self.table["open"].get("declare", "")])
        body, main = self._story(), self._main()
        judge = "stuck" if self.rule == "LOSTWAKE" else self._judge()
        more = " ".join(["all VARIABLES HELPERS leave", judge, self._keep(), *self.declare])
        parts, headers = parts_of(f"{body}\n{main} {more}", PARTS)
        filled = [p for p in map(self._filled_in, parts) if p.strip()]
        for drawn, promised in ((self._drawn(), True), ("", True), ("", not self.told.text)):
            begin = [self._head(drawn, promised), includes(self.include | headers), self._enum()]
            text = "\n".join([*begin, *filled, body, main])
            text = re.sub(r"\n{3,}", "\n\n", re.sub(r"\n\t+\n", "\n\n", text)) + "\n"
            text = re.sub(r"(#define .*|while \(0\)|, 0, 0\)|this turn \*/)\n\n(?=#define|static)", r"\1\n", text)
            if text.count("\n") < LINES_MAX:
                return text
        raise NoScript(f"no program of less than {LINES_MAX} lines tells of it: it would have {text.count(chr(10))}")

    def _judge(self) -> str:
        """Parts. Where bytes may mix there is one writer, what may be lost has no order: nothing is searched then."""
        if self._in_sequence() or self.model == "datagram":
            return "sequence" if self._in_sequence() else "datagram"
        return "explained queue" if self.model in QUEUES[:3] else f"explained {self.model}"

    def _in_sequence(self) -> bool:
        return self.model == "stream" and bool(self.words.get("piecemeal")) and self.rule != "LOSTWAKE"

    def _declare(self, what: list[str]) -> None:
        self.declare += [d for d in what if d and d not in self.declare]

    def _filled_in(self, part: str) -> str:
        """What the parts leave to the mechanism and the model."""
        variables = [d for d in self.declare if not re.search(r"\)\n\{", d)]
        room = [f"static char {', '.join(self._rooms())};"] if self._rooms() else []
        lines = {
            "VARIABLES": variables + room + (["static int key;"] if self.table.get("key") else []),
            "HELPERS": [d for d in self.declare if d not in variables],
            "CLEAN": [self._fill(self.table["clean"])] if "clean" in self.table else [],
            "REFUSED": self._refused(),
            "CHOOSE": [re.sub(r"TAG\((\w)\)", r"all->step[in->at[\1]].tag", x) for x in self._choice()],
            "MORE": ["long n; /* bytes that came */", "char came[1 << 16];"] if self._in_sequence() else [],
            "KEEP": [f"{keep} \\"] if (keep := self._keep()) else [],
        }
        for word, new in lines.items():
            part = re.sub(rf"^(\t*){word}( \\)?\n", lambda m: "".join(f"{m[1]}{x}\n" for x in new), part, flags=re.M)
        tagged = f" && s->tag == {self._fill(self.words.get('tag', 'all->step[i].tag'))}" if self.tag else ""
        fields = "" if self._in_sequence() else _FIELDS.get(self.model, "")
        return part.replace(" TAGGED", tagged).replace(", FIELDS", f", {fields}" if fields else "")

    def _rooms(self) -> list[str]:
        return [*(["name[64]"] if "path" in self.table else []), *(["buf[BUF]"] if self._holds_bytes() else [])]

    def _choice(self) -> list[str]:
        return _CHOICES.get("lowest" if self.words.get("lowest") == self.variant else self.model, [])

    def _refused(self) -> list[str]:
        """Errors that say that there is nothing, or no room, and others."""
        known = self.words.get("nothing", "EAGAIN").split()
        odd = " && ".join(["s->ret < 0", *(f"s->err != {e}" for e in known)])
        broken = "s->err == EPIPE ? 1 : " if self.table.get("ends") else ""  # all have both ends
        return [f"if ({odd})", f"\tleave({broken}77, strerror((int)s->err));"]

    def _keep(self) -> str:
        if self.model in QUEUES:
            select = "s->select = s->tag, " if self.model == "select" else ""
            tag = f", s->tag = (long){self.tag}" if self.tag else ""
            return f"if ((k) == TAKE) {select}s->got = taken({self.took}, s->ret){tag};"
        if self._in_sequence():
            return "if ((k) == TAKE && s->ret > 0) memcpy(all->came + all->n, buf, (size_t)s->ret), all->n += s->ret;"
        if self.model == "stream":
            return "if ((k) == TAKE) runs(s);"
        return f"if ((k) != PUT) s->tag = (long){self.tag};" if self.tag else ""

    # the text
    def _drawn(self) -> str:
        """The operations as the engine has drawn them, if that is short."""
        lines = self.told.timeline
        fits = len(lines) <= _DRAWN_MAX and max(map(len, lines), default=0) <= 104
        return "".join(f" * {line.rstrip()}\n" for line in lines) if fits else ""

    def _head(self, drawn: str, promised: bool) -> str:
        t = self.told
        rows = [("Clause", f"{t.clause}: {t.text}" if t.clause else "none of the catalogue.")]
        rows += [("Source", f"{t.source}."), ("Expected", t.promise if promised else ""), ("Observed", t.observed)]
        words = "\n".join(
            textwrap.fill(text.strip(), WIDE, initial_indent=f" * {n:<10}", subsequent_indent=" *           ")
            for n, text in rows
            if text.strip(" .")
        )
        name = (t.clause or self.rule).lower()
        return (
            f"/* {(words[3:] + chr(10) + drawn).replace('*/', '* /')} *\n"
            " * From a stress run, by plumbline repro: the same calls, turn after turn, each time with other bytes.\n"
            " * Exit 0: held, 1: violated, 77: not possible here."
            f"  cc -pthread -o {name} {name}.c -lrt && ./{name} [TURNS]\n"
            " */\n#define _GNU_SOURCE"
        )

    def _enum(self) -> str:
        who = ", ".join([*self.names.values(), "ACTORS"])
        room = f", BUF = {self._size() + 8}" if self._holds_bytes() else ""
        kinds = _KINDS.get(self.model, "TAKE, PUT")
        by = ", ".join(self.names[a.actor] for a in self.acts)
        return (
            f"\nenum {{ {who}, {kinds.replace(',', ' = 0,', 1)}, STEPS = {len(self.acts)}, MOST = STEPS + 8, "
            f"TURNS = {TURNS}, PATIENCE_S = {PATIENCE_S}{room} }};"
            + (f"\nstatic const int by[STEPS] = {{ {by} }};" if self.rule == "LOSTWAKE" else "")
        )

    def _holds_bytes(self) -> bool:
        return self.model in QUEUES or self.model == "stream"

    def _size(self) -> int:
        return max([a.n for a in self.acts] + [64])

    def _main(self) -> str:
        spec, lines = self.table["open"], []
        if self.table.get("key"):
            lines.append("key = 0x52000000 + ((int)getpid() << 3);")
        if "path" in self.table:
            lines.append(f'(void)snprintf(name, sizeof name, "{self.table["path"]}", (int)getpid());')
        lines += ["signal(SIGPIPE, SIG_IGN);"] if self.model == "stream" or self.table.get("ends") else []
        lines += [*f"if (({self._fill(spec['call'], spec)}) < 0)".split("\n"), "\tleave(77, strerror(errno));"]
        lines += ["for (int who = 0; who < ACTORS; who++)", "\tif (fork() == 0)"]
        own = f"{self._fill(spec['each'], spec)}, " if spec.get("each") else ""
        lines += [f"\t\tall->pid[who] = getpid(), prctl(PR_SET_PDEATHSIG, SIGKILL), {own}story(who);"]
        lines += ["for (turn = 1; turn <= (argc > 1 ? atoi(argv[1]) : TURNS); turn++) {", *self._turn(), "}"]
        return "\n".join(
            [
                "int main(int argc, char **argv)",
                "{",
                "\tall = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);",
                *(f"\t{line}" for line in lines),
                '\tleave(0, "held");',
                "}",
            ]
        )

    def _turn(self) -> list[str]:
        late = "stuck()" if self.rule == "LOSTWAKE" else '(leave(77, "too slow here"), 0)'
        again = "all->n = 0, " if self._in_sequence() else ""
        lines = [f"\t{again}all->turn = turn, NEWS;"]
        lines += ["\tfor (count = 0; count < STEPS; count++)"]
        lines += [f"\t\tUNTIL(all->step[count].done == turn || (n_ > 1000 + 500 * PATIENCE_S && {late}));"]
        if self.model != "lock":
            least = "> 0" if self.model == "stream" else ">= 0"
            drain = textwrap.wrap(f"STEP(count, TAKE, 1, 0, {self._drain()});", WIDE, subsequent_indent="     ")
            lines += ["\tdo /* what is left inside */", *(f"\t\t{x}" for x in drain)]
            lines += [f"\twhile (all->step[count++].ret {least} && count < MOST);"]
        if self.rule != "LOSTWAKE":
            searched = "explained" in self._judge()
            judge = "explained((struct inside){ 0 }, (1u << count) - 1)" if searched else "right()"
            said = "no order of the calls explains what they gave" if searched else "what came is not what was sent"
            lines += [f"\tif (!{judge})", f'\t\tleave(1, "{said}");']
        return lines

    def _story(self) -> str:
        """What each actor does in a turn."""
        out = ["static void story(int me)", "{", "\tfor (turn = 1;; turn++) {", "\t\tUNTIL(all->turn == turn);"]
        for actor, name in self.names.items():
            mine = [(i, a) for i, a in enumerate(self.acts) if a.actor == actor]
            does = []
            for i, a in mine:
                does += [f"AFTER({self._index(b)});" for b in a.after]
                does += [f"{self._during(a.during)};"] if a.during else []
                does += [self._step(i, a), *(["NEWS;"] if a is not mine[-1][1] and self._waited_for(a) else [])]
            out.append(f"\t\tif (me == {name}){' {' if len(does) > 1 else ''}")
            for text in does:
                out += textwrap.wrap(text, WIDE - 24, initial_indent="\t\t\t", subsequent_indent="\t\t\t     ")
            out += ["\t\t}"] if len(does) > 1 else []
        return "\n".join([*out, "\t\tNEWS;", "\t}", "}\n"])

    def _step(self, i: int, a: Act) -> str:
        step = f"STEP({i}, {a.kind}, {a.n}, {a.tag}, {self._call(i, a)})"
        return f"GIVEN({self._index(a.given)}, {i}, {step});" if a.given else f"{step};"

    def _during(self, a: Act) -> str:
        i = self._index(a)
        return (
            f"DURING({i}, {self.names[a.actor]})" if self.rule == "LOSTWAKE" or self.model == "lock" else f"BEGUN({i})"
        )

    def _waited_for(self, a: Act) -> bool:
        return any(a is b for x in self.acts for b in (*x.after, x.during) if x.actor != a.actor)

    def _index(self, a: Act) -> int:
        return next(i for i, b in enumerate(self.acts) if b is a)

    # calls
    def _call(self, i: int, a: Act) -> str:
        spec = calls.entry(self.mechanism, a.f.removesuffix("_shared"))
        args = spec.get("args", {})
        values: dict[str, Any] = {"timeout_ns": PATIENCE_S * 10**9}
        values |= {"size": a.n} if "size" in args else {"n": a.n} if "n" in args else {}
        values |= {k: a.tag for k in _TAGS.get(a.kind, ()) if k in args and (a.tag or k != "select")}
        return self._text(spec, values, a.kind, payload=f"payload({i}, {a.n})")

    def _text(self, spec: dict[str, Any], values: dict[str, Any], kind: str, **words: str) -> str:
        self.include |= set(spec.get("include", ()))
        self._declare([spec.get("declare", "")])
        tag = spec.get("out", {}).get("tag", "")
        if kind == "TAKE" and self.model in (*QUEUES, "sum") or kind == "LOOK":
            self.tag, self.took = tag, spec.get("took", "buf")
        return self._fill(spec["call"], spec, values, kind, **words)

    def _drain(self) -> str:
        """A take that does not wait."""
        drain, poll = (self._fill(str(self.words.get(k, ""))) for k in ("drain", "poll"))
        spec = calls.entry(self.mechanism, drain)
        values = {"size": self._size()} if "size" in spec.get("args", {}) else {}
        call = self._text(spec, values, "TAKE", deadline="&(struct timespec){ 0 }")
        if not poll:
            return call
        self.include.add("poll.h")
        poll = poll.replace("ALL", str(sum(a.n for a in self.acts if a.kind == "PUT")))
        ready = self._fill("poll(&(struct pollfd){ $o, POLLIN, 0 }, 1, " + poll + ")", kind="TAKE")
        return f"{ready} > 0 ? {call} : -(errno = EAGAIN)"

    def _fill(self, template: str, spec: Any = None, values: Any = None, kind: str = "", **words: str) -> str:
        o, ends, values = self.table.get("object", "o"), self.table.get("ends"), dict(values or {})
        more = dict(self.table.get("variant", {}).get(self.variant, {}))
        more |= {"all": o, "o": f"{o}[{(len(ends) - 1) * (kind == 'PUT')}]" if ends and kind else o}
        more |= {"buf": "buf", "key": "key"} | ({"name": "name"} if "path" in self.table else {})
        if ns := values.pop("timeout_ns", 0):
            more |= {
                "deadline": "&(struct timespec){ time(NULL) + PATIENCE_S, 0 }",
                "mono": f"in_ns(CLOCK_MONOTONIC, {ns}L)",
            }
            more["wait"] = f"&(struct timespec){{ {ns // 10**9}, 0 }}"
        return calls.filled(template, spec or {}, values, more | words)
