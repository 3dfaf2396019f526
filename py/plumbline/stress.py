# SPDX-License-Identifier: MIT
"""The stress run: plumb-stress in a folder of its own, watched; its findings named by clause."""
from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from .catalogue import Catalogue
from .console import Out, Watch, grid
from .jobfile import is_file
from .outcomes import EXIT_BROKEN, EXIT_USAGE, Trouble, column
from .places import Places
from .story import story
from .target import Target
from .tether import tied

FOLDER = "stress"
_VERDICT = {0: "held", 1: "violated", 3: "broken", 4: "skipped", 5: "unknown", 130: "interrupted"}
PATIENCE_S = 60.0  # the engine may be silent so long: its own waits all have shorter deadlines
VIOLATIONS = 100  # of one kind that a run keeps


@dataclass
class Stress:
    """What the engine said: its summary (run.json), its exit code, its last words."""

    summary: dict[str, Any] = field(default_factory=dict)
    exit: int = EXIT_BROKEN
    stderr: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def verdict(self) -> str:
        return _VERDICT.get(self.exit, "broken")


def options(a: Any) -> list[str]:
    """The engine's options from our own."""
    argv = ["--for", f"{a.for_s:.0f}s" if a.for_s == int(a.for_s) else f"{a.for_s * 1000:.0f}ms"]
    for name in ("seed", "lanes", "place", "actors", "ops", "only"):
        value = getattr(a, name, None)
        argv += [f"--{name}", str(value)] if value is not None else []
    if getattr(a, "job", None) and not is_file(a.job):
        argv += ["--job", a.job]
    for fault in getattr(a, "fault", None) or []:
        argv += ["--fault", fault]
    return argv + (["--fit"] if getattr(a, "fit", False) else [])


