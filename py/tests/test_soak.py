# SPDX-License-Identifier: MIT
"""plumbline soak: what is counted is counted once, whatever is killed when; nothing is left; its files can be read.

The engine and its misbehaving driver come from PLUMBLINE_BUILD. Segments here last a second.
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plumbline import eventlog, meter
from plumbline.soak import _kill_tagged
from plumbline.soakstate import State, of_killed

BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or "/nonexistent")
FAKE = BUILD / "core/tests/plumb-fake"
pytestmark = pytest.mark.skipif(
    not (FAKE.exists() and (BUILD / "plumb-stress").exists()), reason="plumb-stress and plumb-fake are not built"
)
HERE = Path(__file__).resolve().parent
SHORT = ("--segment", "1s", "--every", "200ms")


class World:
    def __init__(self, path):
        self.path, self.runs = path, set()
        (path / "drivers").mkdir()
        (path / "drivers" / "plumb-fake").symlink_to(FAKE)
        (path / "drivers" / "plumb-toy").symlink_to(HERE / "toydriver.py")  # the fake alone counts as no driver

    def start(self, *argv):
        return subprocess.Popen(
            [sys.executable, "-m", "plumbline", *argv],
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PLUMBLINE_DRIVERS": str(self.path / "drivers")},
        )

    def run(self, *argv):
        p = self.start(*argv)
        out, err = p.communicate(timeout=120)
        assert "Traceback" not in out + err, out + err
        return p.returncode, out, err

    @property
    def folder(self):
        return (self.path / "plumbline-results" / "latest").resolve()

    @property
    def summary(self):
        return json.loads((self.folder / "run.json").read_text())

    def events(self, ev, name="events.jsonl"):
        try:
            lines = [json.loads(x) for x in (self.folder / name).read_text().splitlines() if x.endswith("}")]
        except FileNotFoundError:
            return []
        return [e for e in lines if e["ev"] == ev]

    def working(self, segment=0):
        """The engine of a segment, or of a later one, has all its drivers at work."""
        return self.events("armed", "stress/events.jsonl") and len(self.events("segment")) >= segment

    def engine(self, p):
        return next(c for c in meter.descendants(p.pid) if "plumb-stress" in _command(c))

    def left(self):
        """Processes and objects of the engines whose folders are, or at an earlier call were, there."""
        self.runs |= {e["run"] for path in self.path.rglob("events.jsonl") for e in _starts(path)}
        found = [str(p) for p in Path("/dev/shm").iterdir() if any(run in p.name for run in self.runs)]
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                env = Path("/proc", p, "environ").read_bytes()
            except OSError:
                continue
            found += [p for run in self.runs if f"PLUMBLINE_RUN={run}".encode() in env]
        return found


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def _starts(path):
    for line in path.read_text().splitlines():
        if '"ev":"start"' in line:
            yield json.loads(line)


def until(what, message, seconds=30.0):
    deadline, tick = time.monotonic() + seconds, __import__("threading").Event()
    while not what():
        assert time.monotonic() < deadline, message
        tick.wait(0.02)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


# an exposition parser of its own: what the format's description allows, nothing else
_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)')


def exposition(text):
    """{family: (kind, [(name, labels, value)])}; fails on whatever a Prometheus server would refuse."""
    assert text.endswith("\n")
    families, kind, current = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            _, what, name, rest = line.split(" ", 3)
            if what == "TYPE":
                assert name not in kind and rest in ("counter", "gauge", "histogram"), line
                kind[name], current = rest, name
                families[name] = (rest, [])
            continue
        m = _LINE.match(line)
        assert m, line
        name, inner, value = m[1], m[2] or "", float(m[3])
        assert _LABEL.sub("", inner) == "", line
        labels = dict(_LABEL.findall(inner))
        base = re.sub(r"_(bucket|sum|count)$", "", name) if kind[current] == "histogram" else name
        assert base == current, f"{name} stands below the TYPE of {current}"
        same = [(n, x) for n, x, _ in families[current][1]]
        assert (name, labels) not in same, f"twice: {line}"
        assert value >= 0 and not {"instance", "job"} & set(labels)
        families[current][1].append((name, labels, value))
    for name, (what, samples) in families.items():
        assert what != "counter" or name.endswith("_total")
        if what == "histogram":
            _histogram(name, samples)
    return families


def _histogram(name, samples):
    for mech in {x["mech"] for _, x, _ in samples}:
        mine = [(n, x, v) for n, x, v in samples if x["mech"] == mech]
        buckets = [(float(x["le"]), v) for n, x, v in mine if n == name + "_bucket"]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [v for _, v in buckets] == sorted(v for _, v in buckets)
        assert buckets[-1][1] == next(v for n, _, v in mine if n == name + "_count")


def test_the_parser_of_this_test_refuses_what_is_wrong():
    good = '# TYPE a_total counter\na_total{b="c\\"d"} 1\n'
    assert exposition(good)["a_total"][1] == [("a_total", {"b": 'c\\"d'}, 1.0)]
    for bad in (
        good[:-1],
        good.replace("} 1", "} one"),
        good.replace('"} 1', "} 1"),
        good + good.split("\n")[1] + "\n",
    ):
        with pytest.raises((AssertionError, ValueError)):
            exposition(bad)


def test_segments_add_up(world):
    code, out, err = world.run("soak", "fake/obey=3", "--for", "3s", *SHORT, "--prom", "m.prom", "--seed", "0x5")
    assert code == 0, out + err
    s = world.summary
    assert s["verdict"] == "held" and 3 <= s["soak"]["soaked_s"] < 6 and s["soak"]["segments"] >= 3
    told = world.events("segment")
    assert [e["n"] for e in told] == list(range(s["soak"]["segments"])) and len({e["seed"] for e in told}) == len(told)
    assert s["stress"]["rounds"] == sum(e["rounds"] for e in told) > 0
    assert "soaked" in out and out.strip().splitlines()[-1].startswith("replay") and "--seed 0x5" in s["replay"]
    families = exposition((world.folder / "metrics.prom").read_text())
    assert (world.path / "m.prom").read_text() == (world.folder / "metrics.prom").read_text()
    ops = {(x["op"], x["result"]): v for _, x, v in families["plumbline_ops_total"][1]}
    assert ops["send", "ok"] > 0 and set(ops) == {("send", "ok"), ("send", "fail")}
    assert families["plumbline_soaked_seconds_total"][1][0][2] >= 3
    head, *rows = (world.folder / "samples.tsv").read_text().splitlines()
    assert len(rows) >= 5 and all(len(r.split("\t")) == len(head.split("\t")) for r in rows)
    names = {p.name for p in world.folder.iterdir()}
    assert not names & {"stress", "lock"} and not any(n.endswith(".tmp") or n.startswith("seg-") for n in names), names
    assert not world.left()


@pytest.mark.parametrize("mode, code", [("lie-numbers", 1), ("crash", 3), ("unknown", 5), ("unsupported", 4)])
def test_one_exit_code_an_outcome(world, mode, code):
    got, out, err = world.run("soak", f"fake/{mode}=1", "--for", "2s", *SHORT)
    assert got == code, out + err
    assert world.summary["exit"] == code and not world.left()
    assert bool(list(world.folder.glob("seg-*"))) == (code in (1, 3))


def test_one_broken_segment_does_not_hide_the_others(world):
    """The engine dies in the middle, as by the kernel's hand when memory runs out; the soak goes on."""
    p = world.start("soak", "fake/obey=2", "--for", "4s", *SHORT)
    until(lambda: world.working(1), "no second segment")
    os.kill(world.engine(p), signal.SIGKILL)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 3 and "ended with -9" in out, out + err
    assert world.summary["soak"]["soaked_s"] >= 3.5 and world.summary["stress"]["judged"] > 0 and not world.left()


