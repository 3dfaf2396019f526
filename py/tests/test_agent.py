# SPDX-License-Identifier: MIT
"""plumb-agent (core/README.md §3): what goes in comes out, nobody starves, nothing is left."""
import base64
import io
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from agents import AGENT, Raw, alive, needs_agent, until, write

pytestmark = needs_agent
MANY = 50


@pytest.fixture
def raw(tmp_path):
    made = []

    def make(*argv, **scripts):
        made.append(Raw(AGENT, *(argv or ("--drivers", write(tmp_path, **scripts)))))
        return made[-1]

    yield make
    for r in made:
        r.close()


@pytest.fixture
def agent(raw):
    a = raw()
    a.hello = a.event("hello")
    return a


def test_hello_says_what_can_be_started_and_where_this_is(agent, tmp_path):
    h = agent.hello
    assert h["proto"] == [1] and h["dir"] == str(tmp_path)
    assert {"echo", "flood"} <= set(h["drivers"]) and h["drivers"] == sorted(h["drivers"])
    assert h["place"]["uid"] == os.getuid() and h["place"]["machine"] == os.uname().machine
    assert h["place"]["rung"] in ("syscall", "stat", "none")


@pytest.mark.parametrize(
    "sent",
    [
        b'{"ch":3,"id":1}',
        b'{"id":1,"op":"x","ch":3}',
        b'{ "a" : {"ch":9,"b":["}",{"ch":8}]} , "s":"\\"ch\\":7}" , "ch" : 3 }',
        b'{"ch":3,"bytes":"\xff\xfe"}',
        b'{"ch":3,}',
    ],
)
def test_a_line_reaches_the_channel_it_names_as_it_is(agent, sent):
    agent.start(3, "echo")
    agent.start(4, "echo")
    agent.send(sent + b"\n")
    assert agent.line(3) == b'{"ch":3,' + sent[1:]


def test_an_empty_object_keeps_its_line_an_object(agent):
    agent.start(1, "stray")
    assert agent.own(lambda m: m.get("ev") == "stray")["text"] == "no object"
    assert agent.line(1) == b'{"ch":1}'
    assert agent.line(1) == b'{"ch":1,"a":"\xff"}'
    half = agent.event("stray", 1)
    assert half["text"] == '{"half":' and half["why"].startswith("half")
    assert agent.event("exit", 1)["status"] == 0


def test_a_line_too_long_is_told_and_the_next_is_whole(agent):
    agent.start(1, "long")
    assert "65536" in agent.event("stray", 1)["why"]
    assert agent.line(1) == b'{"ch":1,"after":1}'


def test_an_end_is_told_with_its_status_and_last_words(agent):
    agent.start(1, "three")
    agent.start(2, "shot")
    one, two = agent.event("exit", 1), None
    assert (one["status"], one["stderr"]) == (3, ["one", "two"]) and "signal" not in one
    agent.start(1, "shot")  # its number is free again
    two = agent.event("exit", 1)
    assert two["signal"] == signal.SIGKILL and "status" not in two


def test_all_that_was_said_comes_before_the_end(raw):
    """From one who ends while floods fill the way out: he is dead before anything of his is read."""
    a = raw(talks="read -r x; exec seq -f '{\"n\":%.0f}' 3000")
    pid = a.start(1, "talks")
    for n in range(2, 10):
        a.start(n, "flood")
    a.send(b'{"ch":1}\n')
    until(lambda: not alive(pid), "it does not end")
    a.event("exit", 1)
    lines = [x for x in a.lines if x.startswith(b'{"ch":1,')]
    assert len(lines) == 3000 and lines[-1] == b'{"ch":1,"n":3000}'


def test_what_cannot_be_started_says_why(agent, tmp_path):
    (tmp_path / "plumb-plain").write_text("no program")
    for fields, kind, name in [
        ({"channel": 1, "driver": "none"}, "os", "ENOENT"),
        ({"channel": 1, "driver": "plain"}, "os", "EACCES"),
        ({"channel": 1, "driver": "../bin/sh"}, "usage", None),
        ({"channel": 0, "driver": "echo"}, "usage", None),
        ({"channel": 99999, "driver": "echo"}, "usage", None),
        ({"channel": 1}, "usage", None),
        ({"channel": 1, "driver": "echo", "args": [1]}, "usage", None),
        ({"channel": 1, "driver": "echo", "env": {"A=B": "c"}}, "usage", None),
    ]:
        err = agent.ask("start", **fields)["err"]
        assert (err["kind"], err.get("name")) == (kind, name) and err["msg"], (fields, err)
    assert agent.ask("signal", channel=1, signal="TERM")["err"]["kind"] == "usage"
    assert agent.ask("bogus")["err"]["kind"] == "unsupported"
    agent.start(1, "echo")
    assert agent.ask("start", channel=1, driver="echo")["err"]["kind"] == "usage"
    assert agent.ask("signal", channel=1, signal="NOPE")["err"]["kind"] == "usage"
    assert agent.ask("status")["ok"]["channels"][0]["driver"] == "echo"


