# SPDX-License-Identifier: MIT
"""Clauses over an agent, with a libc that breaks a promise: what their rounds have kept comes home.

Needs a build (PLUMBLINE_BUILD) with plumb-agent and the mutants' shim.
"""
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agents import AGENT, BUILD, DRIVERS, needs_agent

SHIM = BUILD / "conformance/mutants/libplumb-mutants.so"
TREE = Path(__file__).resolve().parents[2]
pytestmark = [
    needs_agent,
    pytest.mark.skipif(not SHIM.exists(), reason="libplumb-mutants.so is not built (PLUMBLINE_BUILD)"),
    pytest.mark.skipif(any(c in str(SHIM) for c in ":;"), reason="LD_LIBRARY_PATH cannot name such a path"),
]


def test_a_violated_history_comes_home(tmp_path):
    there, home = tmp_path / "there", tmp_path / "home"
    for folder in (there, home):
        folder.mkdir()
    for program in (DRIVERS / "plumb-mq", AGENT):
        shutil.copy(program, there)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "conformance/mechanism/test_mq.py"]
    argv += ["-k", "under_load and PMQ-02", "--agent", str(there / AGENT.name), "--target"]
    preload = [f"LD_PRELOAD={SHIM.name}", f"LD_LIBRARY_PATH={SHIM.parent}"]
    argv += [shlex.join(["env", *preload, "PLUMB_MUTANT=mq-swap,within=20"])]
    env = {**os.environ, "PLUMBLINE_RUN_DIR": str(home), "PLUMBLINE_DRIVERS": str(DRIVERS)}
    done = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, timeout=300, env=env)
    assert "PMQ-02 is violated" in done.stdout, done.stdout + done.stderr
    found = [p.name for p in home.glob("*/round-*.hist")]
    assert len(found) == 7 and any("control" in n for n in found), f"of six actors and control {found} came"
