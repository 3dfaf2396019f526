# SPDX-License-Identifier: MIT
"""Real drivers, spoken to as a hostile kernel developer would; and nothing may be left behind.

PLUMBLINE_DRIVERS names the folder of the drivers.
"""
import ctypes
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "py"))
DRIVERS = Path(os.environ.get("PLUMBLINE_DRIVERS") or ROOT / "build" / "drivers").absolute()
os.environ["PLUMBLINE_DRIVERS"] = str(DRIVERS)
for name in ("PLUMBLINE_TARGET", "PLUMBLINE_AGENT", "PLUMBLINE_RUN_DIR"):
    os.environ.pop(name, None)

from plumbline.client import Driver, DriverError  # noqa: E402

KINDS = {"mq": {}, "mutex": {"variant": "robust"}, "pipe": {}}
_runs = itertools.count()


def preload(shim, mutant):
    """An environment that loads the shim. LD_PRELOAD ends at a space; LD_LIBRARY_PATH does not."""
    if b"__asan_init" in (DRIVERS / "plumb-mq").read_bytes():
        pytest.skip("a driver built with AddressSanitizer wants to load it first")
    return {**os.environ, "LD_PRELOAD": shim.name, "LD_LIBRARY_PATH": str(shim.parent), "PLUMB_MUTANT": mutant}


def run_id():
    """No two drivers share a name."""
    return f"kit{os.getpid()}x{next(_runs)}"


_rt = ctypes.CDLL(None, use_errno=True)


def queue_exists(name):
    fd = _rt.mq_open(name.encode(), os.O_RDONLY)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


class Raw:
    """A driver and bare bytes. Every wait has a deadline."""

    def __init__(self, driver="mq", prefix=(), **popen):
        popen.setdefault("stderr", subprocess.PIPE)
        self.proc = subprocess.Popen([*prefix, str(DRIVERS / f"plumb-{driver}"), "--stdio"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, **popen)
        self.pid, self.seen, self._rest = self.proc.pid, [], b""
        self.killed = False  # by the test, with SIGKILL: its names are for the sweep

    def send(self, *what):
        for w in what:
            self.proc.stdin.write(w if isinstance(w, bytes) else json.dumps(w).encode() + b"\n")
        self.proc.stdin.flush()

    def pull(self, timeout):
        """Reads once; False at the end of output or when nothing came."""
        if not select.select([self.proc.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self.proc.stdout.fileno(), 1 << 20)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.seen += [json.loads(line) for line in lines]
        return bool(data)

    def until(self, found, timeout=10.0):
        """The first message that `found` accepts, old ones too."""
        looked, deadline = 0, time.monotonic() + timeout
        while True:
            for m in self.seen[looked:]:
                if found(m):
                    return m
            looked = len(self.seen)
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout:g} s; last: {self.seen[-3:]}"
            assert self.pull(left) or self.proc.poll() is None, f"it ended; last: {self.seen[-3:]}"

    def reply(self, ident, timeout=10.0):
        return self.until(lambda m: "re" in m and m["re"] == ident, timeout)

    def ask(self, ident, op, /, **fields):
        self.send({"id": ident, "op": op, **fields})
        return self.reply(ident)

    def ok(self, ident, op, /, **fields):
        r = self.ask(ident, op, **fields)
        assert "ok" in r, f"{op}: {r}"
        return r["ok"]

    def init(self, **fields):
        return self.ok(1, "init", **{"proto": 1, "run": run_id(), "seed": "0x1", **fields})

    def refused(self, ident, op, kind="usage", /, **fields):
        r = self.ask(ident, op, **fields)
        assert r.get("err", {}).get("kind") == kind and r["err"]["msg"], f"{op} {fields}: {r}"
        return r["err"]

    def end(self, timeout=10.0):
        """End of input: all it still says, and its exit status."""
        if not self.proc.stdin.closed:
            try:
                self.proc.stdin.close()
            except BrokenPipeError:
                pass
        deadline = time.monotonic() + timeout
        while self.pull(max(0, deadline - time.monotonic())):
            pass
        assert not self._rest, f"half a line at its end: {self._rest[:80]}"
        return self.proc.wait(max(0.1, deadline - time.monotonic()))

    def kill(self):
        if self.proc.poll() is None:
            try:
                self.end(3)  # it removes what it made
            except (AssertionError, ValueError, subprocess.TimeoutExpired):
                pass
        self.proc.kill()
        self.proc.wait()
        left = [n for m in self.seen if (n := m.get("ok", {}).get("name")) and queue_exists(n)]
        for f in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            try:
                f and f.close()
            except BrokenPipeError:
                pass
        for name in left:
            _rt.mq_unlink(name.encode())
        assert not left or self.killed, f"queues are left: {left}"


def held(d, r, rounds=None):
    lies = [(e["rule"], e["text"]) for e in d.events if e["ev"] == "violation"]
    assert r["verdict"] == "held" and not lies, (r, lies[:3])
    assert rounds is None or r["rounds"] == r["judged"] == rounds
    return r


@pytest.fixture
def raw():
    made = []

    def make(*a, **k):
        made.append(Raw(*a, **k))
        return made[-1]
    yield make
    for r in made:
        r.kill()
    made.clear()


def stat_of(pid):
    """(state, parent) of a process, or None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def gone(pids, timeout):
    """Waits until none of `pids` lives: those that still do."""
    deadline = time.monotonic() + timeout
    while True:
        left = [p for p in pids if (s := stat_of(p)) and s[0] not in "ZX"]
        if not left or time.monotonic() > deadline:
            return left
        select.select([], [], [], 0.005)  # /proc has nothing to wait on


def children(pid):
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def ours():
    """The drivers and actors of this very test."""
    procs = {p for p in os.listdir("/proc") if p.isdigit() and mine(p)}
    return procs


def mine(pid):
    """A driver that descends from this very process, or has lost its parent while it ran for us."""
    try:
        env = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return b"PLUMB_KIT_TEST=%d\0" % os.getpid() in env and int(pid) != os.getpid()


@pytest.fixture(autouse=True)
def nothing_left(request):
    os.environ["PLUMB_KIT_TEST"] = str(os.getpid())
    before = ours()
    yield
    deadline = time.monotonic() + 3
    while (after := ours()) - before and time.monotonic() < deadline:
        select.select([], [], [], 0.01)
    assert not after - before, f"processes are left: {after - before}"


@pytest.fixture
def driver():
    """driver(name, **client arguments): a driver with its object `o` open; stopped in order afterwards."""
    made = []

    def make(name="mq", n=0, kind="process", **k):
        d = Driver(name, run=run_id(), **k)
        made.append(d)
        d.open("o", **KINDS.get(name, {}))
        d.ids = d.actors(n, kind) if n else []
        return d
    yield make
    errors = []
    for d in made:
        try:
            assert d.stop() == []
        except DriverError as e:
            errors.append(e)
    assert not errors, errors
