# SPDX-License-Identifier: MIT
"""The client over an agent: a driver there is a driver here, its misbehaviour is its own, and a target dies once."""
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agents import AGENT, DRIVERS, FAKE, alive, needs_agent, until, write
from plumbline import agent as agents
from plumbline.agent import run
from plumbline.client import Driver, DriverError
from plumbline.target import Target
from plumbline.wire import WireError

pytestmark = needs_agent
HERE = Path(__file__).resolve().parent
MANY = 50


@pytest.fixture
def there(tmp_path):
    """A folder with an agent and drivers, as it would lie on a target: the Target that leads to it."""
    folder = tmp_path / "there"
    folder.mkdir()
    shutil.copy(AGENT, folder)
    write(folder, toy=f"exec {sys.executable} '{HERE}/toydriver.py'", late='read -r x; exec sleep 1000 <"$0"')
    if FAKE.exists():
        (folder / "plumb-fake").symlink_to(FAKE)
    yield Target((), str(folder / "plumb-agent"))
    agents.close_all()


def test_a_message_goes_through(there):
    with Driver("./plumb-toy", target=there, tick_ms=50) as d:
        d.open("q")
        a, b = d.actors(2)
        waiting = d.start(b, "take", "q")
        assert d.wait_blocked(b) is True
        put = d.call(a, "put", "q", size=40)
        assert waiting.result().token == put.token
        d.wait_event("tick")


def test_one_process_carries_them_all(there):
    with Driver("./plumb-toy", target=there) as one, Driver("./plumb-toy", target=there) as two:
        assert one.hello["pid"] != two.hello["pid"]
        parents = {Path(f"/proc/{d.hello['pid']}/stat").read_text().rpartition(")")[2].split()[1] for d in (one, two)}
        assert len(parents) == 1
        assert one.ping() == two.ping() == {}


@pytest.mark.skipif(not DRIVERS.exists(), reason="the drivers are not built")
def test_fifty_drivers_at_work(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    shutil.copy(AGENT, folder)
    shutil.copy(DRIVERS / "plumb-pipe", folder)
    target = Target((), str(folder / "plumb-agent"))
    drivers = [Driver("./plumb-pipe", target=target, inst=i) for i in range(MANY)]
    for d in drivers:
        d.open("p")
        d.ids = d.actors(2)
    waiting = [d.start(d.ids[1], "read", "p.r", size=64) for d in drivers]
    for d in drivers:
        d.call(d.ids[0], "write", "p.w", size=64)
    assert [w.result().ret for w in waiting] == [64] * MANY
    pids = [d.hello["pid"] for d in drivers]
    for d in drivers:
        assert d.stop() == []
    assert not [p for p in pids if alive(p)]
    agents.close_all()


@pytest.mark.skipif(not FAKE.exists(), reason="plumb-fake is not built")
@pytest.mark.parametrize("mode", ["garbage", "binary", "flood-line", "exit", "crash", "double", "flood"])
def test_a_driver_that_misbehaves_is_named_as_without_an_agent(there, mode):
    """The same kind of error, and its neighbour on the agent notices nothing."""

    def how_it_ends(target):
        path = str(FAKE) if target is None else "./plumb-fake"
        with pytest.raises(DriverError) as e:
            with Driver(path, target=target or Target()) as d:
                d.open("o", variant=mode)
                d.actors(2)
                d.run(for_ms=200, timeout=30)
                d.wait_event("never", timeout=30)
        return e.value.kind, e.value.msg.split("/")[-1].split(": ", 1)[1][:30]

    with Driver("./plumb-toy", target=there) as neighbour:
        assert how_it_ends(there) == how_it_ends(None)
        assert neighbour.ping() == {}


def test_last_words_come_along(there, tmp_path):
    with pytest.raises(DriverError) as e:
        Driver("./plumb-three", target=there)
    assert e.value.fields["stderr"] == ["one", "two"] and "exit status 3" in str(e.value)
    with pytest.raises(DriverError, match="plumb-none cannot be started: exec: ENOENT"):
        Driver("./plumb-none", target=there)


def test_a_killed_driver_leaves_the_others(there):
    with Driver("./plumb-toy", target=there) as other:
        d = Driver("./plumb-toy", target=there)
        pid = d.hello["pid"]
        assert d.kill() == -9 and not alive(pid)
        assert other.ping() == {}


def test_a_program_is_run_to_its_end(there):
    done = run(there, ["./plumb-three"], 10)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", "one\ntwo")
    with pytest.raises(subprocess.TimeoutExpired):
        run(there, ["./plumb-obeys-none"], 0.2)


def test_one_that_does_not_read_is_an_error_of_its_own(there):
    d = Driver("./plumb-toy", target=there)
    os.kill(d.hello["pid"], 19)  # SIGSTOP
    with pytest.raises(DriverError, match="has not read its input for 5 s"):
        for _ in range(200):
            d.post("ping", pad="x" * 1000)
    d.kill()


@pytest.mark.parametrize(
    "number, how", [(9, "its program ended with signal 9"), (15, "its plumb-agent was told to end")]
)
def test_a_target_that_dies_says_the_same_to_all(there, tmp_path, number, how):
    """One line, the same for who was on it and who comes later: a report names it once."""
    wrap = tmp_path / "wrap"
    wrap.write_text(f'#!/bin/sh\necho $$ >"{tmp_path}/pid"\nexec "$@"\n')
    wrap.chmod(0o755)
    target = Target((str(wrap),), there.agent)
    drivers = [Driver("./plumb-toy", target=target) for _ in range(4)]
    pids = [d.hello["pid"] for d in drivers]
    os.kill(int((tmp_path / "pid").read_text()), number)
    said = set()
    for d in drivers:
        with pytest.raises(DriverError) as e:
            d.call(d.actors(1)[0], "take", "q")
        said.add(str(e.value))
        d.kill()
    with pytest.raises(DriverError) as e:
        Driver("./plumb-toy", target=target)
    said.add(str(e.value))
    assert len(said) == 1 and "\n" not in min(said), said
    assert min(said) == f"crash: target {shlex.quote(str(target))} is gone: {how}"
    until(lambda: not any(alive(p) for p in pids), "drivers outlive their target")


def test_lines_of_nobody_are_no_trouble(there):
    link = agents.link(there, Path("."))
    link.send(b'{"ch":77,"id":1}\n')
    link.send(b"garbage\n")
    with pytest.raises(WireError, match="no driver lives on channel 77"):
        link.request("close", channel=77)
    assert link.request("ping") == {}
