# SPDX-License-Identifier: MIT
"""TCP and UDP between two machines: two network namespaces joined by one link, a driver in each.

Judged without a common clock (plumb-check --join). Source: RFC 9293, RFC 768, and the clauses named at each test.
"""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from plumbline.across import Pair
from plumbline.outcomes import Trouble
from plumbline.places import Places
from plumbline.target import Target
from suite.outcome import NotHere, Unknown

clause = pytest.mark.clause


class Link:
    """Two namespaces, `a` and `b`, and the link between them."""

    def __init__(self):
        mine = f"plumb{os.getpid()}"
        self.names, self.made = {s: f"{mine}{s}" for s in "ab"}, []

    def __enter__(self):
        if shutil.which("ip") is None:
            raise NotHere("no ip(8) here: two machines are made of network namespaces")
        try:
            for n in self.names.values():
                self.ip("netns", "add", n)
                self.made.append(n)
            a, b = self.names.values()
            self.ip("-n", a, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", b)
            for side in "ab":
                self.up(side)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for n in self.made:
            subprocess.run(["ip", "netns", "del", n], capture_output=True)

    @staticmethod
    def ip(*argv):
        done = subprocess.run(["ip", *argv], capture_output=True, text=True)
        if done.returncode != 0:
            raise NotHere(f"no network namespaces here: ip {' '.join(argv)}: {done.stderr.strip()}")

    def up(self, side):
        """With its addresses: IPv6 forgets them when the link goes down."""
        name, number = self.names[side], "ab".index(side) + 1
        self.ip("-n", name, "link", "set", "v0", "up")
        self.ip("-n", name, "addr", "replace", f"10.77.7.{number}/24", "dev", "v0")
        v6 = ["ip", "-n", name, "addr", "replace", f"fd77::{number}/64", "dev", "v0", "nodad"]
        subprocess.run(v6, capture_output=True)  # fails where there is no IPv6

    def down(self, side):
        self.ip("-n", self.names[side], "link", "set", "v0", "down")

    def targets(self):
        return {s: Target.parse(f"ip netns exec {n}") for s, n in self.names.items()}


@pytest.fixture
def link(d):
    if not d.target.native:
        raise NotHere("another target's machines cannot be made from here")
    with Link() as made:
        yield made


def pair(d, link, tmp_path, **how):
    places = Places.find(os.fspath(Path(d.argv[-1]).parent))
    try:
        return Pair(places, "inet", d.variant, link.targets(), seed=d.pid, keep=tmp_path, **how)
    except Trouble as e:
        raise NotHere(str(e)) from None


def judge(p, rounds, meanwhile=lambda pair: None):
    try:
        for _ in range(rounds):
            p.one_round(meanwhile)
    finally:
        p.close()
    assert not p.tally.rounds["violated"], p.tally.findings[0]
    if not p.tally.rounds["held"]:
        raise Unknown(p.tally.findings[0] if p.tally.findings else "no round was judged")
    assert p.tally.received > 0, "nothing arrived at all"
    return p.tally


@clause("TCP-19", "UDP-13")
def test_two_machines(d, link, tmp_path):
    tally = judge(pair(d, link, tmp_path), 4)
    if "stream" in d.about["caps"]:
        assert tally.cut == 0, "a round came to no end though both sides lived and the link was up"


@clause("TCP-19", "UDP-13")
@pytest.mark.parametrize("side", ["taker", "putter"])
def test_one_side_is_killed(d, link, tmp_path, side):
    """One of the actors of a side, in the middle of each round."""
    hit = set()

    def kill(p):
        machine, ids = (p.taker, p.takers) if side == "taker" else (p.putter, p.putters)
        if p.round not in hit and machine.okay() > p.tally.received + p.tally.sent * (side == "putter"):
            hit.add(p.round)
            machine.driver.fault("kill", ids[p.round % len(ids)])

    p = pair(d, link, tmp_path, ops=4000)
    p.patience, p.deaths = 1.5, True
    judge(p, 4, kill)


@clause("TCP-19", "UDP-13")
def test_the_link_is_cut(d, link, tmp_path):
    """In the middle of the second round, and up again for the third."""
    state = {"cut": False}

    def cut(p):
        if p.round == 2 and not state["cut"] and p.putter.okay() > p.tally.sent + 50:
            state["cut"] = True
            link.down("a")

    p = pair(d, link, tmp_path, ops=8000)
    p.patience = 1.5
    try:
        p.one_round()
        p.one_round(cut)
        if not state["cut"]:
            raise Unknown("the round was over before the link could be cut")
        link.up("a")
        judge(p, 1)
    finally:
        p.close()