def test_every_violation_is_kept_and_can_be_replayed(world):
    code, out, _ = world.run("soak", "fake/lie-numbers=2", "--for", "2s", *SHORT, "--seed", "7")
    assert code == 1 and "segment 0: violation" in out
    told = [json.loads(x) for x in (world.folder / "violations.jsonl").read_text().splitlines()]
    assert {v["segment"] for v in told} == set(range(world.summary["soak"]["segments"]))
    v = world.summary["violations"][0]
    assert f"--seed {State({'seed': '7'}).seed(v['segment'])}" in v["replay"] and " stress " in v["replay"]
    assert 0 < len(world.summary["violations"]) <= len(told)


@pytest.mark.parametrize("engine_too", [False, True])
def test_killed_with_9_and_resumed(world, engine_too):
    p = world.start("soak", "fake/obey=2", "--for", "4s", *SHORT, "--seed", "0x9")
    until(lambda: world.working(1), "no second segment")
    counted = [(e["n"], e["seed"]) for e in world.events("segment")]
    pids = [p.pid, world.engine(p)] if engine_too else [p.pid]
    for pid in meter.descendants(pids[-1]) if engine_too else ():  # drivers that cannot remove their objects, nor end
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    p.communicate()
    folder = world.folder
    assert world.left() or not engine_too
    assert (folder / "soak.json").exists() and not (folder / "run.json").exists()
    code, out, err = world.run("soak", "--resume")
    assert code == 0 and "resumed after" in out and world.folder == folder, out + err
    s, seeds = world.summary, [(e["n"], e["seed"]) for e in world.events("segment")]
    assert s["soak"]["resumes"] == 1 and 4 <= s["soak"]["soaked_s"] < 7
    assert seeds[: len(counted)] == counted and s["stress"]["rounds"] == sum(
        e["rounds"] for e in world.events("segment")
    )
    assert seeds == [(n, State({"seed": "0x9"}).seed(n)) for n in range(s["soak"]["segments"])]
    assert not world.left() and not (folder / "stress").exists()


