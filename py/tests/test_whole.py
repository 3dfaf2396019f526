# SPDX-License-Identifier: MIT
"""From the command to the report, with the engine and a driver that misbehaves: one exit code a fault, nothing left.

Needs a build (PLUMBLINE_BUILD); the suites here are two lines that write results as conformance/ does.
"""
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from plumbline.client import Driver, DriverError

BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or "/nonexistent")
FAKE = next((p for p in (BUILD / "core/tests/plumb-fake", BUILD / "plumb-fake") if p.exists()), None)
ENGINE = next((p for p in (BUILD / "plumb-stress", BUILD / "stress/plumb-stress") if p.exists()), None)
HERE = Path(__file__).resolve().parent
needs_fake = pytest.mark.skipif(not FAKE, reason="plumb-fake is not built (PLUMBLINE_BUILD)")
needs_engine = pytest.mark.skipif(
    not (FAKE and ENGINE), reason="plumb-stress and plumb-fake are not built (PLUMBLINE_BUILD)"
)

SUITE = """
import json, os, pytest
@pytest.mark.parametrize("n", range(3))
def test_toy(n):
    w = os.environ.get("PYTEST_XDIST_WORKER")
    outcome = os.environ.get("TOY_OUTCOMES", "held held held").split()[n]
    with open(os.environ["PLUMBLINE_RESULTS"] + ("." + w if w else ""), "a") as f:
        if outcome != "silent":
            f.write(json.dumps({"clause": f"TOY-0{n + 1}", "variant": "toy", "mechanism": "toy",
                                "test": f"t.py::test_toy[{n}]",
                                "outcome": outcome, "reason": f"reason {n}", "text": "What is put is taken.",
                                "source": "toy(7)", "level": "impl", "seconds": 0.1}) + "\\n")
    while outcome == "held" and os.environ.get("TOY_WAIT") and n == 2: __import__("signal").pause()
    assert outcome in ("held", "skipped")
"""


@pytest.fixture
def world(tmp_path):
    """A tree with a path that has a space in it, a toy suite, the toy driver and plumb-fake."""
    root = tmp_path / "a tree"
    (root / "conformance" / "clauses").mkdir(parents=True)
    clause = (
        '[[clause]]\nid = "TOY-0{}"\nvariant = "*"\ntext = "What is put is taken."\nsource = "toy(7)"\n'
        'level = "impl"\nkind = "safety"\nsince = 1\n'
    )
    (root / "conformance" / "clauses" / "toy.toml").write_text(
        'catalogue = 1\nmechanism = "toy"\n' + "".join(clause.format(i) for i in (1, 2, 3))
    )
    (root / "conformance" / "clauses" / "fake.toml").write_text(
        'mechanism = "fake"\n' + clause.format(9).replace("TOY", "FAKE") + 'rules = ["VORD", "VPRIO", "VLOST"]\n'
    )
    (root / "conformance" / "test_toy.py").write_text(SUITE)
    (root / "drivers").mkdir()
    (root / "drivers" / "plumb-toy").symlink_to(HERE / "toydriver.py")
    if FAKE:
        (root / "drivers" / "plumb-fake").symlink_to(FAKE)
    (root / "cwd").mkdir()
    return root


def start(world, *argv, nofile=None, **env):
    # the toy suite needs no second worker
    jobs = ["--jobs", "0"] if argv[0] == "conform" and "--jobs" not in argv else []
    return subprocess.Popen(
        [sys.executable, "-m", "plumbline", *argv, *jobs],
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, nofile)) if nofile else None,
        cwd=world / "cwd",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PLUMBLINE_SOURCE": str(world), "PLUMBLINE_DRIVERS": str(world / "drivers"), **env},
    )


def run(world, *argv, **env):
    p = start(world, *argv, **env)
    out, err = p.communicate(timeout=120)
    assert "Traceback" not in out + err, out + err
    return p.returncode, out, err


def results(world):
    return world / "cwd" / "plumbline-results" / "latest"


def until(condition, what, seconds=20.0):
    deadline = time.monotonic() + seconds
    tick = __import__("threading").Event()
    while not condition():
        assert time.monotonic() < deadline, what
        tick.wait(0.02)


