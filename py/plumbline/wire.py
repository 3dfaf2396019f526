# SPDX-License-Identifier: MIT
"""A child process that speaks lines: in a process group of its own, read by one thread, written with a deadline.

Limits: an input line of LINE_MAX bytes, or as given (a longer one is handed on cut, once); the last 32 lines of stderr.
"""
from __future__ import annotations

import fcntl
import os
import select
import selectors
import signal
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from pathlib import Path
from typing import Callable, Mapping, Sequence

from .protocol import LINE_MAX

STDERR_LINES = 32
_CHUNK = 1 << 16
_STDERR_FILE_MAX = 1 << 20
_LAST_WORDS_S = 0.5  # how long stderr is still read after stdout was closed


class WireError(OSError):
    """The child could not be started or does not take its input."""


class Wire:
    """The reader thread calls on_line(bytes), and on_end() once, when stdout is closed or the child is dead."""

    gone = ""  # a child of our own has no target that could be gone (see Channel)

    def __init__(
        self,
        argv: Sequence[str],
        on_line: Callable[[bytes], None],
        on_end: Callable[[], None],
        env: Mapping[str, str] | None = None,
        stderr: Path | None = None,
        line_max: int = LINE_MAX,
    ):
        self.argv = list(argv)
        self._line_max = line_max
        self._on_line, self._on_end = on_line, on_end
        self._tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._errfile = open(stderr, "ab") if stderr else None
        self._reap = threading.Lock()
        self._exit: int | None = None
        try:
            self._proc = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                process_group=0,
            )
        except OSError as e:
            raise WireError(e.errno, f"cannot start {self.argv[0]!r}: {e.strerror}") from None
        self.pid = self._proc.pid
        self._pidfd = _pidfd(self.pid)
        for f in (self._proc.stdin, self._proc.stdout, self._proc.stderr):
            os.set_blocking(f.fileno(), False)
        self._wlock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name=f"wire-{self.pid}", daemon=True)

    def start(self) -> "Wire":
        """Begins to read: apart from the constructor, so that callbacks may rely on their owner's .wire."""
        self._thread.start()
        return self

    # writing
    def send(self, data: bytes, timeout: float = 5.0) -> None:
        """All of it or WireError; a child that does not read within `timeout` seconds is an error too."""
        deadline = time.monotonic() + timeout
        with self._wlock:
            stdin = self._proc.stdin
            if stdin.closed:
                raise WireError(32, "its input is closed")
            while data:
                try:
                    data = data[os.write(stdin.fileno(), data) :]
                except BlockingIOError:
                    left = deadline - time.monotonic()
                    if left <= 0 or not select.select([], [stdin], [], left)[1]:
                        raise WireError(11, f"it has not read its input for {timeout:g} s") from None
                except OSError as e:
                    raise WireError(e.errno, f"its input is closed ({e.strerror})") from None

    def unread(self) -> int:
        """Bytes that were sent and that the child has not read yet; 0 when its input is closed."""
        with self._wlock:
            if self._proc.stdin.closed:
                return 0
            return int.from_bytes(fcntl.ioctl(self._proc.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)

    def close_stdin(self) -> None:
        """The child's EOF; safe to repeat."""
        with self._wlock:
            try:
                self._proc.stdin.close()
            except OSError:
                pass

    # its end
    def exit_status(self, timeout: float = 0.0) -> int | None:
        """What wait(2) said (-N: killed by signal N), None while it lives; waits up to `timeout` seconds."""
        if self._exit is None and self._pidfd >= 0 and not select.select([self._pidfd], [], [], max(timeout, 0))[0]:
            return None
        with self._reap:
            if self._exit is None:
                try:
                    self._exit = self._proc.wait(None if self._pidfd >= 0 else max(timeout, 0))
                except subprocess.TimeoutExpired:
                    pass
            return self._exit

    def signal(self, number: int, group: bool = False) -> None:
        """Signals the child, or its group, only while it has not been reaped: a pid that is free is nobody's."""
        with self._reap:
            if self._exit is not None:
                return
            try:
                os.killpg(self.pid, number) if group else os.kill(self.pid, number)
            except (ProcessLookupError, PermissionError):
                pass

    def kill(self) -> int | None:
        """SIGKILL to the whole group, then reap: the exit status, None if even that took over 5 s."""
        self.close_stdin()
        self.signal(signal.SIGKILL, group=True)
        status = self.exit_status(5)
        self.join(2)
        return status

    def join(self, timeout: float) -> None:
        """Waits for the reader thread; afterwards no callback comes."""
        if self._thread.ident and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    @property
    def stderr_tail(self) -> list[str]:
        return list(self._tail)

    # the reader thread
    def _read(self) -> None:
        sel = selectors.DefaultSelector()
        out, err = self._proc.stdout, self._proc.stderr
        sel.register(out, selectors.EVENT_READ, _Lines(self._on_line, self._line_max))
        sel.register(err, selectors.EVENT_READ, _Lines(self._keep, LINE_MAX))
        if self._pidfd >= 0:
            sel.register(self._pidfd, selectors.EVENT_READ, None)
        deadline = None
        while (left := None if deadline is None else deadline - time.monotonic()) is None or left > 0:
            ready = sel.select(left)
            for key, _ in ready:
                if key.data and not self._pull(key):
                    sel.unregister(key.fileobj)
            open_pipes = [f for f in (out, err) if f in sel.get_map()]
            if not open_pipes or ready and all(k.data is None for k, _ in ready):
                break  # closed; or dead with nothing left to read: whoever still holds the pipe is not it
            if out not in open_pipes and deadline is None:
                deadline = time.monotonic() + _LAST_WORDS_S
        for key in list(sel.get_map().values()):
            if key.data:
                key.data.feed(b"")
        sel.close()
        for f in (out, err, *([self._errfile] if self._errfile else [])):
            f.close()
        self._on_end()

    def _pull(self, key: selectors.SelectorKey) -> bool:
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        key.data.feed(data)
        if data and self._errfile and key.fileobj is self._proc.stderr and self._errfile.tell() < _STDERR_FILE_MAX:
            self._errfile.write(data)
        return bool(data)

    def _keep(self, line: bytes) -> None:
        self._tail.append(line.decode(errors="backslashreplace").rstrip("\n"))

    def __del__(self) -> None:
        if getattr(self, "_pidfd", -1) >= 0:
            os.close(self._pidfd)


class _Lines:
    """Cuts a stream into lines; hands on a line that grows past the limit once, cut off, and skips its rest."""

    def __init__(self, sink: Callable[[bytes], None], line_max: int):
        self._sink, self._max, self._rest, self._skip = sink, line_max, b"", False

    def feed(self, data: bytes) -> None:
        if not data and self._rest:
            self._sink(self._rest)  # half a line at the end: without its LF, so that the sink can tell
            self._rest = b""
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._skip:
                self._sink(line + b"\n")
            self._skip = False
        if len(self._rest) > self._max:
            if not self._skip:
                self._sink(self._rest)
            self._rest, self._skip = b"", True


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # an old kernel or an emulated one: wait(2) with polling will do
        return -1
