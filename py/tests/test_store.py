# SPDX-License-Identifier: MIT
"""results.sqlite keeps every run and never costs one; diff and runs read it."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from plumbline import snapshot, store
from plumbline.cli import main

CONFORM = {"mq": {"A-1": "held", "A-2": {"outcome": "violated", "note": "n", "expected": "violated"}}}
LOAD = {"mq": {"A-1": ""}, "mutex/robust": {"B-1": "VORD VLOST"}}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUMBLINE_SOURCE", str(tmp_path))


def query(sql, path="plumbline-results/results.sqlite"):
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def test_what_is_kept_is_what_the_folder_says(results):
    f = results("r1", CONFORM, LOAD)
    assert store.keep(f) == "" == store.keep(f)
    assert query("PRAGMA journal_mode") == [("wal",)] and query("SELECT count(*) FROM run") == [(1,)]
    kept, there = store.snapshot_of("r1", None), snapshot.of_runs([f])
    assert set(kept.facts) == set(there.facts) and kept.catalogue == 1 and kept.about == there.about
    for key, fact in there.facts.items():
        k = kept.facts[key]
        assert (k.outcome, k.rules, k.since, k.expected, k.reason, k.replay) == (
            fact.outcome, fact.rules, fact.since, fact.expected, fact.reason, fact.replay)  # fmt: skip
    assert kept.kinds["mq"]["ops_per_s"] == 5000 and kept.kinds["mq"]["lat_ns"]["p99"] == 5000


def test_a_run_whose_folder_is_gone_can_still_be_compared(results, tmp_path, capsys):
    for run, how in (("r1", "held"), ("r2", "skipped")):
        store.keep(results(run, {"mq": {"A-1": how, "A-2": "held"}}, LOAD))
    shutil.rmtree(tmp_path / "plumbline-results" / "r1")
    assert main(["diff", "r1", "r2"]) == 0
    out = capsys.readouterr().out
    assert "held → skipped: 1 claim\n  mq: A-1" in out and "5,000" in out and "A-2" not in out
    assert main(["gate", "r1", "r2"]) == 1
    assert main(["runs"]) == 0
    assert "folder gone" in capsys.readouterr().out


def test_diff_tells_both_directions(results, capsys):
    results("r1", {"mq": {"A-1": "held", "A-2": "violated", "A-3": "held"}})
    results("r2", {"mq": {"A-1": "violated", "A-2": "held", "A-4": "held"}})
    assert main(["diff", "r1", "r2", "--json", "-"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {(c["clause"], c["before"], c["after"]) for c in said["changes"]} == {
        ("A-1", "held", "violated"), ("A-2", "violated", "held"), ("A-3", "held", "missing"),
        ("A-4", "missing", "held")}  # fmt: skip
    assert main(["diff", "r2", "r2"]) == 0 and "no claim ended differently" in capsys.readouterr().out
    assert main(["diff", "r1", "nix"]) == 2


def test_runs_lists_the_newest_last(results, capsys):
    assert main(["runs"]) == 0 and "no run is kept" in capsys.readouterr().out
    for run in ("r9", "r5", "r7"):
        store.keep(results(run, CONFORM, command="conform"))
    assert main(["runs", "--last", "2"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["r5", "r7"]
    assert main(["runs", "--json", "-"]) == 0
    assert [r["run"] for r in json.loads(capsys.readouterr().out)] == ["r9", "r5", "r7"]


def corrupt(path):
    path.write_bytes(b"this is no database, and long enough to be seen as none " * 40)


def newer(path):
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    "spoil, words", [(corrupt, "not a database"), (newer, "schema 99"), (folder, "unable to open")]
)
def test_trouble_with_the_store_is_one_line_and_no_lost_run(results, tmp_path, spoil, words, capsys):
    f = results("r1", CONFORM)
    spoil(tmp_path / "plumbline-results" / "results.sqlite")
    why = store.keep(f)
    assert words in why and "\n" not in why and "in its folder all the same" in why
    assert main(["report", "r1"]) == 0
    assert words in capsys.readouterr().err
    assert (f.path / "report.html").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_store_of_another_user_is_one_line(results, tmp_path):
    store.keep(results("r1", CONFORM))
    f = results("r2", CONFORM)
    # of another user, in a folder that both may enter: /tmp/pytest-of-root is root's alone, so as nobody by ids only
    child = subprocess.run(
        [sys.executable, "-c",
         "import os, sys; from pathlib import Path; from plumbline import store; from plumbline.runfolder import "
         "RunFolder; f = RunFolder(Path(sys.argv[1])); os.chdir(sys.argv[1]); os.setegid(65534); os.seteuid(65534); "
         "print(store.keep(RunFolder(Path('.').absolute())))", str(f.path)],
        capture_output=True, text=True, timeout=60)  # fmt: skip
    assert "in its folder all the same" in child.stdout and "Traceback" not in child.stderr, child


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_one_line(results, monkeypatch):
    f = results("r1", CONFORM)
    full = sqlite3.connect

    def tiny(*a, **k):
        db = full(*a, **k)
        db.execute("PRAGMA max_page_count = 2")
        return db

    monkeypatch.setattr(sqlite3, "connect", tiny)
    assert "full" in store.keep(f)
    monkeypatch.undo()


def test_odd_values_do_not_lose_the_run(results):
    f = results(
        "r1", {"mq": {"A-\ud800": {"outcome": "violated", "reason": "\ud800\x00" * 9000}}}, seed=2**80, argv=[1]
    )
    assert store.keep(f) == ""
    assert len(query("SELECT reason FROM claim")[0][0]) <= 2000


def test_many_commands_at_once_lose_nothing(results, tmp_path):
    """Also when the file does not exist yet, which is where they are most likely to meet."""
    runs = [str(results(f"r{i}", CONFORM, LOAD).path) for i in range(6)]
    code = (
        "import sys; from pathlib import Path; from plumbline import store; from plumbline.runfolder import RunFolder\n"
        "sys.stdin.read(1)\nfor _ in range(5): print(store.keep(RunFolder(Path(sys.argv[1]))), end='')"
    )
    ready, go = os.pipe()
    children = [
        subprocess.Popen([sys.executable, "-c", code, r], stdin=ready, stdout=subprocess.PIPE, text=True) for r in runs
    ]
    os.close(ready)
    os.write(go, b"." * len(runs))
    os.close(go)
    assert [c.communicate(timeout=120)[0] for c in children] == [""] * len(runs)
    assert query("SELECT count(*) FROM run") == [(6,)] and query("SELECT count(*) FROM claim") == [(6 * 4,)]
