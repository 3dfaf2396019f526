# SPDX-License-Identifier: MIT
"""Rounds between two machines: one side takes, the other puts, each in a driver of its own behind its own target.

    plumbline stress inet/tcp4 --on a='ip netns exec a' --on b='ip netns exec b' --for 10s

The first side listens at an address that the second can reach; the second connects. Each keeps its half of the
history; plumb-check --join judges them together without comparing their clocks: nothing invented, repeated or out of
order, and of TCP nothing lost, unless a side died or the link was cut before the end of the stream was read.
"""
from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import random
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Callable

from .calls import DriverError
from .client import Driver
from .console import Out
from .outcomes import EXIT_BROKEN, VERDICT_EXIT, Trouble
from .places import Places
from .target import Target

ACTORS, OPS = 2, 500
PATIENCE_S = 5.0  # a round in which nothing moves for so long is ended: what was on its way proves nothing
_RESULT = {0: "held", 1: "violated", 5: "unknown"}


class Side:
    """One machine: a driver there, and the folder there in which it keeps histories."""

    def __init__(self, name: str, target: Target, driver: Path, inst: int, run: str, seed: int):
        self.name, self.target = name, target
        self.folder = self._there("mktemp", "-d").decode().strip()
        try:
            self.driver = Driver(
                [os.fspath(driver)], target=target, run=run, inst=inst, seed=seed, dir=self.folder, tick_ms=100
            )
        except BaseException:
            self._there("rm", "-rf", self.folder)
            raise
        self.handles: list[str] = []

    def _there(self, *argv: str) -> bytes:
        done = subprocess.run(self.target.command(*argv), capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise Trouble(f"side {self.name}: {argv[0]} failed: {words or done.returncode}", EXIT_BROKEN)
        return done.stdout

    def open(self, as_: str, **args: Any) -> dict[str, Any]:
        ok = self.driver.open(as_, **args)
        self.handles.append(as_)
        return ok

    def forget(self) -> None:
        """Closes what this round has opened: the other side is told by it."""
        while self.handles:
            self.driver.close(self.handles.pop())

    def fetch(self, into: Path) -> list[Path]:
        """The histories there, brought here; nothing of them stays there."""
        into.mkdir(parents=True)
        with tarfile.open(fileobj=BytesIO(self._there("tar", "-C", self.folder, "-cf", "-", "."))) as tar:
            for member in tar.getmembers():
                if member.isfile() and member.name.endswith(".hist"):
                    data = tar.extractfile(member)
                    (into / Path(member.name).name).write_bytes(data.read() if data else b"")
        files = sorted(into.glob("*.hist"))
        self._there("rm", "-f", *(f"{self.folder}/{f.name}" for f in files))
        return files

    def okay(self) -> int:
        """Operations that have succeeded so far, as its ticks tell."""
        return sum(e.get("okay", 0) for e in self.driver.events if e["ev"] == "tick")

    def quit(self) -> None:
        try:
            self.driver.stop()
        finally:
            with contextlib.suppress(Trouble, OSError, subprocess.TimeoutExpired):
                self._there("rm", "-rf", self.folder)


@dataclass
class Tally:
    rounds: dict[str, int] = field(default_factory=lambda: {"held": 0, "violated": 0, "unknown": 0})
    sent: int = 0
    received: int = 0
    killed: int = 0
    cut: int = 0  # rounds ended because nothing moved
    findings: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return next((v for v in ("violated", "unknown", "held") if self.rounds[v]), "skipped")


class Pair:
    """Two sides and what is tried between them."""

    def __init__(self, places: Places, mech: str, variant: str, targets: dict[str, Target], seed: int, **how: Any):
        self.places, self.mech, self.variant = places, mech, variant
        self.at = how.get("at") or {}
        self.ops = how.get("ops") or OPS
        self.random, self.round, self.tally = random.Random(seed), 0, Tally()
        self.patience, self.deaths, self.sides = PATIENCE_S, False, []  # deaths: somebody may be killed in a round
        run = f"x{os.getpid():x}{seed & 0xffff:04x}"
        self.keep = Path(how.get("keep") or f"plumbline-results/across-{run}")
        try:
            for inst, (name, target) in enumerate(targets.items()):
                self.sides.append(Side(name, target, places.driver(mech), inst, run, seed))
            self.taker, self.putter = self.sides
            said = {v["name"]: v for v in self.taker.driver.hello["variants"]}
            self.variant = variant = variant or next(iter(said))
            if variant not in said:
                raise Trouble(f"plumb-{mech} has no variant {variant!r} (there: {' '.join(said)})")
            if "late" not in said[variant]["caps"]:
                raise Trouble(f"{mech}/{variant} does not go between machines")
            self.stream = said[variant]["model"] == "stream"
            n = how.get("actors") or ACTORS
            self.takers, self.putters = (s.driver.actors(n) for s in self.sides)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for side in self.sides:
            try:
                side.quit()
            except DriverError:
                side.driver.kill()

    def _meet(self) -> str:
        """Opens both ends: the taker's handle."""
        v6 = self.variant.endswith("6")
        any_ = "[::]:0" if v6 else "0.0.0.0:0"
        ok = self.taker.open("l", variant=self.variant, mode="create", name=any_)
        host = self.at.get(self.taker.name) or _address(ok, v6)
        if not host:
            me = self.taker.name
            raise Trouble(f"side {me} has no address but loopback: --at {me}=ADDRESS says one")
        name = f"[{host}]:{ok['port']}" if v6 else f"{host}:{ok['port']}"
        self.putter.open("o", variant=self.variant, mode="attach", name=name)
        if not self.stream:
            return "l"
        self.taker.open("o", variant=self.variant, accept=1)
        return "o"

    def one_round(self, meanwhile: Callable[["Pair"], None] = lambda pair: None) -> str:
        """One round, judged. `meanwhile` is called every few milliseconds while it runs."""
        self.round += 1
        on = self._meet()
        take = ["recv", "read"] if self.stream else ["tryrecvfrom"]
        half: dict[str, Any] = {"half": True, "rounds": 1, "timeout": 600}
        taking = self.taker.driver.post("run", **half, on=on, plan={"actors": [{"ids": self._takers(), "do": take}]})
        put = {"ids": self.putters, "do": ["send", "sendmsg"], "ops": self.ops}
        putting = self.putter.driver.post("run", **half, on="o", plan={"actors": [put]})
        if not self._until(putting.done, meanwhile):
            putting.cancel()
        said = putting.ok(30)
        self.putter.forget()
        if not self._until(taking.done, meanwhile, self.patience if self.stream else 0.3):
            self.tally.cut += self.stream
            with contextlib.suppress(DriverError):  # it has just ended
                taking.cancel()
        heard = taking.ok(30)
        self.taker.forget()
        self.tally.sent += said["okay"]
        self.tally.received += heard["okay"]
        self.tally.killed += said["killed"] + heard["killed"]
        return self._judge()

    def _takers(self) -> list[int]:
        """What one taker reads of a stream is judged byte by byte, so every other round has one. A death needs two."""
        return self.takers[:1] if self.stream and self.round % 2 and not self.deaths else self.takers

    def _until(self, done: Callable[[], bool], meanwhile: Callable[["Pair"], None], patience: float = 0) -> bool:
        """True when it is done; False when nothing has moved on either side for so many seconds."""
        patience = patience or self.patience
        moved, at = -1, time.monotonic()
        while not done():
            meanwhile(self)
            now = sum(s.okay() for s in self.sides)
            if now != moved:
                moved, at = now, time.monotonic()
            elif time.monotonic() - at > patience:
                return False
            with self.putter.driver._cond:
                self.putter.driver._cond.wait(0.01)
        return True

    def _judge(self) -> str:
        folder = self.keep / f"round-{self.round}"
        files = [f for s in self.sides for f in s.fetch(folder / s.name)]
        argv = [str(self.places.tool("plumb-check")), "--join", *map(str, files)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        verdict = _RESULT.get(done.returncode)
        if verdict is None:
            raise Trouble(f"plumb-check: {(done.stderr or done.stdout).strip()}", EXIT_BROKEN)
        self.tally.rounds[verdict] += 1
        if verdict == "held":
            for f in files:
                f.unlink()
            for s in self.sides:
                (folder / s.name).rmdir()
            folder.rmdir()
        else:
            self.tally.findings.append(f"round {self.round}: " + (done.stdout.strip() or done.stderr.strip()))
        return verdict


def _address(ok: dict[str, Any], v6: bool) -> str:
    """The first address that the driver found on its machine."""
    if not v6:
        return str(ipaddress.IPv4Address(ok["addr"])) if ok.get("addr") else ""
    both = (ok.get("high", 0) & (1 << 64) - 1) << 64 | ok.get("low", 0) & (1 << 64) - 1
    return str(ipaddress.IPv6Address(both)) if both else ""


def _named(pairs: list[str], option: str) -> dict[str, str]:
    named = dict(p.partition("=")[::2] for p in pairs)
    if not all(named) or not all(named.values()) or len(named) != len(pairs):
        raise Trouble(f"{option}: NAME=VALUE, each name once, as in {option} a='ip netns exec a'")
    return named


def _addresses(pairs: list[str]) -> dict[str, str]:
    try:
        return {n: str(ipaddress.ip_address(a)) for n, a in _named(pairs, "--at").items()}
    except ValueError as e:
        raise Trouble(f"--at: {e}") from None


def _killer(faults: list[str]) -> Callable[[Pair], None]:
    """What --fault asks for: kill:2/s kills one actor of either side twice a second."""
    rate = 0.0
    for f in faults:
        kind, _, per_s = f.partition(":")
        try:
            rate = float(per_s.removesuffix("/s"))
        except ValueError:
            rate = -1.0
        if kind != "kill" or rate <= 0:
            raise Trouble(f"--fault {f}: between machines only kill:RATE/s is known")
    due = time.monotonic() + (1 / rate if rate else 1e9)

    def meanwhile(pair: Pair) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        due = time.monotonic() + 1 / rate
        side, ids = pair.random.choice([(pair.taker, pair.takers), (pair.putter, pair.putters)])
        with contextlib.suppress(DriverError):  # dead already
            side.driver.fault("kill", pair.random.choice(ids))

    return meanwhile


def command(out: Out, places: Places, a: Any) -> int:
    """plumbline stress MECH/VARIANT --on a=… --on b=…"""
    targets = {n: Target.parse(t) for n, t in _named(a.on, "--on").items()}
    if len(targets) != 2 or len(a.mix) != 1:
        raise Trouble("--on is given twice, once for each machine, and one MECH/VARIANT is tried between them")
    mech, _, variant = a.mix[0].partition("=")[0].partition("/")
    seed = int(a.seed, 0) if a.seed else int.from_bytes(os.urandom(7), "big")
    meanwhile = _killer(a.fault)
    how = {"at": _addresses(a.at or []), "ops": int(a.ops or 0), "actors": int(a.actors or 0), "keep": a.out}
    out.say(f"between {' and '.join(f'{n} ({t})' for n, t in targets.items())}, seed {seed:#x}")
    pair = Pair(places, mech, variant, targets, seed, **how)
    pair.deaths = bool(a.fault)
    interrupted, end = False, time.monotonic() + a.for_s
    try:
        while time.monotonic() < end or pair.round == 0:
            pair.one_round(meanwhile)
            if out.plain_due():
                out.say(f"{pair.round} rounds, {pair.tally.sent:,} sends, {pair.tally.received:,} receives")
    except KeyboardInterrupt:
        interrupted = True
    finally:
        pair.close()
        with contextlib.suppress(OSError):
            pair.keep.rmdir()  # empty, when all held
    t = pair.tally
    for f in t.findings[:10]:
        out.say(f, "bold red" if t.rounds["violated"] else None)
    out.say(
        f"{t.verdict}: {mech}/{pair.variant} between two machines: {sum(t.rounds.values())} rounds judged without "
        f"their clocks, {t.rounds['violated']} violated, {t.rounds['unknown']} unknown; {t.sent:,} sends, "
        f"{t.received:,} receives, {t.killed} killed, {t.cut} cut short"
    )
    if t.findings:
        out.say(f"histories {pair.keep}; again: {places.tool('plumb-check')} --join {pair.keep}/round-N/*/*.hist")
    if a.json:
        said = {"verdict": t.verdict, "rounds": t.rounds, "sent": t.sent, "received": t.received}
        print(json.dumps({**said, "killed": t.killed, "cut": t.cut, "seed": f"{seed:#x}", "findings": t.findings}))
    return VERDICT_EXIT["interrupted" if interrupted else t.verdict]
