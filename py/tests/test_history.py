# SPDX-License-Identifier: MIT
"""The history reader: both byte orders, continuation records, and any bytes at all without a stray exception."""
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from plumbline import history
from plumbline.history import HistoryError, read


def hist(order="<", records=(), published=None, version=2, flags=5):
    head = struct.pack(
        order + history._HEAD,
        b"PLUMBHST",
        version,
        0x01020304,
        4096,
        64,
        len(records) if published is None else published,
        10,
        7,
        99,
        3,
        4,
        0,
        flags,
        1234,
        2,
        1,
        2,
        2,
        b"mq",
        b"mq",
        b"r1",
        b"CLOCK_MONOTONIC",
    )
    head += struct.pack(order + history._OP, b"send", 1, 0, 1) + struct.pack(order + history._OP, b"receive", 2, 0, 1)
    return head.ljust(4096, b"\0") + b"".join(records)


def rec(order="<", seq=0, op=0, state=2, err=0, actor=2):
    return struct.pack(
        order + history._REC, seq, actor, op, state, 100, 200, -1 if err else 32, err, 1, 0x30100000000B7, 5, 0xABCD, 32
    )


def more(order="<", kind=1, length=24):
    return struct.pack(order + history._MORE, 1, 2, kind, 5, length, 8, 77, 48, bytes(range(36)))


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders(tmp_path, order):
    p = tmp_path / "x.hist"
    p.write_bytes(
        hist(
            order,
            [rec(order), rec(order, 1, 1, 3, 11), more(order), more(order, 2, 5), rec(order, 2, 246, 4, actor=0xFFFF)],
        )
    )
    h = read(p)
    assert (h.head.driver, h.head.model, h.head.round, h.head.actor, h.head.flags) == (
        "mq",
        "priority",
        4,
        2,
        ("full", "exact"),
    )
    assert h.head.foreign == (order == ">")
    a, b, c = h.records
    assert (a.f, a.role, a.state, a.ret, a.errno, a.token, a.tag, a.len) == (
        "send",
        "put",
        "ok",
        32,
        None,
        0x30100000000B7,
        5,
        32,
    )
    assert (b.f, b.state, b.ret, b.errno) == ("receive", "fail", -1, "EAGAIN")
    assert [(m.kind, m.len, m.total, m.raw) for m in b.more] == [
        ("extent", 24, 48, b""),
        ("fragment", 5, 48, bytes(range(5))),
    ]
    assert (c.f, c.state) == ("level", "info")


def test_what_was_not_published_or_cut_off_is_not_there(tmp_path):
    p = tmp_path / "x.hist"
    p.write_bytes(hist(records=[rec(), rec(seq=1)], published=1))
    assert len(read(p).records) == 1
    p.write_bytes(hist(records=[rec(), rec(seq=1)], published=2**63)[:-1])
    assert len(read(p).records) == 1


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "no history"),
        (b"PLUMBHST", "no history"),
        (hist(version=9), "version 9"),
        (hist()[:12] + b"zzzz" + hist()[16:], "byte order"),
    ],
)
def test_what_is_none_says_why(tmp_path, data, words):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(HistoryError, match=words):
        read(tmp_path / "x")
    with pytest.raises(HistoryError, match="No such file"):
        read(tmp_path / "y")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from("<>"))
def test_any_bytes(tmp_path_factory, head, tail, order):
    p = tmp_path_factory.getbasetemp() / "any.hist"
    good = bytearray(hist(order, [rec(order)] * 2))
    good[8 : 8 + len(head)] = head
    p.write_bytes(bytes(good) + tail)
    try:
        read(p)
    except HistoryError:
        pass


def test_a_real_round_reads_as_its_driver_tells_it(tmp_path):
    """The drivers' own files agree with this reader, where drivers are built."""
    build = os.environ.get("PLUMBLINE_BUILD")
    if not build or not (Path(build) / "drivers" / "plumb-mq").exists():
        pytest.skip("no built drivers: PLUMBLINE_BUILD is not set")
    from plumbline.client import Driver, DriverError

    try:
        with Driver("mq", drivers=Path(build) / "drivers", dir=tmp_path) as d:
            d.open("q", maxmsg=4, msgsize=64)
            d.actors(3)
            ok = d.run(rounds=1, ops=50, keep=True)
    except DriverError as e:
        if e.fields.get("limit"):
            pytest.skip(str(e))
        raise
    files = sorted(tmp_path.glob("*.hist"))
    assert ok["verdict"] == "held"
    if not files:
        pytest.skip("this kit keeps no history of a round that held")
    logs = [read(f) for f in files]
    assert {h.head.driver for h in logs} == {"mq"} and {h.head.run for h in logs} == {d.run_id}
    puts = [r for h in logs for r in h.records if r.role == "put" and r.state == "ok"]
    takes = [r for h in logs for r in h.records if r.role == "take" and r.state == "ok"]
    assert puts and {(r.token, r.sum) for r in takes} <= {(r.token, r.sum) for r in puts}
    assert all(r.t_invoke <= r.t_return for r in puts + takes)
