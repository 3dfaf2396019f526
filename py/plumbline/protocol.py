# SPDX-License-Identifier: MIT
"""plumb/1 on the wire: frames, their limits, and whether a message obeys the grammar.

core/README.md is the normative text. Nothing here does I/O.
"""
from __future__ import annotations

import errno
import json
from typing import Any

VERSION = 1
LINE_MAX = 65536  # bytes of a line, its LF included
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

ERR_KINDS = frozenset("proto usage unsupported os timeout canceled crash internal".split())
EVENTS = frozenset("hello state tick violation actor slow rest bye".split())
ROLES = frozenset("none put take observe acquire release repair wake update".split())
CAPS = frozenset(
    "stream datagram priority names anonymous blocking nonblock timeout poll multi_reader multi_writer "
    "lock counter robust notify fdpass persist threads inherit "
    "lowest each owned late lossy freed piecemeal apart putonly".split()
)
ERRNO_NAMES = frozenset(errno.errorcode.values()) | {"ENOTSUP", "EOPNOTSUPP", "EWOULDBLOCK", "EAGAIN", "EDEADLOCK"}


class FrameError(ValueError):
    """A line that is no plumb/1 message; the text says why."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise FrameError(f"duplicate key {key!r}")
        out[key] = value
    return out


def _int64(text: str) -> int:
    value = int(text)
    if not INT64_MIN <= value <= INT64_MAX:
        raise FrameError(f'integer {text} does not fit 64 bits: larger values travel as strings "0x…"')
    return value


def encode(message: dict[str, Any]) -> bytes:
    """The message as one line. FrameError when it would be longer than LINE_MAX."""
    line = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    if len(line) > LINE_MAX:
        raise FrameError(f"message of {len(line)} bytes; a line holds at most {LINE_MAX}")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """One line (with or without its LF) to an object. FrameError says what is wrong with it."""
    if len(line) > LINE_MAX:
        raise FrameError(f"line of {len(line)} bytes; the limit is {LINE_MAX}")
    try:
        value = json.loads(line.decode(), object_pairs_hook=_no_duplicates, parse_int=_int64)
    except FrameError:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as e:
        raise FrameError(f"not JSON ({e}): {shorten(line)}") from None
    if not isinstance(value, dict):
        raise FrameError(f"not an object: {shorten(line)}")
    return value


def shorten(line: bytes, limit: int = 80) -> str:
    """A line made printable for an error text."""
    text = line[: limit + 1].decode(errors="backslashreplace").rstrip("\n")
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= limit else text[:limit] + "…"


def kind_of(message: dict[str, Any]) -> str:
    """ "reply", "event", or FrameError."""
    if "re" in message and "ev" not in message:
        return "reply"
    if "ev" in message and "re" not in message:
        return "event"
    raise FrameError("neither a reply (re) nor an event (ev)")


def problems(message: dict[str, Any]) -> list[str]:
    """Every way in which a driver's message breaks the grammar; empty when it obeys."""
    try:
        kind = kind_of(message)
    except FrameError as e:
        return [str(e)]
    bad = [] if _is_int(message.get("t")) or message.get("ev") == "hello" else ["no integer `t`"]
    if kind == "event":
        if not isinstance(message["ev"], str):
            bad.append("`ev` is no string")
        return bad
    if not (_is_int(message["re"]) or message["re"] is None):
        bad.append("`re` is neither an integer nor null")
    if ("ok" in message) == ("err" in message):
        bad.append("a reply carries either `ok` or `err`")
    elif "ok" in message:
        if not isinstance(message["ok"], dict):
            bad.append("`ok` is no object")
    else:
        bad += _err_problems(message["err"])
    return bad


def _err_problems(err: Any) -> list[str]:
    if not isinstance(err, dict):
        return ["`err` is no object"]
    bad = []
    if err.get("kind") not in ERR_KINDS:
        bad.append(f"err.kind {err.get('kind')!r} is none of {' '.join(sorted(ERR_KINDS))}")
    if not isinstance(err.get("msg"), str):
        bad.append("err.msg is missing")
    return bad


_HELLO = {
    "proto": list,
    "driver": str,
    "title": str,
    "build": str,
    "pid": int,
    "ops": dict,
    "variants": list,
    "limits": dict,
    "clock": dict,
}


_NEEDED = ("proto", "driver", "ops", "variants")


def hello_problems(hello: dict[str, Any], strict: bool = True) -> list[str]:
    """What a hello lacks or says wrongly; not `strict`: only what nobody can do without. Unknown fields are fine."""
    bad = [
        f"`{k}` is missing or no {t.__name__}"
        for k, t in _HELLO.items()
        if not isinstance(hello.get(k), t) and (strict or k in _NEEDED)
    ]
    if not bad and not all(_is_int(v) for v in hello["proto"]):
        bad.append("`proto` is a list of integers")
    for name, op in (hello.get("ops") or {}).items() if isinstance(hello.get("ops"), dict) else ():
        bad += _op_problems(name, op)
    for v in hello.get("variants") or () if isinstance(hello.get("variants"), list) else ():
        bad += _variant_problems(v)
    if isinstance(hello.get("variants"), list) and not hello["variants"]:
        bad.append("`variants` is empty: a driver has at least one")
    return bad


def _op_problems(name: str, op: Any) -> list[str]:
    if not isinstance(op, dict):
        return [f"ops.{name} is no object"]
    bad = [] if op.get("role") in ROLES else [f"ops.{name}.role {op.get('role')!r} is no role"]
    args = op.get("args", {})
    for arg, span in args.items() if isinstance(args, dict) else ():
        if not (isinstance(span, list) and len(span) == 2 and all(map(_is_int, span)) and span[0] <= span[1]):
            bad.append(f"ops.{name}.args.{arg} is no [min, max]")
    return bad if isinstance(args, dict) else bad + [f"ops.{name}.args is no object"]


def _variant_problems(v: Any) -> list[str]:
    if not isinstance(v, dict) or not isinstance(v.get("name"), str):
        return [f"variant {v!r} has no name"]
    bad = [] if isinstance(v.get("model"), str) else [f"variant {v['name']}: no model"]
    if not isinstance(v.get("caps"), list):
        return bad + [f"variant {v['name']}: caps is no list"]
    unknown = [c for c in v["caps"] if c not in CAPS]
    return bad + [f"variant {v['name']}: unknown capability {c!r}" for c in unknown]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def u64(value: int) -> str:
    """An unsigned 64-bit value as it travels."""
    return f"0x{value & (2**64 - 1):x}"
