# SPDX-License-Identifier: MIT
"""What a test insists on is found by playing it with other answers, and loops in a program say what their lines say."""
import shutil

import pytest
from plumbline.calls import DriverError
from plumbline.catalogue import Catalogue
from plumbline.client import Driver
from plumbline.outcomes import Trouble
from plumbline.repro.calls import NoCall, filled, flags, unsaid
from plumbline.repro.command import instance_of, parsed
from plumbline.repro.coverage import Coverage
from plumbline.repro.judge import ASTRAY, ON, VIOLATED, Judge
from plumbline.repro.lines import Entry, looped, numbers_of, story
from plumbline.repro.mine import Miner, first
from plumbline.repro.repair import repaired
from plumbline.repro.script import NoScript, Script
from plumbline.repro.trial import disagrees


def violated(e):
    return str(e) or "assertion" if isinstance(e, AssertionError) else ""


@pytest.fixture
def miner(toy, tmp_path):
    """miner(test, errors, wrong): plays a test with the toy driver, then asks it about its own transcript."""

    def make(test, errors=(), wrong=None):
        path = tmp_path / "transcript"
        with Driver(toy, transcript=path) as d:
            test(d)
        script = Script.read(path)
        if wrong:
            script = wrong(script)
        return Miner(Judge(test, lambda wire: Driver("toy", drivers="none", wire=wire), violated), script, list(errors))

    return make


def calls(steps):
    return [s for s in steps if s.op == "call"]


def order(d):
    d.open("q")
    a, b = d.actors(2)
    sent = [d.call(a, "put", "q", size=n).sum for n in (10, 20)]
    got = [d.call(b, "take", "q") for _ in sent]
    assert [r.sum for r in got] == sent and got[0].ret == 10


def test_what_is_compared_is_wanted_and_nothing_else(miner):
    put1, put2, take1, take2 = calls(miner(order).mine())
    assert (take1.wants.content, take2.wants.content) == ([put1.id], [put2.id])
    assert take1.wants.ret.like == (put1.id, "ret") or (take1.wants.ret.lo, take1.wants.ret.hi) == (10, 10)
    assert not take2.wants.ret, "the test does not look at it"
    assert put1.wants.errors == [] and not put1.wants.ret, "it must succeed, for its payload is asked for"


def any_order(d):
    d.open("q")
    a, b = d.actors(2)
    sent = [d.call(a, "put", "q").sum for _ in range(2)]
    assert sorted(d.call(b, "take", "q").sum for _ in range(2)) == sorted(sent)


def test_what_may_be_exchanged_is_one_group(miner):
    *_, take1, take2 = calls(miner(any_order).mine())
    assert take1.wants.group and take1.wants.group == take2.wants.group


def limits(d):
    d.open("q")
    (a,) = d.actors(1)
    r = d.call(a, "put", "q", size=40)
    assert 30 <= r.ret <= 50 and r.errno in (None, "EAGAIN")


def test_limits_are_bisected_and_errors_are_those_that_may_be(miner):
    (put,) = calls(miner(limits, ["EAGAIN", "EINVAL"]).mine())
    assert (put.wants.ret.lo, put.wants.ret.hi) == (30, 50)
    assert put.wants.errors == [], "with EAGAIN the result is -1, which the test rejects"


def waits(d):
    d.open("q")
    a, b = d.actors(2)
    p = d.start(b, "take", "q")
    d.wait_blocked(b)
    enabler = d.call(a, "put", "q")
    r = p.result()
    assert not r.before(enabler)


def test_who_must_wait_may_not_return_before(miner):
    take, put = calls(miner(waits).mine())
    assert take.wants.after == put.id and take.before == [put.id]


def dependent(d):
    d.open("q")
    (a,) = d.actors(1)
    r = d.call(a, "put", "q", size=17)
    again = d.call(a, "put", "q", size=r.ret + 1)
    assert again.ret == r.ret + 1


def test_a_result_that_becomes_an_argument_flows(miner):
    m = miner(dependent)
    one, two = calls(m.mine())
    assert m.flows == {(two.id, "size"): (one.id, "ret", 1)}


