# SPDX-License-Identifier: MIT
"""Each reproducer says of this system what the catalogue's expectations say: violated where listed, else held."""
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LISTED = {e["clause"] for e in tomllib.loads((HERE.parent / "expect" / "linux.toml").read_text())["expect"]}
BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or HERE.parents[1] / "build") / "conformance" / "reproducers"


@pytest.mark.parametrize("name", sorted(p.stem for p in HERE.glob("*.c")))
def test_reproducer(name):
    program = BUILD / f"reproduce-{name}"
    if not program.exists():
        pytest.skip("not built")
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        pytest.skip("not possible here")
    assert done.returncode in (0, 1), f"{name} ended with {done.returncode}: {done.stderr}"
    assert done.stdout.count("\n") == 1, "one line says what was seen"
    if done.returncode == 1:
        assert name.upper() in LISTED, f"violated, and not listed in expect/linux.toml: {done.stdout.strip()}"


@pytest.mark.skipif(not shutil.which("cc"), reason="no cc")
@pytest.mark.parametrize("path", sorted(HERE.glob("*.c")), ids=lambda p: p.stem)
def test_it_stands_alone(path, tmp_path):
    """As its head says: cc and nothing else."""
    subprocess.run(["cc", "-Wall", "-Werror", "-pthread", "-o", tmp_path / "x", path], check=True, timeout=60)


def test_heads_say_what_they_are_about():
    for path in HERE.glob("*.c"):
        head = path.read_text().split("*/")[0]
        for word in ("Clause", "Source", "Expected", "Observed", "Exit 0: held, 1: violated"):
            assert word in head, f"{path.name} does not say: {word}"
        assert f"Clause    {path.stem.upper()}:" in head, path.name
