# SPDX-License-Identifier: MIT
"""Each broken promise turns a suite or the stress engine red with the right clause; each oddity stays green.

    pytest conformance/mutants -n 2            (a plain `pytest conformance/` leaves these out)

The same trials as `plumbline selftest` makes, a test each, with shorter rounds for the oddities.
"""
from __future__ import annotations

from pathlib import Path

import pytest
from plumbline import mutants
from plumbline.mutants import LOAD, SUITES, Book

HERE = Path(__file__).resolve().parent
BOOK = Book.load(HERE / "mutants.toml")
RED_FOR_S, GREEN_FOR_S = 20.0, 4.0

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(4 * mutants.DEADLINE_S)]


@pytest.fixture(scope="session")
def before(lab, tmp_path_factory):
    return mutants.honest(lab.suites(BOOK.plain.plans[0], tmp_path_factory.mktemp("before")))


def plans(subjects, where):
    found = [(s, p) for s in subjects for p in s.plans if p.where == where]
    return pytest.mark.parametrize("subject,plan", found, ids=[s.name for s, _ in found])


@plans(BOOK.mutants, SUITES)
def test_conform_is_red(subject, plan, lab, before, tmp_path):
    assert not any(before.get(c, "no test") for c in plan.clauses), f"without the mutant: {before}"
    t = mutants.in_suites(lab, plan, tmp_path, before)
    assert t.outcome == "killed", f"{subject.what}: {t.outcome}, {t.words}"


@plans(BOOK.mutants, LOAD)
def test_stress_is_red(subject, plan, lab, tmp_path):
    t = mutants.under_load(lab, plan, tmp_path, RED_FOR_S)
    assert t.outcome == "killed", f"{subject.what}: {t.outcome}, {t.words}"


@plans([BOOK.plain, *BOOK.oddities], LOAD)
def test_oddity_is_green(subject, plan, lab, tmp_path):
    t = mutants.stays_quiet(lab, plan, tmp_path, GREEN_FOR_S)
    assert t.outcome == "quiet", f"{subject.what}: {t.outcome}, {t.words}"


def test_the_list_is_whole():
    """Each odd number up to 99 is a mutant's, or is said not to be tried; none is both."""
    tried = [s.number for s in BOOK.mutants if s.number]
    assert sorted(tried + [u["number"] for u in BOOK.untried]) == list(range(1, 100, 2))
    names = [s.name for s in [*BOOK.mutants, *BOOK.oddities]]
    assert len(names) == len(set(names))
