# SPDX-License-Identifier: MIT
"""One driver on an agent: what Wire is for a child process of our own, with the same methods."""
from __future__ import annotations

import queue
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from .protocol import LINE_MAX
from .wire import STDERR_LINES, WireError

if TYPE_CHECKING:
    from .agent import Link


class Channel:
    """Callbacks come from a thread of its own, so that they may wait for what other channels need not wait for."""

    def __init__(
        self,
        link: "Link",
        argv: Sequence[str],
        on_line: Callable[[bytes], None],
        on_end: Callable[[], None],
        env: Mapping[str, str] | None = None,
        stderr: Path | None = None,
    ):
        self._link, self._on_line, self._on_end, self._stderr = link, on_line, on_end, stderr
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._cond = threading.Condition()
        self._exit: int | None = None
        self._tail: list[str] = []
        self._full = self._closed = self._over = False
        self._lost = ""
        self._thread = threading.Thread(target=self._read, name="channel", daemon=True)
        self.number, self.pid = link.begin(self, argv, env)

    def start(self) -> "Channel":
        self._thread.start()
        return self

    @property
    def gone(self) -> str:
        """Why the whole target is no more; "" while it lives."""
        return self._link.gone

    # what the link says; in its reader thread, so nothing here may wait
    def heard(self, line: bytes) -> None:
        self._said.put(line)

    def told(self, ev: str, message: Mapping[str, Any]) -> None:
        if ev == "stray":
            self._said.put(_stray(message))
            return
        with self._cond:
            if ev in ("full", "room"):
                self._full = ev == "full"
            elif ev == "lost":
                self._lost = str(message.get("why", "its input was lost"))
            elif ev == "exit" and self._exit is None:
                self._exit = -message["signal"] if "signal" in message else message.get("status", 0)
                self._tail = [str(line) for line in message.get("stderr", ())]
            over = ev in ("eof", "exit", "gone") and not self._over
            self._over |= over
            self._cond.notify_all()
        if over:
            self._said.put(None)

    # as Wire
    def send(self, data: bytes, timeout: float = 5.0) -> None:
        """Whole lines that are objects; WireError as Wire.send."""
        deadline = time.monotonic() + timeout
        with self._cond:
            while True:
                if self._closed or self._over or self._exit is not None:
                    raise WireError(32, "its input is closed")
                if self._lost:
                    raise WireError(5, self._lost)
                if not self._full:
                    break
                if not self._cond.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise WireError(11, f"it has not read its input for {timeout:g} s")
        line = b'{"ch":%d,' % self.number + data[1:]
        if len(line) > LINE_MAX:
            raise WireError(90, f"a line of {len(line)} bytes with its channel; the limit is {LINE_MAX}")
        self._link.send(line)

    def close_stdin(self) -> None:
        with self._cond:
            if self._closed:
                return
            self._closed = True
        self._tell("close")

    def exit_status(self, timeout: float = 0.0) -> int | None:
        deadline = time.monotonic() + timeout
        with self._cond:
            while self._exit is None and not self.gone and time.monotonic() < deadline:
                self._cond.wait(deadline - time.monotonic())
            return self._exit

    def signal(self, number: int, group: bool = False) -> None:
        if self.exit_status() is None:
            self._tell("signal", signal=signal.Signals(number).name.removeprefix("SIG"), group=group)

    def kill(self) -> int | None:
        self.close_stdin()
        self.signal(signal.SIGKILL, group=True)
        status = self.exit_status(5)
        self.join(2)
        if self._stderr and self.stderr_tail:
            self._stderr.write_text("\n".join(self.stderr_tail) + "\n")
        return status

    def join(self, timeout: float) -> None:
        if self._thread.ident and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    @property
    def stderr_tail(self) -> list[str]:
        """The last lines; asked for while it lives, told with its exit."""
        if self.exit_status() is None and not self.gone:
            try:
                lines = self._link.request("stderr", channel=self.number, timeout=1.0).get("lines", [])
                return [str(x) for x in lines][-STDERR_LINES:]
            except WireError:
                pass  # it has just ended
        return list(self._tail)

    def _tell(self, op: str, **fields: Any) -> None:
        try:
            self._link.post(op, channel=self.number, **fields)
        except WireError:
            pass  # the target is gone, and so is the driver

    def _read(self) -> None:
        while (line := self._said.get()) is not None:
            self._on_line(line)
        self._on_end()


def _stray(message: Mapping[str, Any]) -> bytes:
    """A line that was no object, as Wire hands it on: half a line without its LF, one too long cut off."""
    text, why = str(message.get("text", "")).encode(), str(message.get("why", ""))
    if why.startswith("half"):
        return text
    return b"x" * (LINE_MAX + 1) if why else text + b"\n"
