# SPDX-License-Identifier: MIT
"""Runs clauses against drivers: each test in a driver of its own, once a variant, nothing left behind.

    pytest conformance/                                    the newest build*/drivers of this tree
    PLUMBLINE_DRIVERS=DIR PLUMBLINE_TARGET="qemu-aarch64-static" pytest conformance/ -n auto

README.md lists the options and what a result record holds.
"""
from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import zlib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [os.fspath(p) for p in (HERE, HERE.parent / "py") if os.fspath(p) not in sys.path]

from plumbline import agent, clock  # noqa: E402
from plumbline.target import Target  # noqa: E402
from suite import catalogue, outcome, residue, subject, waits  # noqa: E402

CASE, ENDED, SECONDS, RESULTS, CLOCKS = (pytest.StashKey() for _ in range(5))
HELLOS = {}
#: Tests that are data: what an argument of this name goes through, with names, for a clause and a variant.
DATA = {"row": catalogue.rows_of, "wait": waits.waits_of}
TRANSCRIPT = "transcript"


def pytest_addoption(parser):
    group = parser.getgroup("plumbline")
    group.addoption("--drivers", metavar="DIR", help="where plumb-* are [$PLUMBLINE_DRIVERS, or the newest build*/drivers]")
    group.addoption("--target", metavar="PREFIX", help="argv prefix that runs a driver [$PLUMBLINE_TARGET]")
    group.addoption("--agent", metavar="HOW", help="push, or the path of plumb-agent on the target [$PLUMBLINE_AGENT]")
    group.addoption("--results", metavar="FILE", help="append one JSON line a result [$PLUMBLINE_RESULTS]")
    group.addoption("--expect", metavar="FILE", help="known deviations: shown as xfailed [$PLUMBLINE_EXPECT]")


def option(config, name):
    return config.getoption(name) or os.environ.get(f"PLUMBLINE_{name.upper()}", "")


def newest_build():
    found = [p.parent for p in HERE.parent.glob("build*/drivers/plumb-*") if os.access(p, os.X_OK)]
    return max(found, key=lambda p: p.stat().st_mtime, default=HERE.parent / "build" / "drivers")


def drivers_dir(config):
    given = option(config, "drivers")
    return Path(given).resolve() if given else newest_build()


def audit():
    """Of the clock, as the run that started this has found it; {} for nothing known."""
    return json.loads(os.environ.get(clock.VARIABLE) or "{}")


def target_of(config):
    return Target.parse(option(config, "target"), option(config, "agent"))


def hello_of(config, mechanism):
    if mechanism not in HELLOS:
        HELLOS[mechanism] = subject.hello(mechanism, drivers_dir(config), target_of(config))
    return HELLOS[mechanism]


def pytest_configure(config):
    config.addinivalue_line("markers", "clause(*ids, caps=()): the clauses a test judges, each on its variants")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    config.stash[RESULTS] = outcome.Results(option(config, "results"), worker)


def pytest_unconfigure(config):
    agent.close_all()


def pytest_report_header(config):
    return f"plumbline: drivers {drivers_dir(config)}, target {option(config, 'target') or 'this machine'}"


def cases_of(config, clause):
    """(clause, variant) for each variant that the driver has; a driver that does not start gives one, to fail."""
    said = hello_of(config, clause.mechanism)
    names = [v["name"] for v in said["variants"] if clause.covers(v["name"])] if said else []
    return [(clause, name) for name in names or [clause.variants[0]]]


def pytest_generate_tests(metafunc):
    mark = metafunc.definition.get_closest_marker("clause")
    if "d" not in metafunc.fixturenames or not mark:
        return
    known = catalogue.catalogue()
    data = next((n for n in DATA if n in metafunc.fixturenames), "")
    if data:
        found = [(k, name, x) for c in known.values() if not c.planned for k in cases_of(metafunc.config, c)
                 for name, x in DATA[data](*k)]
        names = ["/".join(filter(None, (k[0].id, k[1], name))) for k, name, _ in found]
        metafunc.parametrize(f"case,{data}", [(k, x) for k, _, x in found], ids=names, indirect=["case"])
        return
    found = [k for i in mark.args for k in cases_of(metafunc.config, known[i])]
    metafunc.parametrize("case", found, ids=[f"{c.id}/{v}" for c, v in found], indirect=True)


@pytest.fixture
def case(request):
    """(clause, variant): what is judged here."""
    request.node.stash[CASE] = request.param
    return request.param


@pytest.fixture
def d(request, case, tmp_path):
    """The driver under test. After the test it must stop by itself and leave nothing."""
    clause, variant = case
    about = variant_of(request.config, clause.mechanism, variant)
    for cap in request.node.get_closest_marker("clause").kwargs.get("caps", ()):
        if cap not in (about or {"caps": (cap,)})["caps"]:
            raise outcome.NotHere(f"{clause.mechanism}/{variant} has no capability '{cap}'")
    s = None
    try:
        with driver(request, clause, clause.mechanism, variant, tmp_path, TRANSCRIPT) as s:
            yield s
    finally:
        if s:
            keep(request, s)


