# SPDX-License-Identifier: MIT
"""The mutants judge Plumbline and not the machine: they run when asked for, by path or by `-m mutants`."""
import dataclasses
import os
from pathlib import Path

import pytest
from plumbline.mutants import Lab
from plumbline.outcomes import EXIT_BROKEN, Trouble
from plumbline.places import Places

HERE = Path(__file__).resolve().parent


def pytest_configure(config):
    config.addinivalue_line("markers", "mutants: libc calls broken on purpose, which must be noticed")


def pytest_ignore_collect(collection_path, config):
    named = [(config.invocation_params.dir / a.split("::")[0]).resolve() for a in config.args]
    asked = "mutants" in config.option.markexpr or any(HERE in (p, *p.parents) for p in named)
    return None if asked else True


@pytest.fixture(scope="session")
def lab():
    built = sorted(HERE.parents[1].glob("build*/drivers"), key=lambda p: p.stat().st_mtime)
    given = os.environ.get("PLUMBLINE_DRIVERS") or (os.fspath(built[-1]) if built else None)
    try:
        return Lab.find(dataclasses.replace(Places.find(given), source=HERE.parents[1]))
    except Trouble as e:
        (pytest.fail if e.code == EXIT_BROKEN else pytest.skip)(str(e))
