# SPDX-License-Identifier: MIT
"""The course of a run: what its ticks say of each interval, whatever of them is missing or makes no sense."""
import xml.etree.ElementTree as ET

import pytest
from folders import SECOND, ticks
from plumbline.report import overtime


def test_a_course_is_what_came_between_two_ticks():
    of = overtime.points(ticks(6, faults=(2, 5)))
    assert len(of) == 6 and [p.faults for p in of] == [{}, {"kill": 2}, {}, {}, {"kill": 2}, {}]
    assert {round(p.rate) for p in of} == {1010} and {(p.p50, p.p99) for p in of} == {(2048.0, 2048.0)}
    drawing = overtime.drawn(of)
    ET.fromstring(drawing)
    assert drawing.count('class="fault"') == 2 and "2 × kill" in drawing and "2 of 6 intervals with faults" in drawing


def test_a_lost_tick_makes_an_interval_wider_and_loses_no_fault():
    of = overtime.points(ticks(6, faults=(2, 3), dropped=(2, 3)))
    assert [round((p.ended - p.begun) / SECOND) for p in of] == [1, 3, 1, 1]
    assert of[1].faults == {"kill": 4} and {round(p.rate) for p in of} == {1010}


def test_a_long_run_is_drawn_in_few_points():
    of = overtime.points(ticks(4000, faults=range(1, 4001)))
    assert 100 <= len(of) <= 151 and of[-1].ended == 10 + 4000 * SECOND
    assert sum(p.faults["kill"] for p in of) == 8000 and len(overtime.drawn(of)) < 60_000


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"ev": "tick"}, {"ev": "fault", "kill": 1}],
        [{"ev": "armed"}, {"ev": "tick", "t": "x", "mechs": {}}, {"ev": "tick", "t": 9, "mechs": []}],
        [{"ev": "armed", "t": 9}, {"ev": "tick", "t": 3, "mechs": {"a": {"done": -4}}}],
    ],
)
def test_half_a_course_is_not_drawn(lines):
    assert overtime.drawn(overtime.points(lines)) == ""


@pytest.mark.parametrize(
    "span, labels",
    [
        (300_000_000, "0 100 ms 200 ms 300 ms"),
        (19_200_000_000, "0 5 s 10 s 15 s"),
        (3_700 * 10**9, "0 20 min 40 min 60 min"),
    ],
)
def test_the_clock_shows_round_times_where_they_are(span, labels):
    drawn = [ET.fromstring(x) for x in overtime._clock(span, 10)]
    assert " ".join(t.text for t in drawn) == labels
    step = float(drawn[1].get("x")) - float(drawn[0].get("x"))
    assert all(abs(float(t.get("x")) - float(drawn[0].get("x")) - i * step) < 0.2 for i, t in enumerate(drawn))
