# SPDX-License-Identifier: MIT
"""plumbline drivercheck PATH: does a driver, in any language, speak plumb/1? Each check has a process of its own."""
from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Collection

from . import protocol
from .console import Out, mark
from .outcomes import EXIT_HELD, EXIT_VIOLATED, Trouble, plural
from .session import PATIENCE_S, Failed, Session, Skipped
from .target import Target
from .wire import WireError

Make = Callable[..., Session]
CHECKS: dict[str, tuple[Callable[[Make], None], str]] = {}


def check(name: str) -> Callable[[Callable[[Make], None]], Callable[[Make], None]]:
    """Registers a check; its docstring is what is claimed."""

    def keep(f: Callable[[Make], None]) -> Callable[[Make], None]:
        CHECKS[name] = (f, " ".join((f.__doc__ or "").split()))
        return f

    return keep


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Failed(otherwise)


@check("hello")
def _hello(make: Make) -> None:
    """hello comes within 5 s, first, with all its fields"""
    with make(init=False) as s:
        expect(s.messages[0].get("ev") == "hello", f"the first line is {s.messages[0]}")
        bad = protocol.hello_problems(s.hello)
        expect(not bad, "; ".join(bad))
        expect(1 in s.hello["proto"], f"proto {s.hello['proto']} lacks 1")


@check("init")
def _init(make: Make) -> None:
    """init with version 1 is accepted and grants capabilities"""
    with make(init=False) as s:
        ok = s.ok(
            "init",
            proto=1,
            run="check",
            inst=0,
            seed="0xffffffffffffffff",
            tick_ms=1000,
            unknown_field=[1, {"a": None}],
        )
        expect(isinstance(ok.get("caps"), list), f"init's ok carries no caps: {ok}")


@check("init-version")
def _init_version(make: Make) -> None:
    """a version that the driver does not have is refused, and the driver lives"""
    with make(init=False) as s:
        s.err("init", "usage", "proto", "unsupported", proto=9999, run="check", inst=0, seed="0x1")
        s.ok("init", proto=1, run="check", inst=0, seed="0x1")


@check("unknown-op")
def _unknown_op(make: Make) -> None:
    """an op that nobody knows is answered `unsupported`"""
    with make() as s:
        expect(bool(s.err("no_such_op", "unsupported").get("msg")), "err carries no msg")
        s.ok("ping")


_BAD_LINES: dict[str, tuple[bytes, str]] = {
    "garbage-line": (b"hello driver, how are you?\n", "no JSON at all"),
    "not-an-object": (b"[1,2,3]\n", "JSON, but no object"),
    "no-id": (b'{"op":"ping"}\n', "a request without id"),
    "duplicate-key": (b'{"id":900,"op":"ping","id":901}\n', "a key twice"),
    "binary-line": (bytes(range(128, 256)) + b"\xff\xfe\n", "bytes that are no UTF-8"),
    "nul-line": (b'{"id":902,"op":"pi\x00ng"}\n', "a NUL byte"),
    "huge-line": (b'{"id":903,"op":"ping","pad":"' + b"x" * 200_000 + b'"}\n', "200,000 bytes in a line"),
    "cut-line": (b'{"id":904,"op":"pi\n', "a line cut in its middle"),
}


def _bad_line(line: bytes, what: str) -> Callable[[Make], None]:
    def run(make: Make) -> None:
        with make() as s:
            s.raw(line)
            r = s.reply(None)
            expect(isinstance(r.get("err"), dict) and r["err"].get("kind") == "proto", f"it was answered {r}")
            s.ok("ping")
            stray = [m for m in s.messages if m.get("re") in range(900, 910)]
            expect(not stray, f"it was taken for a request: {stray[:1]}")
            seen = sum("re" in m and m["re"] is None for m in s.messages)
            expect(seen == 1, f"it was answered {seen} times")

    run.__doc__ = f'{what}: one answer `proto` with "re":null, and the next line is read'
    return run


for _name, (_raw, _what) in _BAD_LINES.items():
    check(_name)(_bad_line(_raw, _what))


@check("split-line")
def _split_line(make: Make) -> None:
    """a request that arrives byte by byte is one request, two in one write are two"""
    with make() as s:
        for byte in b'{"id":500,"op":"ping"}\n':
            s.raw(bytes([byte]))
            s.taken()
        s.raw(b'{"id":501,"op":"ping"}\n{"id":502,"op":"ping"}\n')
        for ident in (500, 501, 502):
            s.reply(ident)


@check("ids")
def _ids(make: Make) -> None:
    """ids are echoed as they came, also above 2^53"""
    with make() as s:
        for ident in (77, 2**53 + 1, 2**63 - 1):
            s.raw(b'{"id":%d,"op":"ping"}\n' % ident)
            s.reply(ident)


@check("one-reply")
def _one_reply(make: Make) -> None:
    """each of 100 requests gets exactly one reply"""
    with make() as s:
        ids = [s.send("ping") for _ in range(100)]
        for i in ids:
            s.reply(i)
        s.ok("status")
        wrong = {i: s.replies(i) for i in ids if s.replies(i) != 1}
        expect(not wrong, f"replies by id: {wrong}")