def twice_dependent(d):
    d.open("q")
    (a,) = d.actors(1)
    r = d.call(a, "put", "q", size=17)
    for more in (1, 0, 2):
        d.call(a, "put", "q", size=r.ret + more)


def test_all_that_a_result_becomes_flows(miner):
    m = miner(twice_dependent)
    one, *others = calls(m.mine())
    assert m.flows == {(c.id, "size"): (one.id, "ret", more) for c, more in zip(others, (1, 0, 2))}


def test_a_violation_is_repaired_to_what_the_test_accepts(miner):
    def wrong(script):
        take = [x for x in script.requests() if x.message["op"] == "call"][2]
        return script.varied(take.message["id"], lambda message: message["ok"].update(ret=9))

    m = miner(order, wrong=wrong)
    assert m.base.word == VIOLATED
    repaired(m)
    assert [s.settled for s in calls(m.steps)] == [False, False, True, False]
    assert calls(m.steps)[2].answer["ret"] == 10


def test_what_no_single_answer_explains_is_not_told(miner):
    def wrong(script):
        for x in [x for x in script.requests() if x.message["op"] == "call"][2:]:
            script = script.varied(x.message["id"], lambda message: message["ok"].update(sum="0x0"))
        return script

    m = miner(order, wrong=wrong)
    with pytest.raises(NoScript, match="no single other answer"):
        repaired(m)


def test_a_test_that_asks_for_something_else_is_astray(miner):
    m = miner(order)
    cut = m.script.cut(4)
    assert m.judge.of(cut).word == ON, "the script ends before the test"
    other = Script.of("\n".join([]))
    assert m.judge.of(other).word not in (ON, VIOLATED)
    assert m.judge.of(m.script.asking(cut.requests()[-1].message["id"], "size", 11)).word == ASTRAY


def test_a_test_with_a_mind_of_its_own_has_no_story(miner):
    turns = []

    def moody(d):
        turns.append(1)
        d.open("q" * len(turns))

    with pytest.raises(NoScript, match="does not do what it did"):
        miner(moody)


def test_a_prefix_says_nothing_of_calls_that_return_later(miner):
    steps = miner(waits).mine()
    (take,) = calls(first(steps, len(steps) - 1))
    assert take.answer is None and not take.wants.returns


def text(entries):
    return story(*looped(entries))


def test_equal_lines_become_a_loop():
    entries = [Entry(i, f"PUT({{N}}); OF({{id:{i}}});") for i in range(3)]
    assert "i < 3" in text(entries) and "PUT(1); OF(1);" in text(entries)


def test_lines_that_speak_of_different_steps_are_no_loop():
    """Puts of two kinds in turn, then takes in order: what each take has is another."""
    puts = [Entry(i, f"PUT({{N}}, {'AB'[i % 2]});") for i in range(6)]
    takes = [Entry(10 + i, f"TAKE({{N}}); IS({{id:{i}}});") for i in range(6)]
    blocks, alias = looped(puts + takes)
    number = numbers_of(blocks, alias)
    said = text(puts + takes)
    assert [number[i] for i in range(6)] == [1, 2, 1, 2, 1, 2]
    assert said.count("IS(1)") == said.count("IS(2)") == 1 and "i < 6" not in said


def test_flags_have_names():
    assert flags("O", 0o302) == "O_RDWR | O_CREAT | O_EXCL" and flags("O", 0) == "O_RDONLY"
    assert flags("POLL", 5) == "POLLIN | POLLOUT" and flags("IPC", 0o3600) == "IPC_CREAT | IPC_EXCL | 0600"


def test_a_template_without_a_value_is_no_call():
    assert filled("f($a, $b)", {"args": {"b": 2}}, {"a": 1}, {}) == "f(1, 2)"
    with pytest.raises(NoCall, match="has no value"):
        filled("f($a)", {}, {}, {})


