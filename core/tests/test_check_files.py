# SPDX-License-Identifier: MIT
"""Claim: whatever plumb-check is given as histories, it answers at once, with the documented exit code, in bounded
memory, and says of each bad file in one line which it is, where in it, and what is wrong. It judges no round of which
something is missing."""
import json
import os
import subprocess

import histfile as hf
import pytest
from conftest import DRIVERS

CHECK = DRIVERS.parent / "plumb-check"
pytestmark = pytest.mark.skipif(not CHECK.exists(), reason="plumb-check is not beside the drivers")
HELD, VIOLATED, BROKEN, INCONCLUSIVE = 0, 1, 3, 5


def run(*words):
    return subprocess.run([CHECK, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def round_of(number=0, wrong=False):
    a, b, control = hf.Log(0, "fifo", number), hf.Log(1, "fifo", number), hf.Log(hf.CONTROL, "fifo", number)
    for i in range(2):
        a.add("send", hf.OK, 10 * i, 10 * i + 10, 1 << 48 | i + 1)
        b.add("receive", hf.OK, 20 + 10 * i, 30 + 10 * i, 1 << 48 | (2 - i if wrong else i + 1))
    return [a, b, control]


@pytest.fixture
def folder(tmp_path):
    hf.write(tmp_path, round_of())
    return tmp_path


def test_a_folder_is_all_its_histories(folder):
    (folder / "below").mkdir()
    hf.write(folder / "below", round_of(1, wrong=True))
    (folder / "notes.txt").write_text("no history")
    done = run(folder)
    assert done.returncode == VIOLATED and done.stderr == ""
    assert "2 rounds: 1 held, 1 violated, 0 unknown, 0 broken" in done.stdout
    one = [json.loads(line) for line in run("--json", folder).stdout.splitlines()]
    assert [(v["round"], v["verdict"], v["rule"]) for v in one] == [(0, "held", ""), (1, "violated", "VORD")]
    assert [w["f"] for w in one[1]["witness"]] == ["send", "send", "receive", "receive"]


BAD = {
    "empty": (b"", "the file is empty"),
    "random": (os.urandom(5000), "offset 0: no history"),
    "short": (hf.Log(1, "fifo").bytes()[:700], "offset 700: cut off inside the header"),
    "foreign": (hf.Log(1, "fifo").bytes(">"), "offset 12: written on a machine of the other byte order"),
    "version": (hf.Log(1, "fifo").bytes(version=9), "offset 8: format version 9, this tool reads 2"),
    "huge": (hf.Log(1, "fifo").bytes(published=1 << 60), "offset 4096: cut off: 1152921504606846976 records"),
    "zeros": (hf.Log(1, "fifo").bytes(published=2) + bytes(128), "offset 4096: record 0: it was never written"),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_one_line_says_what_is_wrong_and_nothing_else_is_said_of_its_round(folder, kind):
    bytes_, text = BAD[kind]
    path = folder / "round-0.actor-1.hist"
    path.write_bytes(bytes_)
    done = run(folder)
    assert done.returncode in (BROKEN, INCONCLUSIVE) and "violated" not in done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"plumb-check: {path}: {text}") and len(lines) == 1, done
    assert run(path).returncode == BROKEN


def test_records_out_of_order(folder):
    a = hf.Log(0, "fifo")
    a.add("send", hf.OK, 10, 20, 1 << 48 | 1)
    a.add("send", hf.OK, 15, 30, 1 << 48 | 2)
    hf.write(folder, [a])
    done = run(folder)
    assert done.returncode == BROKEN and "offset 4160: record 1: it began before the one before it returned" in done.stderr


def test_a_missing_actor_is_no_violation(folder):
    (folder / "round-0.actor-0.hist").unlink()
    done = run(folder)
    assert done.returncode == INCONCLUSIVE and "an actor's history is missing" in done.stdout


def test_a_round_that_does_not_count_its_actors_is_not_judged_beside_what_is_no_history(folder):
    control = round_of()[2]
    (folder / "round-0.control.hist").write_bytes(control.bytes(actors=0))
    assert run(folder).returncode == HELD
    (folder / "round-0.actor-2.hist").write_bytes(b"something")
    done = run(folder)
    assert done.returncode == BROKEN and "its round is not judged" in done.stderr and done.stdout == ""


def test_two_files_of_one_actor(folder):
    (folder / "copy.hist").write_bytes((folder / "round-0.actor-0.hist").read_bytes())
    done = run(folder)
    assert done.returncode == BROKEN and "another file of this round is the same actor's" in done.stderr


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo.hist")
    for path, text in (
        (tmp_path / "fifo.hist", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path / "none", "No such file"),
    ):
        done = run(path)
        assert done.returncode == BROKEN and text in done.stderr and done.stderr.count("\n") == 1
    (tmp_path / "fifo.hist").unlink()
    assert "no *.hist file" in run(tmp_path).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(folder):
    (folder / "round-0.actor-1.hist").chmod(0)
    done = run(folder)
    assert done.returncode == BROKEN and "Permission denied" in done.stderr


def test_a_sparse_file_eats_no_memory(folder):
    """Two GiB of records that were never written."""
    path = folder / "round-0.actor-1.hist"
    path.write_bytes(hf.Log(1, "fifo").bytes(published=((2 << 30) - 4096) // 64))
    os.truncate(path, 2 << 30)
    child = subprocess.Popen([CHECK, folder], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with child.stderr:
        said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == BROKEN and "offset 4096: record 0: it was never written" in said
    assert usage.ru_maxrss < 64 << 10, f"{usage.ru_maxrss} KiB"


def test_words_of_a_file_reach_no_terminal(folder):
    log = round_of(wrong=True)
    for i, actor in enumerate(log):
        data = bytearray(actor.bytes(actors=2 if i == 2 else 0))
        data[0xC8:0xC8 + 6] = b"\x1b[31m\xff"
        data[0x58:0x5B] = b"\x1b]0"
        (folder / f"{i}.hist").write_bytes(data)
    for path in folder.glob("round-*"):
        path.unlink()
    for words in ((), ("--stats",), ("--json",), ("--export", "edn"), ("--export", "jsonl")):
        out = run(*words, folder).stdout
        assert out and all(c == "\n" or " " <= c <= "~" for c in out)


def test_stats_say_when_nothing_was_proved(tmp_path):
    a, b, control = round_of()
    hf.write(tmp_path, [a, b, control])
    assert "beware" not in run("--stats", tmp_path).stdout
    a.records.clear(), b.records.clear()
    a.add("send", hf.OK, 0, 50, 1 << 48 | 1)
    b.add("receive", hf.OK, 5, 60, 1 << 48 | 1)
    hf.write(tmp_path, [a, b, control])
    assert "beware: everything overlapped" in run("--stats", tmp_path).stdout
    b.records.clear()
    b.add("receive", hf.OK, 55, 60, 1 << 48 | 1)
    hf.write(tmp_path, [a, b, control])
    assert "beware: nothing overlapped" in run("--stats", tmp_path).stdout
    assert json.loads(run("--json", tmp_path).stdout)["stats"]["in_flight"][:2] == [2, 0]
