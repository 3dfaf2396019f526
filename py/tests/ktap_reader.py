# SPDX-License-Identifier: MIT
"""A strict reader of KTAP version 1, written from its specification and not from our writer: what a test compares with.

read(text) → [(ok, name, directive, children, diagnostics)]; Bad names the line that is wrong.
"""
import re

RESULT = re.compile(r"(ok|not ok) (\d+)(?: (?:- )?([^#]*?))?(?: # ([A-Z]+)\b ?(.*))?$")
DIRECTIVES = {None, "SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"}


class Bad(Exception):
    pass


def read(text):
    lines = text.split("\n")
    if lines.pop() != "":
        raise Bad("the last line has no end")
    tests, at = _level(lines, 0, "")
    if at != len(lines):
        raise Bad(f"line {at + 1}: {lines[at]!r} after the end")
    return tests


def _level(lines, at, indent):
    """The tests of one level, which begins with a version line and a plan."""
    at = _expect(lines, at, indent, r"KTAP version 1$")
    while at < len(lines) and lines[at].startswith(indent + "#"):
        at += 1
    plan = re.match(re.escape(indent) + r"1\.\.(\d+)( # SKIP.*)?$", lines[at] if at < len(lines) else "")
    if not plan:
        raise Bad(f"line {at + 1}: no plan")
    at, tests, children, notes = at + 1, [], None, []
    while at < len(lines) and lines[at].startswith(indent):
        line = lines[at][len(indent) :]
        if line.startswith("  "):
            if children is not None:
                raise Bad(f"line {at + 1}: a second subtest without a result between")
            children, at = _level(lines, at, indent + "  ")
            continue
        at += 1
        if line.startswith("#"):
            notes.append(line[1:].strip())
            continue
        m = RESULT.match(line)
        if not m or m[4] not in DIRECTIVES:
            raise Bad(f"line {at}: {line!r} is no result")
        if int(m[2]) != len(tests) + 1:
            raise Bad(f"line {at}: number {m[2]}, {len(tests) + 1} is due")
        tests.append((m[1] == "ok", m[3] or "", m[4] or "", children or [], notes))
        children, notes = None, []
    if len(tests) != int(plan[1]) or children is not None:
        raise Bad(f"line {at}: {len(tests)} results, {plan[1]} planned")
    return tests, at


def _expect(lines, at, indent, pattern):
    if at >= len(lines) or not re.match(re.escape(indent) + pattern, lines[at]):
        raise Bad(f"line {at + 1}: {pattern!r} is due")
    return at + 1
