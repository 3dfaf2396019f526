# SPDX-License-Identifier: MIT
"""A short run of each driver and variant, with each kind of actor and with a death.

ci/test runs it on sanitized builds.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, os.fspath(ROOT / "py"))
from plumbline.client import Driver, DriverError  # noqa: E402

DRIVERS = Path(os.environ.get("PLUMBLINE_DRIVERS") or ROOT / "build" / "drivers").resolve()
FINDING = re.compile(r"Sanitizer|runtime error", re.I)


TOOLS = ("plumb-stress", "plumb-check", "plumb-agent")


def variants():
    for path in sorted(p for p in DRIVERS.glob("plumb-*") if p.is_file() and p.name not in TOOLS):
        hello = json.loads(subprocess.run([path, "--hello"], capture_output=True, check=True, timeout=30).stdout)
        yield from ((hello["driver"], v["name"], v["caps"]) for v in hello["variants"] if v["supported"])


CASES = list(variants())


def test_there_are_drivers():
    assert CASES, f"no drivers in {DRIVERS}"


@pytest.mark.parametrize("name,variant,caps", CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
@pytest.mark.parametrize("kind", ["process", "thread", "exec"])
def test_rounds_hold_and_nothing_is_found(name, variant, caps, kind, tmp_path):
    if kind == "exec" and "anonymous" in caps and "lock" not in caps:
        pytest.skip("an anonymous descriptor does not travel to an exec actor")
    if kind == "thread" and "apart" in caps or kind == "exec" and "putonly" in caps:
        with Driver(name, drivers=DRIVERS, dir=tmp_path, hello_timeout=30) as d:
            d.open("o", variant=variant)
            d.actors(4, kind=kind)
            with pytest.raises(DriverError) as e:
                d.run(on="o", ops=5, rounds=1, timeout=60)
            assert e.value.kind == "usage", e.value
        return
    with Driver(name, drivers=DRIVERS, dir=tmp_path, hello_timeout=30) as d:
        d.open("o", variant=variant)
        ids = d.actors(4, kind=kind)
        said = d.run(on="o", ops=500, rounds=10, timeout=60)
        assert said["violated"] == 0 and said["rounds"] == 10, said
        if kind == "process":
            d.fault("kill", ids[0])
            said = d.run(on="o", ops=500, rounds=10, timeout=60)
            assert said["violated"] == 0, said
        assert d.stop() == []
        found = [line for line in d.stderr if FINDING.search(line)]
        assert not found, "\n".join(d.stderr)
