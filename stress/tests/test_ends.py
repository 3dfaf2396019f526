# SPDX-License-Identifier: MIT
"""How a run can end: Ctrl-C, SIGKILL, beside another run, on a full disk; and what the next one sweeps."""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess

import pytest

from conftest import BUILD, STRESS, objects, tagged, until

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else or to mount")
NOBODY = 65534


def test_interrupt_once_reports(engine):
    p, run = engine.start("fake/obey=4", "--for", "60s")
    p.send_signal(signal.SIGINT)
    r = engine.end(p, 8)
    assert r.code == 130 and "report " in r.out
    assert r.summary["interrupted"] and r.summary["verdict"] == "held"
    assert tagged(run) == [] and objects(run) == []


def test_interrupt_twice_kills(engine):
    """These would keep a patient stop busy for 9 s."""
    p, run = engine.start("fake/nostop=3", "fake/hang=1", "--tick", "5000", "--for", "60s")
    p.send_signal(signal.SIGINT)
    until(lambda: "interrupted" in p.stdout.readline(), 5, "the first Ctrl-C was seen")
    p.send_signal(signal.SIGINT)
    r = engine.end(p, 3)
    assert r.code == 130 and r.summary["interrupted"]
    assert tagged(run) == [] and objects(run) == []


def test_interrupt_while_starting(engine):
    argv = engine.argv("fake-silent=2", "--for", "60s")
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=engine.root)
    p.folder = engine.folder
    engine.started.append(p)
    run = p.stdout.readline().split()[1]
    p.send_signal(signal.SIGTERM)
    assert engine.end(p, 8).code == 130
    assert tagged(run) == []


def test_sigkill_leaves_no_process(engine):
    p, run = engine.start("fake/obey=5", "--for", "60s")
    assert len(tagged(run)) >= 25
    p.send_signal(signal.SIGKILL)
    p.wait(timeout=5)
    until(lambda: tagged(run) == [], 10, "drivers end by EOF")
    assert objects(run) == [], "EOF means stop, and stop removes the object"


def test_killed_driver_leaves_no_segment(engine):
    """System V has no folder: what was left is found by the key of the journal's name. With a target the
    run has no namespace of its own that would take it along."""
    p, run = engine.start("sysvshm=1", "--drivers", BUILD / "drivers", "--target", "env", "--tick", "1000",
                          "--for", "60s")
    driver, = (pid for pid in tagged(run) if parent_of(pid) == p.pid)
    assert segments_of(driver) == 1
    os.kill(driver, signal.SIGKILL)
    until(lambda: parent_of(driver) != p.pid, 10, "the driver is gone")
    p.send_signal(signal.SIGINT)
    engine.end(p, 10)
    assert segments_of(driver) == 0, "the segment of a killed driver is still there"


def parent_of(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def segments_of(pid):
    lines = pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return sum(int(line.split()[4]) == pid for line in lines)


def test_next_start_sweeps_the_dead_only(engine):
    dead, dead_run = engine.start("fake/leak=2", "fake/hang=1", "--tick", "20000", "--for", "60s")
    alive, alive_run = engine.start("fake/obey=2", "--for", "60s")
    foreign = pathlib.Path(f"/dev/shm/plumb.{alive_run}.99.foreign")
    foreign.touch()
    journal = dead.folder / "inst" / "00" / "objects"
    with journal.open("a") as f:
        f.write(f"fake /{foreign.name}\n")
    dead.send_signal(signal.SIGKILL)
    dead.wait(timeout=5)
    assert len(objects(dead_run)) == 3 and tagged(dead_run)
    try:
        r = engine("fake/obey=1")
        assert r.code == 0 and f"swept dead run {dead_run}: 3 objects" in r.out
        assert objects(dead_run) == []
        until(lambda: tagged(dead_run) == [], 5, "the hanging driver of the dead run is gone")
        assert foreign.exists(), "a name without the dead run's id was removed"
        assert len(objects(alive_run)) == 3 and len(tagged(alive_run)) >= 10
        assert (alive.folder / "lock").exists() and not (dead.folder / "lock").exists()
        assert "swept" not in engine("fake/obey=1").out
    finally:
        foreign.unlink()
    alive.send_signal(signal.SIGINT)
    assert engine.end(alive, 8).summary["verdict"] == "held"


def test_two_at_once(engine):
    both = [engine.start("fake/obey=20", "--for", "1s") for _ in range(2)]
    results = [engine.end(p, 15) for p, _ in both]
    assert [r.code for r in results] == [0, 0]
    assert all(r.summary["counts"]["held"] == 20 for r in results)
    assert both[0][1] != both[1][1]


def test_a_folder_in_use_is_refused(engine):
    p, _ = engine.start("fake/obey=1", "--for", "60s")
    r = engine("fake/obey=1", out=p.folder)
    assert r.code == 3 and "another run is using it" in r.err and r.err.count("\n") == 1
    p.send_signal(signal.SIGINT)
    assert engine.end(p, 8).code == 130
    assert "holds a finished run" in engine("fake/obey=1", out=p.folder).err


def test_latest(engine):
    argv = [str(STRESS), "fake/obey=1", "--for", "100ms", "--drivers", str(engine.drivers)]
    for _ in range(2):
        assert subprocess.run(argv, cwd=engine.root, capture_output=True, timeout=20).returncode == 0
    results = engine.root / "plumbline-results"
    runs = sorted(p.name for p in results.iterdir() if p.name != "latest")
    assert len(runs) == 2 and os.readlink(results / "latest") in runs
    assert json.loads((results / "latest" / "run.json").read_text())["verdict"] == "held"


def test_paths_with_spaces(engine):
    odd = engine.root / "a folder's \"name\" {x}"
    odd.mkdir()
    engine.drivers = shutil.move(engine.drivers, odd / "the drivers")
    r = engine("fake/obey=2", out=odd / "the run")
    assert r.code == 0 and r.summary["judged"] > 0
    assert "'" in r.summary["replay"]
    again = r.summary["replay"] + " --out '" + str(engine.root / "again") + "'"
    assert subprocess.run(again, shell=True, capture_output=True, timeout=20).returncode == 0


@root_only
def test_full_disk_loses_no_verdict(engine):
    """Three pages: one for the lock, two for events, which twenty violations fill; they make room for run.json."""
    disk = engine.root / "disk"
    disk.mkdir()
    argv = engine.argv("fake/lie-numbers=2", "--for", "2s", "--slice", "5ms", out=disk / "run")
    script = 'mount -t tmpfs -o size=12k none "$1" || exit 99; shift; "$@"; code=$?; cat "$RUN"; exit $code'
    p = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(disk), *argv], capture_output=True,
                       text=True, timeout=30, env={**os.environ, "RUN": str(disk / "run" / "run.json")})
    if p.returncode == 99:
        pytest.skip("may not mount")
    assert p.returncode == 1, p.stdout + p.stderr
    assert "events.jsonl: No space left on device" in p.stdout and "violated: " in p.stdout
    assert json.loads(p.stdout.splitlines()[-1])["verdict"] == "violated", "run.json did not survive"


