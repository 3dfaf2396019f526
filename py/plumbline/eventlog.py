# SPDX-License-Identifier: MIT
"""events.jsonl within a bound: when it has grown past it, what only says "still here" goes, the oldest first."""
from __future__ import annotations

import os
from pathlib import Path

MAX = 16 << 20
PLAIN = (b'{"ev": "minute"', b'{"ev": "segment"')  # told of every minute and segment; all else is a finding or a change


def bound(path: Path, most: int = MAX) -> bool:
    """True if it was shortened: all findings stay, of the plain lines the last `most`/4 bytes."""
    try:
        if path.stat().st_size <= most:
            return False
        temporary = path.with_name(path.name + ".tmp")
        old = path.stat().st_size - most // 4
        with open(path, "rb") as src, open(temporary, "wb") as dst:
            for line in src:
                old -= len(line)
                if old < 0 or not line.startswith(PLAIN):
                    dst.write(line)
        os.replace(temporary, path)
        return True
    except OSError:
        return False
