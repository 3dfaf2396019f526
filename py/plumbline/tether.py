# SPDX-License-Identifier: MIT
"""python -m plumbline.tether PROGRAM ARG…: becomes the program, tied to its parent.

When the command line is killed with -9 the program gets SIGINT, its own orderly end, and nothing outlives the run.
"""
from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tied(argv: list[str]) -> list[str]:
    """The argv that starts `argv` on a tether to this process."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *argv]


def main(argv: list[str]) -> None:
    parent, command = int(argv[0]), argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:
        return  # it died before the tether was tied
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        os.execvp(command[0], command)
    except OSError as e:
        print(f"{command[0]}: {e.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
