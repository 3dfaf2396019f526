# SPDX-License-Identifier: MIT
"""A cap on checkers across drivers: who finds no seat waits with the verdict and answers; the dead hold none."""
import fcntl
import os
import signal
import struct

import pytest
from conftest import Driver, DriverError, run_id

OFD_SETLK = 37  # <fcntl.h>: Python 3.11 has no name for it


def take(fd, kind, byte=0):
    """As the kit does it: a lock of one byte that belongs to the open file."""
    fcntl.fcntl(fd, OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))


@pytest.fixture
def seats(tmp_path):
    path = tmp_path / "checkers"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    made = []

    def make(most, file=path):
        d = Driver("mq", run=run_id(), init=False)
        made.append(d)
        d.request("init", proto=1, run=d.run_id, inst=len(made), seed="0x1", checkers={"most": most, "file": str(file)})
        d.open("o")
        d.ids = d.actors(2)
        return d

    make.fd = fd
    yield make
    os.close(fd)
    for d in made:
        d.stop()


def waits(d):
    """Its run is in a round that is to be judged, and stays there."""
    while (state := d.status()["state"]) != "checking":
        assert state != "idle", "the run is over"
    for _ in range(200):
        assert d.ping() is not None and d.status()["state"] == "checking"


def test_without_a_seat_it_waits_and_answers(seats):
    d = seats(1)
    take(seats.fd, fcntl.F_WRLCK)
    p = d.post("run", rounds=3, ops=50)
    waits(d)
    assert not p.done()
    take(seats.fd, fcntl.F_UNLCK)
    ok = p.ok()
    assert ok["judged"] == 3 and ok["verdict"] == "held"
    assert ok["check_ns"] + ok["round_ns"] <= ok["elapsed_ns"]
    take(seats.fd, fcntl.F_WRLCK)  # given back


def test_any_seat_will_do(seats):
    d = seats(3)
    take(seats.fd, fcntl.F_WRLCK, 0)
    take(seats.fd, fcntl.F_WRLCK, 2)
    assert d.run(rounds=5, ops=50)["judged"] == 5


def test_it_stops_while_it_waits(seats):
    d = seats(1)
    take(seats.fd, fcntl.F_WRLCK)
    p = d.post("run", rounds=3, ops=50)
    waits(d)
    d.stop()
    with pytest.raises(DriverError, match="stopped"):
        p.ok()


def test_the_dead_hold_no_seat(seats):
    """Killed at any moment, also with a checker at work."""
    for _ in range(10):
        d = seats(1)
        d.post("run", rounds=1000, ops=2000)
        for _ in range(5):
            d.status()
        os.kill(d.hello["pid"], signal.SIGKILL)
        d.kill()
        other = seats(1)
        assert other.run(rounds=2, ops=50)["judged"] == 2


@pytest.mark.parametrize("file", ["/nonexistent/checkers", "/dev/null/x"])
def test_without_the_file_there_is_no_cap(seats, file):
    assert seats(1, file).run(rounds=2, ops=50)["judged"] == 2


@pytest.mark.parametrize("checkers", [{}, {"most": 0, "file": "f"}, {"most": 1}, {"most": 9999, "file": "f"}, 3])
def test_what_is_no_cap_is_refused(checkers):
    with Driver("mq", run=run_id(), init=False) as d:
        with pytest.raises(DriverError, match="checkers"):
            d.request("init", proto=1, run=d.run_id, inst=0, seed="0x1", checkers=checkers)
        assert d.ping() is not None