@pytest.mark.parametrize("request_,variant,says", [
    ({"id": 4, "op": "call", "f": "open", "size": 9}, {}, ""),
    ({"odd": 1}, {}, "odd"),
    ({"odd": 0}, {}, ""),  # as by default
    ({"odd": 1}, {"odder": "g($odd)"}, ""),
    ({"a": 2}, {}, ""),
    ({"a": 2}, {"a": "3"}, "a"),
    ({"of_another": 3}, {}, ""),
    ({"timeout_ns": 5}, {}, "timeout_ns"),
    ({"timeout_ns": 5}, {"late": "h($wait)"}, ""),
    ({"times": 20}, {}, "times"),
])
def test_an_argument_that_no_template_tells_is_found(request_, variant, says):
    """A program without it would make another call, and call that a violation."""
    spec = {"call": "f($a)", "args": {"a": 1, "odd": 0}, "words": {"w": {"of": "of_another", "3": "x"}}}
    assert unsaid(spec, request_, variant) == says


def test_what_to_tell_is_parsed():
    class Clause:
        id, mechanism = "PMQ-16", "mq"

    known = Catalogue([Clause])
    assert parsed("latest/PMQ-16/mq", known, ["mq"]) == ("latest", "PMQ-16", "mq", "mq")
    assert parsed("pmq-16", known, ["mq"]) == ("", "PMQ-16", "", "mq")
    assert parsed("mutex/robust", known, ["mutex"]) == ("", "", "robust", "mutex")
    assert instance_of("latest/3", known) == ("latest", 3) and instance_of("/tmp/it/12", known) == ("/tmp/it", 12)
    assert not instance_of("latest/PMQ-16/2", known) and not instance_of("3", known)
    with pytest.raises(Trouble, match="say a clause"):
        parsed("nothing", known, ["mq"])


def test_a_driver_with_another_wire_starts_no_process(miner):
    with pytest.raises(DriverError, match="plumb-toy"):
        Driver("toy", drivers="none")


def test_what_has_a_program_and_why_others_have_none():
    found = Coverage()
    found.add(
        [
            {"clause": "B-02", "variant": "x", "why": "it is judged by rounds"},
            {"clause": "B-02", "variant": "x", "file": "1.c"},
            {"clause": "A-01", "variant": "y", "why": "played again, the test does not do what it did: of it alone"},
            {"clause": "A-01", "variant": "x", "why": "played again, the test does not do what it did: of another"},
            {"clause": "B-01", "variant": "x", "file": "2.c"},
            {"clause": "B-03", "variant": "x", "why": "it is judged by rounds"},
        ]
    )
    assert found.lines() == [
        "a program (2): B-01/x B-02/x",
        "played again, the test does not do what it did (2): A-01/{x,y}",
        "it is judged by rounds (1): B-03/x",
    ]
    assert found.clauses() == ({"B-01", "B-02"}, {"A-01", "B-01", "B-02", "B-03"})


@pytest.mark.parametrize("decided", [True, False])
def test_calls_that_race_for_what_there_is_have_no_program(miner, decided):
    """Two take, and two are put: where either may get the first, one story insists on too much."""

    def race(d):
        d.open("q")
        a, b, c = d.actors(3)
        takes = [d.start(x, "take", "q") for x in (a, b)]
        for size in (10, 20):
            d.call(c, "put", "q", size=size)
        got = [t.result().ret for t in takes]
        assert (got if decided else sorted(got)) == [10, 20]

    m = miner(race)
    if decided:
        assert [s.wants.ret.lo for s in calls(m.mine())][:2] == [10, 20]
    else:
        with pytest.raises(NoScript, match="who gets what"):
            m.mine()


@pytest.mark.parametrize("text,says", [
    ("int main(void) { return 0; }", ""),
    ('#include <stdio.h>\nint main(void) { puts("step 2 gave 3"); return 1; }', "step 2 gave 3"),
    ("int main(void) { return 77; }", "it ended with 77"),
    ("int main(void) { gone }", "it does not compile: "),
])
def test_a_program_of_a_story_that_held_is_tried(text, says):
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    assert disagrees(text).startswith(says) and bool(says) == bool(disagrees(text))
