# SPDX-License-Identifier: MIT
"""Operations as C calls: tables/<mechanism>.toml, filled in. descriptor.toml has what every descriptor has.

    object   name of the variable          declare  its definition, once an object: $o is the variable, $name its name
    path     of a name, %d is the director's pid    clean    how the object is removed; none: it goes by itself
    ends     names of an object's descriptors, which are $o[0] and $o[1]; puts use the last one
    include  headers                       variant  by variant: further $words for all templates
    [open]   call, done before there are actors; < 0: not possible here. `each`: what every actor does after its fork,
             `again`: what an actor that began with exec does to have the object
    [op.F]   call; out: what results are in C; declare, include: what it needs. The result of an operation of the table
             is what its driver returns; gives = "id": a number that the system chooses.

In open and op: `args` are the driver's defaults, `flags` says which arguments are bits of constants with that prefix,
`words` replaces an argument's value ("other": any that is not listed; `of`: whose value it is, if not its own) by text.
$payload is the bytes to send, $buf the room for what comes, $deadline the absolute time on CLOCK_REALTIME, $mono that
on CLOCK_MONOTONIC, $wait the time from now, each a pointer.
"""
from __future__ import annotations

import fcntl
import functools
import mmap
import os
import re
import select
import socket
import string
import tomllib
from pathlib import Path
from typing import Any, Iterator, Mapping

TABLES = Path(__file__).with_name("tables")
_MODULES = {
    "O": os, "F": fcntl, "POLL": select, "EPOLL": select, "MSG": socket, "SO": socket, "PROT": mmap, "MAP": mmap
}
_MORE = {
    "IPC": {"IPC_CREAT": 0o1000, "IPC_EXCL": 0o2000, "IPC_NOWAIT": 0o4000},
    "SEM": {"SEM_UNDO": 0x1000, "IPC_NOWAIT": 0o4000},
    "MSGFLG": {"MSG_NOERROR": 0o10000, "MSG_EXCEPT": 0o20000, "MSG_COPY": 0o40000, "IPC_NOWAIT": 0o4000},
    "SHM": {"SHM_RDONLY": 0o10000, "SHM_RND": 0o20000, "SHM_REMAP": 0o40000, "SHM_EXEC": 0o100000},
}
_O = "CREAT EXCL TRUNC APPEND NONBLOCK CLOEXEC DIRECTORY NOFOLLOW DIRECT DSYNC".split()


class NoCall(Exception):
    """An operation that no table puts in C; the text says which."""


@functools.cache
def table(mechanism: str) -> dict[str, Any]:
    path = TABLES / f"{mechanism}.toml"
    if not path.exists():
        raise NoCall(f"no table puts the operations of {mechanism} in C")
    own, common = tomllib.loads(path.read_text()), tomllib.loads((TABLES / "descriptor.toml").read_text())
    return own | {"op": (common["op"] if own.get("descriptors", True) else {}) | own.get("op", {})}


def entry(mechanism: str, f: str) -> dict[str, Any]:
    found = table(mechanism)["op"].get(f)
    if not found or found.get("not"):
        raise NoCall((found or {}).get("not") or f"{mechanism} {f} is not in the table of C calls")
    return found


_SAID = frozenset("id op actor on f as to token size variant deadline_ms grace_ms".split())
_TIMES = frozenset("$deadline $mono $wait".split())


def unsaid(spec: Mapping[str, Any], request: Mapping[str, Any], variant: Mapping[str, str]) -> str:
    """An argument of the request that nothing in C would tell; "" if there is none. What `variant` has words for is
    told by these, whatever the request says."""
    said = set(re.findall(r"\$\w+", " ".join([*_strings(spec), *_strings(variant)]))) - {f"${k}" for k in variant}
    said |= {f"${c['of']}" for c in spec.get("words", {}).values() if "of" in c}
    for name, value in request.items():
        known = name in _SAID or f"${name}" in said or (name in ("timeout_ns", "abstime") and said & _TIMES)
        if not known and value != spec.get("args", {}).get(name):
            return name
    return ""


def _strings(spec: Any) -> Iterator[str]:
    if isinstance(spec, Mapping):
        for value in spec.values():
            yield from _strings(value)
    elif isinstance(spec, str):
        yield spec


def flags(prefix: str, value: int) -> str:
    """Bits by their names; what has no name stays a number."""
    known = _MORE.get(prefix) or _named(prefix)
    names = ["O_RDONLY O_WRONLY O_RDWR 3".split()[value & 3]] if prefix == "O" and not value & 0o10000000 else []
    left = value & ~3 if names else value
    for name, bits in known.items():
        if bits and left & bits == bits:
            names.append(name)
            left &= ~bits
    low = names[1:] if names[:1] == ["O_RDONLY"] and len(names) > 1 and not left else names
    return " | ".join(low + ([oct(left).replace("0o", "0")] if left else [])) or "0"


@functools.cache
def _named(prefix: str) -> dict[str, int]:
    module = _MODULES[prefix]
    if prefix == "O":
        return {f"O_{n}": getattr(os, f"O_{n}") for n in _O}
    named = {n: int(getattr(module, n)) for n in dir(module) if n.startswith(prefix) and n.isupper()}
    bits = {n: v for n, v in named.items() if v > 0 and v & (v - 1) == 0}
    return {n: v for n, v in bits.items() if n == min(m for m, w in bits.items() if w == v)}


def filled(template: str, spec: Mapping[str, Any], values: dict[str, Any], words: dict[str, str]) -> str:
    """`values`: arguments as the request has them; `words`: all else that a template may name."""
    given = {**spec.get("args", {}), **{k: v for k, v in values.items() if isinstance(v, int)}}
    given = {k: v for k, v in given.items() if k not in words}
    text = {k: flags(spec["flags"][k], v) if k in spec.get("flags", {}) else _number(v) for k, v in given.items()}
    for name, choice in spec.get("words", {}).items():
        key = str(given.get(choice.get("of", name)))
        if key not in choice and "other" not in choice:
            raise NoCall(f"{name} {key} is not in the table of C calls")
        text[name] = choice.get(key, choice.get("other")).replace("$itself", text.get(name, ""))
    for _ in range(3):  # words may name words
        template = string.Template(template).safe_substitute(words | text)
    if "$" in template:
        raise NoCall(f"a part of it has no value: {template[template.index('$'):][:40]}")
    return template


def _number(value: int) -> str:
    if abs(value) < 1 << 31:
        return str(value)
    return "LONG_MIN" if value == -(1 << 63) else f"{value}L"
