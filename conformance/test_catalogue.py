# SPDX-License-Identifier: MIT
"""The catalogue itself: ids are unique and frozen, every clause has a test or is planned, every test a clause."""
import ast
import re

import pytest

from suite import waits
from suite.catalogue import HERE, KINDS, LEVELS, catalogue

ID = re.compile(r"^[A-Z][A-Z0-9]*-[0-9]{2}$")


def named_by_tests():
    """Clause ids by the tests that judge them, read from the source."""
    found = {}
    for path in sorted(HERE.glob("*/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "clause":
                    for arg in mark.args:
                        found.setdefault(arg.value, []).append(f"{path.name}::{node.name}")
    return found


def test_every_clause_is_well_formed():
    for c in catalogue().values():
        assert ID.match(c.id), f"{c.id}: not like PIPE-03"
        assert c.level in LEVELS and c.kind in KINDS, f"{c.id}: level {c.level}, kind {c.kind}"
        assert c.text.endswith(".") or c.text.endswith("recorded."), f"{c.id}: the text is no sentence"
        assert c.source and c.since >= 1 and c.variants, c.id


def test_every_clause_is_tested_or_planned():
    tested = set(named_by_tests()) | {c.id for c in catalogue().values() if c.rows} | set(waits.table())
    for c in catalogue().values():
        assert c.planned != (c.id in tested), f"{c.id}: {'planned, yet tested' if c.planned else 'without a test'}"


def test_every_test_names_a_clause_that_exists():
    for clause, tests in named_by_tests().items():
        assert clause in catalogue(), f"{tests[0]} judges {clause}, which is not in clauses/"


def test_every_wait_is_a_clause_s():
    for clause in waits.table():
        assert clause in catalogue(), f"waits.toml has rows for {clause}, which is not in clauses/"


def test_every_assertion_says_what_is_wrong():
    """It is the reason that a report gives."""
    for path in (p for folder in ("examples", "mechanism", "semantics") for p in sorted((HERE / folder).glob("test_*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert) or node.msg, f"{path.name}:{node.lineno}: an assertion without a sentence"


def test_every_rule_speaks_for_one_clause():
    seen = {}
    for c in catalogue().values():
        for rule in c.rules:
            for v in c.variants:
                other = seen.setdefault((c.mechanism, v, rule), c.id)
                assert other == c.id, f"{rule} in {c.mechanism}/{v} is claimed by {other} and {c.id}"


def test_the_judges_rules_and_the_clauses_rules_are_the_same():
    """A rule that no clause claims would be a violation of nothing; the exceptions give no verdict, or hold of any call."""
    sources = list((HERE.parent / "core" / "check").glob("*.c"))
    if not sources:
        pytest.skip("no source tree around these suites")
    judged = {r for path in sources for r in re.findall(r'"([A-Z]{4,})"', path.read_text())}
    judged = {r for r in judged if not r.startswith("SIG")}
    judged -= {"AMOUNTS", "CELLS", "DISAGREE", "LOGS", "MEMORY", "MODEL", "MUDDLED", "PLAN", "RECORDS", "SEARCH"}
    judged -= {"EOWNERDEAD", "CRASH"}
    claimed = {r for c in catalogue().values() for r in c.rules}
    assert claimed == judged, f"no clause: {sorted(judged - claimed)}; no judge: {sorted(claimed - judged)}"


def test_ids_are_frozen():
    """ids.txt is the list of all ids ever published: it only grows."""
    frozen = (HERE / "clauses" / "ids.txt").read_text().split()
    assert set(frozen) <= set(catalogue()), f"struck: {sorted(set(frozen) - set(catalogue()))}; mark it, never remove it"
    assert set(catalogue()) <= set(frozen), f"new: add {sorted(set(catalogue()) - set(frozen))} to clauses/ids.txt"
