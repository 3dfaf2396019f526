# SPDX-License-Identifier: MIT
"""How many rounds are judged at once, of all drivers of a run: --checkers, where lanes do not limit them."""
import contextlib
import os
import pathlib
import signal

import pytest

from conftest import BUILD, tagged


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def checkers(drivers):
    """Those at work: pid and start of each."""
    found = set()
    for d in drivers:
        for pid in read(f"/proc/{d}/task/{d}/children").split():
            comm, _, rest = read(f"/proc/{pid}/stat").partition("(")[2].rpartition(")")
            fields = rest.split()
            if comm == "plumb-checker" and fields[0] not in "ZX":
                found.add((pid, fields[19]))
    return found


def stop(pid):
    """A descriptor first: the number may be somebody else's a moment later."""
    try:
        fd = os.pidfd_open(int(pid))
    except ProcessLookupError:
        return
    with contextlib.suppress(ProcessLookupError):
        if "(plumb-checker)" in read(f"/proc/{pid}/stat"):
            signal.pidfd_send_signal(fd, signal.SIGSTOP)
    os.close(fd)


@pytest.mark.parametrize("most", [1, 3])
def test_free_drivers_judge_so_many_at_once(engine, most):
    """Each checker that is seen is stopped and keeps its seat: soon all are taken, and nobody else begins to judge."""
    p, run = engine.start("pipe=20", "mq=20", "--drivers", str(BUILD / "drivers"), "--lanes", "free",
                          "--checkers", str(most), "--ops", "4000", "--for", "60s", "--patience", "60s")
    drivers, looks, held = tagged(run), 0, set()
    while looks < 30:
        assert p.poll() is None, "it ended before so many were seen"
        for pid, _ in checkers(drivers):
            stop(pid)
        held = checkers(drivers)
        held &= checkers(drivers)  # who is there in two looks was there between them, with all other such
        assert len(held) <= most
        looks += len(held) == most
    for pid, _ in held:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGCONT)
    p.send_signal(signal.SIGINT)
    r = engine.end(p, 40)
    assert r.code == 130 and r.summary["violations"] == [] and not (r.folder / "checkers").exists(), r.out


def test_a_folder_of_any_name(engine, tmp_path):
    r = engine("fake/obey=3", "--lanes", "free", "--checkers", "2", out=tmp_path / 'a "run" \\ of mine')
    assert r.code == 0, r.out


@pytest.mark.parametrize("n", ["0", "1025", "many"])
def test_a_number_of_checkers(engine, n):
    r = engine("fake=1", "--checkers", n)
    assert r.code == 2 and "integer from 1 to 1024" in r.err
