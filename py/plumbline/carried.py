# SPDX-License-Identifier: MIT
"""The engine on a target that has nothing of ours: carried there with the drivers, its folder copied back.

plumb-stress runs beside the drivers, under the agent; its events come over the same stream, so the live picture is the
same, and at its end the run's folder is read back, file by file.
"""
from __future__ import annotations

import json
import queue
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .agent import Link, link, run
from .channel import Channel
from .console import Out
from .outcomes import EXIT_BROKEN, Trouble
from .places import Places
from .stress import PATIENCE_S, Board, Stress
from .target import Target
from .wire import WireError

_COPY_MAX = 256 << 20  # bytes of one run's folder that are brought home


def _there(places: Places, target: Target) -> Link:
    try:
        return link(target, places.drivers, tools=True)
    except WireError as e:
        raise Trouble(e.strerror, EXIT_BROKEN) from None


def _argv(places: Places, there: Link, mix: list[str], opts: list[str]) -> list[str]:
    return [str(places.drivers / "plumb-stress"), *mix, *opts, "--drivers", there.hello["dir"]]


def dry_run(places: Places, target: Target, mix: list[str], opts: list[str], **how: Any) -> subprocess.CompletedProcess:
    """The plan and budget as the target has them."""
    argv = [*_argv(places, _there(places, target), mix, opts), "--dry-run"]
    try:
        done = run(target, argv, 30, tools=True)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Trouble(f"the engine on {target}: {getattr(e, 'strerror', '') or e}", EXIT_BROKEN) from None
    text = done.stdout.decode(errors="replace")
    if not how:
        print(text, end="")
    return subprocess.CompletedProcess(argv, done.returncode, text, done.stderr)


def engine(out: Out, places: Places, target: Target, mix: list[str], opts: list[str], folder: Path) -> Stress:
    """Runs the engine there to its end. Ctrl-C is passed on: once it stops and reports, more often it is killed."""
    there, s, board = _there(places, target), Stress(), Board(mix)
    begun, said = time.monotonic(), queue.SimpleQueue()
    try:
        work = there.request("folder")["path"]
        argv = [*_argv(places, there, mix, opts), "--out", f"{work}/stress", "--json"]
        child = Channel(there, argv, said.put, lambda: said.put(None)).start()
        with out.watch() as watch:
            _follow(child, said, board, lambda: watch.show(board.screen(), board.line()))
        status = child.exit_status(5)
        s.exit, s.stderr = EXIT_BROKEN if status is None or status < 0 else status, child.stderr_tail
        folder.mkdir(parents=True, exist_ok=True)
        there.fetch("stress", folder, [_COPY_MAX])
        s.summary = json.loads((folder / "run.json").read_text())
    except (WireError, OSError, ValueError) as e:
        s.exit = EXIT_BROKEN if s.exit in (0, 1) else s.exit
        s.stderr.append(there.gone or getattr(e, "strerror", "") or str(e))
    s.seconds = time.monotonic() - begun
    return s


def _follow(child: Channel, said: "queue.SimpleQueue[bytes | None]", board: Board, show: Any) -> None:
    heard, interrupts = time.monotonic(), 0
    while True:
        try:
            try:
                line = said.get(timeout=0.25)
                heard = time.monotonic()
                if line is None:
                    return
                board.feed(line)
            except queue.Empty:
                pass
            show()
            if time.monotonic() - heard > PATIENCE_S:
                child.signal(signal.SIGKILL, group=True)
                heard = time.monotonic()
        except KeyboardInterrupt:
            interrupts += 1
            child.signal(signal.SIGINT if interrupts < 3 else signal.SIGKILL, group=interrupts >= 3)