@pytest.fixture
def beside(request, case, tmp_path):
    """Drivers of other mechanisms, for stories that need two: beside("mutex", "normal"). They end as `d` does."""
    with contextlib.ExitStack() as drivers:
        def start(mechanism, variant):
            variant_of(request.config, mechanism, variant)
            return drivers.enter_context(driver(request, case[0], mechanism, variant, tmp_path))
        yield start


def variant_of(config, mechanism, variant):
    """What the driver says of the variant; None if it says nothing, which starting it will explain."""
    said = hello_of(config, mechanism)
    about = next((v for v in said["variants"] if v["name"] == variant), None) if said else None
    if about and not about["supported"]:
        raise outcome.NotHere(about.get("why") or "the driver's probe says so")
    if said and not about:
        raise outcome.NotHere(f"plumb-{mechanism} has no variant '{variant}'")
    return about


@contextlib.contextmanager
def driver(request, clause, mechanism, variant, tmp_path, transcript=None):
    config, folder = request.config, os.environ.get("PLUMBLINE_RUN_DIR")
    run, inst = run_of(f"{request.node.nodeid} {mechanism}"), os.getpid() & 0x7fffffff
    home = Path(folder) / f"conform.{run}.{inst}" if folder else tmp_path / mechanism
    home.mkdir(parents=True, exist_ok=True)
    s = subject.Subject(clause, variant, mechanism, home, drivers=drivers_dir(config), target=target_of(config),
                        run=run, inst=inst, seed=zlib.crc32(request.node.nodeid.encode()), audit=audit(),
                        transcript=home / transcript if transcript else None)
    request.node.stash.setdefault(CLOCKS, []).append(s.clock)
    try:
        yield s
        leaked = s.stop()
    finally:
        s.kill()
    left = [f"the driver could not remove {n}" for n in leaked]
    if s.target.native:
        left += residue.residue(run, s.pid, s.names)
    if left:
        raise RuntimeError("residue: " + "; ".join(left))


def keep(request, s):
    """What was said in a test that ended in a violation, for `plumbline repro`; that of all others goes."""
    folder, ended = os.environ.get("PLUMBLINE_RUN_DIR"), request.node.stash.get(ENDED, None)
    if not folder:
        return
    if ended and ended.outcome == "violated":
        about = {"clause": s.clause.id, "variant": s.variant, "test": request.node.nodeid, "machine": machine()}
        kept = Path(folder) / "transcripts" / f"{s.clause.id}-{s.variant}-{s.run_id}.jsonl"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(f"= {json.dumps(about)}\n{s.transcript.read_text()}")
    s.transcript.unlink()


def machine():
    u = os.uname()
    return f"{u.sysname} {u.release} {u.machine}"


def run_of(nodeid):
    """A run id of its own for each test, so that no two share a name."""
    return f"c{os.getpid():x}{zlib.crc32(nodeid.encode()):08x}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    said = yield
    if CASE not in item.stash:
        return
    report, error = said.get_result(), call.excinfo.value if call.excinfo else None
    ended = outcome.classify(error)
    before = item.stash.get(ENDED, ended)
    item.stash[ENDED] = ended if before.outcome == "held" else before
    item.stash[SECONDS] = item.stash.get(SECONDS, 0.0) + call.duration
    show(item, report, ended, error)
    if call.when == "teardown":
        record(item)


def show(item, report, ended, error):
    """pytest's own words for the outcome: passed, failed, skipped, xfailed; and what a reader needs first."""
    clause, variant = item.stash[CASE]
    if ended.outcome == "held":
        return
    if ended.outcome in ("skipped", "unknown"):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"{ended.outcome}: {ended.reason}")
        return
    if item.config.option.tbstyle == "auto":
        head = f"{clause.id} is {ended.outcome} ({clause.mechanism}/{variant}): {clause.text}\n  source: {clause.source}"
        report.longrepr = f"{head}\n  {ended.reason}\n{place(item, error)}"
    if ended.outcome == "violated" and (why := expected(item)):
        report.outcome, report.wasxfail = "skipped", why


def place(item, error):
    """Where in the test, as file:line and the line itself; --tb=long has all of it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(os.fspath(HERE))]
    return "\n".join(f"  {os.path.relpath(f.filename, HERE.parent)}:{f.lineno}: {f.line}" for f in frames[:2])


def expected(item):
    clause, variant = item.stash[CASE]
    return catalogue.expected(option(item.config, "expect"), clause, variant)


def record(item):
    """One line a clause. A judge's finding goes to the clause that its rule speaks for."""
    (clause, variant), ended = item.stash[CASE], item.stash[ENDED]
    seconds, why = item.stash[SECONDS], expected(item)
    results, clocks = item.config.stash[RESULTS], item.stash.get(CLOCKS, [])
    by_clock = any(c.asked for c in clocks)
    if ended.outcome == "violated" and ended.slack_ns is None:
        ended.slack_ns = next((c.slack_ns for c in clocks if c.slack_ns is not None), None)
    owner = catalogue.owner_of(ended.rule, clause.mechanism, variant) if ended.rule else None
    if owner and owner.id != clause.id:
        results.add(owner, variant, item.nodeid, ended, seconds, "", by_clock)
        ended = outcome.Ended("unknown", f"the run ended with a violation of {owner.id} ({ended.rule})")
    results.add(clause, variant, item.nodeid, ended, seconds, why, by_clock)
