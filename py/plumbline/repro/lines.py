# SPDX-License-Identifier: MIT
"""The lines of a program: runs of the same become loops, steps get their numbers, parts their headers."""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

PARTS = Path(__file__).with_name("program.in")
COLUMNS = 110


@dataclass
class Entry:
    """A line of the story. `{N}` is its number, `{id:7}` that of the step of request 7."""

    request: int
    text: str
    numbered: bool = True
    violated: bool = False


@dataclass
class Block:
    entries: list[Entry]
    times: int = 1


def looped(entries: list[Entry]) -> tuple[list[Block], dict[int, int]]:
    """Runs of the same lines become loops. And which request of the first turn stands for one of a later turn."""
    blocks, first, i = [], {}, 0
    while i < len(entries):
        size, times = _repeat(entries, i, first)
        blocks.append(Block(entries[i : i + size], times))
        for j in range(size, size * times):
            if entries[i + j].numbered:
                first[entries[i + j].request] = entries[i + j % size].request
        i += size * times
    return blocks, first


def _repeat(entries: list[Entry], i: int, first: dict[int, int]) -> tuple[int, int]:
    """How many lines from `i` on are said how often: what saves most."""
    best = (1, 1)
    for size in range(1, min(16, (len(entries) - i) // 2) + 1):
        turn, times = _turn(entries, i, size, first), 1
        while _turn(entries, i + times * size, size, first) == turn:
            times += 1
        if times > 1 and size * (times - 1) > best[0] * (best[1] - 1) and (times > 2 or size > 1):
            best = (size, times)
    return best


def _turn(entries: list[Entry], i: int, size: int, first: dict[int, int]) -> list[str]:
    """Lines that may be those of a loop: what they say of steps is of their own turn, or of steps before the loop."""
    own = {e.request: f"own {j}" for j, e in enumerate(entries[i : i + size]) if e.numbered}

    def said(m: re.Match[str]) -> str:
        return own.get(int(m[1])) or str(first.get(int(m[1]), int(m[1])))

    return [re.sub(r"\{id:(\d+)\}", said, e.text) for e in entries[i : i + size]]


def numbers_of(blocks: list[Block], first: dict[int, int]) -> dict[int, int]:
    """Of requests: their steps."""
    numbers: dict[int, int] = {}
    for e in (e for b in blocks for e in b.entries if e.numbered):
        numbers[e.request] = len(numbers) + 1
    return numbers | {later: numbers[r] for later, r in first.items() if r in numbers}


def story(blocks: list[Block], first: dict[int, int]) -> str:
    number = numbers_of(blocks, first)
    out = ["static void story(void)", "{"]
    for b in blocks:
        tabs = "\t" * (1 + (b.times > 1))
        if b.times > 1:
            out.append(f"\tfor (int i = 0; i < {b.times}; i++)" + (" {" if len(b.entries) > 1 else ""))
        for e in b.entries:
            text = e.text.replace("{N}", str(number.get(e.request, 0)))
            text = re.sub(r"\{id:(\d+)\}", lambda m: str(number[int(m[1])]), text)
            out.append(_wrapped(text, tabs))
        if b.times > 1 and len(b.entries) > 1:
            out.append("\t}")
    return "\n".join([*out, "}\n"])


def _wrapped(text: str, tabs: str) -> str:
    text = re.sub(r'"[^"]*"', lambda m: m[0].replace(" ", "\0"), " ".join(text.split()))
    lines = textwrap.wrap(
        text, COLUMNS - 8 * len(tabs), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(tabs + line for line in lines).replace("\0", " ")


def main(names: list[str]) -> str:
    own = "".join(f"\t{n}\n" for n in names)
    return f"""int main(void)
{{
	all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
{own}	story();
	while (me != DIRECTOR)
		pause();
	leave(0, NULL, "held");
}}"""


def includes(headers: set[str]) -> str:
    return "\n".join(f"#include <{h}>" for h in sorted(headers))


def parts_of(text: str, path: Path = PARTS) -> tuple[list[str], set[str]]:
    """The parts of the file that the text and its parts name, in the file's order, and their headers."""
    chunks = re.split(r"^//@ (.*)\n", path.read_text(), flags=re.M)[1:]
    parts = []
    for line, code in zip(chunks[::2], chunks[1::2]):
        names, _, headers = line.partition("|")
        parts.append((names.split(), headers.split(), code))
    used: set[int] = set()
    while True:
        words = set(re.findall(r"\w+", re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", text, flags=re.S)))
        new = {i for i, (names, _, _) in enumerate(parts) if i not in used and words & set(names)}
        if not new:
            break
        used |= new
        text += "".join(parts[i][2] for i in new)
    return [parts[i][2].rstrip() + "\n" for i in sorted(used)], {h for i in used for h in parts[i][1]}
