# SPDX-License-Identifier: MIT
"""`plumbline repro` makes programs that compile without a warning, hold where the test holds, and turn red under the
mutant that breaks their clause.

A few clauses of each mechanism are tried; `plumbline repro MECH --c -o DIR` makes all that there are.
"""
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
BUILD = Path(os.environ.get("PLUMBLINE_BUILD") or SOURCE / "build")
SHIM = BUILD / "conformance/mutants/libplumb-mutants.so"
EXPECTED = tomllib.loads((HERE.parent / "expect" / "linux.toml").read_text())["expect"]
MUTANTS = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
LINES_MAX = 150

# clauses whose programs are tried here, by mechanism; with a variant, of that one alone
CHOSEN = {
    "eventfd": "EVF-01/counter EVF-02/counter EIN-12/counter",
    "fifo": "FIFO-04 FIFO-17 EIN-02",
    "inet": "TCP-17/tcp4 TCP-20/tcp6 UDP-11/udp6",
    "lock": "LCK-11/record LCK-14",
    "mq": "PMQ-03 PMQ-05 PMQ-09 PMQ-13 PMQ-16 PMQ-28",
    "mutex": "MTX-03/errorcheck MTX-09/robust MTX-12/robust MTX-34/robust",
    "pipe": "PIPE-09/stream PIPE-12/stream PIPE-45/stream",
    "sem": "PSEM-02/unnamed PSEM-08/unnamed PSEM-26/named",
    "shm": "PSHM-13/posix MAP-02/posix",
    "signal": "RTS-03/rt SIG-16/standard",
    "sysvmsg": "SVM-03/lowest SVM-05/fifo SVM-09/fifo",
    "sysvsem": "SVSEM-01/plain SVSEM-13/plain",
    "sysvshm": "SVSHM-06/plain",
}

pytestmark = [
    pytest.mark.mutants,
    pytest.mark.skipif(not shutil.which("cc"), reason="no cc"),
    pytest.mark.skipif(not (BUILD / "drivers/plumb-mq").exists(), reason="not built"),
    pytest.mark.timeout(600),
]


def clauses(mechanism):
    return [c.partition("/")[0] for c in CHOSEN[mechanism].split()]


def program(path):
    """Compiled as the head of the file says, and without a warning."""
    done = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread", "-o", path.with_suffix(""), path, "-lrt"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{path.name}: {done.stderr}"
    return path.with_suffix("")


