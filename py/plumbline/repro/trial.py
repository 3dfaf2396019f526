# SPDX-License-Identifier: MIT
"""A program of a story that held must hold here, too, each time: calls that race may go another way than they did."""
from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from .program import PATIENCE_S

TIMES = 3
LIMIT_S = 4 * PATIENCE_S


def disagrees(text: str) -> str:
    """What it said instead of `held`; "" when it held each time, or when there is no C compiler."""
    if not shutil.which("cc"):
        return ""
    with tempfile.TemporaryDirectory(prefix="plumbline-repro.") as folder:
        source, program = Path(folder, "it.c"), Path(folder, "it")
        source.write_text(text)
        argv = ["cc", "-w", "-pthread", "-o", program, source, "-lrt"]
        made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if made.returncode:
            return f"it does not compile: {(made.stderr.strip() or 'no reason given').splitlines()[0]}"
        return next((why for why in (_run(program) for _ in range(TIMES)) if why), "")


def _run(program: Path) -> str:
    try:
        done = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"it lasted longer than {LIMIT_S} s"
    said = done.stdout.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
    return said[0] if done.returncode else ""
