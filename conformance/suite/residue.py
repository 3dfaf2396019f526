# SPDX-License-Identifier: MIT
"""Nothing is left behind: what a stopped driver must not have left on this machine."""
from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path
from typing import Iterable


def queue_exists(name: str) -> bool:
    """Opening is the only question every system answers: not all have /dev/mqueue."""
    libc = ctypes.CDLL(None, use_errno=True)
    mqd = libc.mq_open(name.encode(), os.O_RDONLY | os.O_NONBLOCK)
    if mqd >= 0:
        libc.mq_close(mqd)
    return mqd >= 0


def processes_of(group: int) -> list[str]:
    """Live or zombie processes of a process group, as "pid state command"."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:  # it is gone: ENOENT, or ESRCH in its very last moment
            continue
        state, _, pgrp = tail.split()[:3]
        if int(pgrp) == group:
            found.append(f"{head.replace(' (', ' ' + state + ' ')}")
    return found


def shm_of(run: str) -> list[str]:
    try:
        return [f"/dev/shm/{n}" for n in os.listdir("/dev/shm") if run in n]
    except OSError:
        return []


def files_of(run: str) -> list[str]:
    """Objects that are files: pl_path() of the kit."""
    folder = Path(os.environ.get("TMPDIR") or "/tmp")
    return [os.fspath(p) for p in folder.glob(f"plumb.{run}.*")]


def key_of(name: str) -> int:
    """The System V key of a name: pl_key() of the kit."""
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xffffffff
    return h & 0x7fffffff | 1


def system_v_of(names: Iterable[str]) -> list[str]:
    """Queues, segments and arrays of System V under these names' keys."""
    wanted, found = {key_of(n): n for n in names}, []
    for kind in ("shm", "msg", "sem"):
        try:
            lines = Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
        except OSError:
            continue
        found += [f"System V {kind} {wanted[int(line.split()[0])]}" for line in lines if int(line.split()[0]) in wanted]
    return found


def residue(run: str, group: int, names: Iterable[str], patience_s: float = 3.0) -> list[str]:
    """What is left of a driver that has stopped. A process that is on its way out gets `patience_s`."""
    left = [f"message queue {n}" for n in names if queue_exists(n)]
    left += shm_of(run) + files_of(run) + system_v_of(names)
    deadline, pause = time.monotonic() + patience_s, threading.Event()
    while (alive := processes_of(group)) and time.monotonic() < deadline:
        pause.wait(0.01)  # nothing tells a stranger that a grandchild has been reaped: look again
    return left + [f"process {p}" for p in alive]