def test_arguments_and_environment_arrive(raw):
    a = raw(say="""printf '{"said":"%s %s"}\\n' "$1" "$WORD" """)
    a.start(1, "say", args=["a b"], env={"WORD": "c"})
    assert a.line(1) == b'{"ch":1,"said":"a b c"}'


def test_a_drivers_limits_are_those_that_the_agent_found(tmp_path):
    script = 'ulimit -Sn 500 && ulimit -Hn 600 && exec "$0" --drivers "$1"'
    write(tmp_path, limit="""printf '{"n":%d}\\n' "$(ulimit -Sn)" """)
    a = Raw("sh", "-c", script, AGENT, tmp_path)
    assert a.event("hello")["place"]["limits"]["RLIMIT_NOFILE"] == 500
    a.start(1, "limit")
    assert a.line(1) == b'{"ch":1,"n":500}'
    a.close()


def test_one_who_floods_starves_nobody(agent):
    """A queue before stdout is all that stands between a request and its answer, however long the flood."""
    for n in range(1, 5):
        agent.start(n, "flood")
    agent.start(9, "echo")
    for i in range(20):
        agent.send(b'{"ch":9,"i":%d}\n' % i)
        assert agent.line(9) == b'{"ch":9,"ch":9,"i":%d}' % i


def test_a_flood_that_nobody_reads_costs_no_memory(agent):
    pids = [agent.start(n, "flood") for n in range(1, 9)]

    def resident():
        return int(open(f"/proc/{agent.proc.pid}/statm").read().split()[1]) * 4

    def cpu():
        return [int(open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[12]) for p in pids]

    before = [-1]
    until(lambda: (now := cpu()) == before[0] or before.__setitem__(0, now), "the floods go on unread")
    assert resident() < 16 * 1024, f"{resident()} KiB"
    agent.start(9, "echo")  # and it still answers, once it is read
    agent.send(b'{"ch":9}\n')
    assert agent.line(9) == b'{"ch":9,"ch":9}'


