# SPDX-License-Identifier: MIT
"""Each broken promise turns a suite or the stress engine red with the right clause; each oddity stays green.

    pytest conformance/mutants -n 2            (a plain `pytest conformance/` leaves these out)

mutants.toml says what runs and what must show. A stress run that must turn red is interrupted as soon as it has named
the right clause.
"""
from __future__ import annotations

import functools
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from suite import catalogue

HERE = Path(__file__).resolve().parent
SPEC = tomllib.loads((HERE / "mutants.toml").read_text())
MUTANTS, ODDITIES = SPEC["mutant"], SPEC["oddity"]
RED_FOR, GREEN_FOR, DEADLINE_S = "20s", "4s", 120

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(2 * DEADLINE_S)]


def build():
    given = os.environ.get("PLUMBLINE_DRIVERS")
    built = HERE.parents[1].glob("build*/drivers")
    drivers = [Path(given)] if given else sorted(built, key=lambda p: p.stat().st_mtime)
    found = drivers[-1].resolve().parent if drivers else Path("no-build")
    if not (found / "conformance/mutants/libplumb-mutants.so").exists():
        pytest.fail("no build with libplumb-mutants.so: meson setup build && ninja -C build")
    driver = (found / "drivers/plumb-mq").read_bytes()
    if b"__asan_init" in driver or b"__tsan_init" in driver:
        pytest.skip("drivers built with a sanitizer want to be the first to be loaded")
    return found


def target(spec, state):
    """The argv prefix that loads the shim under a driver."""
    shim = build() / "conformance/mutants/libplumb-mutants.so"
    if any(c in os.fspath(shim) for c in ":;"):
        pytest.skip("LD_LIBRARY_PATH cannot name a path with a colon")
    preload = [f"LD_PRELOAD={shim.name}", f"LD_LIBRARY_PATH={shim.parent}"]  # LD_PRELOAD ends at a space
    return shlex.join(["env", *preload, f"PLUMB_MUTANT={spec}", f"PLUMB_MUTANT_STATE={state}"])


def clean_env():
    """For a process of its own: what pytest says to its workers is not for it."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PLUMB"))}


def lies(state):
    """(candidates, lies told): says whether a mutant went unnoticed or never ran."""
    return struct.unpack("QQ", state.read_bytes()[:16]) if state.exists() else (0, 0)


def conform(clauses, folder, prefix=""):
    """{clause: outcomes} of the tests that judge these clauses."""
    results = folder / "results.jsonl"
    command = [sys.executable, "-m", "pytest", HERE.parent, "-q", "-p", "no:cacheprovider", "--ignore", HERE,
               "--ignore", HERE.parent / "examples",  # the same clauses once more, as stories
               "-k", " or ".join(clauses), "--drivers", build() / "drivers", "--results", results]
    command += ["--target", prefix] if prefix else []
    ran = subprocess.run(command, cwd=folder, env=clean_env(), capture_output=True, text=True,
                         timeout=DEADLINE_S)
    outcomes = {}
    for line in results.read_text().splitlines() if results.exists() else []:
        record = json.loads(line)
        outcomes.setdefault(record["clause"], set()).add(record["outcome"])
    assert outcomes, f"nothing ran: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    return outcomes


def stress(mix, folder, prefix="", fault=None, seconds=GREEN_FOR, until=frozenset()):
    """(exit code, clauses that violations name, last words). Interrupted at the first violation in `until`."""
    command = [build() / "plumb-stress", *mix, "--for", seconds, "--seed", "7", "--drivers", build() / "drivers",
               "--json", *(["--target", prefix] if prefix else []), *(["--fault", fault] if fault else [])]
    named, last = set(), []
    with open(folder / "stderr", "w+") as errors, subprocess.Popen(
            command, cwd=folder, env=clean_env(), stdout=subprocess.PIPE, stderr=errors, text=True) as engine:
        try:
            for line in engine.stdout:
                last = [*last[-9:], line]
                event = json.loads(line)
                if event["ev"] == "violation" and not named & until:
                    named |= clauses_of(event)
                    if named & until:
                        engine.send_signal(signal.SIGINT)
        finally:
            if engine.poll() is None and sys.exc_info()[0]:
                engine.kill()
        errors.seek(0)
        return engine.wait(), named, "".join(last)[-4000:] + errors.read()[-1000:]


def clauses_of(violation):
    mechanism = violation["mechanism"].partition("/")[0]
    owner = catalogue.owner_of(violation["rule"], mechanism, violation["variant"])
    return {owner.id} if owner else {violation["rule"]}


def ids(rows):
    return [r["name"] for r in rows]


IN_CONFORM = [m for m in MUTANTS if "conform" in m]
IN_STRESS = [m for m in MUTANTS if "stress" in m]


@functools.cache
def honest_outcomes(folder):
    return conform(sorted({c for m in IN_CONFORM for c in m["conform"]["clauses"]}), folder)


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    return honest_outcomes(tmp_path_factory.mktemp("honest"))


@pytest.mark.parametrize("mutant", IN_CONFORM, ids=ids(IN_CONFORM))
def test_conform_is_red(mutant, honest, tmp_path):
    form, state = mutant["conform"], tmp_path / "state"
    for clause in form["clauses"]:
        assert "held" in honest[clause] <= {"held", "skipped"}, f"{clause} without the mutant: {honest[clause]}"
    outcomes = conform(form["clauses"], tmp_path, target(form.get("spec", mutant["name"]), state))
    for clause in form["clauses"]:
        assert "violated" in outcomes.get(clause, ()), \
            f"{mutant['breaks']}, and {clause} says {outcomes}; (candidates, lies) = {lies(state)}"


@pytest.mark.parametrize("mutant", IN_STRESS, ids=ids(IN_STRESS))
def test_stress_is_red(mutant, tmp_path):
    form, state = mutant["stress"], tmp_path / "state"
    wanted = frozenset(form["clauses"])
    prefix = target(form.get("spec", mutant["name"]), state)
    code, named, said = stress(form["run"].split(), tmp_path, prefix, form.get("fault"), RED_FOR, wanted)
    assert named & wanted, \
        f"{mutant['breaks']}: exit {code}, {named or 'no violation'}; (candidates, lies) = {lies(state)}\n{said}"


def test_stress_is_green_without(tmp_path):
    mix = sorted({part for m in IN_STRESS for part in m["stress"]["run"].split()})
    code, named, said = stress(mix, tmp_path)
    assert code == 0 and not named, f"exit {code}, {named}\n{said}"


@pytest.mark.parametrize("oddity", ODDITIES, ids=ids(ODDITIES))
def test_oddity_is_green(oddity, tmp_path):
    state, shimmed = tmp_path / "state", oddity["name"].startswith("odd-")
    prefix = target(oddity["name"], state) if shimmed else ""
    code, named, said = stress(oddity["runs"], tmp_path, prefix, oddity.get("fault"))
    assert lies(state)[1] > 0 or not shimmed, "the oddity never happened"
    assert code == 0 and not named, f"{oddity['what']}: exit {code}, {named}\n{said}"