def test_what_a_killed_engine_had_found_is_not_lost(world):
    p = world.start("soak", "fake/lie-numbers=1", "--for", "1h", "--every", "200ms")
    until(lambda: world.events("violation", "stress/events.jsonl"), "no violation")
    for pid in (p.pid, world.engine(p)):
        os.kill(pid, signal.SIGKILL)
    p.communicate()
    world.left()
    code, out, err = world.run("soak", "--resume", "--for", "2s")
    assert code == 1 and world.summary["violations"] and (world.folder / "violations.jsonl").stat().st_size, out + err
    assert not world.left()


def test_killed_many_times_nothing_is_counted_twice(world):
    argv = ["soak", "fake/obey=1", "--for", "3s", "--segment", "300ms", "--every", "50ms"]
    for n in range(6):
        p = world.start(*argv)
        before = len(world.events("segment")) if n else 0
        until(lambda: len(world.events("segment")) > before + n % 2 or p.poll() is not None, "no progress")
        p.kill()
        p.communicate()
        argv = ["soak", "--resume"]
    code, out, err = world.run("soak", "--resume", "--for", "5s")
    assert code == 0, out + err
    numbers = [e["n"] for e in world.events("segment")]
    assert len(numbers) == len(set(numbers)) and world.summary["stress"]["rounds"] >= sum(
        e["rounds"] for e in world.events("segment")
    )
    assert not world.left()


@pytest.mark.parametrize("ahead, code", [(-1, 0), (0, 1)])
def test_a_folder_that_was_counted_is_only_put_away(world, ahead, code):
    """Killed between the checkpoint and the end of the engine's folder: planted here, with a violation to see it by."""
    assert world.run("soak", "fake/obey=1", "--for", "1s", *SHORT, "--seed", "3")[0] == 0
    state = State.load(world.folder)
    seed = state.seed(state.next + ahead)
    home = world.folder / "stress"
    home.mkdir()
    (home / "events.jsonl").write_text(json.dumps({"ev": "start", "t": 1, "run": "x", "seed": seed}) + "\n")
    found = {"mechanism": "fake", "variant": "obey", "rule": "VORD", "instance": 0, "text": "planted"}
    kinds = {"fake/obey": {"rounds": 5, "judged": 5, "violated": 1}}
    (home / "run.json").write_text(
        json.dumps({"seed": seed, "seconds": 0.5, "per_mech": kinds, "violations": [found], "exit": 1})
    )
    got, out, err = world.run("soak", "--resume", "--for", "2s")
    assert got == code, out + err
    assert ("planted" in out) == bool(code) and not home.exists()