@check("ch")
def _ch(make: Make) -> None:
    """`ch` is ignored and not echoed"""
    with make() as s:
        r = s.reply(s.send("ping", ch=7))
        expect("ok" in r and "ch" not in r, f"it answered {r}")


@check("ping")
def _ping(make: Make) -> None:
    """ping is answered within 100 ms (the median of 15)"""
    with make() as s:
        times = []
        for _ in range(15):
            begun = time.monotonic()
            s.ok("ping")
            times.append(time.monotonic() - begun)
        expect(statistics.median(times) <= 0.1, f"the median is {statistics.median(times) * 1000:.0f} ms")


@check("ticks")
def _ticks(make: Make) -> None:
    """ticks come every tick_ms, also when nothing happens"""
    with make(tick_ms=100) as s:
        s.wait(lambda m: m.get("ev") == "tick", "third tick (tick_ms 100)", 3, count=3)


@check("call")
def _call(make: Make) -> None:
    """call returns ret, and stamps in their order; a PUT names its payload"""
    with make() as s:
        on, actors = s.object()
        f, args = s.op("put", "acquire", "observe", "none")
        r = s.ok("call", actor=actors[0], f=f, on=on, **args)
        for key in ("ret", "t_inv", "t_ret", "dt_ns"):
            expect(isinstance(r.get(key), int), f"{f} carries no integer {key}: {r}")
        expect(r["t_inv"] <= r["t_ret"], f"it returned before it was invoked: {r}")
        _errno_fits(r)
        if s.hello["ops"][f]["role"] == "put" and r["ret"] >= 0:
            expect(
                isinstance(r.get("token"), str) and isinstance(r.get("sum"), str),
                f"a put carries token and sum as strings: {r}",
            )


@check("call-wrong")
def _call_wrong(make: Make) -> None:
    """a call of no operation, by no actor, on no object is refused, not tried"""
    with make() as s:
        on, actors = s.object()
        f, args = s.op("put", "acquire", "observe", "none")
        s.err("call", "usage", "unsupported", actor=actors[0], f="no_such_operation", on=on)
        s.err("call", "usage", actor=4711, f=f, on=on, **args)
        s.err("call", "usage", actor=actors[0], f=f, on="no_such_object", **args)


@check("argument-range")
def _argument_range(make: Make) -> None:
    """an argument beyond the range that hello shows is refused with `usage`"""
    with make() as s:
        on, actors = s.object()
        for f, op in s.hello["ops"].items():
            for arg, (_, most) in op.get("args", {}).items():
                if most < protocol.INT64_MAX:
                    s.err("call", "usage", actor=actors[0], f=f, on=on, **{arg: most + 1})
                    return
        raise Skipped("no argument has an upper end")


def _errno_fits(r: dict[str, Any]) -> None:
    if r["ret"] < 0:
        expect(
            r.get("errno") in protocol.ERRNO_NAMES,
            f"ret {r['ret']} with errno {r.get('errno')!r}, which is no name of <errno.h>",
        )
    else:
        expect(r.get("errno") is None, f"ret {r['ret']} and yet errno {r.get('errno')!r}")


@check("cancel")
def _cancel(make: Make) -> None:
    """a blocked call that is cancelled gets its one reply: EINTR and `canceled`, or err canceled"""
    with make() as s:
        on, actors = s.object()
        f, args = s.op("take", "acquire", blocks=True)
        if s.hello["ops"][f]["role"] == "acquire":
            s.ok("call", actor=actors[0], f=f, on=on, **args)  # the other one holds it
        waiting = s.send("call", actor=actors[1], f=f, on=on, deadline_ms=60000, **args)
        _until_blocked(s, actors[1], waiting)
        s.ok("cancel", target=waiting, grace_ms=200)
        r = s.reply(waiting)
        if "ok" in r:
            expect(r["ok"].get("canceled") is True, f"it says nothing of `canceled`: {r}")
            _errno_fits(r["ok"])
        else:
            expect(r["err"].get("kind") == "canceled", f"it says {r['err']}")
        s.ok("ping")
        s.ok("ping")
        expect(s.replies(waiting) == 1, f"the call got {s.replies(waiting)} replies")


def _until_blocked(s: Session, actor: int, waiting: int) -> None:
    """By status; where it cannot tell, a number of looks at a call that stays unanswered."""
    deadline, looks = time.monotonic() + PATIENCE_S, 0
    while looks < 40:
        st = s.ok("status")
        me = next((a for a in st.get("actors", []) if a.get("id") == actor), {})
        expect(s.replies(waiting) == 0, "a call that must block returned")
        expect(time.monotonic() < deadline, f"status never shows the blocked actor as blocked: {me}")
        if me.get("is") == "blocked":
            return
        looks += st.get("rung") == "none" and me.get("is") == "running"


