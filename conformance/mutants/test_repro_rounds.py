# SPDX-License-Identifier: MIT
"""What a round under load has shown becomes a program: red under the mutant that the round was violated by, green
without it. And what no program can be made of is said in one line."""
import os
import subprocess
from pathlib import Path

import pytest
from plumbline.mutants import LOAD, Book
from test_repro import LINES_MAX, SHIM, plumbline, program, pytestmark  # noqa: F401

BOOK = Book.load(Path(__file__).with_name("mutants.toml"))
RED_FOR_S = 20.0
TURNS = "3000"  # that have to be right without the mutant

# of transfer, of counters, of exclusion
BECOME = """mq-swap mq-lose mq-double msg-double msg-first write-split write-drop fifo-split send-lose recv-double tcp-drop
            recvfrom-liar
            sem-post-mute sem-post-double eventfd-write-lost eventfd-write-double semop-lost
            lock-greedy unlock-mute trylock-busy file-lock-greedy""".split()


@pytest.fixture
def violated(lab, tmp_path):
    """A stress run that stopped at its first violation: (its folder and instance, what was said of that, the mutant)."""

    def make(name):
        plan = next(p for s in BOOK.mutants if s.name == name for p in s.plans if p.where == LOAD)
        told = lab.load(plan, tmp_path, RED_FOR_S)[1]
        assert told and told[-1]["clause"] in plan.clauses, f"the mutant was not noticed: {told}"
        at = told[-1]["instance"]
        return f"{tmp_path}/{at}", [t for t in told if t["instance"] == at], plan.spec

    return make


def ended(path, *argv, **env):
    done = subprocess.run([path, *argv], env=os.environ | env, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", BECOME)
def test_a_round_becomes_a_program(name, violated, tmp_path):
    at, told, spec = violated(name)
    made = plumbline("repro", at, "--c", "-o", "it.c", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    text = (tmp_path / "it.c").read_text()
    assert text.count("\n") < LINES_MAX and "Observed" in text
    assert any(f"Clause    {t['clause']}:" in text for t in told), "the clause of one of the instance's rounds"
    path = program(tmp_path / "it.c")
    code, said = ended(path, TURNS)
    assert code == 0, f"nothing lies, and it says: {said}"
    mutant = {"PLUMB_MUTANT": spec, "LD_PRELOAD": SHIM.name, "LD_LIBRARY_PATH": os.fspath(SHIM.parent)}
    code, said = ended(path, **mutant)
    assert code == 1, f"{told}: {said}"
    assert said.count("\n") == 1, "one line says what was seen"


def test_what_has_no_program_says_why(violated, tmp_path):
    at, _, _ = violated("lock-death-twice")
    done = plumbline("repro", at, "--c", cwd=tmp_path)
    assert done.returncode == 4 and "a death is part of what it shows" in done.stderr, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1
    done = plumbline("repro", f"{at}77", "--c", cwd=tmp_path)
    assert done.returncode == 4 and "no instance of that number" in done.stderr, done.stderr
