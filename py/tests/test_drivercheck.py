# SPDX-License-Identifier: MIT
"""drivercheck passes a small driver in another language, and names the check that each way of breaking it fails."""
import json
import re
import stat
import sys
from pathlib import Path

import pytest
from plumbline import drivercheck
from plumbline.cli import main

SAY = "    say(re=i, ok=ok)\n"


def failed(argv, *only):
    return {r.name: r.detail for r in drivercheck.run(argv, only) if r.outcome == "violated"}


@pytest.fixture
def hurry(monkeypatch):
    """A second is enough to see that nothing comes."""
    monkeypatch.setattr("plumbline.session.PATIENCE_S", 1.0)
    monkeypatch.setattr("plumbline.drivercheck.PATIENCE_S", 1.0)


def test_the_toy_driver_conforms(toy):
    results = drivercheck.run(toy)
    assert {r.outcome for r in results} == {"held"}, [r for r in results if r.outcome != "held"]
    assert len(results) == len(drivercheck.CHECKS) + 2


def test_forty_lines_are_enough():
    """The smallest driver that conforms: what it does not offer is skipped, nothing else."""
    results = drivercheck.run([sys.executable, str(Path(__file__).with_name("smalldriver.py"))])
    assert [r.name for r in results if r.outcome != "held"] == ["cancel", "plan"], results
    assert not [r for r in results if r.outcome == "violated"], results


@pytest.mark.parametrize(
    "check, old, new",
    [
        ("hello-flag", '    if "--hello" in sys.argv: sys.exit(0)\n', '    if "--hello" in sys.argv: sys.exit(3)\n'),
        ("hello", '"variants": [{"name"', '"variants": [], "x": [{"name"'),
        ("init", '"caps": ["datagram", "blocking"], "dir"', '"dir"'),
        ("init-version", 'r.get("proto") != 1', "False"),
        ("unknown-op", 'else: return err(i, "unsupported", f"unknown op {op!r}")', "else: ok = {}"),
        ("garbage-line", "except Exception: request = None", "except ValueError: return"),
        ("not-an-object", "good = isinstance(request, dict) and", "good = "),
        ("no-id", 'type(request.get("id")) is int and ', 'request.setdefault("id", 0) is not None and '),
        ("duplicate-key", "return dict(pairs) if len(dict(pairs)) == len(pairs) else 1 / 0", "return dict(pairs)"),
        ("binary-line", "raw.decode()", 'raw.decode("latin1").encode().decode() if raw[0] < 128 else sys.exit(9)'),
        ("nul-line", "raw.decode()", 'raw.replace(b"\\0", b"").decode()'),
        ("huge-line", 'rest, skip = b"", skip or line(rest) is None', 'rest, skip = b"", True'),
        ("cut-line", 'else err(None, "proto", "no request")', 'else err(0, "proto", "no request")'),
        ("split-line", "(rest + data)", "data"),
        ("ids", 'op, i = r["op"], r["id"]', 'op, i = r["op"], int(float(r["id"]))'),
        ("one-reply", SAY, SAY + '    if op == "ping" and i % 10 == 0: say(re=i, ok={})\n'),
        ("ch", "say(re=i, ok=ok)", 'say(re=i, ok=ok, **{k: r[k] for k in r if k == "ch"})'),
        ("plan", '"verdict": "unknown"', '"verdict": "held"'),
        ("ping", 'if op == "call": return', 'if op == "ping": time.sleep(0.15)\n    if op == "call": return'),
        ("ticks", 'say(ev="tick", done=0, okay=0, fail=0); continue', "continue"),
        ("call", '"t_inv": since, "t_ret": now', '"t_inv": now, "t_ret": since'),
        ("call", '{"token": hex(serial), ', "{"),
        ("call", "result(ident, size, since", "result(ident, -1, since"),
        ("call-wrong", "if on not in objects or actor not in actors: return", "if on not in objects: return"),
        ("argument-range", "not 0 <= size <= 4096", "size < 0"),
        ("cancel", 'errno="EINTR", canceled=True', 'errno="EINTR"'),
        (
            "cancel",
            'errno="EINTR", canceled=True)',
            'errno="EINTR", canceled=True), result(target, -1, 0, errno="EINTR", canceled=True)',
        ),
        ("cancel", 'errno="EINTR"', 'errno="E4"'),
        ("stop", 'say(ev="bye", leaked=[]); sys.exit', "sys.exit"),
        ("stop", 'if op == "stop": end(0)', 'if op == "stop": end(1)'),
        ("stop", 'ok = {"leaked": []} if op', "ok = {} if op"),
        ("stop", 'say(ev="bye", leaked=[]); sys', 'say(ev="bye", leaked=[]); say(ev="tick"); sys'),
        ("eof", "if not data: end(0)", "if not data: end(1)"),
        ("eof", "if not data: end(0)", "if not data: line(rest), end(0)"),
        ("stdout", SAY, SAY + '    if op == "actor": print("debug", flush=True)\n'),
        (
            "stdout",
            "    say(re=i, ok=ok)\n",
            '    say(re=i, ok=ok, err={"kind": "os", "msg": ""}) if op == "actor" else say(re=i, ok=ok)\n',
        ),
    ],
)
def test_each_fault_fails_its_check(hurry, mutant, check, old, new):
    found = failed(mutant((old, new)), "call" if check == "stdout" else check)
    assert check in found, found
    assert found[check]


@pytest.mark.parametrize(
    "script, detail",
    [
        ("#!/bin/sh\nexit 4\n", "ended with 4"),
        ("#!/bin/sh\nread x\n", "closed|ended|no hello"),
        ("#!/bin/sh\necho '{}'\nexec cat\n", "no hello"),
        ("#!/bin/sh\nkill -9 $$\n", "-9"),
        ("#!/bin/sh\nyes\n", "no hello"),
    ],
    ids="dies reads cat killed floods".split(),
)
def test_what_is_no_driver_at_all(hurry, tmp_path, script, detail):
    path = tmp_path / "driver"
    path.write_text(script)
    path.chmod(0o755)
    found = failed([str(path)], "hello", "ping")
    assert {"hello-flag", "hello", "ping"} <= set(found) and re.search(detail, found["hello"]), found


def test_the_command(toy, tmp_path, capsys):
    assert main(["drivercheck", toy[1]]) == 0
    assert "speaks plumb/1: " in capsys.readouterr().out
    assert main(["drivercheck", toy[1], "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "held"
    liar = tmp_path / "a driver"
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(stat.S_IRWXU)
    assert main(["drivercheck", str(liar)]) == 1
    assert "does not speak" in capsys.readouterr().out
    assert main(["drivercheck", str(tmp_path / "nothing")]) == 2
    liar.chmod(0o600)
    assert main(["drivercheck", str(liar)]) == 2
    err = capsys.readouterr().err
    assert "no such file" in err and "Permission denied" in err and "Traceback" not in err
