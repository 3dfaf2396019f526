# SPDX-License-Identifier: MIT
"""Reads what actors did: *.hist files, as core/hist/history.h lays them out, of either byte order.

Nothing in a file is trusted: any bytes give records or HistoryError, never another exception.
"""
from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

MAGIC, VERSION, HEAD, REC, CONTROL = b"PLUMBHST", 2, 4096, 64, 0xFFFF
STATES = {1: "invoked", 2: "ok", 3: "fail", 4: "info", 5: "more"}
ROLES = ("none", "put", "take", "observe", "acquire", "release", "repair", "wake", "update")
MODELS = ("none", "fifo", "priority", "lock", "stream", "counter", "sum", "register", "datagram", "signal", "select",
          "ranges", "vector")
FLAGS = {1: "full", 2: "drained", 4: "exact", 8: "ended"}
CONTROL_OPS = ("fork", "kill", "reap", "open", "close", "release", "level", "asleep", "kick", "drain", "stop", "cont")
EXTENTS = {1: "extent", 2: "fragment", 3: "corrupt"}
_FIRST_CONTROL_OP = 240
_OPS = 64

_HEAD = "8s4I3Qq4Ii2H2I24s24s40s24s"
_OP = "20sBBH"
_REC = "IHBBqqqiIQQII"
_MORE = "IHBBIIQI36s"


class HistoryError(ValueError):
    """No history, or one of another format; the text names the file and why."""


@dataclass(frozen=True)
class Head:
    driver: str
    variant: str
    run: str
    clock: str
    model: str
    actor: int
    incarnation: int
    inst: int
    round: int
    records: int  # published
    capacity: int  # payloads the object holds at most, 0 unknown
    seed: int
    t0: int
    pid: int
    caps: int
    flags: tuple[str, ...]
    ops: tuple[tuple[str, str, int], ...]  # name, role, how
    foreign: bool  # written in the other byte order


@dataclass(frozen=True)
class More:
    """One extent of a read from a byte stream."""

    kind: str
    len: int
    offset: int
    token: int
    total: int
    raw: bytes


@dataclass
class Record:
    """One operation. `t_return` means nothing in state "invoked". `errno` is a name by this machine's numbering."""

    seq: int
    actor: int
    f: str
    role: str
    state: str
    t_invoke: int
    t_return: int
    ret: int
    errno: str | None
    handle: int
    token: int
    tag: int
    sum: int
    len: int
    more: list[More] = field(default_factory=list)


@dataclass(frozen=True)
class History:
    head: Head
    records: list[Record]


def read(path: str | Path) -> History:
    """The whole file. Records at or beyond the published head are not there, nor are those that were cut off."""
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        raise HistoryError(f"{path}: {e.strerror}") from None
    head, order = _head(path, data)
    return History(head, list(_records(data, head, order)))


def _head(path: str | Path, data: bytes) -> tuple[Head, str]:
    if len(data) < HEAD or data[:8] != MAGIC:
        raise HistoryError(f"{path}: no history (it must begin with {MAGIC.decode()} and hold {HEAD} bytes of header)")
    order = {b"\x04\x03\x02\x01": "<", b"\x01\x02\x03\x04": ">"}.get(data[12:16])
    if order is None:
        raise HistoryError(f"{path}: its byte order mark is neither of the two")
    (
        _,
        version,
        _,
        head_size,
        rec_size,
        records,
        capacity,
        seed,
        t0,
        inst,
        rnd,
        caps,
        flags,
        pid,
        actor,
        incarnation,
        model,
        nops,
        driver,
        variant,
        run,
        clock,
    ) = struct.unpack_from(order + _HEAD, data)
    if (version, head_size, rec_size) != (VERSION, HEAD, REC):
        raise HistoryError(
            f"{path}: version {version} with records of {rec_size} bytes; this reader knows version {VERSION}"
        )
    at, size = struct.calcsize("<" + _HEAD), struct.calcsize("<" + _OP)
    ops = []
    for i in range(min(nops, _OPS)):
        name, role, _, how = struct.unpack_from(order + _OP, data, at + i * size)
        ops.append((_text(name), _pick(ROLES, role), how))
    return (
        Head(
            _text(driver),
            _text(variant),
            _text(run),
            _text(clock),
            _pick(MODELS, model),
            actor,
            incarnation,
            inst,
            rnd,
            records,
            capacity,
            seed,
            t0,
            pid,
            caps,
            tuple(n for bit, n in FLAGS.items() if flags & bit),
            tuple(ops),
            _foreign(order),
        ),
        order,
    )


def _foreign(order: str) -> bool:
    return (order == "<") != (struct.pack("=H", 1) == b"\x01\x00")


def _records(data: bytes, head: Head, order: str) -> Iterator[Record]:
    last: Record | None = None
    for i in range(min(head.records, (len(data) - HEAD) // REC)):
        at = HEAD + i * REC
        if data[at + 7] == 5:
            _, _, kind, _, length, offset, token, total, raw = struct.unpack_from(order + _MORE, data, at)
            if last:
                last.more.append(
                    More(
                        EXTENTS.get(kind, str(kind)),
                        length,
                        offset,
                        token,
                        total,
                        raw[: min(length, 36)] if kind != 1 else b"",
                    )
                )
            continue
        seq, actor, op, state, t_inv, t_ret, ret, err, handle, token, tag, check, length = struct.unpack_from(
            order + _REC, data, at
        )
        f, role = _operation(head, actor, op)
        if last:
            yield last
        last = Record(
            seq,
            actor,
            f,
            role,
            STATES.get(state, str(state)),
            t_inv,
            t_ret,
            ret,
            errno.errorcode.get(err, str(err)) if state == 3 else None,
            handle,
            token,
            tag,
            check,
            length,
        )
    if last:
        yield last


def _operation(head: Head, actor: int, op: int) -> tuple[str, str]:
    if op >= _FIRST_CONTROL_OP:
        return _pick(CONTROL_OPS, op - _FIRST_CONTROL_OP), "none"
    return head.ops[op][:2] if op < len(head.ops) else (f"op{op}", "none")


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace")


def _pick(names: tuple[str, ...], i: int) -> str:
    return names[i] if i < len(names) else str(i)