@root_only
def test_folder_that_cannot_be_written(open_engine):
    closed = open_engine.root / "closed"
    closed.mkdir(mode=0o755)
    argv = open_engine.argv("fake/obey=1", out=closed / "run")
    argv[0] = str(open_engine.root / "plumb-stress")
    p = subprocess.run(argv, capture_output=True, text=True, timeout=20, user=NOBODY, cwd="/")
    assert p.returncode == 3 and "Permission denied" in p.stderr and p.stderr.count("\n") == 1


def limited(engine, which, value, *args, **env):
    argv = engine.argv(*args)
    argv[0] = str(engine.root / "plumb-stress")

    def lower():
        if which is not None:
            resource.setrlimit(which, (value, value))

    return subprocess.run(argv, capture_output=True, text=True, timeout=20, user=NOBODY, cwd=engine.root,
                          preexec_fn=lower, env={**os.environ, **env})


# the limit, its value, what the line must name, PLUMB_FAKE_NEEDS
LIMITS = [
    (resource.RLIMIT_NOFILE, 20, "RLIMIT_NOFILE is 20", "{}"),
    (resource.RLIMIT_NPROC, 30, "RLIMIT_NPROC is 30", "{}"),
    (12, 8192, "RLIMIT_MSGQUEUE is 8192", '{"mqueue_bytes": 2000}'),
    (None, 0, "fs.mqueue.queues_max is", '{"queues": 100000}'),
]


@root_only
@pytest.mark.parametrize("which,value,text,needs", LIMITS)
def test_limits_are_named(open_engine, which, value, text, needs):
    p = limited(open_engine, which, value, "fake/obey=20", PLUMB_FAKE_NEEDS=needs)
    assert p.returncode == 3 and text in p.stderr and p.stderr.count("\n") == 1, p.stderr
    assert not open_engine.folder.exists()
    assert limited(open_engine, None, 0, "fake/obey=1").returncode == 0


def test_fit_starts_what_has_room_and_skips_the_rest(open_engine):
    """Drivers keep their numbers: what a replay runs alone is the same one."""
    p = limited(open_engine, resource.RLIMIT_NOFILE, 64, "fake/obey=8", "fake/lie-numbers=3", "--fit", "--for", "1s")
    summary = json.loads((open_engine.folder / "run.json").read_text())
    ran = {name: m["drivers"] for name, m in summary["per_mech"].items()}
    assert ran == {"fake/obey": 3, "fake/lie-numbers": 2}, p.stdout
    assert "skipped: 5 of fake/obey: limit RLIMIT_NOFILE: it is 64" in p.stdout, p.stdout
    assert p.returncode == 1 and {v["instance"] for v in summary["violations"]} == {8, 9}
    assert "--fit" in summary["replay"]


def test_soft_limit_is_raised(engine):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    assert engine("fake/obey=60", preexec_fn=lower).code == 0


def test_the_event_file_is_bounded_and_keeps_what_was_found(engine):
    """What stdout said is the whole; the file may lack passing events, the old ones, and nothing else."""
    r = engine("fake/lie-numbers=4", "--events-max", "16", "--slice", "5ms", "--for", "2500ms", "--json")
    said, kept = [json.loads(line) for line in r.out.splitlines()], r.events
    passing = ("tick", "fault", "slow")
    assert r.code == 1 and len(said) > len(kept)
    assert [e for e in said if e["ev"] not in passing] == [e for e in kept if e["ev"] not in passing]
    ticks = [e["t"] for e in said if e["ev"] == "tick"]
    left = [e["t"] for e in kept if e["ev"] == "tick"]
    assert len(left) < len(ticks) and ticks[len(ticks) - len(left) :] == left
    assert not (r.folder / "events.jsonl.new").exists()


def test_operations_and_latencies_are_summed(engine):
    r = engine("fake/obey=2", "--for", "1500ms")
    kind = r.summary["per_mech"]["fake/obey"]
    okay, fail = kind["op"]["send"]
    assert okay > 0 and fail == 0 and kind["lat_hist"] == {"1024": okay}
    last = [e for e in r.events if e["ev"] == "tick"][-1]["mechs"]["fake/obey"]
    assert last["op"]["send"][0] <= okay and last["blocked"] == 0