def test_one_who_does_not_read_blocks_nobody(agent, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    agent.start(1, "deaf", env={"GATE": str(gate)})
    agent.start(2, "echo")
    line = b'{"ch":1,"x":"' + b"x" * 1000 + b'"}\n'
    for _ in range(200):
        agent.send(line)
    agent.event("full", 1)
    agent.send(b'{"ch":2}\n')
    assert agent.line(2) == b'{"ch":2,"ch":2}'
    with open(gate, "w") as f:  # it reads now
        f.write("go\n")
    came = [agent.until(lambda x: x) for _ in range(201)]  # the 200 lines, and that there is room again
    assert sum(x.startswith(b'{"ch":1,"ch":1,"x"') for x in came) == 200
    assert sum(b'"room"' in x for x in came) == 1


def test_what_is_lost_is_told_once_and_ends_the_input(agent, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    agent.start(1, "deaf", env={"GATE": str(gate)})
    line = b'{"ch":1,"x":"' + b"x" * 60000 + b'"}\n'
    for _ in range(30):
        agent.send(line)
    assert "does not read" in agent.event("lost", 1)["why"]
    pid = agent.ask("status")["ok"]["channels"][0]["pid"]
    assert "ok" in agent.ask("signal", channel=1, signal="KILL", group=True)
    assert agent.event("exit", 1)["signal"] == signal.SIGKILL and not alive(pid)


def test_close_is_end_of_input_after_what_was_sent(agent):
    agent.start(1, "echo")
    agent.send(b'{"ch":1,"last":1}\n', {"id": 500, "op": "close", "channel": 1})
    came = [agent.until(lambda x: x) for _ in range(3)]
    assert b'{"ch":1,"ch":1,"last":1}' in came and b'"exit"' in came[2]


def test_a_drivers_group_goes_with_it(agent):
    agent.start(1, "parent")
    child = json.loads(agent.line(1))["child"]
    agent.send(b'{"ch":1,"go":1}\n')
    assert agent.event("exit", 1)["status"] == 0
    until(lambda: not alive(child), "its child lives on")


def test_who_left_his_group_is_found_at_the_end(agent):
    agent.start(1, "escapes")
    child = json.loads(agent.line(1))["child"]
    agent.send(b'{"ch":1,"go":1}\n')
    agent.event("exit", 1)
    assert alive(child)
    assert agent.ask("stop")["ok"] == {"left": 1}
    assert agent.end() == 0 and not alive(child)


def test_closed_output_is_told_apart_from_an_end(agent):
    agent.start(1, "shuts")
    agent.event("eof", 1)
    agent.send(b'{"ch":1}\n')
    assert agent.event("exit", 1)["status"] == 0


def test_fifty_drivers_on_one_agent(agent):
    for n in range(1, MANY + 1):
        agent.start(n, "echo")
    for n in range(1, MANY + 1):
        agent.send(b'{"ch":%d,"n":%d}\n' % (n, n))
    got = {n: None for n in range(1, MANY + 1)}
    while None in got.values():
        line = agent.until(lambda x: x if not x.startswith(b'{"ch":0') else None)
        n = int(line.split(b":")[1].split(b",")[0])
        got[n] = line
    assert all(line == b'{"ch":%d,"ch":%d,"n":%d}' % (n, n, n) for n, line in got.items())
    pids = [c["pid"] for c in agent.ask("status")["ok"]["channels"]]
    assert len(set(pids)) == MANY
    assert agent.end() == 0
    assert not [p for p in pids if alive(p)]


def test_end_of_input_stops_all_by_and_by(agent):
    """End of input, SIGTERM, SIGKILL: each for those whom the one before did not move."""
    pids = [agent.start(n + 1, d) for n, d in enumerate(("echo", "obeys-term", "obeys-none"))]
    assert agent.end(40) == 0
    assert not [p for p in pids if alive(p)]


def test_a_driver_hears_the_end_of_input_and_has_time(raw, tmp_path):
    """It removes what it made: before it is signalled."""
    a = raw(orderly='while read -r x; do :; done; touch "$MARK"; exit 0')
    a.start(1, "orderly", env={"MARK": str(tmp_path / "mark")})
    assert a.end() == 0 and (tmp_path / "mark").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_agent_is_its_orderly_end(agent, number):
    pid = agent.start(1, "echo")
    agent.proc.send_signal(number)
    agent.event("exit", 1)
    assert agent.event("bye")["left"] == 0
    assert agent.proc.wait(10) == 0 and not alive(pid)


def test_an_agent_killed_leaves_nobody(agent):
    pids = [agent.start(n, "echo") for n in range(1, 11)]
    agent.proc.kill()
    until(lambda: not any(alive(p) for p in pids), "drivers outlive their agent")


def test_who_listened_is_gone(agent):
    pids = [agent.start(1, "flood"), agent.start(2, "echo")]
    agent.proc.stdout.close()
    assert agent.proc.wait(20) == 0
    assert not [p for p in pids if alive(p)]


@pytest.mark.parametrize("seed", range(6))
def test_garbage_is_answered_and_survived(agent, seed):
    """Lines of bytes, and requests with a byte wrong: an answer a line, and the next request is as good as ever."""
    rng = random.Random(seed)
    good = json.dumps({"ch": 0, "id": 777, "op": "start", "channel": 5, "driver": "echo"}).encode()
    for i in range(60):
        line = bytearray(good if i % 2 else rng.randbytes(rng.randrange(1, 300)))
        line[rng.randrange(len(line))] = rng.randrange(256)
        agent.send(bytes(line).replace(b"\n", b" ") + b"\n")
        if i % 20 == 19:
            assert agent.ask("ping")["ok"] == {}


def test_garbage_without_end_is_given_up(agent):
    agent.send(b"x\n" * 64)
    assert agent.event("bye")["left"] == 0
    assert agent.proc.wait(10) == 76


def test_a_line_too_long_is_one_bad_line(agent):
    agent.send(b"x" * 200_000 + b"\n")
    assert "65536" in agent.own(lambda m: m.get("re", 0) is None)["err"]["msg"]
    assert agent.ask("ping")["ok"] == {}


def tar(*members, end=b"\0" * 1024):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, data, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.linkname = "x" if kind == tarfile.SYMTYPE else ""
            t.addfile(info, io.BytesIO(data))
        at = out.tell()
    return out.getvalue()[:at] + end


def test_drivers_come_by_stdin_and_go_with_the_agent(raw, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    a = raw("--unpack", there)
    a.event("unpack")
    a.send(tar(("plumb-echo", b"#!/bin/sh\nexec cat\n", b"0"), ("MANIFEST", b"", b"0")))
    assert a.event("hello")["drivers"] == ["echo"]
    a.start(1, "echo")
    a.send(b'{"ch":1}\n')
    assert a.line(1) == b'{"ch":1,"ch":1}'
    (there / "made by it" / "deep").mkdir(parents=True)
    assert a.end() == 0 and not there.exists()


@pytest.mark.parametrize(
    "data",
    [
        tar(("../out", b"x", b"0")),
        tar(("a/b", b"x", b"0")),
        tar(("link", b"", tarfile.SYMTYPE)),
        tar(("plumb-x", b"x" * 5000, b"0"))[:3000],
        tar(("plumb-x", b"x", b"0"), end=b""),
        b"x" * 2048,
        b"",
    ],
    ids=["up", "below", "symlink", "cut in a file", "no end", "no tar", "nothing"],
)
def test_a_bad_bundle_is_refused_and_leaves_nothing(raw, tmp_path, data):
    there = tmp_path / "there"
    there.mkdir()
    a = raw("--unpack", there)
    a.event("unpack")
    a.send(data)
    assert a.end() == 3
    assert b"bundle" in a.proc.stderr.read()
    assert not there.exists() and not (tmp_path / "out").exists()


def test_what_dead_agents_left_is_removed_and_nothing_else(raw, tmp_path):
    """A folder that is old and that nobody holds; a young one, a stranger's and one in use stay."""
    for name in ("plumb.agent.dead", "plumb.agent.young", "other.dead", "plumb.agent.new"):
        (tmp_path / name / "deep").mkdir(parents=True)
    one = raw("--unpack", tmp_path / "plumb.agent.young")
    one.event("unpack")
    one.send(tar())
    one.event("hello")
    later = ["--unpack", tmp_path / "plumb.agent.new"]
    two = Raw("env", *(clock(tmp_path) or pytest.skip("no cc")), AGENT, *later)
    two.event("unpack")
    two.send(tar())
    two.event("hello")
    assert sorted(p.name for p in tmp_path.glob("*.*") if p.is_dir()) == [
        "other.dead",
        "plumb.agent.new",
        "plumb.agent.young",
    ]
    two.close()


def clock(tmp_path):
    """What `env` needs to load a library that moves time(2) an hour on, or () without a compiler."""
    source, made = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(
        "#include <time.h>\ntime_t time(time_t *t)\n{ struct timespec s; clock_gettime(CLOCK_REALTIME, &s); "
        "if (t) *t = s.tv_sec + 3600; return s.tv_sec + 3600; }\n"
    )
    if not shutil.which("cc") or subprocess.run(["cc", "-shared", "-fPIC", "-o", made, source]).returncode:
        return ()
    return f"LD_PRELOAD={made.name}", f"LD_LIBRARY_PATH={tmp_path}"  # LD_PRELOAD ends at a space


def test_a_work_folder_can_be_read_and_nothing_outside_of_it(agent, tmp_path):
    work = Path(agent.ask("folder")["ok"]["path"])
    assert agent.ask("folder")["ok"]["path"] == str(work)
    (work / "sub").mkdir()
    data = random.Random(1).randbytes(100_001)
    (work / "sub" / "file").write_bytes(data)
    (work / "link").symlink_to("/etc/passwd")
    os.mkfifo(work / "fifo")
    assert sorted(agent.ask("list", path="")["ok"]["names"]) == ["fifo", "link", "sub"]
    assert agent.ask("list", path="sub")["ok"]["names"] == ["file"]
    got = b""
    while part := base64.b64decode(agent.ask("read", path="sub/file", at=len(got))["ok"]["data"]):
        got += part
    assert got == data
    for path, name in [
        ("link", "ELOOP"),
        ("../x", "EINVAL"),
        ("sub/../../x", "EINVAL"),
        ("/etc/passwd", "EINVAL"),
        ("none", "ENOENT"),
        ("sub", "EISDIR"),
        ("fifo", "ESPIPE"),
    ]:
        assert agent.ask("read", path=path, at=0)["err"]["name"] == name, path
    assert agent.ask("list", path="sub/file")["err"]["name"] == "ENOTDIR"
    assert agent.end() == 0 and not work.exists()