def run(
    out: Out,
    places: Places,
    target: Target,
    mix: list[str],
    opts: list[str],
    folder: Path,
    board: "Board | None" = None,
) -> Stress:
    """Runs the engine to its end. Ctrl-C is passed on: once it stops and reports, twice it kills."""
    if target.agent:
        from . import carried  # late: it is made of this module's parts

        return carried.engine(out, places, target, mix, opts, folder)
    argv = [
        str(places.tool("plumb-stress")),
        *mix,
        *opts,
        "--drivers",
        str(places.drivers),
        "--out",
        str(folder),
        "--json",
    ]
    argv += ["--target", str(target)] if target.argv else []
    begun = time.monotonic()
    package = str(Path(__file__).resolve().parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))}
    try:
        child = subprocess.Popen(
            tied(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            process_group=0,
        )
    except OSError as e:
        raise Trouble(f"cannot start {argv[0]}: {e.strerror}", EXIT_BROKEN) from None
    s = Stress()
    board = board or Board(mix)
    with out.watch() as watch:
        _follow(child, board, s, lambda: board.beat(watch, child.pid))
    s.exit, s.seconds = child.returncode, time.monotonic() - begun
    try:
        s.summary = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        s.summary = {}
        if s.exit in (0, 1):
            s.exit = EXIT_BROKEN
            s.stderr.append(f"plumb-stress left no run.json in {folder}")
    return s


def dry_run(places: Places, target: Target, mix: list[str], opts: list[str], **how: Any) -> subprocess.CompletedProcess:
    """The engine's own plan and budget; straight to the terminal unless `how` says otherwise."""
    if target.agent:
        from . import carried

        return carried.dry_run(places, target, mix, opts, **how)
    argv = [str(places.tool("plumb-stress")), *mix, *opts, "--drivers", str(places.drivers), "--dry-run"]
    return subprocess.run(argv + (["--target", str(target)] if target.argv else []), **how)


def refuse(places: Places, target: Target, mix: list[str], opts: list[str]) -> None:
    """Trouble in the engine's words when it would not take these arguments: before a folder is made for them."""
    plan = dry_run(
        places, target, mix, opts, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if plan.returncode == EXIT_USAGE:
        raise Trouble(plan.stderr.strip().removeprefix("plumb-stress: ") or "plumb-stress refused its arguments")


def _follow(child: subprocess.Popen, board: "Board", s: Stress, show: Any) -> None:
    sel, rest = selectors.DefaultSelector(), {child.stdout: b"", child.stderr: b""}
    for f in rest:
        sel.register(f, selectors.EVENT_READ)
    heard, interrupts, tail = time.monotonic(), 0, deque(maxlen=32)
    while sel.get_map():
        try:
            for key, _ in sel.select(0.25):
                heard = time.monotonic()
                data = os.read(key.fd, 1 << 16)
                *lines, rest[key.fileobj] = (rest[key.fileobj] + data).split(b"\n")
                for line in lines:
                    board.feed(line) if key.fileobj is child.stdout else tail.append(line.decode(errors="replace"))
                if not data:
                    sel.unregister(key.fileobj)
            show()
            if time.monotonic() - heard > PATIENCE_S:
                tail.append(f"plumb-stress said nothing for {PATIENCE_S:g} s and was killed")
                child.kill()
                heard = time.monotonic()
        except KeyboardInterrupt:
            interrupts += 1
            child.send_signal(signal.SIGINT if interrupts < 3 else signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stderr.close()
    s.stderr, s.interrupted = list(tail), interrupts > 0


class Board:
    """The live picture: one line a kind of driver, from the engine's events."""

    def __init__(self, mix: list[str]):
        self.rows: dict[str, dict[str, Any]] = {m.split("=")[0]: {} for m in mix}
        self.notes: deque[str] = deque(maxlen=5)
        self.alive: int | None = None
        self.begun = time.monotonic()

    def feed(self, line: bytes) -> None:
        """Whatever the engine says; what is not understood is left alone."""
        try:
            e = json.loads(line)
        except ValueError:
            return
        if not isinstance(e, dict):
            return
        ev = e.get("ev")
        if ev == "tick":
            self.alive = e.get("alive")
            for name, figures in (e.get("mechs") or {}).items():
                self.rows.setdefault(name, {}).update(figures)
        elif ev in ("violation", "hang"):
            self.notes.append(f"{ev} {_name(e)} {e.get('rule', '')} {e.get('text') or e.get('why') or ''}".strip())

    def beat(self, watch: Watch, pid: int) -> None:
        """Called a few times a second while the engine, process `pid`, lives."""
        watch.show(self.screen(), self.line())

    def screen(self) -> Group:
        rows = [
            [name, *(_figure(r.get(k)) for k in ("n", "rounds", "done", "ops_per_s", "fail", "violated"))]
            for name, r in self.rows.items()
        ]
        table = grid(["driver", "n", "rounds", "ops", "ops/s", "failed", "violated"], rows, right=range(1, 7))
        head = Text(
            f"stress  {time.monotonic() - self.begun:4.0f} s"
            + (f"  {self.alive} alive" if self.alive is not None else "")
        )
        return Group(head, table, *(Text(n, style="red") for n in self.notes))

    def line(self) -> str:
        total = {
            k: sum(r.get(k) or 0 for r in self.rows.values() if isinstance(r.get(k), (int, float)))
            for k in ("rounds", "done", "violated")
        }
        return (
            f"stress {time.monotonic() - self.begun:.0f} s: {total['rounds']:,.0f} rounds, "
            f"{total['done']:,.0f} operations, {total['violated']:.0f} violated"
        )


def _name(m: dict[str, Any]) -> str:
    mech = str(m.get("mechanism") or "")
    return column(mech, str(m.get("variant") or ""))


def _figure(v: Any) -> str:
    return f"{v:,.0f}" if isinstance(v, (int, float)) else ""


def show(out: Out, s: Stress, found: list[dict[str, Any]], what: str = "stress") -> None:
    """What the engine counted, by kind; then what it found."""
    kinds = s.summary.get("per_mech") or {}
    rows = [
        [
            column(*name.partition("/")[::2]),
            *(_figure(k.get(f)) for f in ("drivers", "judged", "done", "ops_per_s", "ordered", "killed")),
            f"{k['overlap']:.2f}" if isinstance(k.get("overlap"), (int, float)) else "",
            _figure(k.get("violated")),
        ]
        for name, k in kinds.items()
    ]
    if rows:
        out.table(
            ["driver", "n", "judged", "ops", "ops/s", "ordered", "killed", "overlap", "violated"],
            rows,
            right=range(1, 9),
        )
    drawn: set[tuple[str, Any]] = set()  # the first of each driver
    for v in found[:10]:
        out.say(
            f"VIOLATED {v['clause'] or v.get('rule')} {_name(v)} instance {v.get('instance')}: {v['reason']}",
            "bold red",
        )
        if (at := (_name(v), v.get("instance"))) not in drawn:
            drawn.add(at)
            for line in story(v):
                out.say(f"  {line}")
    _show_gallery(out, s.summary.get("gallery"))
    for h in s.summary.get("hangs") or []:
        out.say(f"HANG {hang_words(h)}", "bold red") if accuses(h) else out.say(hang_words(h))
    for b in s.summary.get("broken") or []:
        out.say(f"broken {_name(b)} instance {b.get('instance')}: {b.get('why', '')}", "bold magenta")
    for why in dict.fromkeys(str(x.get("why", "")) for x in s.summary.get("skips") or [] if isinstance(x, dict)):
        out.say(f"skipped under load: {why}")
    if not s.summary:
        for line in s.stderr[-8:]:
            out.say(f"  {line}")
    elif s.summary.get("why"):
        out.say(f"{what}: {s.summary['verdict']}: {s.summary['why']} ({s.seconds:.1f} s)")


def _show_gallery(out: Out, scenes: Any) -> None:
    """What came of each scene of the engine's job deadlock-gallery."""
    if not isinstance(scenes, list):
        return
    rows = [
        [
            g.get("scene"),
            g.get("on"),
            g.get("kind"),
            g.get("cycle") or "",
            f"{g['named_ms'] / 1000:.2f} s" if g.get("named_ms") else "",
            g.get("verdict") + (f": {g.get('why')}" if g.get("verdict") != "held" else ""),
        ]
        for g in scenes
        if isinstance(g, dict) and isinstance(g.get("verdict"), str)
    ]
    out.table(["scene", "on", "called", "ring", "after", "verdict"], [[str(c) for c in r] for r in rows], right=[3, 4])


def accuses(h: dict[str, Any]) -> bool:
    """Is this hang held against the mechanism? A deadlock that a plan makes is not."""
    return h.get("violated") is not False


def hang_words(h: dict[str, Any]) -> str:
    """One line of a hang: who waits, where, and for how long; in the engine's words where it found the edges."""
    if h.get("text") and isinstance(h["text"], str):
        scene = f" {h['scene']}:" if h.get("scene") else ""
        return f"{_name(h)} instance {h.get('instance')}:{scene} {h.get('kind')}: {h['text']}"
    waits = [
        f"actor {a.get('id')} in {a.get('f') or a.get('in')}"
        for a in h.get("actors") or []
        if isinstance(a, dict) and a.get("is") == "blocked"
    ]
    held = max((a.get("held_ns") or 0 for a in h.get("actors") or [] if isinstance(a, dict)), default=0)
    text = f"{_name(h)} instance {h.get('instance')}: {h.get('kind', 'no progress')}"
    return text + (f"; {', '.join(waits)}" if waits else "") + (f", for {held / 1e9:.1f} s" if held else "")


def violations(s: Stress, known: Catalogue) -> list[dict[str, Any]]:
    """The engine's violations with their clause, one an instance and rule."""
    out = []
    for v in (s.summary.get("violations") or [])[:VIOLATIONS]:
        if not isinstance(v, dict):
            continue
        mech, variant = str(v.get("mechanism", "")), str(v.get("variant") or v.get("mechanism", ""))
        owner = known.by_id.get(str(v.get("clause"))) or known.owner(mech, variant, str(v.get("rule", "")))
        out.append(
            {
                **v,
                "where": "stress",
                "mechanism": mech,
                "variant": variant,
                "clause": owner.id if owner else "",
                "text": owner.text if owner else "",
                "source": owner.source if owner else "",
                "level": owner.level if owner else "",
                "reason": v.get("text") or v.get("reason") or "",
            }
        )
    return out
