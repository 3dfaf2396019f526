# SPDX-License-Identifier: MIT
"""A target spoken to through plumb-agent: one process on the target, all drivers over its stdin and stdout.

A Link is that process. It is made once for each target and kept: link() finds it again. When the target has no agent
one is carried there over the very same stdin, by a shell of the target (see _SHELL).
"""
from __future__ import annotations

import atexit
import base64
import json
import os
import re
import secrets
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import bundle
from .channel import Channel
from .outcomes import Trouble
from .protocol import LINE_MAX, encode
from .target import Target, elf_machine
from .wire import Wire, WireError

PUSH = "push"
START_S = 20.0  # a container's exec, and a bundle of some megabytes
STOP_S = 15.0  # the agent's own stop sequence has an end before that
_ENVELOPE = 32
_CHANNELS = 1023
_CHUNK = 1 << 18

# One line for `sh`, which has read all of it before it runs any of it. The agent's bytes come only when `ready` has
# been read, the drivers only when the agent asks: nothing that reads ahead can take what is not its own. The folder is
# the first that can be made and that runs what lies in it; there need be no /dev/null. The agent removes it; rm
# is for an agent that was killed.
_SHELL = (
    '{{ for b in "${{TMPDIR:-/tmp}}" /dev/shm /var/tmp /run .; do d=$b/{name}; (umask 077; mkdir "$d") 2>&- || '
    'continue; printf \'#!/bin/sh\\n\' >"$d/try" && chmod 700 "$d/try" && "$d/try" 2>&- && break; '
    'rm -rf "$d"; d=; done; echo "plumb-sh: ready $(uname -m 2>&-)"; '
    '[ -n "$d" ] || {{ echo "no folder that can be written and run from: tried TMPDIR, /tmp, /dev/shm, /var/tmp, '
    '/run" >&2; exit 3; }}; rm -f "$d/try"; '
    '{{ head -c {size} 2>"$d/log" || dd bs=1 count={size} 2>"$d/log"; }} >"$d/plumb-agent" && '
    'chmod 700 "$d/plumb-agent" && "$d/plumb-agent" --unpack "$d"; s=$?; rm -rf "$d"; exit $s; }}\n'
)


class LinkError(WireError):
    """The target cannot be reached, or is gone; strerror is the whole of it in one line."""

    def __init__(self, text: str):
        super().__init__(5, text)


class Unlike(WireError):
    """The agent cannot do it to this: a file has no list, a folder no bytes."""


