# SPDX-License-Identifier: MIT
"""The command line: what is refused, in one line; lanes, faults, targets, seeds."""
import pytest

BAD = [
    ([], "no mix given"),
    (["fake"], "is not MECH[/VARIANT]=N"),
    (["=3"], "is not MECH[/VARIANT]=N"),
    (["../fake=3"], "is not MECH[/VARIANT]=N"),
    (["fake=0"], "integer from 1"),
    (["fake=3x"], "integer from 1"),
    (["fake=-1"], "integer from 1"),
    (["fake=99999999999999999999"], "integer from 1"),
    (["fake=20000", "fake/obey=1"], "more than 20000 drivers"),
    (["fake=1", "fake=2"], "named twice"),
    (["nosuch=1"], "no driver 'nosuch'"),
    (["fake/nosuch=1"], "no variant 'nosuch'"),
    (["fake=1", "--for", "10"], "with its unit"),
    (["fake=1", "--for", "ten"], "with its unit"),
    (["fake=1", "--for", "-1s"], "with its unit"),
    (["fake=1", "--for"], "wants a value"),
    (["fake=1", "--slice", "1us"], "with its unit"),
    (["fake=1", "--seed", "yes"], "64-bit number"),
    (["fake=1", "--lanes", "0"], "integer from 1"),
    (["fake=1", "--place", "here"], "same, spread or free"),
    (["fake=1", "--fault", "kill"], "as in kill:5/s"),
    (["fake=1", "--fault", "maim:1/s"], "knows kill and stop"),
    (["fake=1", "--fault", "kill:1/h"], "as in kill:5/s"),
    (["fake=1", "--fault", "kill:-1/s"], "as in kill:5/s"),
    (["fake=1", "--actors", "65"], "integer from 1 to 64"),
    (["fake=1", "--only", "1"], "no such instance"),
    (["fake=1", "--target", " "], "prefix"),
    (["fake=1", "--target", "env A='b c"], "a quote is not closed"),
    (["fake=1", "--target", " ".join("x" * 33)], "too many words"),
    (["fake=1", "--events-max", "1"], "integer from 16"),
    (["fake=1", "--bogus"], "unknown option '--bogus'"),
    (["fake=1", "--json=1"], "takes no value"),
]


@pytest.mark.parametrize("args,text", BAD)
def test_bad_input_is_one_line(engine, args, text):
    r = engine(*args)
    assert r.code == 2 and text in r.err.replace(str(engine.root), "") and r.err.count("\n") == 1 and r.out == "", r.err
    assert not r.folder.exists()


def test_no_drivers(engine):
    r = engine("fake=1", "--drivers", "/nonexistent")
    assert r.code == 2 and "no drivers at '/nonexistent'" in r.err


def test_help_and_list(engine):
    assert "--patience" in engine("--help").out
    r = engine("--list")
    assert "fake/obey" in r.out and "not supported: the fake says so" in r.out


def test_dry_run_starts_nothing(engine):
    r = engine("fake/obey=5", "--dry-run")
    assert r.code == 0 and "RLIMIT_NOFILE" in r.out and not r.folder.exists()


@pytest.mark.parametrize("lanes,most", [("1", 1), ("3", 3), ("free", 12)])
def test_lanes(engine, lanes, most):
    r = engine("fake/obey=12", "--lanes", lanes, "--for", "2500ms")
    running = [e["running"] for e in r.events if e["ev"] == "tick"]
    assert r.code == 0 and max(running) == most
    assert r.summary["unreached"] == 0


def test_faults_reach_actors(engine):
    r = engine("fake/obey=4", "--fault", "kill:60/s", "--fault=stop:30/s", "--for", "1s")
    kill, stop = r.summary["faults"]
    assert r.code == 0 and kill["done"] >= 30 and stop["done"] >= 5, r.summary["faults"]


@pytest.mark.parametrize("prefix", [
    "env PLUMB_FAKE=lie-numbers",
    """env 'A=b  "c' sh -c '[ "$A" = "b  \\"c" ] && PLUMB_FAKE=lie-numbers exec "$@"' "it's" """,
    r"""env A=b\ \ \"c sh -c "[ \"\$A\" = 'b  \"c' ] && PLUMB_FAKE=lie-numbers exec \"\$@\"" it\'s""",
])
def test_target_prefix(engine, prefix):
    """Words are split as a shell does it."""
    r = engine("fake=2", "--target", prefix)
    assert r.code == 1, f"the prefix was not used: {r.err}"


def test_only_one_instance(engine):
    r = engine("fake/obey=3", "fake/lie-numbers=2", "--only", "1")
    assert r.code == 0 and r.summary["counts"]["held"] == 1
