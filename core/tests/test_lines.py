# SPDX-License-Identifier: MIT
"""Protocol §1 and §2: whatever comes on stdin is answered, once, or ends the driver with 76.

Never a hang, a crash, a leak.
"""
import json
import os
import random
import select
import subprocess

import pytest
from conftest import DRIVERS, KINDS, run_id

BAD = {
    "no JSON": b"hello\n",
    "half": b'{"id":5,"op":"pi\n',
    "a list": b"[1,2]\n",
    "no id": b'{"op":"ping"}\n',
    "text id": b'{"id":"5","op":"ping"}\n',
    "real id": b'{"id":5.0,"op":"ping"}\n',
    "null id": b'{"id":null,"op":"ping"}\n',
    "doubled key": b'{"id":5,"id":5,"op":"ping"}\n',
    "too big": b'{"id":18446744073709551616,"op":"ping"}\n',
    "NUL": b'{"id":5,"op":"pi\0ng"}\n',
    "escaped NUL": b'{"id":5,"op":"\\u0000"}\n',
    "no UTF-8": b'{"id":5,"op":"\xff\xfe"}\n',
    "cut UTF-8": b'{"id":5,"op":"' + b"\xc3\xa9" * 99 + b"\xc3" + b'"}\n',
    "binary": bytes(range(11, 256)) + b"\n",
    "lone surrogate": b'{"id":5,"op":"\\ud800"}\n',
    "deep": b"[" * 60000 + b"\n",
    "deep objects": b'{"a":' * 10000 + b"\n",
    "spaces": b"   \n",
    "65,537 bytes": b" " * 65537 + b"\n",
    "10 MB": b"x" * 10_000_000 + b"\n",
    "two in a line": b'{"id":5,"op":"ping"}{"id":6,"op":"ping"}\n',
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_told_once_and_the_next_is_read(raw, line):
    r = raw()
    r.send(line)
    r.send(b'{"id":7,"op":"ping"}\n')
    r.reply(7)
    assert r.end() == 0
    replies = [m for m in r.seen if "re" in m]
    assert [m["re"] for m in replies] == [None, 7], replies
    assert replies[0]["err"]["kind"] == "proto" and replies[0]["err"]["msg"], replies[0]


def test_good_lines_in_odd_shapes(raw):
    r = raw()
    r.send(b"\n\n", b' { "op" : "ping" , "ch":3, "id" : 2 , "unknown":[1,{"a":null}]} \r\n')
    r.reply(2)
    longest = b'{"id":3,"op":"ping","pad":"%s"}'
    r.send(longest % (b"x" * (65535 - len(longest) + 2)) + b"\n")
    assert "ok" in r.reply(3)
    for byte in b'{"id":4,"op":"ping"}\n':
        r.send(bytes([byte]))
    r.reply(4)
    r.send(b'{"id":9223372036854775807,"op":"ping"}\n{"id":5,"op":"pi')
    assert r.end() == 0
    assert [m["re"] for m in r.seen if "re" in m] == [2, 3, 4, 9223372036854775807], "half a line at the end is ignored"


def test_gives_up_after_64_bad_lines_in_a_row(raw):
    r = raw()
    r.send(b"x\n" * 63 + b'{"id":1,"op":"ping"}\n' + b"x\n" * 64 + b'{"id":2,"op":"ping"}\n')
    assert r.end() == 76
    said = [m["re"] for m in r.seen if "re" in m]
    assert said == [None] * 63 + [1] + [None] * 64, said
    assert r.seen[-1]["ev"] == "bye"


@pytest.mark.parametrize("name", KINDS)
def test_random_bytes(raw, name):
    """A fixed seed: bytes, lines of JSON that were damaged, pieces of both."""
    rng = random.Random(name)
    good = [b'{"id":1,"op":"init","proto":1,"run":"%s"}\n' % run_id().encode(), b'{"id":2,"op":"open","as":"o"}\n',
            b'{"id":3,"op":"run","rounds":1}\n', b'{"id":4,"op":"status"}\n', b'{"id":6,"op":"cancel","target":5}\n',
            b'{"id":5,"op":"call","actor":0,"f":"send","on":"o"}\n']
    for _ in range(12):
        r = raw(name)
        for _ in range(30):
            line = bytearray(rng.choice(good))
            for _ in range(rng.randrange(6)):
                at = rng.randrange(len(line))
                line[at:at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
            try:
                r.send(bytes(line) if rng.random() < 0.9 else rng.randbytes(rng.randrange(300)))
            except BrokenPipeError:
                break
        assert r.end() in (0, 76)
        assert r.proc.stderr.read() == b""


WRONG = [
    ("init", [("proto", "1"), ("run", 5), ("run", ""), ("run", "a/b"), ("run", "x" * 40), ("inst", -1), ("inst",
        2**32), ("seed", "zz"), ("seed", 1.5), ("seed", "0x1ffffffffffffffff"), ("t0", -1), ("t0", "now"), ("dir", 7),
        ("tick_ms", 0), ("tick_ms", 9223372036854775807), ("tick_ms", "fast")]),
    ("open", [("as", 5), ("as", ""), ("as", "a.b"), ("as", "x" * 24), ("as", None), ("variant", "nope"), ("variant",
        3), ("mode", "destroy"), ("mode", 1), ("name", ""), ("name", "/" + "x" * 200), ("maxmsg", -1), ("maxmsg",
        "ten"), ("maxmsg", 9223372036854775807)]),
    ("actor", [("n", 0), ("n", -1), ("n", 65), ("n", "two"), ("n", 1.5), ("kind", "fork"), ("kind", 1), ("place",
        "moon"), ("place", [])]),
    ("call", [("actor", -1), ("actor", 5), ("actor", 99999999999), ("actor", "0"), ("f", 5), ("on", "nope"), ("on",
        "o.x"), ("on", 1), ("size", -1), ("size", 1 << 40), ("size", "big"), ("timeout_ns", 5), ("abstime", [1, 2]),
        ("deadline_ms", -1), ("deadline_ms", 2**62), ("token", "xyz"), ("token", 7)]),
    ("run", [("rounds", 0), ("rounds", -1), ("rounds", "x"), ("for_ms", -1), ("for_ms", 2**62), ("ops", 0), ("ops",
        -5), ("ops", 16385), ("on", "nope"), ("on", 3), ("sched", "fair"), ("sched", 0), ("start_at", 2**62),
        ("start_in_ms", 2**40), ("plan", [])]),
    ("fault", [("what", "love"), ("what", 1), ("actor", -1), ("actor", 70), ("actor", "0"), ("signal", "NOPE"),
        ("signal", 9)]),
    ("cancel", [("target", -1), ("target", "5"), ("target", 77), ("target", None), ("grace_ms", -1), ("grace_ms",
        2**62)]),
    ("release", [("on", "nope"), ("on", 5), ("on", None)]),
    ("close", [("on", "nope"), ("on", 5), ("on", None)]),
]
GOOD = {
    "init": {"proto": 1, "run": "kit"}, "open": {"as": "p"}, "actor": {"n": 1}, "run": {"rounds": 1},
    "call": {"actor": 0, "f": "send", "on": "o"}, "fault": {"what": "signal", "actor": 0, "signal": "USR1"},
    "cancel": {"target": 5}, "release": {"on": "o"}, "close": {"on": "o"},
}


@pytest.mark.parametrize("op,fields", WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_field_is_one_line_of_usage(raw, op, fields):
    r = raw()
    if op != "init":
        r.init()
        r.ok(2, "open", **{"as": "o"})
        r.ok(3, "actor", n=2)
    for ident, (name, value) in enumerate(fields, 10):
        body = {**GOOD[op], name: value}
        kind = "unsupported" if op == "call" and name == "f" and isinstance(value, str) else "usage"
        e = r.refused(ident, op, kind, **{k: v for k, v in body.items() if v is not None})
        assert "\n" not in e["msg"] and e["definite"] is True
    r.ok(9, "ping")
    assert r.end() == 0


def test_order_of_things(raw):
    r = raw()
    for ident, op in enumerate(("open", "actor", "call", "run", "fault", "cancel", "release", "close"), 10):
        r.refused(ident, op)
    r.refused(1, "no_such", "unsupported")
    r.send(b'{"id":2}\n')
    assert r.reply(2)["err"]["kind"] == "usage", "a request with an id has an answer under that id"
    r.ok(3, "ping"), r.ok(4, "status")
    r.refused(5, "init", "unsupported", proto=9, run="k")
    r.ok(6, "init", proto=1, run=run_id())
    r.refused(7, "init", proto=1, run=run_id())
    assert r.end() == 0


def test_an_unknown_op_cut_inside_a_character_is_told(raw):
    r = raw()
    for n in range(36, 44):
        assert r.refused(n, "x" * n + "é€𝄞", "unsupported")["msg"]
    assert r.end() == 0


def test_ten_thousand_at_once(raw):
    r = raw()
    n = 10_000
    r.init()
    os.set_blocking(r.proc.stdin.fileno(), False)
    data = b"".join(b'{"id":%d,"op":"ping"}\n' % i for i in range(2, n + 2)) + b'{"id":99999,"op":"stop"}\n'
    while data:
        try:
            data = data[os.write(r.proc.stdin.fileno(), data):]
        except BlockingIOError:
            r.pull(5)
    assert r.end() == 0
    said = [m["re"] for m in r.seen if "re" in m]
    assert sorted(said) == [*range(1, n + 2), 99999]


def test_a_reader_that_does_not_read(raw):
    """Memory stays bounded, ticks coalesce, and all replies come in full once it reads again."""
    r = raw()
    r.init(tick_ms=10)
    r.ok(2, "actor", n=8)
    os.set_blocking(r.proc.stdin.fileno(), False)
    lines = b"".join(b'{"id":%d,"op":"status"}\n' % i for i in range(10, 20_010))
    sent = 0
    while sent < len(lines) and select.select([], [r.proc.stdin], [], 1)[1]:
        sent += os.write(r.proc.stdin.fileno(), lines[sent:sent + 4096])
    assert sent < 400_000, "it went on reading though nobody read its answers"
    assert rss_kib(r.pid) < 12_000, f"{rss_kib(r.pid)} KiB resident"
    asked = lines[:sent].count(b"\n")
    if not lines[:sent].endswith(b"\n"):
        rest, asked = lines[sent:lines.index(b"\n", sent) + 1], asked + 1
        while rest:
            try:
                rest = rest[os.write(r.proc.stdin.fileno(), rest):]
            except BlockingIOError:
                r.pull(5)
    r.reply(9 + asked)
    assert sorted(m["re"] for m in r.seen if m.get("re", 0) >= 10) == [*range(10, 10 + asked)]
    first = next(i for i, m in enumerate(r.seen) if m.get("re") == 10)
    last = next(i for i, m in enumerate(r.seen) if m.get("re") == 9 + asked)
    ticks = sum(m.get("ev") == "tick" for m in r.seen[first:last])
    assert ticks < 20, f"{ticks} ticks, ten in a hundred milliseconds, were kept for a reader that did not read for a second"
    assert r.end() == 0


def test_all_that_comes_with_a_stop_is_answered(raw):
    """More than fits into the buffer that the stop was read into; and there is no actor to wait for."""
    r = raw()
    r.init()
    n = 3500
    r.send(b'{"id":2,"op":"stop"}\n' + b"".join(b'{"id":%d,"op":"ping"}\n' % i for i in range(3, n)))
    assert r.end() == 0
    assert sorted(m["re"] for m in r.seen if "re" in m) == [*range(1, n)]


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_what_was_asked_before_the_end_is_answered(raw):
    """Calls and a run that are under way at stop, and requests behind it in the same write."""
    for name, f in (("mq", "receive"), ("pipe", "read")):
        r = raw(name)
        r.init()
        r.ok(2, "open", **{"as": "o"})
        r.ok(3, "actor", n=3)
        r.send(*({"id": 10 + i, "op": "call", "actor": i, "f": f, "on": "o", "size": 64} for i in range(3)),
               {"id": 20, "op": "stop"}, {"id": 21, "op": "stop"}, {"id": 22, "op": "ping"}, {"id": 23, "op": "status"})
        assert r.end() == 0
        said = {m["re"]: m for m in r.seen if "re" in m}
        assert len(said) == sum("re" in m for m in r.seen) and set(said) == {1, 2, 3, 10, 11, 12, 20, 21, 22, 23}
        assert {said[i]["err"]["kind"] for i in (10, 11, 12)} == {"canceled"}
        assert said[20]["ok"] == {"leaked": []}


@pytest.mark.parametrize("name", KINDS)
def test_stop_in_a_run_answers_it(raw, name):
    r = raw(name)
    r.init()
    r.ok(2, "open", **{"as": "o"})
    r.ok(3, "actor", n=4)
    r.send({"id": 4, "op": "run", "for_ms": 60000, "ops": 300})
    for i in range(10, 30):
        r.ok(i, "ping")
    r.ok(5, "stop")
    assert r.end() == 0
    assert [m["err"]["kind"] for m in r.seen if m.get("re") == 4] == ["canceled"]


def test_hello_is_one_short_line():
    for path in sorted(DRIVERS.glob("plumb-*")):
        if path.is_file() and os.access(path, os.X_OK):
            out = subprocess.run([path, "--hello"], capture_output=True, text=True, check=True).stdout
            assert out.count("\n") == 1 and len(out) < 65536 and json.loads(out)["ev"] == "hello"