class Link:
    """One process on a target, many channels. Thread-safe."""

    def __init__(self, target: Target, folder: Path | None = None, tools: bool = False):
        self.target, self.gone = target, ""
        self.hello: dict[str, Any] = {}
        self._cond = threading.Condition()
        self._channels: dict[int, Channel] = {}
        self._replies: dict[int, dict[str, Any]] = {}
        self._waiting: set[int] = set()
        self._next = 0
        self._shell = self._wants = ""
        self._closing = False
        self._noise: list[str] = []
        push = target.agent == PUSH
        argv = target.command("sh" if push else target.agent)
        try:
            self._wire = Wire(argv, self._line, self._end, line_max=LINE_MAX + _ENVELOPE)
        except WireError as e:
            raise LinkError(e.strerror) from None
        self._wire.start()
        try:
            if push:
                self._carry(folder, tools)
            self._until(lambda: self.hello, "plumb-agent said no hello")
        except WireError as e:
            self._wire.kill()
            raise e if isinstance(e, LinkError) else LinkError(f"target {target}: {e.strerror}") from None

    # what Channel needs
    def begin(self, channel: Channel, argv: Sequence[str], env: Mapping[str, str] | None) -> tuple[int, int]:
        """Starts a driver: (its channel, its pid there). WireError with the agent's reason."""
        name = Path(argv[0]).name
        with self._cond:
            number = next((n for n in range(1, _CHANNELS + 1) if n not in self._channels), 0)
            if not number:
                raise WireError(11, f"{self.target}: {_CHANNELS} drivers run already")
            self._channels[number] = channel
        try:
            driver, args = name.removeprefix("plumb-"), list(argv[1:])
            ok = self.request("start", channel=number, driver=driver, args=args, env=_added(env))
        except WireError:
            with self._cond:
                self._channels.pop(number, None)
            raise
        return number, ok["pid"]

    def send(self, line: bytes) -> None:
        if self.gone:
            raise LinkError(self.gone)
        self._wire.send(line, timeout=30.0)

    def post(self, op: str, **fields: Any) -> int:
        """A request to the agent itself, whose reply nobody waits for unless `request` does."""
        with self._cond:
            self._next += 1
            ident = self._next
        self.send(encode({"ch": 0, "id": ident, "op": op, **{k: v for k, v in fields.items() if v is not None}}))
        return ident

    def request(self, op: str, timeout: float = 10.0, **fields: Any) -> dict[str, Any]:
        with self._cond:
            expected = self._next + 1
            self._waiting.add(expected)
            ident = self._next = expected
        try:
            body = {k: v for k, v in fields.items() if v is not None}
            self.send(encode({"ch": 0, "id": ident, "op": op, **body}))
            reply = self._until(lambda: self._replies.get(ident), f"plumb-agent did not answer {op}", timeout)
        finally:
            with self._cond:
                self._waiting.discard(ident)
                self._replies.pop(ident, None)
        if "err" in reply:
            err = reply["err"]
            kind = Unlike if err.get("name") in ("ENOTDIR", "EISDIR") else WireError
            raise kind(5, f"{self.target}: {err.get('msg', err)}")
        return reply["ok"]

    def fetch(self, path: str, to: Path, budget: list[int]) -> None:
        """A file of the agent's work folder, or a folder and all below it, as far as the budget of bytes goes."""
        try:
            names: list[str] = []
            while more := self.request("list", path=path, at=len(names))["names"]:
                names += more
        except Unlike:  # a file
            with open(to, "wb") as f:
                while budget[0] > 0:
                    data = base64.b64decode(self.request("read", path=path, at=f.tell())["data"])
                    if not data:
                        return
                    f.write(data)
                    budget[0] -= len(data)
            return
        to.mkdir(exist_ok=True)
        for name in names:
            if "/" not in name:
                self.fetch(f"{path}/{name}", to / name, budget)

    def close(self) -> None:
        """End of input: the agent stops its drivers and removes what it brought."""
        self._closing = True
        self._wire.close_stdin()
        self._wire.exit_status(STOP_S)
        self._wire.kill()

    # how it begins
    def _carry(self, folder: Path, tools: bool) -> None:
        agent = bundle.loaded(folder / bundle.AGENT)
        files = bundle.tar({p.name: bundle.loaded(p) for p in bundle.programs(folder, tools)})
        name = f"plumb.agent.{secrets.token_hex(6)}"
        self._give(_SHELL.format(name=name, size=len(agent)).encode())
        self._until(lambda: self._shell, "its sh did not answer")
        machine, ours = self._shell.split()[2:3], elf_machine(folder / bundle.AGENT)
        if machine and ours and machine[0] != ours:
            self._fits = f" (it is {machine[0]}, the drivers in {folder} are for {ours}: `ci/cross` and --drivers)"
        self._give(agent)
        self._until(lambda: self._wants, "plumb-agent did not start there")
        self._give(files)

    _fits = ""

    def _give(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(view), _CHUNK):
            try:
                self._wire.send(bytes(view[at : at + _CHUNK]), timeout=START_S)
            except WireError:
                self._until(lambda: None, "it takes no input", 2.0)

    def _until(self, found: Callable[[], Any], what: str, timeout: float | None = None) -> Any:
        timeout = START_S if timeout is None else timeout
        deadline = time.monotonic() + timeout
        with self._cond:
            while not (got := found()):
                if self.gone:
                    raise LinkError(self.gone)
                if not self._cond.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    heard = f"; it said: {self._noise[-1]}" if self._noise and not self.hello else ""
                    raise LinkError(f"target {self.target}: {what} within {timeout:g} s{heard}")
            return got

    # the reader thread
    def _line(self, raw: bytes) -> None:
        m = re.match(rb'\{"ch":(\d{1,4})([,}])', raw)
        if m and int(m[1]):
            channel = self._channels.get(int(m[1]))
            if channel:
                channel.heard(b"{" + raw[m.end() - (m[2] == b"}") :])
        elif m:
            try:
                self._own(json.loads(raw))
            except (ValueError, TypeError, KeyError):
                self._noise.append(raw[:200].decode(errors="replace").strip())
        elif raw.startswith(b"plumb-sh: ") and not self._shell:
            with self._cond:
                self._shell = raw.decode(errors="replace")
                self._cond.notify_all()
        elif len(self._noise) < 100:  # a login's greeting, before; nothing, after
            self._noise.append(raw[:200].decode(errors="replace").strip())

    def _own(self, message: dict[str, Any]) -> None:
        ev, number = message.get("ev", ""), message.get("channel", 0)
        with self._cond:
            if "re" in message:
                if message["re"] in self._waiting:
                    self._replies[message["re"]] = message
            elif ev == "hello":
                self.hello = message
            elif ev == "unpack":
                self._wants = ev
            elif ev == "stopping" and not self._closing:
                self.gone = (
                    self.gone or f"target {shlex.quote(str(self.target))} is gone: its plumb-agent was told to end"
                )
            channel = self._channels.get(number)
            if ev == "exit":
                self._channels.pop(number, None)
            self._cond.notify_all()
        if channel and number:
            channel.told(ev, message)

    def _end(self) -> None:
        status = self._wire.exit_status(1.0)
        how = "closed its output" if status is None else f"ended with {_ending(status)}"
        last = [x for x in self._wire.stderr_tail if x.strip()][-1:]
        why = f"; {_plain(last[0])}" if last else ""
        if not self.hello and not self._shell and not last and self.target.agent == PUSH:
            why = "; does it pass stdin on (podman exec needs -i), and has it a shell?"
        with self._cond:
            begun = "is gone: its program" if self.hello else "takes no agent: its program"
            self.gone = self.gone or f"target {shlex.quote(str(self.target))} {begun} {how}{why}{self._fits}"
            channels = list(self._channels.values())
            self._channels.clear()
            self._cond.notify_all()
        for c in channels:
            c.told("gone", {})


