# SPDX-License-Identifier: MIT
"""RUN/INSTANCE: a violated round that a stress run has kept, as one C file."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Iterator

from .. import history
from ..catalogue import Catalogue
from ..outcomes import EXIT_BROKEN, EXIT_NOTHING, Trouble, column
from ..places import Places
from ..runfolder import RunFolder
from . import calls
from .rounds import RoundProgram, Told
from .scenario import Round, acts
from .script import NoScript


def program(places: Places, folder: RunFolder, instance: int, known: Catalogue) -> str:
    """Of the first of its violated rounds that one can be made of. Trouble says in a line why there is none."""
    where, home = f"{folder.run}/{instance}", _home(folder.path, instance)
    if not home:
        raise Trouble(f"{where}: the run has no instance of that number whose rounds were kept", EXIT_NOTHING)
    whys = []
    for said in _violated(places, home):
        try:
            return _told(said, home, folder.run, known).text()
        except (NoScript, calls.NoCall, history.HistoryError) as e:
            whys.append(
                f"no C of round {said['round']} of {column(said['driver'], said['variant'])}, {said['rule']}: {e}"
            )
    raise Trouble(f"{where}: {whys[0] if whys else 'none of the rounds that were kept is violated'}", EXIT_NOTHING)


def _home(run: Path, instance: int) -> Path | None:
    found = (p for place in ("stress/inst", "inst") for p in sorted((run / place).glob("*")))
    return next((p for p in found if p.name.isdigit() and int(p.name) == instance and any(p.glob("*.hist"))), None)


def _violated(places: Places, home: Path) -> Iterator[dict[str, Any]]:
    """What plumb-check says of each."""
    argv = [places.tool("plumb-check"), "--json", home]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode not in (0, 1, 5):
        raise Trouble(f"plumb-check: {done.stderr.strip()[:200]}", EXIT_BROKEN)
    for line in done.stdout.splitlines():
        said = json.loads(line)
        if said["verdict"] == "violated":
            yield said


def _told(said: dict[str, Any], home: Path, run: str, known: Catalogue) -> RoundProgram:
    mechanism, variant, rule = said["driver"], said["variant"], said["rule"]
    piecemeal = bool(calls.table(mechanism).get("round", {}).get("piecemeal"))
    made = acts(Round(said, home), piecemeal)
    owner = known.owner(mechanism, variant, rule)
    observed = f"{said['text']} (round {said['round']} of {column(mechanism, variant)}, run {run}, rule {rule})."
    about = Told(
        owner.id if owner else "",
        owner.text if owner else "",
        owner.source if owner else "",
        said.get("promise") or "",
        observed,
        said.get("timeline") or [],
    )
    return RoundProgram(about, mechanism, variant, said["model"], rule, made)