@pytest.mark.parametrize(
    "outcomes, code, verdict",
    [
        ("held held held", 0, "held"),
        ("held violated held", 1, "violated"),
        ("held broken skipped", 3, "broken"),
        ("skipped skipped skipped", 4, "skipped"),
        ("held unknown held", 5, "unknown"),
        ("violated broken unknown", 1, "violated"),
        ("held silent held", 3, "broken"),
    ],
)
def test_conform_has_one_exit_code_an_outcome(world, outcomes, code, verdict):
    got, out, err = run(world, "conform", TOY_OUTCOMES=outcomes)
    assert got == code, out + err
    summary = json.loads((results(world) / "run.json").read_text())
    assert summary["verdict"] == verdict and summary["exit"] == code
    assert {"run", "seed", "argv", "counts", "violations", "hangs", "residue"} <= set(summary)
    assert (results(world) / "report.html").stat().st_size > 5000
    ET.parse(results(world) / "junit.xml")
    last = out.strip().splitlines()[-3:]
    assert last[1].startswith("report") and last[2].startswith("replay"), last


def test_the_suites_raise_what_they_need_or_name_it(world):
    assert run(world, "conform", nofile=(20, 400))[0] == 0
    assert run(world, "conform", "--jobs", "auto", nofile=(20, 56))[0] == 0, "fewer workers where descriptors are few"
    code, out, err = run(world, "conform", "--jobs", "3", nofile=(20, 56))
    assert code == 3 and "the suites need 60" in out + err
    code, out, err = run(world, "conform", nofile=(20, 20))
    assert code == 3 and "RLIMIT_NOFILE is 20" in out + err and "ulimit -n" in out + err


def test_expectations_shards_and_junit(world):
    x = world / "x.toml"
    x.write_text(
        '[[expect]]\nclause = "TOY-02"\noutcome = "violated"\nreason = "known"\n'
        '[[expect]]\nclause = "TOY-03"\noutcome = "violated"\nreason = "gone"\n'
    )
    code, out, _ = run(
        world,
        "conform",
        "toy",
        "--expect",
        str(x),
        "--junit",
        "j.xml",
        "--json",
        "-",
        TOY_OUTCOMES="held violated held",
    )
    assert code == 0 and json.loads(out)["counts"]["violated"] == 1
    assert ET.parse(world / "cwd" / "j.xml").getroot()[0].get("failures") == "0"
    assert "unexpectedly held" in (results(world) / "conform.json").read_text()
    seen = []
    for part in ("1/2", "2/2"):
        run(world, "conform", "--shard", part)
        seen += [r["clause"] for r in json.loads((results(world) / "conform.json").read_text())["records"]]
    assert sorted(seen) == ["TOY-01", "TOY-02", "TOY-03"]
    code, out, _ = run(world, "report", "latest")
    assert code == 0 and "report.html" in out


def test_ctrl_c_still_reports(world):
    p = start(world, "conform", TOY_WAIT="1")
    until(
        lambda: list(results(world).glob("results.jsonl*"))
        and "TOY-03" in (results(world) / "results.jsonl").read_text(),
        "the suite did not start",
    )
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 130 and "Interrupted" in out and "Traceback" not in err
    assert json.loads((results(world) / "run.json").read_text())["verdict"] == "interrupted"


def test_a_budget_ends_the_suites(world):
    code, out, _ = run(world, "conform", "--budget", "2s", TOY_WAIT="1")
    assert code == 130 and "budget" in _


@needs_fake
@pytest.mark.parametrize(
    "mode, match", [("silent", "no hello"), ("crash-hello", "SIGABRT"), ("lie-proto", "speaks versions")]
)
def test_the_client_names_an_early_fault(mode, match):
    with pytest.raises(DriverError, match=match):
        Driver(str(FAKE), env={**os.environ, "PLUMB_FAKE": mode}, hello_timeout=0.5)