def _plain(line: str) -> str:
    """What a container's program says, without the time of day: the same line twice is one reason."""
    m = re.search(r'level=\w+ msg="((?:[^"\\]|\\.)*)"', line)
    return m[1] if m else line.strip()


def _ending(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"


def _added(env: Mapping[str, str] | None) -> dict[str, str] | None:
    """What an environment says beyond our own: the target has one already."""
    return None if env is None else {k: v for k, v in env.items() if os.environ.get(k) != v}


# all links of this process
_links: dict[tuple[Any, ...], Link | LinkError] = {}
_places: dict[Target, dict[str, Any]] = {}
_lock = threading.Lock()


def link(target: Target, folder: Path, tools: bool = False) -> Link:
    """The one for this target. `folder`: where the drivers are here, when they have to be carried."""
    carried = bundle.folder_for(folder) if target.agent == PUSH else None
    key = (target, carried, tools)
    with _lock:
        if key not in _links:
            try:
                _links[key] = made = Link(target, carried, tools)
                _places[target] = made.hello.get("place", {})
            except LinkError as e:
                _links[key] = e  # for good: a target that comes and goes is no place to judge
        found = _links[key]
    if isinstance(found, LinkError):
        raise LinkError(found.strerror)
    return found


def place(target: Target) -> dict[str, Any]:
    """What an agent has said of the target: kernel, uid, capabilities, seccomp, limits; {} when there was none."""
    return _places.get(target, {})


def close_all() -> None:
    """Ends every link; what was carried to a target goes with it."""
    with _lock:
        ended = [one for one in _links.values() if isinstance(one, Link)]
        _links.clear()
    for one in ended:
        one.close()


atexit.register(close_all)


# for those who do not care which way it goes
def connect(target: Target, argv: Sequence[str], *rest: Any) -> Wire | Channel:
    """A driver started on the target, by itself or on its agent; the arguments are those of Wire."""
    if not target.agent:
        return Wire(target.command(*argv), *rest)
    return Channel(link(target, Path(argv[0]).parent), argv, *rest)


@dataclass
class Done:
    """A program that has ended."""

    returncode: int
    stdout: bytes
    stderr: str


def run(target: Target, argv: Sequence[str | os.PathLike[str]], timeout: float, tools: bool = False) -> Done:
    """A program of the drivers' folder, run to its end; subprocess.TimeoutExpired, or OSError if it cannot start."""
    words = [os.fspath(a) for a in argv]
    if not target.agent:
        r = subprocess.run(
            target.command(*words), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
        return Done(r.returncode, r.stdout, r.stderr.decode(errors="replace"))
    lines: list[bytes] = []
    c = Channel(link(target, Path(words[0]).parent, tools), words, lines.append, lambda: None).start()
    c.close_stdin()
    status = c.exit_status(timeout)
    if status is None:
        gone = c.gone
        c.kill()
        if gone:
            raise LinkError(gone)
        raise subprocess.TimeoutExpired(words, timeout)
    c.join(2)
    return Done(status, b"".join(lines), "\n".join(c.stderr_tail))


def settle(target: Target, choice: str, probe: Callable[[Target], str], folder: Path) -> tuple[Target, str]:
    """The target with its agent, and what to say of that. `choice`: auto, push, off, or a path on the target.

    auto: none where the drivers can be started through the target as they are; else one is carried there; where that
    cannot be done either, the drivers' own reasons stand. `probe` says why a driver does not start, "" if it does.
    """
    if choice == "off" or choice == "auto" and not target.argv:
        return target, ""
    if choice == "auto":
        if not (why := probe(target)):
            return target, ""
        there = Target(target.argv, PUSH)
        try:
            said = link(there, folder).hello
        except (WireError, Trouble) as e:
            said = f"no driver starts there ({why}), and none can be carried there: {getattr(e, 'strerror', '') or e}"
            return target, said
        return there, _words(said)
    if choice != PUSH and "/" not in choice:
        raise Trouble(f"--agent {choice}: auto, push, off, or the path of plumb-agent on the target, with a slash")
    there = Target(target.argv, choice)
    try:
        return there, _words(link(there, folder).hello)
    except WireError as e:
        raise Trouble(e.strerror, 3) from None


def _words(hello: dict[str, Any]) -> str:
    n = len(hello.get("drivers", ()))
    return f"{n} drivers over one plumb-agent {hello.get('agent', '')} in {hello.get('dir', '?')}"
