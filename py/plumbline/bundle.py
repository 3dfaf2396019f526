# SPDX-License-Identifier: MIT
"""What a target needs, as one tar: plumb-agent, the static drivers, the engine, and a MANIFEST.

The same files give the same bytes: sorted, no times, no owners, and of each program only what is loaded.
"""
from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from . import __version__
from .outcomes import EXIT_BROKEN, Trouble
from .places import PREFIX
from .target import elf_machine, elf_static

AGENT = "plumb-agent"
_TOOLS = ("plumb-stress", "plumb-check")
_LEFT_OUT = {AGENT, *_TOOLS, "plumb-fake"}


def folder_for(drivers: Path) -> Path:
    """The folder with the static programs: `drivers` itself, or the one that the build made beside it."""
    for folder in (drivers, drivers.parent / "static", drivers / "static", drivers.parent / "musl"):
        if (folder / AGENT).is_file() and elf_static(folder / AGENT) is not False:
            return folder
    raise Trouble(
        f"no static plumb-agent for {drivers}: the build makes it where a static jansson is found "
        "(Debian: libjansson-dev libc6-dev), in build/static; or say --drivers DIR",
        EXIT_BROKEN,
    )


def programs(folder: Path, tools: bool = True) -> list[Path]:
    """The drivers there, sorted, and the tools; Trouble when one would not run elsewhere."""
    found = sorted(p for p in folder.glob(PREFIX + "*") if "." not in p.name and os.access(p, os.X_OK) and p.is_file())
    drivers = [p for p in found if p.name not in _LEFT_OUT]
    if not drivers:
        raise Trouble(f"no driver plumb-* in {folder}", EXIT_BROKEN)
    chosen = drivers + [p for p in found if tools and p.name in _TOOLS]
    for p in chosen:
        if elf_static(p) is False:
            raise Trouble(f"{p} is linked dynamically and would not run elsewhere; say --drivers build/static")
    return chosen


def loaded(path: Path) -> bytes:
    """A program without what no kernel loads (symbols, debug information, section table); other files as they are."""
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or len(data) < 64:
        return data
    order, wide = ("little" if data[5] == 1 else "big"), data[4] == 2

    def num(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    word = 8 if wide else 4
    start, entry, count = (num(32, 8), num(54, 2), num(56, 2)) if wide else (num(28, 4), num(42, 2), num(44, 2))
    end = start + entry * count
    for at in range(start, end, entry):
        offset, size = (num(at + 8, word), num(at + 32, word)) if wide else (num(at + 4, word), num(at + 16, word))
        end = max(end, offset + size)
    head = bytearray(data[:end])
    sections, counts = (40, 58) if wide else (32, 46)
    head[sections : sections + word] = bytes(word)
    head[counts : counts + 6] = bytes(6)  # their size, number and names
    return bytes(head)


def tar(files: dict[str, bytes]) -> bytes:
    """A plain ustar of executable files that ends at its end mark: it can be read from a stream."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644 if name == "MANIFEST" else 0o755
            t.addfile(info, io.BytesIO(data))
        end = out.tell()
    return out.getvalue()[:end] + bytes(1024)


def write(path: Path, drivers: Path) -> list[str]:
    """Writes the bundle: the names in it."""
    folder = folder_for(drivers)
    files = {p.name: loaded(p) for p in [folder / AGENT, *programs(folder)]}
    lines = [f"# plumbline {__version__} {elf_machine(folder / AGENT) or 'unknown'}"]
    lines += [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in files.items()]
    data = tar({"MANIFEST": ("\n".join(lines) + "\n").encode(), **files})
    try:
        path.write_bytes(data)
    except OSError as e:
        raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None
    return list(files)