def test_ctrl_c_reports_and_can_be_resumed(world):
    p = world.start("soak", "fake/obey=2", "--for", "3s", *SHORT)
    until(lambda: world.working(), "the engine did not start")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and "Traceback" not in err and "soak --resume" in out
    assert world.summary["verdict"] == "interrupted" and not world.left()
    code, out, err = world.run("soak", "--resume", str(world.folder))
    assert code == 0 and world.summary["verdict"] == "held" and world.summary["soak"]["soaked_s"] >= 3, out + err


def test_a_live_soak_is_left_alone(world):
    p = world.start("soak", "fake/obey=1", "--for", "60s", *SHORT)
    until(lambda: world.working(), "the engine did not start")
    code, _, err = world.run("soak", "--resume", str(world.folder))
    assert code == 3 and "still at work" in err
    p.send_signal(signal.SIGTERM)
    assert p.wait(60) == 130
    p.communicate()


@pytest.mark.parametrize(
    "argv, words",
    [
        (["soak"], "name what to soak"),
        (["soak", "--resume"], "no soak in"),
        (["soak", "--resume", "nix"], "no soak.json in nix"),
        (["soak", "nix=1"], "nix"),
        (["soak", "--job", "deadlock-gallery"], "takes a file"),
        (["soak", "fake/obey=1", "--agent", "push"], "not carried"),
        (["soak", "fake/obey=1", "--segment", "10"], "unit"),
        (["soak", "fake/obey=1", "--job", "none.toml"], "No such file"),
    ],
)
def test_bad_input_is_one_line_and_no_folder(world, argv, words):
    code, out, err = world.run(*argv)
    assert code == 2 and words in err.strip().splitlines()[-1] and not (world.path / "plumbline-results").exists()


def test_a_resume_goes_on_as_it_began(world):
    assert world.run("soak", "fake/obey=1", "--for", "1s", *SHORT)[0] == 0
    code, _, err = world.run("soak", "--resume")
    assert code == 2 and "no soak in plumbline-results has time left" in err
    for more in (["--lanes", "2"], ["--seed", "4"], ["--fault", "kill:1/s"]):
        code, _, err = world.run("soak", "--resume", "latest", *more)
        assert code == 2 and f"takes no {more[0]}" in err
    code, out, _ = world.run("soak", "--resume", "latest", "--for", "2s")
    assert code == 0 and world.summary["soak"]["soaked_s"] >= 2
    (world.folder / "soak.json").write_text("{")
    code, _, err = world.run("soak", "--resume", "latest")
    assert code == 3 and "cannot resume" in err and len(err.strip().splitlines()) == 1


# its parts
def test_one_kind_of_violation_leaves_room_for_others():
    state = State.fresh("1", [], {}, "")
    many = [{"mechanism": "a", "rule": "VORD", "instance": i} for i in range(5000)]
    for n in range(3):
        state.add({"violations": many + [{"mechanism": "b", "rule": f"R{n}"}], "seconds": 1.0}, n)
    kept = state.total["violations"]
    assert len(kept) == 23 and [v["rule"] for v in kept if v["mechanism"] == "b"] == ["R0", "R1", "R2"]
    assert state.total["told"] == 15003 and state.verdict()[0] == "violated" and state.verdict(True)[0] == "skipped"


