# SPDX-License-Identifier: MIT
"""The commands that only read results: their options, and the module of each. Nothing heavy is imported for --help."""
from __future__ import annotations

import argparse
import importlib
import os
from typing import Any, Callable

MODULES = {"report": "jobs", "gate": "gate", "diff": "diff", "runs": "runs", "expect": "expectfile"}
SHOWN = 10

_RUNS = "where run folders are (default: plumbline-results)"


def parsers(add: Callable[..., argparse.ArgumentParser], as_json: argparse.ArgumentParser) -> None:
    """`add`: makes a command's parser from its name, what it does, and parents."""
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("--out", metavar="DIR", help=_RUNS)
    report = add("report", "write a run's report.html, junit.xml and results.ktap again", as_json, results)
    report.add_argument("run", metavar="RUN", help="its folder, its id, or latest")
    _gate(add("gate", "does what held before still hold? two runs, or a run and a stored baseline", as_json, results))
    diff = add("diff", "which claims two runs disagree about, and their stress figures side by side", as_json, results)
    diff.add_argument("a", metavar="A", help="a run's folder, id or latest, or a baseline")
    diff.add_argument("b", metavar="B", nargs="?", default="latest", help="the other one (default latest)")
    runs = add("runs", "the runs that were kept, the newest last", as_json, results)
    runs.add_argument("--last", metavar="N", type=positive, default=20, help="as many of them (default 20)")
    known = add("expect", "bring a file of known deviations up to date with a run", as_json, results)
    known.add_argument("file", metavar="FILE", help="TOML, as for --expect")
    known.add_argument("runs", metavar="RUN", nargs="*", help="default latest; several are parts of one")
    known.add_argument("--update", action="store_true", help="write the file, not only what would change")


def positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: a number, 1 or more")
    return int(text)


def _gate(p: argparse.ArgumentParser) -> None:
    p.add_argument("runs", metavar="RUN", nargs="*", help="BASE CAND: folders, ids, latest; CAND alone with --baseline")
    p.add_argument("--baseline", metavar="FILE", help="compare with this file; CAND may be several parts of one run")
    p.add_argument("--write-baseline", metavar="FILE", help="write what RUN (default latest) says as a baseline")
    p.add_argument("--expect", metavar="FILE", help="known deviations (default: those of the candidate's own --expect)")
    p.add_argument("--catalogue", metavar="N", type=int, help="clauses up to this version count (default: the base's)")
    p.add_argument("--show", metavar="N", type=int, default=SHOWN, help=f"claims shown in full (default {SHOWN})")
    p.add_argument("--junit", metavar="FILE", help="write the comparison as JUnit XML")
    p.add_argument("--ktap", metavar="FILE", help="write the comparison as KTAP")
    p.add_argument(
        "--github-summary",
        metavar="FILE",
        default=os.environ.get("GITHUB_STEP_SUMMARY") or None,
        help="add a job summary in markdown (default: $GITHUB_STEP_SUMMARY)",
    )


def dispatch(out: Any, a: argparse.Namespace) -> int:
    module = importlib.import_module(f".{MODULES[a.command]}", __package__)
    return getattr(module, "report" if a.command == "report" else "command")(out, a)