@needs_fake
@pytest.mark.parametrize(
    "mode, match",
    [
        ("crash", "SIGABRT"),
        ("garbage", "not JSON"),
        ("exit", "ended"),
        ("double", "second reply"),
        ("flood", "flood"),
        ("flood-line", "65536"),
        ("endless", "not answered"),
        ("lie-reply", "nobody made"),
    ],
)
def test_the_client_names_a_fault_in_a_run(monkeypatch, mode, match):
    monkeypatch.setattr("plumbline.client.EVENTS_MAX", 2000)
    d = Driver(str(FAKE), env={**os.environ, "PLUMB_FAKE": mode})
    try:
        with pytest.raises(DriverError, match=match):
            d.open("q")
            d.actors(2)
            d.run(for_ms=200, timeout=2 if mode == "endless" else 30)
            d.ping()
    finally:
        d.kill()


@needs_engine
@pytest.mark.parametrize(
    "mode, code", [("obey", 0), ("lie-numbers", 1), ("crash", 3), ("unknown", 5), ("unsupported", 4)]
)
def test_stress_has_one_exit_code_an_outcome(world, mode, code):
    got, out, err = run(world, "stress", f"fake/{mode}=2", "--for", "500ms", "--seed", "0x5")
    assert got == code, out + err
    summary = json.loads((results(world) / "run.json").read_text())
    assert summary["exit"] == code and summary["seed"] == "0x5" and f"--seed 0x5" in summary["replay"]
    suite = ET.parse(results(world) / "junit.xml").getroot()[0]
    assert (suite.get("failures") != "0") == (code == 1) and (suite.get("errors") != "0") == (code in (3, 5))
    assert not (results(world) / "lock").exists()


@needs_engine
@pytest.mark.parametrize("argv", [["nix=1"], ["fake/nix=1"], ["fake/obey=x"], ["fake/obey=1", "--lanes", "many"]])
def test_what_the_engine_refuses_leaves_no_folder(world, argv):
    code, out, err = run(world, "stress", *argv)
    assert code == 2 and err.startswith("plumbline: ") and len(err.strip().splitlines()) == 1
    assert not (world / "cwd" / "plumbline-results").exists()


@needs_engine
def test_two_runs_at_once(world):
    both = [start(world, "stress", "fake/obey=2", "--for", "1s") for _ in range(2)]
    assert [p.communicate(timeout=60) and p.returncode for p in both] == [0, 0]
    assert len(list((world / "cwd" / "plumbline-results").glob("r*/run.json"))) == 2


@needs_engine
def test_ctrl_c_stops_the_engine_and_reports(world):
    p = start(world, "stress", "fake/obey=3", "--for", "60s")
    until(lambda: '"armed"' in _events(world), "the engine did not start")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    assert p.returncode == 130 and "report" in out and "Traceback" not in err


def _events(world):
    try:
        return (results(world) / "stress" / "events.jsonl").read_text()
    except OSError:
        return ""


@needs_engine
def test_nothing_survives_a_killed_command(world):
    p = start(world, "stress", "fake/obey=3", "--for", "60s")
    until(lambda: '"armed"' in _events(world), "the engine did not start")
    folder = results(world).resolve()
    p.kill()
    p.communicate()
    until(lambda: not (folder / "stress" / "lock").exists(), "the engine outlived the command by 10 s", 10)
    assert (folder / "lock").exists()
    code, out, _ = run(world, "stress", "fake/obey=1", "--for", "200ms")
    assert code == 0 and not (folder / "lock").exists()


@needs_fake
def test_a_driver_that_a_limit_does_not_let_start_names_it():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with contextlib.suppress(OSError):  # whatever the numbers below the limit that were free
            while True:
                taken.append(os.dup(0))
        os.close(taken.pop())
        with pytest.raises(DriverError) as e:
            Driver("fake", drivers=FAKE.parent)
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (e.value.kind, e.value.limit) == ("os", "RLIMIT_NOFILE")


@needs_engine
def test_run_is_all_of_it(world):
    code, out, err = run(world, "run", "--for", "500ms", "--jobs", "0")
    assert code in (3, 4), out + err  # the toy does not know `run`: its stress is broken, and said to be
    assert "TOY-01" in out and "stress:" in out and (results(world) / "report.html").exists()
