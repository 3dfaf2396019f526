# SPDX-License-Identifier: MIT
"""The mutants judge Plumbline and not the machine: they run when asked for, by path or by `-m mutants`."""
from pathlib import Path

HERE = Path(__file__).resolve().parent


def pytest_configure(config):
    config.addinivalue_line("markers", "mutants: libc calls broken on purpose, which must be noticed")


def pytest_ignore_collect(collection_path, config):
    named = [(config.invocation_params.dir / a.split("::")[0]).resolve() for a in config.args]
    asked = "mutants" in config.option.markexpr or any(HERE in (p, *p.parents) for p in named)
    return None if asked else True
