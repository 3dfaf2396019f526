# SPDX-License-Identifier: MIT
"""Where text goes: rich on a terminal, plain lines elsewhere. NO_COLOR is honoured; with --json stdout is JSON."""
from __future__ import annotations

import sys
import time
from typing import Any, Sequence

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

MARKS = {
    "held": ("ok", "green"),
    "violated": ("VIOLATED", "bold red"),
    "skipped": ("skip", "dim"),
    "broken": ("BROKEN", "bold magenta"),
    "unknown": ("unknown", "yellow"),
    "interrupted": ("interrupted", "yellow"),
    "": ("", ""),
}
PLAIN_EVERY_S = 10.0
_NARROW = 28  # a column with no longer text is never folded


class Out:
    """The command's voice. `quiet`: stdout is for JSON, people read stderr."""

    def __init__(self, quiet: bool = False):
        self.console = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self.live = self.console.is_terminal
        self._next_plain = time.monotonic() + PLAIN_EVERY_S

    def say(self, text: Any = "", style: str | None = None) -> None:
        """A line; plain strings are printed as they are, never as markup."""
        self.console.print(Text(text) if isinstance(text, str) else text, style=style)

    def warn(self, text: str) -> None:
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text), style="yellow")

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = (), cut: bool = False
    ) -> None:
        """A table on a terminal; aligned columns elsewhere. `cut`: on a terminal the last column gives way."""
        if self.live:
            self.console.print(grid(columns, self._fit(columns, rows) if cut else rows, right), soft_wrap=False)
            return
        cells = [[plain(c) for c in row] for row in [columns, *rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
        for row in cells:
            pads = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
            self.say("  ".join(pads).rstrip())

    def _fit(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The rows with their last cell cut to what the screen leaves it, 20 at least."""
        others = sum(max(len(plain(row[i])) for row in [columns, *rows]) + 3 for i in range(len(columns) - 1))
        room = max(20, self.console.width - others - 2)
        return [[*row[:-1], t if len(t := plain(row[-1])) <= room else t[: room - 1] + "…"] for row in rows]

    def watch(self) -> "Watch":
        return Watch(self)

    def plain_due(self) -> bool:
        """True every 10 s: when somebody reads a log, not a screen."""
        if self.live or time.monotonic() < self._next_plain:
            return False
        self._next_plain = time.monotonic() + PLAIN_EVERY_S
        return True


class Watch:
    """A part of the screen that is redrawn; nothing at all where there is no screen."""

    def __init__(self, out: Out):
        self._out = out
        self._live = Live(console=out.console, transient=True, refresh_per_second=4) if out.live else None

    def __enter__(self) -> "Watch":
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        if self._live:
            self._live.__exit__(*why)

    @property
    def live(self) -> bool:
        return self._live is not None

    def show(self, screen: Any, line: str = "") -> None:
        """`screen` on a terminal, `line` every 10 s elsewhere."""
        if self._live:
            self._live.update(screen)
        elif line and self._out.plain_due():
            self._out.say(line)


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        narrow = max((len(plain(row[i])) for row in rows), default=0) <= _NARROW
        table.add_column(name, justify="right" if i in right else "left", overflow="fold", no_wrap=narrow)
    for row in rows:
        table.add_row(*(c if isinstance(c, Text) else Text(str(c)) for c in row))
    return table


def mark(outcome: str, expected: bool = False) -> Text:
    """An outcome as a word, coloured; `(exp)` behind it when it was foreseen."""
    word, style = MARKS.get(outcome, (outcome, ""))
    return Text(word.lower() + " (exp)" if expected else word, style="dim" if expected else style)


def plain(cell: Any) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def flush() -> None:
    """Before exit: a closed pipe (`| head`) is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
