# SPDX-License-Identifier: MIT
"""The gate on real runs: this machine against itself passes; with a broken call (conformance/mutants) it says which.

Needs a build (PLUMBLINE_BUILD) with the mutants' shim.
"""
import os
import shlex
import subprocess
import sys
from pathlib import Path

import ktap_reader
import pytest

BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or "/nonexistent")
SHIM = BUILD / "conformance/mutants/libplumb-mutants.so"
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(not SHIM.exists(), reason="libplumb-mutants.so is not built (PLUMBLINE_BUILD)"),
    pytest.mark.skipif(any(c in str(SHIM) for c in ":;"), reason="LD_LIBRARY_PATH cannot name a path with a colon"),
]


@pytest.fixture
def plumbline(tmp_path):
    """plumbline(*argv, mutant=""): exit code and stdout of the command, in an empty folder, on the built drivers."""
    known = ("PLUMB", "PYTEST_", "GITHUB_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(known)}
    env |= {"PLUMBLINE_SOURCE": str(ROOT), "PLUMBLINE_BUILD": str(BUILD), "PLUMBLINE_BIN": str(BUILD)}

    def run(*argv, mutant=""):
        preload = [f"LD_PRELOAD={SHIM.name}", f"LD_LIBRARY_PATH={SHIM.parent}", f"PLUMB_MUTANT={mutant}"]
        target = ["--target", shlex.join(["env", *preload])] if mutant else []
        argv = [sys.executable, "-m", "plumbline", *argv, *target]
        p = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert "Traceback" not in p.stderr, p.stderr
        return p.returncode, p.stdout + p.stderr

    run.folder = tmp_path
    return run


def test_a_broken_call_shuts_the_gate(plumbline):
    suites = ["conform", "mq", "-k", "PMQ-05 or PMQ-06", "--jobs", "0"]
    code, said = plumbline(*suites)
    assert code == 0, said
    assert plumbline("gate", "--write-baseline", "b.toml")[0] == 0
    assert (plumbline.folder / "b.toml").read_text().count(' = "held"\n') == 2
    plumbline(*suites)
    code, said = plumbline("gate", "--baseline", "b.toml")
    assert code == 0 and "2 claims held before, and all of that still holds" in said, said
    code, said = plumbline(*suites, mutant="mq-send-squeeze")
    assert code == 1, said
    code, said = plumbline("gate", "--baseline", "b.toml", "--ktap", "k")
    assert (
        code == 1 and "Blocked: 1 claim is violated" in said and "held → violated PMQ-05 mq: A message longer" in said
    )
    assert "replay" in said and "PMQ-06" not in said, said
    tests = ktap_reader.read((plumbline.folder / "k").read_text())[0][3]
    assert [t[:3] for t in tests] == [(False, "PMQ-05", ""), (True, "PMQ-06", "")]
    code, said = plumbline("runs")
    assert code == 0 and said.count("  conform  ") == 3, said


def test_a_broken_call_shows_under_load(plumbline):
    load = ["stress", "mq=1", "--for", "1s"]
    code, said = plumbline(*load)
    assert code == 0, said
    assert plumbline("gate", "--write-baseline", "b.toml")[0] == 0
    plumbline(*load)
    code, said = plumbline("gate", "--baseline", "b.toml")
    assert code == 0, said
    plumbline(*load, mutant="mq-prio-lower")
    code, said = plumbline("gate", "--baseline", "b.toml")
    assert code == 1 and "held → violated PMQ-25 mq under load" in said and "--seed" in said, said
