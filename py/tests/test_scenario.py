# SPDX-License-Identifier: MIT
"""A scenario keeps the order that time forced on a witness, and nobody in it waits for ever where promises are kept."""
from types import SimpleNamespace

import pytest
from plumbline.repro import scenario
from plumbline.repro.calls import TABLES, table
from plumbline.repro.rounds import RoundProgram, Told
from plumbline.repro.scenario import Act
from plumbline.repro.script import NoScript


def put(actor, begin, end, **more):
    return Act(actor, "send", "PUT", begin, end, 8, **more)


def take(actor, begin, end, **more):
    return Act(actor, "receive", "TAKE", begin, end, 64, **more)


def forced(acts, model="fifo"):
    scenario._forced(acts, model)
    return [[acts.index(b) for b in a.after] for a in acts]


def test_each_waits_for_what_had_ended_and_for_no_more():
    a, b, c = put(1, 0, 1), put(1, 1, 2), take(2, 5, 6)
    assert forced([a, b, c, take(2, 6, 7)]) == [[], [], [1], []]
    assert forced([put(1, 0, 9), put(2, 3, 4), take(3, 5, 6)]) == [[], [], [1]], "what overlaps may overlap"


def test_a_put_does_not_wait_for_the_take_that_waits_for_it():
    """As in a witness of something that came before it was sent."""
    assert forced([take(1, 0, 1), put(2, 5, 6)]) == [[], []]
    assert forced([put(2, 0, 1), take(1, 2, 3), put(3, 5, 6)]) == [[], [0], [1, 0]]
    assert forced([put(2, 0, 1), take(1, 2, 3), put(3, 5, 6)], "select")[2] == [0], "what the take wants is not known"


def test_takes_of_nothing_go_and_wishes_are_served():
    r = SimpleNamespace(waits=lambda f: f == "receive")
    first, late = take(2, 1, 2), take(2, 3, 4)
    left = scenario._served(r, [put(1, 0, 1), first, late])
    assert first in left and not any(a is late for a in left)
    wanted = scenario._wanted([put(1, 0, 1, tag=4), take(2, 5, 6, tag=2)])
    assert [(a.kind, a.tag) for a in wanted] == [("PUT", 2)] and wanted[0].begin > 1
    assert not scenario._wanted([put(1, 0, 1, tag=2), take(2, 5, 6, tag=-3)])


@pytest.mark.parametrize("mechanism", sorted(p.stem for p in TABLES.glob("*.toml") if "[round]" in p.read_text()))
def test_what_a_table_says_of_rounds_is_known(mechanism):
    words = table(mechanism)["round"]
    assert set(words) <= {"drain", "poll", "nothing", "lowest", "piecemeal", "tag"}
    assert words.get("drain", "$").startswith("$") or words["drain"] in table(mechanism)["op"]


def test_a_program_is_what_its_acts_say():
    told = Told("PMQ-03", "In order.", "mq_send(3)", "What was sent first is received first.", "It was not.", [])
    a, b = put(4, 0, 1), take(7, 5, 6)
    b.after = [a]
    text = RoundProgram(told, "mq", "mq", "priority", "VORD", [a, b]).text()
    assert "STEP(0, PUT, 8, 0, mq_send(q, payload(0, 8), 8, 0));\n" in text
    assert text.index("AFTER(0);") < text.index("STEP(1, TAKE") and "DURING" not in text
    assert "asleep" not in text and "Clause    PMQ-03: In order." in text
    long = Told("PMQ-03", "word " * 400, "s", "p", "o", [])
    with pytest.raises(NoScript, match="less than 150 lines"):
        RoundProgram(long, "mq", "mq", "priority", "VORD", [a, b]).text()
