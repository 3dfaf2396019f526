# SPDX-License-Identifier: MIT
"""Rounds between two sides: each keeps its half, and the two are judged together. Here both are this machine."""
import json

import pytest
from plumbline.across import Pair
from plumbline.cli import main
from plumbline.places import Places
from plumbline.target import Target

BOTH = ["--on", "a=env", "--on", "b=env", "--at", "a=127.0.0.1"]

pytestmark = pytest.mark.skipif(
    not Places.find().drivers.joinpath("plumb-inet").exists(), reason="no built drivers: $PLUMBLINE_BUILD"
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("variant", ["tcp4", "udp4"])
def test_held(capfd, tmp_path, variant):
    assert main(["stress", f"inet/{variant}", *BOTH, "--for", "500ms", "--ops", "200", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["verdict"] == "held" and said["rounds"]["held"] >= 1 and said["received"] > 0
    assert not list(tmp_path.rglob("*.hist")), "histories of rounds that held were kept"


def test_a_changed_history_is_seen(tmp_path):
    """The judgement stands on both halves: without a piece of what was received, something was lost."""
    places = Places.find()
    pair = Pair(places, "inet", "tcp4", {"a": Target.parse("env"), "b": Target.parse("env")}, 7,
                at={"a": "127.0.0.1"}, ops=50, keep=tmp_path / "kept")
    fetch = pair.putter.fetch

    def without_a_putter(into):
        files = fetch(into)
        next(f for f in files if "actor-1" in f.name).unlink()
        return [f for f in files if f.exists()]

    pair.putter.fetch = without_a_putter
    try:
        assert pair.one_round() == "violated"
        assert "EXTRA" in pair.tally.findings[0] and list((tmp_path / "kept").rglob("*.hist"))
    finally:
        pair.close()


@pytest.mark.parametrize(
    "argv, code, words",
    [
        (["inet/tcp4", "--on", "a=env"], 2, "given twice"),
        (["inet/tcp4", "pipe=1", *BOTH], 2, "given twice"),
        (["inet/tcp9", *BOTH], 2, "no variant 'tcp9'"),
        (["pipe/stream", *BOTH], 2, "does not go between machines"),
        (["inet/tcp4", "--on", "a=env", "--on", "b"], 2, "NAME=VALUE"),
        (["inet/tcp4", *BOTH[:-1], "a=nonsense"], 2, "nonsense"),
        (["inet/tcp4", *BOTH, "--fault", "stop:1/s"], 2, "only kill"),
        (["inet/tcp4", "--on", "a=env", "--on", "b=env nothing-there"], 3, "side b"),
    ],
)
def test_bad_input_is_one_line(capfd, argv, code, words):
    assert main(["stress", *argv, "--for", "1s"]) == code
    err = capfd.readouterr().err
    assert words in err and "Traceback" not in err
