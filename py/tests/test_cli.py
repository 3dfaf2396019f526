# SPDX-License-Identifier: MIT
"""The command line: bad input is one line and exit 2, a broken place one line and exit 3, and never a traceback."""
import json
import os
from pathlib import Path

import pytest
from plumbline.cli import duration, main

HERE = Path(__file__).resolve().parent


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A source tree with one clause and a drivers folder with the toy driver; the working folder is empty."""
    (tmp_path / "conformance" / "clauses").mkdir(parents=True)
    (tmp_path / "conformance" / "clauses" / "toy.toml").write_text(
        'catalogue = 1\nmechanism = "toy"\n[[clause]]\nid = "TOY-01"\nvariant = "*"\ntext = "What is put is taken."\n'
        'source = "toy(7)"\n'
        'level = "impl"\nkind = "safety"\nsince = 1\nrules = ["VORD"]\n'
    )
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "plumb-toy").symlink_to(HERE / "toydriver.py")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PLUMBLINE_SOURCE", str(tmp_path))
    monkeypatch.setenv("PLUMBLINE_DRIVERS", str(tmp_path / "drivers"))
    monkeypatch.setenv("PLUMBLINE_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("PLUMBLINE_BIN", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    "argv, code, words",
    [
        ([], 2, "required"),
        (["fly"], 2, "invalid choice"),
        (["stress"], 2, "name what to run"),
        (["conform", "nix"], 2, "no mechanism 'nix'"),
        (["conform", "toy/nix"], 2, "no variant 'toy/nix'"),
        (["conform", "--shard", "5/4"], 2, "2/4"),
        (["conform", "--budget", "5"], 2, "unit"),
        (["stress", "toy=1", "--for", "10"], 2, "unit"),
        (["conform", "--expect", "nowhere.toml"], 2, "nowhere.toml"),
        (["conform", "--target", "no-such-program x"], 2, "not on the PATH"),
        (["conform", "--target", "a 'b"], 2, "quote"),
        (["report", "nix"], 2, "no run 'nix'"),
        (["stress", "toy=1", "--seed", "zz"], 2, "64-bit"),
        (["list", "--drivers", "nowhere"], 2, "no such folder"),
        (["list", "--json", "x"], 2, "stdout"),
        (["stress", "toy=1"], 3, "plumb-stress is not built"),
    ],
)
def test_bad_input_is_one_line(world, capfd, argv, code, words):
    assert main(argv) == code
    err = capfd.readouterr().err
    assert words in err and "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("plumbline: ")]) <= 1


@pytest.mark.parametrize(
    "text, words",
    [
        ("[[expect]]\nclause = 'X'", "no clause 'X'"),
        ("[[expect]]\nclause = 'TOY-01'", "outcome None"),
        ("x = ", "Invalid value"),
        ("[[expect]]\nclause = 'TOY-01'\noutcome = 'violated'", "reason"),
        ("[[expect]]\nvariant = 'a'", "`clause` is missing"),
        ("[[expect]]\nclause = 'TOY-01'\noutcome = 'violated'\nreason = 'r'\ncluase = 1", "unknown field 'cluase'"),
        ("[[expect]]\nclause = 'TOY-01'\noutcome = 'violated'\nreason = 'r'\nexpires = 'soon'", "a date"),
    ],
)
def test_a_wrong_expectation_says_where(world, capfd, text, words):
    Path("x.toml").write_text(text)
    assert main(["conform", "--expect", "x.toml"]) == 2
    err = capfd.readouterr().err
    assert words in err and "x.toml" in err


def test_durations():
    assert [duration(t) for t in ("60s", "5m", "200ms", "1h", "1.5s")] == [60, 300, 0.2, 3600, 1.5]


def test_no_drivers_is_broken(world, capfd):
    (world / "empty").mkdir()
    assert main(["list", "--drivers", str(world / "empty")]) == 3
    assert main(["doctor", "--drivers", str(world / "empty")]) == 3
    assert "build first" in capfd.readouterr().err


def test_list_and_doctor_tell_the_same_in_json(world, capfd):
    assert main(["list", "--json", "-"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert listed["drivers"][0]["variants"][0]["name"] == "toy" and listed["clauses"][0]["id"] == "TOY-01"
    assert main(["doctor", "--json", "-"]) == 0
    doctor = json.loads(capfd.readouterr().out)
    assert doctor["environment"]["rung"] in ("syscall", "stat", "none") and any(
        x["name"] == "RLIMIT_NOFILE" for x in doctor["limits"]
    )
    assert main(["list"]) == 0 and "What is put is taken." in capfd.readouterr().out


def test_a_driver_that_does_not_answer_is_named(world, capfd):
    (world / "drivers" / "plumb-dud").write_text("#!/bin/sh\necho no luck >&2\nexit 5\n")
    (world / "drivers" / "plumb-dud").chmod(0o755)
    assert main(["doctor"]) == 0
    assert "exit status 5: no luck" in capfd.readouterr().out


def test_results_that_cannot_be_written(world, capfd):
    Path("file").write_text("")
    assert main(["conform", "--out", "file"]) == 3
    assert "cannot keep results in file" in capfd.readouterr().err
    if os.path.exists("/dev/full"):
        Path("full").mkdir()
        assert main(["conform", "--out", "/proc/nowhere"]) == 3


def test_nothing_to_run_is_exit_4(world, capfd):
    (world / "conformance" / "test_none.py").write_text("")
    assert main(["conform", "--jobs", "0"]) == 4
    assert "Nothing ran" in capfd.readouterr().out


def test_the_replay_line_can_be_pasted(world, monkeypatch):
    from plumbline.places import program

    assert program() == "plumbline"
    (world / "bin").mkdir()
    there = world / "bin" / "plumbline"
    there.write_text("")
    there.chmod(0o755)
    monkeypatch.setenv("PLUMBLINE_ARGV0", str(there))
    assert program() == "plumbline"
    monkeypatch.setenv("PLUMBLINE_ARGV0", "a build/plumbline")
    assert program() == "'a build/plumbline'"
