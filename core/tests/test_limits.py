# SPDX-License-Identifier: MIT
"""Hostile surroundings: few descriptors, a tiny stack, no /proc, a full disk, deaths from outside.

One clear line each, or it works all the same; and no process survives.
"""
import os
import signal
import subprocess
import sys

import pytest
from conftest import DRIVERS, ROOT, Driver, children, gone, preload, run_id

LIMITS = ("RLIMIT_NOFILE", "RLIMIT_MSGQUEUE, RLIMIT_NOFILE")  # a queue that meets either of two fails with EMFILE
MECHANISMS = ["mq", "mutex", "pipe"]
ROOTED = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, other users")


def under(script, **names):
    """An argv prefix: a shell that prepares something in a mount namespace of its own, then becomes the driver."""
    prefix = ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace here")
    return prefix


def work(r, name, n=4, kind="process", ident=10):
    """Opens, starts, runs: the run's reply."""
    r.ok(ident, "open", **({"as": "o", "variant": "robust"} if name == "mutex" else {"as": "o"}))
    r.ok(ident + 1, "actor", n=n, kind=kind)
    return r.ok(ident + 2, "run", rounds=5, ops=100)


def held(run):
    assert (run["verdict"], run["rounds"]) == ("held", 5), run


@pytest.mark.parametrize("name", MECHANISMS)
def test_twenty_descriptors(raw, name):
    r = raw(name, prefix=["prlimit", "--nofile=20", "--"])
    r.init()
    r.ok(2, "open", **{"as": "first"})
    e = r.refused(3, "actor", "os", n=40)
    assert (e["name"], e["limit"]) == ("EMFILE", "RLIMIT_NOFILE") and "\n" not in e["msg"], e
    r.ok(4, "close", on="first")
    held(work(r, name))
    fds = r.ok(5, "status")["fds"]
    failed = 0
    for i in range(20, 36):
        reply = r.ask(i, "open", **{"as": f"h{i}"})
        if "err" in reply:
            assert reply["err"]["kind"] == "os" and reply["err"]["limit"] in LIMITS, reply
            failed += 1
    assert failed > 0
    for i in range(20, 36):
        r.ask(100 + i, "close", on=f"h{i}")
    assert r.ok(6, "status")["fds"] == fds, "a failed open keeps nothing"
    assert r.end() == 0


