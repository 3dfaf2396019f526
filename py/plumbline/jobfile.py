# SPDX-License-Identifier: MIT
"""Job files: what to run, in TOML, for `plumbline stress --job FILE` and `plumbline soak --job FILE`.

    for = "8h"
    seed = "0x5eed"              # left out: drawn anew
    lanes = 2                    # or "free"
    place = "spread"             # same, spread or free
    faults = ["kill:1/s"]
    actors = 4
    ops = 2000
    expect = "linux.toml"        # beside this file; or [[expect]] entries, as in such a file
    segment = "10m"              # these three are for soak, and nothing to stress
    every = "1m"
    prom = "/var/lib/node_exporter/plumbline.prom"

    [mechanisms]
    pipe = 20
    "mutex/robust" = 10

What the command line says besides wins over the file; its mechanisms replace the file's, its faults are added.
"""
from __future__ import annotations

import argparse
import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Callable, Iterable, Sequence

from .outcomes import Trouble

_PLACES = ("same", "spread", "free")


def is_file(name: str) -> bool:
    """`--job gallery` is a job that the engine has built in; `--job night.toml` and `--job ./night` are files."""
    return "/" in name or name.endswith(".toml")


def parse(parser: argparse.ArgumentParser, a: argparse.Namespace, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments once more, with the job file's as defaults."""
    if not is_file(a.job):
        return a
    sub = a.parser
    values = {k: v for k, v in load(a.job).items() if hasattr(a, k)}
    sub.set_defaults(**values)
    return parser.parse_args(argv)


def load(path: str) -> dict[str, Any]:
    """Our arguments, by the names they have in argparse. Trouble names file, key and what is valid."""
    where = f"--job {path}"
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise Trouble(f"{where}: {getattr(e, 'strerror', None) or e}") from None
    except tomllib.TOMLDecodeError as e:
        raise Trouble(f"{where}: {e}") from None
    return _values(raw, where, Path(path))


def _values(raw: dict[str, Any], where: str, path: Path) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _KEYS:
            raise Trouble(f"{where}: unknown key {key!r}{_nearest(key, _KEYS)}")
        try:
            out.update(_KEYS[key](key, value, path))
        except ValueError as e:
            raise Trouble(f"{where}: {e}") from None
    if not out.get("mix"):
        raise Trouble(f"{where}: no mechanisms; a table [mechanisms] says how many drivers of each, as in pipe = 20")
    return out


def _nearest(key: str, valid: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(valid), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid are {' '.join(sorted(valid))}"


def seconds(text: Any) -> float:
    """ "60s", "5m", "200ms", "8h". ValueError without a unit."""
    m = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text) if isinstance(text, str) else None
    if not m:
        raise ValueError(f"{text!r}: a duration carries its unit, as in 60s, 5m or 500ms")
    return float(m[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[m[2]]


def _span(dest: str) -> Callable[[str, Any, Path], dict[str, Any]]:
    def check(key: str, value: Any, path: Path) -> dict[str, Any]:
        try:
            return {dest: seconds(value)}
        except ValueError as e:
            raise ValueError(f"{key} = {e}") from None

    return check


def _number(key: str, value: Any, path: Path) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} = {value!r}: a positive integer")
    return {key: str(value)}


def _lanes(key: str, value: Any, path: Path) -> dict[str, Any]:
    return {key: value} if value == "free" else _number(key, value, path)


def _seed(key: str, value: Any, path: Path) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f'{key} = {value!r}: an unsigned 64-bit number, as in "0x5eed"')
    return {key: str(value)}


def _place(key: str, value: Any, path: Path) -> dict[str, Any]:
    if value not in _PLACES:
        raise ValueError(f"{key} = {value!r}: one of {', '.join(_PLACES)}")
    return {key: value}


def _faults(key: str, value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f'{key} = {value!r}: a list of KIND:RATE, as in ["kill:5/s"]')
    return {"fault": value}


def _beside(key: str, value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} = {value!r}: a file's name")
    return {key: str(path.parent / value)}


def _expect(key: str, value: Any, path: Path) -> dict[str, Any]:
    """Entries of the job file itself are read from there, as from any file of expectations."""
    return {key: str(path)} if isinstance(value, list) else _beside(key, value, path)


def _mechanisms(key: str, value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{key} is a table, [mechanisms], with lines as pipe = 20")
    for name, n in value.items():
        if isinstance(n, dict):
            raise ValueError(f'{key}: {name!r} is a table; names with a slash need quotes, as in "{name}/NAME" = 20')
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"{key}: {name} = {n!r}: a positive number of drivers")
    return {"mix": [f"{name}={n}" for name, n in value.items()]}


_KEYS: dict[str, Callable[[str, Any, Path], dict[str, Any]]] = {
    "for": _span("for_s"),
    "segment": _span("segment_s"),
    "every": _span("every_s"),
    "seed": _seed,
    "lanes": _lanes,
    "place": _place,
    "faults": _faults,
    "actors": _number,
    "ops": _number,
    "expect": _expect,
    "prom": _beside,
    "mechanisms": _mechanisms,
}
