# SPDX-License-Identifier: MIT
"""Real targets, each with nothing of ours on it: the drivers are carried there, work, and leave nothing.

A target that this machine cannot make is skipped, with what said so.
"""
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from agents import AGENT, FAKE, STATIC, needs_agent, needs_static, until
from plumbline import agent as agents
from plumbline.agent import link
from plumbline.client import Driver, DriverError
from plumbline.target import Target, elf_static
from plumbline.wire import WireError

pytestmark = [needs_agent, needs_static]
ROOT = os.getuid() == 0


@pytest.fixture(autouse=True)
def no_link_is_left():
    yield
    agents.close_all()


def need(*argv):
    """Skips unless the command works here."""
    try:
        r = subprocess.run(argv, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as e:
        pytest.skip(f"{argv[0]}: {e}")
    if r.returncode:
        pytest.skip(f"{shlex.join(argv)}: {(r.stderr or r.stdout).strip().splitlines()[-1:]}")


@pytest.fixture
def rootfs(tmp_path):
    """A root folder that holds busybox and nothing else: no /proc, no /dev, no libc."""
    busybox = shutil.which("busybox")
    if not busybox or not elf_static(busybox):
        pytest.skip("no static busybox (Debian: busybox-static)")
    root = tmp_path / "root"
    for folder in ("bin", "tmp", "proc", "dev/shm"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in "sh mkdir rm chmod head dd uname cat sleep mount".split():
        (root / "bin" / name).symlink_to("busybox")
    return root


def env(rootfs):
    return ["env"]


def plain_user(rootfs):
    if not ROOT:
        pytest.skip("it takes root to become nobody")
    need("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "true")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def bare_chroot(rootfs):
    if not ROOT:
        pytest.skip("chroot takes root")
    return ["chroot", str(rootfs)]


def namespaces(rootfs):
    argv = ["unshare", "-Urmipnf", "--mount-proc", "chroot", str(rootfs)]
    need(*argv, "sh", "-c", ":")
    return argv


def bubblewrap(rootfs):
    argv = ["bwrap", "--unshare-all", "--bind", str(rootfs), "/", "--proc", "/proc", "--dev", "/dev"]
    need(*argv, "--tmpfs", "/dev/shm", "sh", "-c", ":")
    return [*argv, "--tmpfs", "/dev/shm"]


def hidden_proc(rootfs):
    script = 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    need("unshare", "-mpf", "sh", "-c", script, "sh", "true")
    return ["unshare", "-mpf", "sh", "-c", script, "sh"]


def runc(rootfs):
    """A container that runs; its process is this function's to end."""
    need("runc", "--version")
    bundle = rootfs.parent
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    c = json.loads((bundle / "config.json").read_text())
    c["process"].update(terminal=False, args=["sh", "-c", "while :; do sleep 1000; done"])
    c["root"] = {"path": str(rootfs), "readonly": False}
    c["linux"].pop("resources", None)
    (bundle / "config.json").write_text(json.dumps(c))
    name, state = f"plumbtest{os.getpid()}", ["runc", "--root", str(bundle / "state")]
    with open(bundle / "log", "w") as log:
        quiet = {"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, "timeout": 60}
        if subprocess.run([*state, "run", "-d", name], cwd=bundle, **quiet).returncode:
            pytest.skip(f"runc run: {(bundle / 'log').read_text().strip()[-200:]}")
    return [*state, "exec", name]


PLACES = [env, plain_user, bare_chroot, namespaces, bubblewrap, hidden_proc, runc]


@pytest.fixture(params=PLACES, ids=lambda f: f.__name__)
def target(request, rootfs):
    argv = request.param(rootfs)
    yield Target(tuple(argv), agents.PUSH)
    agents.close_all()
    if request.param is runc:
        subprocess.run([*argv[:3], "delete", "--force", argv[-1]], capture_output=True, timeout=60)


def left(folder):
    return sorted(p.name for p in Path(folder).glob("plumb.agent.*"))


def test_drivers_are_carried_there_and_work(target, rootfs):
    """A pipe, a lock whose owner dies, a queue opened by a fresh program, a judged round: over one process."""
    where = Path(link(target, STATIC).hello["dir"])
    with Driver(STATIC / "plumb-pipe", target=target) as d:
        d.open("p")
        a, b = d.actors(2)
        waiting = d.start(b, "read", "p.r", size=64)
        d.wait_blocked(b)
        sent = d.call(a, "write", "p.w", size=64)
        assert waiting.result().token == sent.token
        assert d.run(on="p", rounds=3, ops=200)["verdict"] == "held"
    with Driver(STATIC / "plumb-mutex", target=target) as d:
        d.open("m", variant="robust")
        a, b = d.actors(2)
        d.call(a, "lock", "m")
        d.fault("kill", a)
        assert d.call(b, "lock", "m").errno == "EOWNERDEAD"
    with Driver(STATIC / "plumb-mq", target=target) as d:
        d.open("q", maxmsg=4, msgsize=64)
        (a,), (b,) = d.actors(1), d.actors(1, kind="exec")
        d.call(a, "send", "q", size=32)
        assert d.call(b, "receive", "q", size=64).ret == 32
    outside = rootfs / where.relative_to("/") if (rootfs / "tmp" / where.name).exists() else where
    agents.close_all()
    assert not outside.exists() and not left(rootfs / "tmp")


def test_no_folder_to_write_the_next_is_taken(tmp_path):
    hello = link(Target(("env", f"TMPDIR={tmp_path}/none"), agents.PUSH), STATIC).hello
    assert hello["dir"].startswith(("/tmp/", "/dev/shm/", "/var/tmp/", "/run/"))


def test_a_folder_that_may_not_run_programs_is_passed_over(tmp_path):
    script = 'mount -t tmpfs -o noexec tmpfs "$0" && exec env TMPDIR="$0" "$@"'
    need("unshare", "-rm", "sh", "-c", script, str(tmp_path), "true")
    hello = link(Target(("unshare", "-rm", "sh", "-c", script, str(tmp_path)), agents.PUSH), STATIC).hello
    assert not hello["dir"].startswith(str(tmp_path))


def test_a_target_with_hardly_a_program(tmp_path):
    """No head, no uname: dd takes the agent's bytes, one by one."""
    for name in ("sh", "mkdir", "chmod", "rm", "dd"):
        (tmp_path / name).symlink_to(shutil.which(name))
    target = Target((shutil.which("env"), f"PATH={tmp_path}"), agents.PUSH)
    assert "pipe" in link(target, STATIC).hello["drivers"]


def test_an_agent_killed_leaves_no_folder():
    one = link(Target(("env",), agents.PUSH), STATIC)
    where = Path(one.hello["dir"])
    assert where.is_dir()
    os.kill(one.hello["pid"], 9)
    until(lambda: not where.exists(), "the shell does not clean up after its agent")


@pytest.mark.parametrize(
    "argv, words",
    [
        (("false",), "ended with exit status 1"),
        (("sh", "-c", "exit 0", "sh"), "does it pass stdin on"),
        (("sh", "-c", "echo no such container >&2; exit 125", "sh"), "exit status 125; no such container"),
        (("env", "PATH=/nonexistent"), "sh"),
        (("sh", "-c", "echo Welcome!; exec cat >/dev/null", "sh"), "did not answer within 1 s; it said: Welcome!"),
    ],
)
def test_a_target_that_takes_no_agent_says_why_in_one_line(argv, words, monkeypatch):
    monkeypatch.setattr(agents, "START_S", 1.0 if "Welcome" in " ".join(argv) else agents.START_S)
    with pytest.raises(WireError) as e:
        link(Target(argv, agents.PUSH), STATIC)
    assert words in e.value.strerror and "\n" not in e.value.strerror
    with pytest.raises(DriverError, match="target"):  # and again, for whoever comes later
        Driver(STATIC / "plumb-pipe", target=Target(argv, agents.PUSH))


def plumbline(*argv, **kw):
    r = subprocess.run(
        [sys.executable, "-m", "plumbline", *map(str, argv)], capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, env={**os.environ, "PLUMBLINE_DRIVERS": str(STATIC), **kw.pop("env", {})}, **kw
    )  # fmt: skip
    assert "Traceback" not in r.stderr, r.stderr
    return r


def test_an_agent_is_used_where_the_drivers_are_not(rootfs):
    if not ROOT:
        pytest.skip("chroot takes root")
    r = plumbline("doctor", "--target", f"chroot '{rootfs}'", "--json")
    found = json.loads(r.stdout)
    assert r.returncode == 0 and found["place"]["rung"] == "none" and found["agent"] == "push"
    assert {d["name"]: d["why"] for d in found["drivers"]}["pipe"] == ""
    assert not left(rootfs / "tmp")
    r = plumbline("doctor", "--target", "env", "--json")
    assert r.returncode == 0 and json.loads(r.stdout)["agent"] == ""
    r = plumbline("doctor", "--target", f"chroot '{rootfs}'", "--agent", "off")
    assert r.returncode == 3 and "BROKEN" in r.stdout


def test_a_clause_is_judged_over_an_agent(rootfs, tmp_path):
    argv = ["conform", "pipe", "-k", "PIPE-34", "--jobs", "0", "--out", tmp_path / "out"]
    r = plumbline(*argv, "--agent", "push")
    assert r.returncode == 0 and "drivers over one plumb-agent" in r.stdout, r.stdout + r.stderr
    r = plumbline(*argv, "--target", "false")
    assert r.returncode == 3 and r.stderr.count("\n") == 1 and "no driver starts there" in r.stderr, r.stderr


def test_a_bundle_is_the_same_each_time_and_works_where_it_is_unpacked(rootfs, tmp_path):
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    assert plumbline("bundle", one).returncode == 0
    os.utime(STATIC / "plumb-agent")
    assert plumbline("bundle", two).returncode == 0
    assert one.read_bytes() == two.read_bytes()
    there = rootfs / "opt"
    with tarfile.open(one) as t:
        t.extractall(there)
    for line in (there / "MANIFEST").read_text().splitlines()[1:]:
        digest, name = line.split()
        assert hashlib.sha256((there / name).read_bytes()).hexdigest() == digest
    if ROOT:
        shutil.rmtree(rootfs / "bin")  # no shell
        r = plumbline("doctor", "--target", f"chroot '{rootfs}'", "--agent", "/opt/plumb-agent")
        assert r.returncode == 0 and "BROKEN" not in r.stdout, r.stdout + r.stderr


def test_wrong_agents_are_refused_in_one_line(tmp_path):
    for argv, words in [
        (("--agent", "yes"), "auto, push, off, or the path"),
        (("--agent", "/nonexistent/plumb-agent"), "No such file"),
        (("--agent", "/bin/true"), "ended with exit status 0"),
        (("--agent", "push", "--drivers", str(tmp_path)), "no static plumb-agent"),
    ]:
        r = plumbline("doctor", *argv)
        assert r.returncode in (2, 3) and words in r.stderr and r.stderr.count("\n") == 1, r.stderr
    (tmp_path / "plumb-agent").symlink_to(STATIC / "plumb-agent")
    shutil.copy(AGENT, tmp_path / "plumb-dynamic")
    r = plumbline("bundle", tmp_path / "x.tar", "--drivers", tmp_path)
    assert r.returncode == 2 and "linked dynamically" in r.stderr


@pytest.fixture
def beside(tmp_path):
    """A folder as `plumbline bundle` makes it, with the engine, and plumb-fake for a driver: --agent's path."""
    engine = AGENT.parents[1] / "plumb-stress"
    if not (engine.exists() and FAKE.exists()):
        pytest.skip("plumb-stress or plumb-fake is not built")
    folder = tmp_path / "there"
    folder.mkdir()
    for program in (AGENT, engine, FAKE):
        (folder / program.name).symlink_to(program)
    (folder / "plumb-toy").symlink_to(Path(__file__).resolve().parent / "toydriver.py")
    (folder / "plumb-agent").unlink()  # it looks for its neighbours where it really lies
    shutil.copy(AGENT, folder)
    return folder / "plumb-agent"


@pytest.mark.parametrize(
    "mix, code, words",
    [
        ("fake/obey=3", 0, "held: every round agreed"),
        ("fake/lie-numbers=1", 1, "VIOLATED"),
        ("fake/crash=1", 3, "broken fake"),
        ("fake=0", 2, "wants an integer"),
        ("nothing=1", 2, "nothing"),
    ],
)
def test_the_engine_runs_there_and_its_folder_comes_back(beside, tmp_path, mix, code, words):
    env = {"PLUMBLINE_DRIVERS": str(beside.parent), "TMPDIR": str(tmp_path)}
    argv = ["stress", mix, "--for", "500ms", "--agent", beside, "--out", tmp_path / "out"]
    r = plumbline(*argv, env=env)
    assert r.returncode == code and words in r.stdout + r.stderr, r.stdout + r.stderr
    if code < 2:
        folder = tmp_path / "out" / "latest" / "stress"
        assert json.loads((folder / "run.json").read_text())["rounds"] > 0
        assert (folder / "events.jsonl").stat().st_size > 0
    assert not list(tmp_path.glob("plumb.work.*"))
