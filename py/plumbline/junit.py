# SPDX-License-Identifier: MIT
"""JUnit XML in the dialect xunit1, which keeps the file.

Names hold no durations, pids or seeds: CI systems key history on them.
"""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from .outcomes import Record

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_MAX = 64 * 1024  # of one witness; GitLab refuses files over 30 MB


def _clean(text: Any) -> str:
    return _ILLEGAL.sub("\ufffd", str(text))[:_TEXT_MAX]


def _first_line(text: str) -> str:
    return _clean(text).strip().split("\n")[0][:500]


def build(records: list[Record], properties: dict[str, str]) -> ET.ElementTree:
    """One testsuite; duplicate names get the test's own id behind them, as readers drop duplicates silently."""
    suite = ET.Element("testsuite", name="plumbline")
    props = ET.SubElement(suite, "properties")
    for key, value in properties.items():
        ET.SubElement(props, "property", name=key, value=_clean(value))
    taken: set[tuple[str, str]] = set()
    for r in records:
        suite.append(_case(r, taken))
    tally = {"tests": len(records), "failures": 0, "errors": 0, "skipped": 0}
    for case in suite.iter("testcase"):
        for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            tally[key] += case.find(tag) is not None
    suite.attrib.update({k: str(v) for k, v in tally.items()} | {"time": f"{sum(r.seconds for r in records):.3f}"})
    root = ET.Element("testsuites")
    root.append(suite)
    return ET.ElementTree(root)


def _case(r: Record, taken: set[tuple[str, str]]) -> ET.Element:
    node = r.test.split("::")
    short = re.sub(r"\[.*", "", node[-1]).removeprefix("test_") if r.test else ""
    classname, name = f"plumbline.{r.mechanism}.{r.variant}", f"{r.clause} {short}".strip()
    if (classname, name) in taken:
        name = f"{r.clause} {r.test}"
    n = 2
    while (classname, name) in taken:
        name, n = f"{r.clause} {r.test} #{n}", n + 1
    taken.add((classname, name))
    case = ET.Element("testcase", classname=_clean(classname), name=_clean(name), time=f"{r.seconds:.3f}")
    if r.test:
        case.set("file", _clean(node[0]))
    props = ET.SubElement(case, "properties")
    for key in ("clause", "source", "level", "expected", "replay"):
        if getattr(r, key):
            ET.SubElement(props, "property", name=key, value=_clean(getattr(r, key)))
    _ending(case, r)
    return case


def _ending(case: ET.Element, r: Record) -> None:
    if r.outcome == "violated" and not r.counts_against:
        ET.SubElement(case, "skipped", message=_first_line(f"expected violation: {r.note or r.reason}"))
    elif r.outcome == "violated":
        e = ET.SubElement(case, "failure", type="violation", message=_first_line(r.reason))
        e.text = _clean("\n".join([r.text, r.source, r.reason, *_witness_lines(r.witness)]))
    elif r.outcome in ("broken", "unknown"):
        ET.SubElement(case, "error", type=r.outcome, message=_first_line(r.reason)).text = _clean(r.reason)
    elif r.outcome == "skipped":
        ET.SubElement(case, "skipped", message=_first_line(r.reason))


def _witness_lines(witness: Any) -> list[str]:
    if not isinstance(witness, list):
        return [str(witness)] if witness else []
    return [" ".join(f"{k}={v}" for k, v in w.items()) if isinstance(w, dict) else str(w) for w in witness]


def write(path: Path, records: list[Record], properties: dict[str, str]) -> None:
    tree = build(records, properties)
    ET.indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)
