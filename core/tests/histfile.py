# SPDX-License-Identifier: MIT
"""Writes history files by the normative page alone (core/README.md, hist/history.h), for tests of what reads them."""
import struct
from dataclasses import dataclass, field

CONTROL = 0xFFFF
NONE, PUT, TAKE, OBSERVE, ACQUIRE, RELEASE, _REPAIR, _WAKE, UPDATE = range(9)
OPS = {"send": PUT, "receive": TAKE, "lock": ACQUIRE, "unlock": RELEASE, "load": OBSERVE, "exchange": UPDATE}
MODELS = ("none", "fifo", "priority", "lock", "stream", "counter", "sum", "register", "datagram", "signal", "select",
          "ranges", "vector")
INVOKED, OK, FAIL, INFO = 1, 2, 3, 4
KILL, REAP = 241, 242
ENDED = 8
ROBUST = 1 << 13
EAGAIN = 11


@dataclass
class Log:
    """One actor's file. Stamps are nanoseconds from 1,000 on."""

    actor: int
    model: str
    round: int = 0
    caps: int = 0
    inst: int = 3
    records: list = field(default_factory=list)

    def add(self, op, state, inv, ret=0, token=0, aux=0, err=0):
        number = op if isinstance(op, int) else list(OPS).index(op)
        self.records.append(
            struct.pack(
                "<IHBBqqqiIQQII",
                len(self.records),
                self.actor,
                number,
                state,
                1000 + inv,
                0 if state == INVOKED else 1000 + ret,
                -1 if state == FAIL else 64,
                err,
                0,
                token,
                aux,
                0,
                64,
            )
        )

    def bytes(self, order="<", version=2, published=None, actors=0):
        flags = ENDED if self.actor == CONTROL else 0
        head = struct.pack(
            order + "8s4I3Qq4Ii2H2I24s24s40s24s",
            b"PLUMBHST",
            version,
            0x01020304,
            4096,
            64,
            len(self.records) if published is None else published,
            0,
            7,
            0,
            self.inst,
            self.round,
            self.caps,
            flags,
            1234,
            self.actor,
            0,
            MODELS.index(self.model),
            len(OPS),
            b"drv",
            b"var",
            b"run",
            b"CLOCK_MONOTONIC",
        )
        for name, role in OPS.items():
            head += struct.pack(order + "20sBBH", name.encode(), role, 0, 0)
        head = head.ljust(0xC8 + 64 * 24, b"\0") + struct.pack(order + "I", actors)
        return head.ljust(4096, b"\0") + b"".join(self.records)


def write(folder, logs):
    """All of a round, control's among them: it says how many belong to it."""
    for log in logs:
        who = "control" if log.actor == CONTROL else f"actor-{log.actor}"
        path = folder / f"round-{log.round}.{who}.hist"
        path.write_bytes(log.bytes(actors=len(logs) - 1 if log.actor == CONTROL else 0))
