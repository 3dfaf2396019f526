# SPDX-License-Identifier: MIT
"""What GitHub shows: a job summary in markdown, annotations on the run. Every text of a run is escaped."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterable, Sequence

SUMMARY_MAX = 1_000_000  # bytes; GitHub refuses 1 MiB a step, all or nothing
ANNOTATIONS_MAX = 10  # of one kind and step; GitHub drops the others
_MESSAGE_MAX = 2000


def text(value: str) -> str:
    """Shown as it is, in a table too: no markup, no link, no line break."""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return re.sub(r"[&<>|`*_\[\]~\\$@]", lambda m: f"&#{ord(m[0])};", line)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(map(text, columns))} |", "|" + " --- |" * len(columns)]
    return head + [f"| {' | '.join(map(text, row))} |" for row in rows]


def details(title: str, lines: Iterable[str]) -> list[str]:
    return ["<details>", f"<summary>{text(title)}</summary>", "", *lines, "", "</details>", ""]


def code(command: str) -> str:
    return f"<code>{text(command)}</code>"


def cut(lines: Sequence[str], room: int = SUMMARY_MAX) -> str:
    """The lines that fit, whole ones only; the last one says so when some do not."""
    last = "\n\n*Cut here: the whole of it is in the run's report.*\n"
    size, kept = 0, []
    for line in lines:
        size += len(line.encode("utf-8", "replace")) + 1
        if size > room - len(last):
            opened = sum(k == "<details>" for k in kept) - sum(k == "</details>" for k in kept)
            return "\n".join([*kept, *["", "</details>"] * opened]) + last
        kept.append(line)
    return "\n".join(kept) + "\n"


def append(path: str, lines: Sequence[str]) -> str:
    """Adds a summary to the file, within what earlier ones left. Why it could not, or ""."""
    try:
        there = Path(path).stat().st_size if os.path.exists(path) else 0
        with open(path, "a", encoding="utf-8", errors="replace") as f:
            f.write(cut(lines, SUMMARY_MAX - there) if there < SUMMARY_MAX else "")
    except OSError as e:
        return f"cannot write {path}: {e.strerror}"
    return ""


def annotation(level: str, title: str, message: str) -> str:
    """A workflow command, error or warning: one line whatever the texts hold."""
    return f"::{level} title={_property(title)}::{_data(message[:_MESSAGE_MAX])}"


def _data(value: str) -> str:
    for bad, good in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        value = value.replace(bad, good)
    return "".join(c if c.isprintable() else " " for c in value)


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
