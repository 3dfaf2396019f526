# SPDX-License-Identifier: MIT
"""For the agent's tests: where it is, drivers of two lines, and an agent spoken to in bare bytes."""
import json
import os
import select
import subprocess
import time
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or "/nonexistent")
AGENT = BUILD / "agent" / "plumb-agent"
STATIC = next((d for d in (BUILD / "static", BUILD / "musl") if (d / "plumb-agent").exists()), None)
FAKE = BUILD / "core" / "tests" / "plumb-fake"
DRIVERS = BUILD / "drivers"
needs_agent = pytest.mark.skipif(not AGENT.exists(), reason="plumb-agent is not built (PLUMBLINE_BUILD)")
needs_static = pytest.mark.skipif(not STATIC, reason="no static plumb-agent is built (PLUMBLINE_BUILD)")

SCRIPTS = {
    "echo": "exec cat",
    "flood": """exec yes '{"ev":"noise","t":0}'""",
    "deaf": 'trap "" TERM; while :; do read -r x <"$GATE" && break; done; exec cat',
    "three": "echo one >&2; echo two >&2; exit 3",
    "shot": "kill -KILL $$",
    "parent": "sleep 1000 & echo '{\"child\":'$!'}'; read -r x; exit 0",
    # it says so itself, when it has left
    "escapes": """setsid sh -c 'echo "{\\"child\\":$$}"; exec sleep 1000 >/dev/null' & read -r x; exit 0""",
    "obeys-term": "read -r x; trap 'exit 0' TERM; while :; do sleep 0.05; done",
    "obeys-none": "trap '' TERM INT HUP; while :; do sleep 0.05; done",
    "stray": "echo 'no object'; echo '{}'; printf '{\"a\":\"\\377\"}\\n'; printf '{\"half\":'",
    "long": "head -c 70000 /dev/zero | tr '\\0' x; echo; echo '{\"after\":1}'",
    "shuts": "exec >&-; read -r x; exit 0",
}


def write(folder, **more):
    """A folder of drivers: SCRIPTS and others."""
    for name, text in {**SCRIPTS, **more}.items():
        path = folder / f"plumb-{name}"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return folder


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < deadline, what
        select.select([], [], [], 0.01)  # nothing tells of another's process: look again
    return got


class Raw:
    """An agent and bare bytes; every wait has a deadline."""

    def __init__(self, *argv, **popen):
        self.proc = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen
        )
        self.lines, self._rest, self._id = [], b"", 0

    def send(self, *lines):
        for line in lines:
            self.proc.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        self.proc.stdin.flush()

    def pull(self, timeout=10.0):
        if not select.select([self.proc.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self.proc.stdout.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += lines
        return bool(data)

    def until(self, found, what="a line", timeout=20.0):
        """What `found` makes of the first line for which it is true; that line is taken, the others stay."""
        deadline, looked = time.monotonic() + timeout, 0
        while True:
            for at in range(looked, len(self.lines)):
                if got := found(self.lines[at]):
                    del self.lines[at]
                    return got
            looked = len(self.lines)
            left = deadline - time.monotonic()
            assert left > 0 and self.pull(left), f"no {what}: {self.lines[-5:]}"

    def own(self, match, what="own line", timeout=20.0):
        """The first line of the agent itself for which match(message)."""

        def look(line):
            m = json.loads(line) if line.startswith(b'{"ch":0,') else None
            return m if m and match(m) else None

        return self.until(look, what, timeout)

    def event(self, ev, channel=None):
        return self.own(lambda m: m.get("ev") == ev and channel in (None, m.get("channel")), f"event {ev} {channel}")

    def ask(self, op, **fields):
        self._id += 1
        self.send({"ch": 0, "id": self._id, "op": op, **fields})
        return self.own(lambda m: m.get("re") == self._id and "re" in m, f"answer to {op}")

    def start(self, channel, driver, **fields):
        r = self.ask("start", channel=channel, driver=driver, **fields)
        assert "ok" in r, r
        return r["ok"]["pid"]

    def line(self, channel):
        head = b'{"ch":%d' % channel
        return self.until(lambda x: x if x.startswith(head) else None, f"line of channel {channel}")

    def end(self, timeout=20.0):
        """End of input: the exit status."""
        if not self.proc.stdin.closed:
            self.proc.stdin.close()
        deadline = time.monotonic() + timeout
        while self.pull(max(0, deadline - time.monotonic())):
            pass
        return self.proc.wait(max(0.1, deadline - time.monotonic()))

    def close(self):
        if self.proc.poll() is None:
            try:
                self.end()
            except (OSError, subprocess.TimeoutExpired):
                self.proc.kill()
        self.proc.wait()
        for f in (self.proc.stdin, self.proc.stdout, self.proc.stderr):
            try:
                f.close()
            except OSError:
                pass