def test_no_descriptors_at_all():
    for n in (4, 5, 6, 7):
        p = subprocess.run(["prlimit", f"--nofile={n}", "--", DRIVERS / "plumb-mq", "--stdio"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=10)
        assert p.returncode in (0, 1) and (p.returncode == 0 or p.stderr.count("\n") == 1), (n, p)


@pytest.mark.parametrize("kind", ["process", "thread", "exec"])
def test_a_tiny_stack(raw, kind):
    r = raw("mq", prefix=["prlimit", "--stack=65536", "--"])
    r.init()
    held(work(r, "mq", kind=kind))
    assert r.end() == 0


@ROOTED
def test_too_many_processes_for_this_user(raw):
    """RLIMIT_NPROC binds users other than root: nobody has room for itself and some actors."""
    r = raw("mq", prefix=["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups", "prlimit", "--nproc=4:4", "--"])
    r.init()
    e = r.refused(2, "actor", "os", n=10)
    assert (e["name"], e["call"], e["limit"]) == ("EAGAIN", "fork", "RLIMIT_NPROC"), e
    r.until(lambda m: m.get("ev") == "actor")
    r.ok(3, "ping")
    assert r.end() == 0


@ROOTED
@pytest.mark.parametrize("name", MECHANISMS)
def test_a_user_without_rights(raw, name):
    r = raw(name, prefix=["setpriv", "--reuid=64998", "--regid=64998", "--clear-groups", "--"])
    r.init()
    held(work(r, name))
    assert r.end() == 0


@ROOTED
@pytest.mark.parametrize("name", MECHANISMS)
def test_no_proc(raw, name):
    """The rung is none: rounds that balance do not need it, others end on suspicion, unjudged in liveness."""
    r = raw(name, prefix=under("mount -t tmpfs none /proc"))
    r.init()
    held(work(r, name))
    assert r.ok(3, "status")["rung"] == "none"
    put, take = {"mq": ("send", "receive"), "pipe": ("write", "read"), "mutex": ("lock", "unlock")}[name]
    if name != "mutex":
        run = r.ok(4, "run", rounds=1, plan={"actors": [{"ids": [0], "do": [put], "ops": 200}]})
        assert run["rounds"] == 1 and not run["violated"], run
        held(r.ok(5, "run", rounds=5, ops=20))
        kind = {} if name == "pipe" else {"kind": "exec"}
        r.ok(6, "actor", n=1, **kind)
        r.ok(7, "call", actor=4, f=put, on="o", size=32)
    assert r.end() == 0


@ROOTED
def test_no_dev_and_no_shared_memory_folder(raw):
    for mount in ("mount -t tmpfs none /dev", "mount -t tmpfs -o ro none /dev/shm"):
        for name in MECHANISMS:
            r = raw(name, prefix=under(mount))
            r.init()
            held(work(r, name))
            assert r.end() == 0


@ROOTED
def test_a_full_disk_and_a_folder_that_cannot_be_written(raw, tmp_path):
    """Verdicts come all the same; what could not be kept is not said to be."""
    shim = DRIVERS.parent / "conformance" / "mutants" / "libplumb-mutants.so"
    if not shim.exists():
        pytest.skip(f"no {shim}")
    env = preload(shim, "mq-double,every=50")
    folder = tmp_path / "a folder"
    folder.mkdir()
    for options in ("size=16k", "size=16k,nr_inodes=2", "ro"):
        r = raw("mq", prefix=under(f'mount -t tmpfs -o {options} none "{folder}"'), env=env)
        ok = r.init(dir=str(folder))
        assert ok["dir"] is ("ro" not in options)
        run = work(r, "mq")
        assert run["verdict"] == "violated" and run["rounds"] == 5, run
        v = r.until(lambda m: m.get("ev") == "violation")
        assert len(v["files"]) < 5 and v["witness"], v["files"]
        assert r.end() == 0
    r = raw("mq")
    assert r.init(dir=str(folder / "no such"))["dir"] is False


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("state", ["idle", "running", "stopped", "blocked"])
def test_when_control_is_killed_nothing_of_it_survives(raw, name, state):
    r = raw(name)
    r.init()
    r.ok(2, "open", **{"as": "o"})
    r.ok(3, "actor", n=3), r.ok(4, "actor", n=2, kind="thread")
    if state == "running":
        r.send({"id": 5, "op": "run", "for_ms": 60_000, "ops": 500})
        r.ok(6, "ping")
    elif state == "stopped":
        r.ok(5, "fault", what="stop", actor=1)
    elif state == "blocked":
        f = {"mq": "receive", "pipe": "read", "mutex": "lock"}[name]
        r.send(*({"id": 5 + a, "op": "call", "actor": a, "f": f, "on": "o"} for a in (0, 1)))
        r.ok(7, "ping")
    pids = children(r.pid)
    assert len(pids) >= 4
    r.killed = True
    os.kill(r.pid, signal.SIGKILL)
    assert not gone([r.pid, *pids], 2)


def test_an_actor_that_is_stopped_at_its_birth_does_not_survive(raw):
    r = raw("mq")
    r.init()
    for i in range(30):
        r.send({"id": 10 + i, "op": "actor"}, {"id": 50 + i, "op": "fault", "what": "stop", "actor": i})
    r.reply(79)
    pids = children(r.pid)
    os.kill(r.pid, signal.SIGKILL)
    assert len(pids) == 30 and not gone(pids, 2)


def test_when_the_parent_is_killed_nothing_survives(tmp_path):
    """A parent that dies without a word: end of input is all that the driver hears."""
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "py")!r})
from plumbline.client import Driver
d = Driver("mq", run="kitparent{os.getpid()}")
d.open("o"); d.actors(4); d.start(0, "receive", "o", size=64); d.fault("stop", 1)
print(d.pid, *(a["pid"] for a in d.status()["actors"]), flush=True)
os.kill(os.getpid(), 9)
"""
    p = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    pids = [int(x) for x in p.stdout.split()]
    assert len(pids) == 5, p
    assert not gone(pids, 2)


@pytest.mark.parametrize("name", MECHANISMS)
def test_end_of_input_is_stop(raw, name):
    r = raw(name)
    r.init()
    r.ok(2, "open", **{"as": "o"}), r.ok(3, "actor", n=4)
    pids = children(r.pid)
    assert r.end(2) == 0 and r.seen[-1]["ev"] == "bye" and r.seen[-1]["leaked"] == []
    assert not gone(pids, 0)


@pytest.mark.parametrize("name", MECHANISMS)
def test_sigterm_is_stop(raw, name):
    """The actors end, and a queue's name goes with them; a call under way is answered."""
    r = raw(name)
    r.init()
    r.ok(2, "open", **{"as": "o"}), r.ok(3, "actor", n=4)
    pids = children(r.pid)
    r.proc.terminate()
    r.until(lambda m: m.get("ev") == "bye", 5)
    assert r.proc.wait(5) == 0 and not gone(pids, 0)


