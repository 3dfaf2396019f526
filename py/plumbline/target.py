# SPDX-License-Identifier: MIT
"""Targets: an argv prefix (`chroot DIR`, `podman exec -i C`, `qemu-aarch64-static`), and what a driver's ELF file says.

All that crosses a target is stdin, stdout and stderr.
"""
from __future__ import annotations

import os
import platform
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

# e_machine of <elf.h> → the name that uname(2) gives for it
_MACHINES = {
    3: "i686",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
_SAME_KERNEL = {"env", "nice", "taskset", "setarch", "stdbuf", "setpriv", "prlimit", "chrt", "ionice", "nohup"}


class TargetError(ValueError):
    """A target that cannot be: the text says why and what to write instead."""


@dataclass(frozen=True)
class Target:
    """An argv prefix; empty is this machine."""

    argv: tuple[str, ...] = ()
    agent: str = ""  # none; "push": carried there; else the path of plumb-agent on the target (agent.py)

    @classmethod
    def here(cls) -> "Target":
        """As the environment has it: $PLUMBLINE_TARGET, $PLUMBLINE_AGENT."""
        return cls.parse(os.environ.get("PLUMBLINE_TARGET", ""), os.environ.get("PLUMBLINE_AGENT", ""))

    @classmethod
    def parse(cls, text: "str | Sequence[str] | Target | None", agent: str = "") -> "Target":
        """From a shell-quoted string or a list. TargetError on bad quotes or a program that is not there."""
        if isinstance(text, cls):
            return text
        try:
            argv = tuple(shlex.split(text)) if isinstance(text, str) else tuple(text or ())
        except ValueError as e:
            raise TargetError(f"target {text!r}: {e}; quote it as for a shell") from None
        if argv and shutil.which(argv[0]) is None:
            raise TargetError(f"target {shlex.join(argv)!r}: {argv[0]!r} is not on the PATH")
        return cls(argv, agent)

    @property
    def native(self) -> bool:
        """Same kernel, same namespaces, same clock for certain. False means only: not known to be so."""
        return not self.argv or Path(self.argv[0]).name in _SAME_KERNEL and not self.emulated()

    def emulated(self, driver: str | os.PathLike[str] | None = None) -> bool:
        """True under qemu-user: named in the prefix, or (binfmt) when the driver's machine is not this one."""
        if any(Path(a).name.startswith("qemu-") and "system" not in a for a in self.argv):
            return True
        return driver is not None and not self.argv and not _runs_here(elf_machine(driver))

    def command(self, *argv: str | os.PathLike[str]) -> list[str]:
        """The argv that runs `argv` on the target."""
        return [*self.argv, *map(os.fspath, argv)]

    def __str__(self) -> str:
        return shlex.join(self.argv) if self.argv else "this machine"


def _elf(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as f:
            head = f.read(4096)
    except OSError:
        return b""
    return head if head[:4] == b"\x7fELF" and len(head) >= 64 else b""


def elf_machine(path: str | os.PathLike[str]) -> str | None:
    """The machine an ELF file is for ("aarch64"), "em-N" when it has no name here, None for other files."""
    head = _elf(path)
    if not head:
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return _MACHINES.get(number, f"em-{number}")


def elf_static(path: str | os.PathLike[str]) -> bool | None:
    """True when no program header asks for an interpreter (PT_INTERP); None for files that are no ELF."""
    head = _elf(path)
    if not head:
        return None
    order, wide = ("little" if head[5] == 1 else "big"), head[4] == 2

    def num(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], order)

    start, size, count = (num(32, 8), num(54, 2), num(56, 2)) if wide else (num(28, 4), num(42, 2), num(44, 2))
    return not any(num(start + i * size, 4) == 3 for i in range(count))


def _runs_here(machine: str | None) -> bool:
    here = platform.machine()
    return machine is None or machine == here or (machine, here) in {("i686", "x86_64"), ("armv7l", "aarch64")}
