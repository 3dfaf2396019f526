# SPDX-License-Identifier: MIT
"""JUnit XML in the dialect xunit1, which keeps the file.

Names hold no durations, pids or seeds: CI systems key history on them.
"""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .outcomes import EXIT_BROKEN, Record, Trouble

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_MAX = 64 * 1024  # of one witness; GitLab refuses files over 30 MB


def _clean(text: Any) -> str:
    return _ILLEGAL.sub("\ufffd", str(text))[:_TEXT_MAX]


def _first_line(text: str) -> str:
    return _clean(text).strip().split("\n")[0][:500]


@dataclass
class Case:
    """A testcase. `ending`: tag, its attributes and its text; None when it passed."""

    classname: str
    name: str
    ending: tuple[str, dict[str, str], str] | None = None
    file: str = ""
    seconds: float = 0.0
    properties: dict[str, str] = field(default_factory=dict)
    longer: str = ""  # the name behind `name` when another test has it: readers drop duplicates silently


def build(cases: list[Case], properties: dict[str, str]) -> ET.ElementTree:
    """One testsuite."""
    suite = ET.Element("testsuite", name="plumbline")
    _properties(suite, properties)
    taken: set[tuple[str, str]] = set()
    for c in cases:
        suite.append(_case(c, taken))
    tally = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0}
    for case in suite.iter("testcase"):
        for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            tally[key] += case.find(tag) is not None
    suite.attrib.update({k: str(v) for k, v in tally.items()} | {"time": f"{sum(c.seconds for c in cases):.3f}"})
    root = ET.Element("testsuites")
    root.append(suite)
    return ET.ElementTree(root)


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    props = ET.SubElement(parent, "properties")
    for key, value in values.items():
        ET.SubElement(props, "property", name=key, value=_clean(value))


def _case(c: Case, taken: set[tuple[str, str]]) -> ET.Element:
    name, n = c.name, 2
    if (c.classname, name) in taken and c.longer:
        name = c.longer
    while (c.classname, name) in taken:
        name, n = f"{c.longer or c.name} #{n}", n + 1
    taken.add((c.classname, name))
    case = ET.Element("testcase", classname=_clean(c.classname), name=_clean(name), time=f"{c.seconds:.3f}")
    if c.file:
        case.set("file", _clean(c.file))
    _properties(case, c.properties)
    if c.ending:
        tag, attributes, text = c.ending
        e = ET.SubElement(case, tag, {k: _first_line(v) for k, v in attributes.items()})
        e.text = _clean(text) if text else None
    return case


def case_of(r: Record) -> Case:
    node = r.test.split("::")
    short = re.sub(r"\[.*", "", node[-1]).removeprefix("test_") if r.test else ""
    about = {k: getattr(r, k) for k in ("clause", "source", "level", "expected", "replay") if getattr(r, k)}
    return Case(
        f"plumbline.{r.mechanism}.{r.variant}",
        f"{r.clause} {short}".strip(),
        _ending(r),
        node[0],
        r.seconds,
        about,
        f"{r.clause} {r.test}",
    )


def _ending(r: Record) -> tuple[str, dict[str, str], str] | None:
    if r.outcome == "violated" and not r.counts_against:
        return "skipped", {"message": f"expected violation: {r.note or r.reason}"}, ""
    if r.outcome == "violated":
        text = "\n".join([r.text, r.source, r.reason, *_witness_lines(r.witness)])
        return "failure", {"type": "violation", "message": r.reason}, text
    if r.outcome in ("broken", "unknown"):
        return "error", {"type": r.outcome, "message": r.reason}, r.reason
    return ("skipped", {"message": r.reason}, "") if r.outcome == "skipped" else None


def _witness_lines(witness: Any) -> list[str]:
    if not isinstance(witness, list):
        return [str(witness)] if witness else []
    return [" ".join(f"{k}={v}" for k, v in w.items()) if isinstance(w, dict) else str(w) for w in witness]


def write(path: Path, cases: list[Case], properties: dict[str, str]) -> None:
    """Trouble (exit 3) when it cannot be written."""
    tree = build(cases, properties)
    ET.indent(tree)
    try:
        tree.write(path, encoding="utf-8", xml_declaration=True)
    except OSError as e:
        raise Trouble(f"cannot write {path}: {e.strerror}", EXIT_BROKEN) from None