def plumbline(*argv, cwd):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PLUMB"))}
    env |= {"PYTHONPATH": os.fspath(SOURCE / "py"), "PLUMBLINE_DRIVERS": os.fspath(BUILD / "drivers")}
    return subprocess.run([sys.executable, "-B", "-m", "plumbline", *argv], cwd=cwd, env=env, capture_output=True, text=True,
                          timeout=600)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The programs of a mechanism, compiled: {clause: [path]}."""
    cache = {}

    def make(mechanism):
        if mechanism not in cache:
            folder = tmp_path_factory.mktemp(mechanism)
            words = " or ".join(c if "/" in c else f"{c}/" for c in CHOSEN[mechanism].split())
            done = plumbline("repro", mechanism, "--c", "-k", words, "-o", folder, cwd=folder)
            assert done.returncode == 0, done.stdout + done.stderr
            cache[mechanism] = {}
            for path in sorted(folder.glob("*.c")):
                clause = "-".join(path.stem.split("-")[:2]).upper()
                cache[mechanism].setdefault(clause, []).append(program(path))
        return cache[mechanism]
    return make


APART = ["unshare", "--ipc"]  # a mutant may keep what is removed: it goes with the namespace
APART = APART if shutil.which("unshare") and not subprocess.run([*APART, "true"], capture_output=True).returncode else []


def run(path, **env):
    done = subprocess.run([*APART, path], env=os.environ | env, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1, 77), f"{path.name} ended with {done.returncode}: {done.stderr}"
    return done.returncode, done.stdout.strip()


def run_code(path):
    return run(program(path))[0]


def listed(path):
    """Is a known deviation of Linux, or of its libc."""
    clause, variant = "-".join(path.stem.split("-")[:2]).upper(), path.stem.split("-", 2)[2]
    return any(e["clause"] == clause and e.get("variant", variant) in (variant, "*", [variant]) for e in EXPECTED)


@pytest.mark.parametrize("mechanism", CHOSEN)
def test_it_says_what_the_test_says(mechanism, made):
    found = made(mechanism)
    assert set(found) == set(clauses(mechanism)), "each clause has a program"
    for clause, paths in found.items():
        for path in paths:
            code, said = run(path)
            assert code == 0 or code == 1 and listed(path), f"{path.name}: {said}"
            assert said.count("\n") == 0, "one line says what was seen"
            lines = path.with_suffix(".c").read_text().count("\n")
            assert lines < LINES_MAX or listed(path), f"{path.name} has {lines} lines"


RED = [(mechanism, clause, m) for mechanism in CHOSEN for clause in clauses(mechanism)
       for m in MUTANTS if clause in m.get("conform", {}).get("clauses", ())]


@pytest.mark.parametrize("mechanism,clause,mutant", RED, ids=[f"{c}-{m['name']}" for _, c, m in RED])
def test_a_mutant_turns_it_red(mechanism, clause, mutant, made, tmp_path):
    """One program of the clause will do: a mutant need not break all of what its tests try."""
    if not SHIM.exists():
        pytest.skip("no libplumb-mutants.so")
    env = {"LD_PRELOAD": SHIM.name, "LD_LIBRARY_PATH": os.fspath(SHIM.parent),
           "PLUMB_MUTANT": mutant["conform"].get("spec", mutant["name"])}
    said = [run(path, **env, PLUMB_MUTANT_STATE=os.fspath(tmp_path / path.name)) for path in made(mechanism)[clause]]
    assert any(code == 1 for code, _ in said), f"{mutant['breaks']}: {said}"


def test_a_run_keeps_what_its_violated_tests_saw(tmp_path):
    """And nothing of the others; what it kept is told without a driver."""
    conform = plumbline("conform", "mq", "-k", "PMQ-16 or PMQ-26", "--jobs", "0", cwd=tmp_path)
    if conform.returncode == 0:
        pytest.skip("PMQ-16 holds here")
    run = (tmp_path / "plumbline-results/latest").resolve()
    assert [p.name.split("-mq-")[0] for p in (run / "transcripts").iterdir()] == ["PMQ-16"], conform.stdout
    assert not list(run.glob("conform.*/*")), "a test's own folder is empty at its end, and goes"
    done = plumbline("repro", "latest/PMQ-16/mq", "--c", "-o", "it.c", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run_code(tmp_path / "it.c") == 1
    assert "after mq_close of the other descriptor another" in " ".join((tmp_path / "it.c").read_text().split())


def test_the_list_says_what_has_a_program(tmp_path):
    """And what has none says why."""
    done = plumbline("repro", "--list", "eventfd/counter", "-k", "EVF-01 or EVF-02 or EVF-03", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["a program (2): EVF-01/counter EVF-02/counter",
                                        "eventfd edges is not in the table of C calls (1): EVF-03/counter",
                                        "2 clauses of 3 that tests try here, in 3 variants"]


def test_a_second_driver_is_not_started_when_a_test_is_played_again(tmp_path):
    """A test that has one is played again hundreds of times: a driver each time would take minutes."""
    done = plumbline("repro", "--list", "unix/stream", "-k", "SCM-08", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "the test starts a driver of its own (1): SCM-08/stream"


def test_a_clause_without_a_program_says_why(tmp_path):
    done = plumbline("repro", "PMQ-25/mq", "--c", "-k", "many_at_once", cwd=tmp_path)
    assert done.returncode == 4 and "judged by rounds" in done.stderr, done.stdout + done.stderr