@check("plan")
def _plan(make: Make) -> None:
    """a round with an operation that has no role, and that hello does not call neutral, is no finding"""
    with make() as s:
        on, actors = s.object()
        ops = s.hello["ops"].items()
        fine = {"unknown", "held"} if s.hello["variants"][0]["model"] == "none" else {"unknown"}
        for f in [f for f, o in ops if o["role"] == "none" and not (o.get("neutral") or o["blocks"])]:
            plan = {"actors": [{"ids": actors[:1], "do": [f], "ops": 1}]}
            if r := s.reply(s.send("run", on=on, rounds=1, plan=plan)).get("ok"):
                verdict = r.get("verdict")
                return expect(verdict in fine, f"a round with {f}, which no checker knows, is {verdict}")
        raise Skipped("there are no rounds, or every operation without a role is neutral")


@check("stop")
def _stop(make: Make) -> None:
    """stop is answered with `leaked`, then bye, then exit status 0, and nothing after bye"""
    with make() as s:
        leaked = s.ok("stop").get("leaked")
        expect(isinstance(leaked, list), f"stop's ok carries no list `leaked`: {leaked!r}")
        s.wait(lambda m: m.get("ev") == "bye", "bye")
        status = s.exit()
        expect(status == 0, f"it ended with {status}")
        expect(s.messages[-1].get("ev") == "bye", f"after bye it said {s.messages[-1]}")


@check("eof")
def _eof(make: Make) -> None:
    """end of input means stop: exit status 0, also with a call that is blocked and half a line at the end"""
    with make() as s:
        try:
            on, actors = s.object()
            f, args = s.op("take", blocks=True)
            s.send("call", actor=actors[1], f=f, on=on, deadline_ms=60000, **args)
        except Skipped:
            pass
        s.raw(b'{"id":999,"op":"pi')
        s.wire.close_stdin()
        status = s.exit()
        expect(status == 0, f"it ended with {status}")
        expect(not any("re" in m and m["re"] in (999, None) for m in s.messages), "it answered half a line")


@dataclass
class Outcome:
    name: str
    claim: str
    outcome: str  # held, violated, skipped
    detail: str = ""


def run(argv: list[str], only: Collection[str] = ()) -> list[Outcome]:
    """All checks, or `only` those named, on the driver that `argv` starts."""
    impure: list[str] = []

    def make(**kw: Any) -> Session:
        made.append(Session(argv, **kw))
        return made[-1]

    out = [_hello_flag(argv)]
    for name, (f, claim) in CHECKS.items():
        if only and name not in only:
            continue
        made: list[Session] = []
        try:
            f(make)
            out.append(Outcome(name, claim, "held"))
        except Failed as e:
            out.append(Outcome(name, claim, "violated", str(e)))
        except Skipped as e:
            out.append(Outcome(name, claim, "skipped", str(e)))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
            out.append(Outcome(name, claim, "violated", f"its answer cannot be understood: {type(e).__name__} {e}"))
        impure += [f"during {name}: {line}" for s in made for line in s.impure]
    out.append(
        Outcome(
            "stdout",
            "every line of stdout, in all checks, is a message of the protocol",
            "violated" if impure else "held",
            impure[0] if impure else "",
        )
    )
    return out


def _hello_flag(argv: list[str]) -> Outcome:
    claim = "with --hello it prints that one line and exits 0"
    try:
        r = subprocess.run([*argv, "--hello"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
        lines = r.stdout.splitlines(keepends=True)
        good = r.returncode == 0 and len(lines) == 1 and protocol.decode(lines[0]).get("ev") == "hello"
        detail = "" if good else f"exit status {r.returncode}, {plural(len(lines), 'line')}"
    except (subprocess.TimeoutExpired, protocol.FrameError) as e:
        good, detail = False, str(e)
    except OSError as e:
        raise Trouble(f"cannot start {argv[0]}: {e.strerror}") from None
    return Outcome("hello-flag", claim, "held" if good else "violated", detail)


def command(out: Out, path: str, target: Target, as_json: bool) -> int:
    """Exit 0: it conforms; 1: it does not; 2: there is no such program."""
    if not target.argv and not Path(path).is_file():
        raise Trouble(f"{path}: no such file")
    try:
        results = run(target.command(str(Path(path).resolve()) if not target.argv else path))
    except WireError as e:
        raise Trouble(e.strerror) from None
    bad = [r for r in results if r.outcome == "violated"]
    if as_json:
        json.dump(
            {"driver": path, "verdict": "violated" if bad else "held", "checks": [vars(r) for r in results]},
            sys.stdout,
            indent=1,
        )
        print()
        return EXIT_VIOLATED if bad else EXIT_HELD
    out.table(["check", "", "claim"], [[r.name, mark(r.outcome), r.claim] for r in results])
    for r in results:
        if r.detail:
            out.say(f"{r.outcome} {r.name}: {r.detail}", "bold red" if r.outcome == "violated" else None)
    held = sum(r.outcome == "held" for r in results)
    out.say(
        f"{path} {'does not speak' if bad else 'speaks'} plumb/1: {held} of {plural(len(results), 'check')} held"
        + (f", {len(bad)} failed" if bad else "")
    )
    return EXIT_VIOLATED if bad else EXIT_HELD
