# SPDX-License-Identifier: MIT
"""What the end of a test means: only what the mechanism itself did is held against it."""
import errno

import pytest

from plumbline.calls import Doubtful, DriverError
from suite.outcome import NotHere, Unknown, Violation, classify

ENDS = [
    (None, "held", ""),
    (AssertionError("read gave 3 instead of 4\nassert 3 == 4"), "violated", "read gave 3 instead of 4"),
    (Violation("VORD", "17 came after 18"), "violated", "VORD"),
    (DriverError("crash", "gone", signal="SEGV", **{"in": "send"}), "violated", "SIGSEGV"),
    (DriverError("crash", "gone", signal="KILL", **{"in": "send"}), "broken", "gone"),
    (NotHere("no user namespaces"), "skipped", "no user namespaces"),
    (DriverError("os", "open failed", name="ENOSPC", limit="kernel.msgmni"), "skipped", "limit kernel.msgmni"),
    (OSError(errno.EMFILE, "Too many open files"), "skipped", "limit RLIMIT_NOFILE"),
    (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "broken", "temporarily unavailable"),
    (OSError(errno.ENOENT, "No such file"), "broken", "No such file"),
    (Unknown("log lost"), "unknown", "log lost"),
    (Doubtful("one came 3 ns before the other"), "unknown", "3 ns before"),
    (ValueError("a mistake of ours"), "broken", "a mistake of ours"),
]


@pytest.mark.parametrize("error, outcome, said", ENDS, ids=[f"{type(e).__name__}-{o}" for e, o, _ in ENDS])
def test_what_an_end_means(error, outcome, said):
    ended = classify(error)
    assert (ended.outcome, said in ended.reason) == (outcome, True), ended


@pytest.mark.parametrize("event, slack", [({}, None), ({"slack_ns": -1}, None), ({"slack_ns": 7}, 7)])
def test_a_finding_rests_on_stamps_as_its_event_says(event, slack):
    ended = classify(Violation("VORD", "17 came after 18", **event, timeline=["drawn"]))
    assert (ended.slack_ns, ended.timeline) == (slack, ["drawn"])