def test_events_stay_within_their_bound(tmp_path):
    path, most = tmp_path / "events.jsonl", 20_000
    for n in range(2000):
        with open(path, "a") as f:
            f.write(json.dumps({"ev": "minute", "n": n, "filler": "x" * 50}) + "\n")
            if n % 100 == 0:
                f.write(json.dumps({"ev": "resumed", "n": n}) + "\n")
        eventlog.bound(path, most)
        assert path.stat().st_size <= most + 200
    kept = [json.loads(x) for x in path.read_text().splitlines()]
    assert [e["n"] for e in kept if e["ev"] == "resumed"] == list(range(0, 2000, 100))
    assert kept[-1]["n"] == 1999 and sum(e["ev"] == "minute" for e in kept) >= 50


def test_what_only_grows_is_said_and_what_breathes_is_not():
    def trend(values):
        m = meter.Meter()
        for i, v in enumerate(values):
            m.add(i * 60, {"engine": v})
        return m.trend()

    mib = 1 << 20
    assert trend([10 * mib] * 60).warnings == []
    assert trend([(10 + i % 7) * mib for i in range(60)]).warnings == []
    assert trend([10 * mib + i * 100 for i in range(60)]).warnings == []  # not worth a word
    assert trend([2 * mib] * 4 + [10 * mib] * 56).warnings == []  # warming up
    fell_once = [v * mib for v in (10, 14, 18, 12, 20, 24) for _ in range(9)]
    assert trend([10 * mib] * 6 + fell_once).warnings == []
    grown = trend([(10 + i // 2) * mib for i in range(60)])
    assert "engine only grew" in grown.warnings[0] and "13.0M" in grown.warnings[0] and grown.words() == ""
    assert trend([(10 + i // 2 + i % 5) * mib for i in range(60)]).warnings
    few = trend([i * mib for i in range(10)])
    assert few.warnings == [] and "too few" in few.words()


def test_the_last_words_of_a_killed_engine_count():
    tick = {"rounds": 9, "unknown": 1, "judged": 8, "done": 90, "op": {"send": [80, 10]}, "lat_hist": {"1024": 90}}
    events = [{"ev": "armed", "t": 10**9}, {"ev": "tick", "t": 3 * 10**9, "mechs": {"a": {**tick, "rounds": 5}}}]
    events += [{"ev": "tick", "t": 4 * 10**9, "mechs": {"a": tick}}, {"ev": "hang", "t": 5, "mechanism": "a"}]
    found = of_killed(events)
    assert found["seconds"] == 3 and found["hangs"] == [{"mechanism": "a"}] and found["violations"] == []
    assert found["per_mech"]["a"] == {**tick, "drivers": 0}
    state = State.fresh("1", [], {}, "")
    state.add(found, 0)
    state.add(found, 1)
    assert state.soaked == 6 and state.summary()["per_mech"]["a"]["op"] == {"send": [160, 20]}


def test_samples_are_bounded_and_survive_a_checkpoint():
    m = meter.Meter()
    for i in range(10 * meter.SAMPLES_MAX):
        m.add(i, {"engine": i})
        m = meter.Meter(json.loads(json.dumps(m.state()))) if i % 1000 == 999 else m
    assert len(m.at) < meter.SAMPLES_MAX and all(len(v) == len(m.at) for v in m.of.values())
    assert m.at == [float(v) for v in m.of["engine"]] and m.at[-1] > 9 * meter.SAMPLES_MAX
    assert m.trend().warnings == [] and len(m.table().splitlines()) == len(m.at) + 1


def test_a_sample_is_of_this_machine():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        here = meter.sample(os.getpid(), Path("/nonexistent"))
        child.stdin.close()
    assert here["processes"] >= 1 and here["engine"] > 1 << 20 and here["drivers"] > 0 and here["engine_fds"] >= 3
    assert "engine" not in meter.sample(None, Path("/nonexistent"))


def test_processes_of_a_dead_engine_are_ended():
    run = f"20260101-{os.getpid()}-soaktest"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={**os.environ, "PLUMBLINE_RUN": run}) as mine:
        until(lambda: b"cat" in Path(f"/proc/{mine.pid}/cmdline").read_bytes(), "cat did not start")
        _kill_tagged("")
        _kill_tagged(run + "2")
        assert mine.poll() is None
        _kill_tagged(run)
        assert mine.wait(10) == -signal.SIGKILL
