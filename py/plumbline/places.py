# SPDX-License-Identifier: MIT
"""Where things are: drivers, the engine, the suites. The wrapper that meson makes says so by environment."""
from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from .outcomes import EXIT_BROKEN, Trouble

PREFIX = "plumb-"
_TOOLS = {"plumb-stress", "plumb-check", "plumb-fake", "plumb-agent"}


def program() -> str:
    """How this command was called, for lines that can be pasted: "plumbline" if the PATH finds it, else its path."""
    me = os.environ.get("PLUMBLINE_ARGV0", "")
    found = shutil.which("plumbline")
    if not me or found and os.path.realpath(found) == os.path.realpath(me):
        return "plumbline"
    return shlex.quote(me)


@dataclass(frozen=True)
class Places:
    source: Path  # holds conformance/
    drivers: Path  # holds plumb-<name>
    bins: tuple[Path, ...]  # may hold plumb-stress and plumb-check

    @classmethod
    def find(cls, drivers: str | None = None) -> "Places":
        """From --drivers, the wrapper's environment, or the tree this file lies in."""
        source = Path(os.environ.get("PLUMBLINE_SOURCE") or Path(__file__).resolve().parents[2])
        build = Path(os.environ.get("PLUMBLINE_BUILD") or source / "build")
        folder = Path(drivers or os.environ.get("PLUMBLINE_DRIVERS") or build / "drivers")
        bins = (Path(os.environ.get("PLUMBLINE_BIN") or build / "stress"), build, build / "core", folder, folder.parent)
        if drivers and not folder.is_dir():
            raise Trouble(f"--drivers {drivers}: no such folder")
        return cls(source, folder, bins)

    def driver_names(self) -> list[str]:
        """Sorted names of the drivers there."""
        try:
            entries = sorted(self.drivers.glob(PREFIX + "*"))
        except OSError:
            entries = []
        return [
            p.name[len(PREFIX) :]
            for p in entries
            if p.is_file() and os.access(p, os.X_OK) and p.name not in _TOOLS and "." not in p.name
        ]

    def driver(self, name: str) -> Path:
        """Path of one driver; Trouble naming those that exist."""
        path = self.drivers / (PREFIX + name)
        if name not in self.driver_names():
            have = " ".join(self.driver_names()) or "none"
            raise Trouble(f"no driver {name!r} in {self.drivers} (there: {have})")
        return path

    def need_drivers(self) -> list[str]:
        names = self.driver_names()
        if not names:
            raise Trouble(
                f"no driver plumb-* in {self.drivers}: build first (meson setup build && ninja -C build), "
                "or say --drivers DIR",
                EXIT_BROKEN,
            )
        return names

    def tool(self, name: str) -> Path:
        """plumb-stress or plumb-check."""
        for folder in self.bins:
            for path in (folder / name, folder / "check" / name, folder / "stress" / name):
                if path.is_file() and os.access(path, os.X_OK):
                    return path
        found = shutil.which(name)
        if found:
            return Path(found)
        raise Trouble(
            f"{name} is not built: ninja -C build (looked in {', '.join(map(str, self.bins[:2]))} and on the PATH)",
            EXIT_BROKEN,
        )

    @property
    def conformance(self) -> Path:
        path = self.source / "conformance"
        if not path.is_dir():
            raise Trouble(f"the suites are not at {path}: run from the source tree, or install them", EXIT_BROKEN)
        return path
