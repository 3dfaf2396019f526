# SPDX-License-Identifier: MIT
"""Claim: whatever rule a checker finds broken, there is a sentence that says what was promised."""
import re
from pathlib import Path

CORE = Path(__file__).resolve().parents[1]


def test_every_rule_rests_on_a_promise():
    found = set()
    for source in (CORE / "check").glob("*.c"):
        text = source.read_text()
        found |= set(re.findall(r'pl_find\(\s*[^,"]+,\s*"([A-Z]+)"', text))
        found |= set(re.findall(r'(?:rule = |\? |: |order = )"([A-Z]{4,})"', text))
        found |= set(re.findall(r'pl_\w+_check\([^;]*?"([A-Z]{3,})"\)', text))
    found -= {"MEMORY", "RECORDS"}  # they accuse nobody
    promised = set(re.findall(r'{ (?:ANY|PL_MODEL_\w+), "([A-Z]+)",', (CORE / "witness/promise.c").read_text()))
    assert len(found) > 40 and found <= promised, sorted(found - promised)
