# SPDX-License-Identifier: MIT
"""Runs plumb-stress over plumb-fake, the driver that misbehaves on request, and looks at what is left.

The binaries come from the build folder in PLUMBLINE_BUILD. Every wait has a deadline.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

BUILD = pathlib.Path(os.environ.get("PLUMBLINE_BUILD", "build")).resolve()
STRESS = BUILD / "plumb-stress"
FAKE = BUILD / "core" / "tests" / "plumb-fake"
EARLY = ["silent", "lie-proto", "crash-hello", "hang"]


def tagged(run):
    """Processes of a run: the engine puts its name into their environment."""
    want = f"PLUMBLINE_RUN={run}".encode()
    found = []
    for p in pathlib.Path("/proc").iterdir():
        if not p.name.isdigit():
            continue
        try:
            if want in (p / "environ").read_bytes().split(b"\0"):
                found.append(int(p.name))
        except OSError:
            continue
    return found


def objects(run):
    return sorted(p.name for p in pathlib.Path("/dev/shm").glob(f"plumb.{run}.*"))


def until(what, deadline_s, message):
    """Polls: the end of somebody else's process cannot be waited for."""
    end = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < end, f"not within {deadline_s} s: {message}"
        select_nothing(0.02)


def select_nothing(seconds):
    import select

    select.select([], [], [], seconds)


class Result:
    def __init__(self, code, out, err, seconds, folder):
        self.code, self.out, self.err, self.seconds, self.folder = code, out, err, seconds, folder

    @property
    def run(self):
        return self.out.split()[1] if self.out.startswith("run ") else self.summary["run"]

    @property
    def told(self):
        """What it says, without the two lines that hold paths: a path may hold any word."""
        return "".join(l for l in self.out.splitlines(True) if not l.startswith(("report ", "replay ")))

    @property
    def summary(self):
        return json.loads((self.folder / "run.json").read_text())

    @property
    def events(self):
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]


class Engine:
    """A folder of its own with the fake under all its names, and plumb-stress in it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.drivers = self.root / "drivers"
        self.drivers.mkdir()
        shutil.copy(FAKE, self.drivers / "plumb-fake")
        for mode in EARLY:
            os.link(self.drivers / "plumb-fake", self.drivers / f"plumb-fake-{mode}")
        self.count = 0
        self.started = []

    def argv(self, *args, out=None):
        if out is None:
            self.count += 1
            out = self.root / f"run{self.count}"
        self.folder = pathlib.Path(out)
        quick = ["--tick", "100", "--patience", "600ms", "--for", "300ms"]
        return [str(STRESS), *quick, "--drivers", str(self.drivers), "--out", str(out), *map(str, args)]

    def __call__(self, *args, out=None, deadline_s=30, **kw):
        argv = self.argv(*args, out=out)
        folder, from_s = self.folder, time.monotonic()
        p = subprocess.run(argv, capture_output=True, text=True, timeout=deadline_s, cwd=self.root, **kw)
        return Result(p.returncode, p.stdout, p.stderr, time.monotonic() - from_s, folder)

    def start(self, *args, out=None, **kw):
        """Starts a run and returns once its drivers are ready: the process, and the run's name."""
        argv = self.argv(*args, out=out)
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=self.root, **kw)
        p.folder = self.folder
        self.started.append(p)
        run = p.stdout.readline().split()[1]
        for line in p.stdout:
            if "ready in" in line:
                return p, run
        raise AssertionError("never ready")

    def end(self, p, deadline_s):
        from_s = time.monotonic()
        out, _ = p.communicate(timeout=deadline_s)
        return Result(p.returncode, out, "", time.monotonic() - from_s, p.folder)

    def close(self):
        for p in self.started:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
                p.wait(timeout=10)


@pytest.fixture
def engine(tmp_path):
    e = Engine(tmp_path)
    yield e
    e.close()


@pytest.fixture
def open_engine():
    """The same where an unprivileged user can reach it."""
    root = tempfile.mkdtemp(prefix="plumb-stress-")
    e = Engine(root)
    for p in (root, e.drivers):
        os.chmod(p, 0o777)
    shutil.copy(STRESS, e.root / "plumb-stress")
    yield e
    e.close()
    shutil.rmtree(root, ignore_errors=True)