def test_nobody_reads_stdout_any_more(raw):
    r = raw("mq")
    r.init()
    r.ok(2, "open", **{"as": "o"}), r.ok(3, "actor", n=2)
    r.proc.stdout.close()
    r.send(*({"id": i, "op": "ping"} for i in range(10, 50)))
    r.proc.stdin.close()
    assert r.proc.wait(5) == 0
    r.killed = True


def test_closed_streams():
    for script in ("exec 0<&-", "exec 1>&-", "exec 0<&- 1>&-"):
        p = subprocess.run(["sh", "-c", f'{script}; exec "$0" --stdio', DRIVERS / "plumb-mq"], stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True, timeout=10)
        assert p.returncode in (0, 1) and p.stderr.count("\n") <= 1, (script, p)


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_path_with_spaces(name, tmp_path):
    folder = tmp_path / "build of the day"
    folder.mkdir()
    link = folder / f"plumb-{name}"
    link.symlink_to(DRIVERS / f"plumb-{name}")
    with Driver(link, run=run_id(), dir=folder) as d:
        d.open("o")
        d.actors(2)
        if name != "pipe":
            d.actors(2, "exec")
        assert d.run(rounds=3, ops=50)["verdict"] == "held"


def test_what_it_is_called_with():
    def run(*args):
        return subprocess.run([DRIVERS / "plumb-mq", *args], capture_output=True, text=True, timeout=10,
                              stdin=subprocess.DEVNULL)
    assert run("--nonsense").returncode == 2 and run("--nonsense").stderr.count("\n") < 12
    assert run("--help").returncode == 0 and run("--version").stdout.startswith("plumb-mq ")
    assert run("--unlink", "/etc/passwd").returncode == 2 and run("--unlink", "/plumb.none").returncode == 0
    for args in ((), ("0", "1", "3", "4", "5"), ("0", "1", "x", "y", "z"), ("99", "1", "0", "0", "0")):
        assert run("--actor", *args).returncode == 2


def test_idle_memory():
    """What an idle driver with four actors has written; the pages of its program are shared with the next one."""
    static = DRIVERS.parent / "static" / "plumb-mq"
    path = static if static.exists() else DRIVERS / "plumb-mq"
    with Driver(path, run=run_id()) as d:
        d.open("o")
        d.actors(4)
        kib = 0
        for pid in [d.pid, *(a["pid"] for a in d.status()["actors"])]:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                kib += sum(int(line.split()[1]) for line in f if line.startswith("Pss_Anon"))
    limit = 300 if static.exists() else 500
    assert kib < limit, f"{kib} KiB"
