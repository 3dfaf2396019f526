# SPDX-License-Identifier: MIT
"""Shared: where the package, the toy driver and the built drivers are."""
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
for name in (
    "PLUMBLINE_TARGET",
    "PLUMBLINE_AGENT",
    "PLUMBLINE_RESULTS",
    "PLUMBLINE_RUN_DIR",
    "PLUMBLINE_ARGV0",
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
):
    os.environ.pop(name, None)


@pytest.fixture
def toy():
    """argv of the toy driver."""
    return [sys.executable, str(HERE / "toydriver.py")]


@pytest.fixture
def mutant(tmp_path):
    """mutant(old, new): argv of a toy driver with one text replaced, exactly once at least."""

    def make(*pairs):
        text = (HERE / "toydriver.py").read_text()
        for old, new in pairs:
            assert old in text, f"the toy driver no longer contains {old!r}"
            text = text.replace(old, new)
        path = tmp_path / "mutant.py"
        path.write_text(text)
        return [sys.executable, str(path)]

    return make


@pytest.fixture
def results(tmp_path):
    """results(run, conform, load, **more): folders.make() below tmp_path/plumbline-results."""
    import functools

    import folders

    return functools.partial(folders.make, tmp_path / "plumbline-results")
