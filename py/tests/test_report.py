# SPDX-License-Identifier: MIT
"""The report: any part of a run becomes a page that parses, hides nothing, and lets no text of a run become markup."""
import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from folders import ticks
from plumbline import junit
from plumbline.outcomes import Record
from plumbline.report import page, svg
from plumbline.runfolder import RunFolder

EVIL = "<script>alert(1)</script>\"'&</style>\x00\ud800"
VOID = {"meta", "br", "line", "rect", "circle", "hr"}


class Tidy(HTMLParser):
    """Fails on tags that do not match, on scripts, and on anything that would be fetched."""

    def __init__(self):
        super().__init__()
        self.stack, self.tags, self.text = [], [], []
        self.ids, self.links = [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "img"), tag
        assert not any(k == "src" or k.startswith("on") or k == "href" and v[0] != "#" for k, v in attrs), attrs
        self.tags.append(tag)
        self.ids += [v for k, v in attrs if k == "id"]
        self.links += [v[1:] for k, v in attrs if k == "href"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def parse(html):
    t = Tidy()
    t.feed(html)
    t.close()
    assert not t.stack
    assert len(t.ids) == len(set(t.ids)), t.ids
    assert set(t.links) <= set(t.ids), set(t.links) - set(t.ids)
    return t, " ".join(" ".join(t.text).split())


def record(clause, outcome, variant="mq", **more):
    return vars(
        Record(
            clause,
            variant,
            "mq",
            outcome,
            f"semantics/test_x.py::test_{clause}[{variant}]",
            text=f"Promise of {clause}.",
            source="mq_overview(7)",
            level="posix",
            **more,
        )
    )


WITNESS = [
    {
        "actor": 0,
        "seq": 3,
        "f": "send",
        "state": "ok",
        "t_inv": 1000,
        "t_ret": 2000,
        "ret": 0,
        "token": "0x1",
        "tag": 1,
    },
    {
        "actor": 1,
        "seq": 4,
        "f": "send",
        "state": "ok",
        "t_inv": 2600,
        "t_ret": 3100,
        "ret": 0,
        "token": "0x1000000000001",
        "tag": 9,
    },
    {
        "actor": 2,
        "seq": 9,
        "f": "receive",
        "state": "ok",
        "t_inv": 5_000_000,
        "t_ret": 5_001_000,
        "ret": 32,
        "token": "0x1",
        "tag": 1,
    },
    {"actor": 3, "seq": 1, "f": "receive", "state": "invoked", "t_inv": 4000, "t_ret": 0, "ret": 0},
    {
        "actor": 0,
        "seq": 5,
        "f": "send",
        "state": "fail",
        "t_inv": 5_100_000,
        "t_ret": 5_101_000,
        "ret": -1,
        "errno": "EAGAIN",
    },
]


def stress(**more):
    figures = {
        "drivers": 5,
        "rounds": 40,
        "judged": 40,
        "done": 4000,
        "fail": 3,
        "pending": 1,
        "killed": 2,
        "ordered": 99,
        "short": 100,
        "overlapped": 60,
        "elapsed_ns": 2 * 10**9,
        "overlap": 0.6,
        "violated": 0,
        "unknown": 0,
        "lat_ns": {"p50": 800, "p99": 20_000, "max": 3_000_000},
    }
    return {
        "exit": 0,
        "verdict": "held",
        "per_mech": {"mq/mq": figures},
        "hangs": [],
        "broken": [],
        "skips": [],
        "stderr": [],
        **more,
    }


def violation(**more):
    return {
        "where": "stress",
        "clause": "PMQ-02",
        "rule": "VPRIO",
        "mechanism": "mq",
        "variant": "mq",
        "instance": 3,
        "text": "Promise of PMQ-02.",
        "source": "mq_receive(3)",
        "reason": "actor 2 took 0x1 although 0x2 was inside",
        "witness": WITNESS,
        "replay": "plumbline stress mq=5 --seed 0x1",
        "expected": "",
        **more,
    }


@pytest.fixture
def folder(tmp_path):
    def make(records=(), verdict="held", violations=(), news=(), trouble="", engine=None, **more):
        f = RunFolder(tmp_path / "r1")
        f.path.mkdir(exist_ok=True)
        f.write_json("conform.json", {"records": list(records), "news": list(news), "trouble": trouble})
        f.write_json(
            "env.json",
            {
                "kernel": "Linux 6.18",
                "machine": "x86_64",
                "capabilities": ["CHOWN"],
                "limits": {"RLIMIT_NOFILE": "9"},
                "mounts": {},
            },
        )
        f.write_json(
            "run.json",
            {
                "run": "r1",
                "seed": "0x1",
                "verdict": verdict,
                "exit": 0,
                "replay": "plumbline run",
                "target": "this machine",
                "seconds": 1,
                "violations": list(violations),
                "stress": engine,
                "rules": {"mq/mq": [{"id": "PMQ-02", "text": "t", "source": "s", "level": "posix"}]},
                "hangs": (engine or {}).get("hangs", []),
                **more,
            },
        )
        return f

    return make


def text_of(f):
    v = page.view(f)
    return parse(page.render(v))[1], v


def test_green_says_what_stands_behind_it(folder):
    text, v = text_of(folder([record("PMQ-01", "held"), record("PMQ-02", "held")], engine=stress()))
    assert "Every promise that could be tried here holds: 2 clauses and 40 rounds under load." in text
    assert (
        "plumbline run" in text and "Promise of PMQ-01." in text and "Under load" in text and "Violations" not in text
    )
    assert [s.load for m in v.matrices for r in m.rows for s in r.squares] == ["", "held"]


def test_red_shows_the_witness(folder):
    html = page.render(page.view(folder([record("PMQ-02", "held")], "violated", [violation()], engine=stress(exit=1))))
    tidy, text = parse(html)
    assert "1 promise violated: PMQ-02 (mq)." in text and "rule VPRIO" in text and "although 0x2 was inside" in text
    assert (
        "receive → never returned" in text
        and "send → EAGAIN" in text
        and "send 0#1 (9) → 0" in text
        and "svg" in tidy.tags
    )
    assert 'class="sq violated"' in html


def test_an_expected_violation_is_shown_apart(folder):
    r = record("PMQ-02", "violated", reason="it does", expected="violated", note="known (link)")
    text, v = text_of(
        folder(
            [r, record("PMQ-01", "held")],
            "held",
            [{**violation(where="conform"), "expected": "violated", "note": "known (link)"}],
        )
    )
    assert (
        "Nothing unexpected: 1 clause holds. Violated as expected: PMQ-02 (mq)." in text
        and "Expected: known (link)" in text
    )


def test_skips_say_why(folder):
    text, _ = text_of(folder([record("PMQ-01", "skipped", reason="limit fs.mqueue.queues_max")], "skipped"))
    assert "Nothing could be tried here" in text and "fs.mqueue.queues_max" in text and "PMQ-01 (mq)" in text


@pytest.mark.parametrize(
    "verdict, words",
    [("broken", "Broken"), ("unknown", "Inconclusive"), ("interrupted", "Interrupted"), ("skipped", "Nothing ran")],
)
def test_each_verdict_has_its_sentence(folder, verdict, words):
    assert words in text_of(folder(verdict=verdict, trouble="pytest refused its options"))[0]


def test_hangs_and_dead_drivers_are_in_page_and_junit(folder):
    hang = {
        "instance": 4,
        "mechanism": "mq",
        "variant": "mq",
        "kind": "deadlock",
        "actors": [{"id": 3, "f": "receive", "is": "blocked", "held_ns": 5 * 10**9}],
    }
    f = folder(
        verdict="violated",
        engine=stress(
            exit=1, hangs=[hang], broken=[{"instance": 1, "mechanism": "pipe", "variant": "stream", "why": "exit 9"}]
        ),
    )
    text, v = text_of(f)
    assert "1 driver hung under load." in text and "deadlock" in text and "exit 9" in text
    assert {(r.clause, r.outcome) for r in v.junit_records} >= {("HANG", "violated"), ("DRIVER", "broken")}


def test_hostile_text_stays_text(folder):
    r = record("PMQ-01", "violated", reason=EVIL, witness=[{**WITNESS[0], "f": EVIL, "actor": EVIL}])
    f = folder(
        [r, record(EVIL, "skipped", reason=EVIL)],
        "violated",
        [violation(reason=EVIL, clause=EVIL, witness=[{**WITNESS[0], "f": EVIL}])],
        [EVIL],
        EVIL,
        stress(hangs=[{"kind": EVIL, "cycle": [EVIL]}], skips=[{"why": EVIL}]),
        argv=EVIL,
        started=EVIL,
    )
    html = page.render(page.view(f))
    parse(html)
    assert "<script" not in html and "&lt;script&gt;" in html


def test_damaged_folders_give_a_page_or_one_line(folder, tmp_path):
    f = folder(
        [record("PMQ-01", "held"), {"nonsense": 1}, "text", {**record("X", "held"), "outcome": "great"}],
        engine={"exit": 3, "per_mech": "no"},
    )
    parse(page.render(page.view(f)))
    (f.path / "conform.json").write_text("{")
    with pytest.raises(Exception, match="conform.json"):
        page.view(f)


def test_drawings():
    assert svg.timeline([]) == "" and svg.timeline([{"actor": 1}]) == ""
    assert svg.timeline(WITNESS * 10).count("<rect") == 20
    ET.fromstring(svg.timeline(WITNESS))
    ET.fromstring(svg.bars([("a<b", 3.0, "3/s"), ("c", 0.0, "0")], "how <many>"))
    ET.fromstring(svg.latencies([("a", 80.0, 900.0, 10**9), ("none", 0.0, 0.0, 0.0)]))
    assert [svg.token(t) for t in ("0x20100000000b7", "0x5", None, 0, "x")] == ["1#183", "0x5", "", "", "x"]
    assert svg.latencies([("a", 0, 0, 0)]) == ""
    assert [svg.duration(n) for n in (5, 1500, 2_000_000, 3 * 10**9)] == ["5 ns", "1.5 µs", "2 ms", "3 s"]
    assert [svg.number(n) for n in (7, 45_000, 2.5e6)] == ["7", "45 k", "2.5 M"]


def test_json_survives(folder):
    f = folder([record("PMQ-01", "held")])
    assert json.loads((f.path / "run.json").read_text())["run"] == "r1"


def test_what_the_engine_did_not_list_is_not_green(folder):
    engine = stress(exit=1)
    engine["per_mech"]["mq/mq"]["violated"] = 7
    left = {"kind": "message queue", "name": "/plumb.x", "mechanism": "mq"}
    f = folder(verdict="violated", engine=engine, residue=[left])
    seen = {(r.clause, r.outcome) for r in page.view(f).junit_records}
    assert {("ROUNDS", "violated"), ("RESIDUE", "broken")} <= seen
    told = page.view(folder(verdict="violated", violations=[violation()], engine=engine)).junit_records
    assert {r.clause for r in told if r.outcome == "violated"} == {"PMQ-02"}


def test_every_rule_that_spoke_for_a_clause_is_kept(folder):
    f = folder(verdict="violated", violations=[violation(), violation(rule="VORD")], engine=stress(exit=1))
    (r,) = [r for r in page.view(f).junit_records if r.outcome == "violated"]
    assert r.rule == "VORD VPRIO" and r.replay == "plumbline stress mq=5 --seed 0x1"


def ring(n, **more):
    """A hang as the engine tells it: actor i waits for what the next one holds."""
    nodes = [{"instance": 3, "actor": i, "pid": 100 + i, "is": "asleep", "f": "lock"} for i in range(n)]
    edges = [{"from": i, "to": (i + 1) % n, "what": f"mutex {'abcdefgh'[i]}", "cycle": True} for i in range(n)]
    return {
        "instance": 3,
        "mechanism": "mutex",
        "variant": "normal",
        "kind": "deadlock",
        "text": "actor 0 waits for mutex b, held by actor 1 …",
        "cycle": nodes,
        "nodes": nodes,
        "edges": edges,
        **more,
    }


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_a_ring_is_drawn_with_its_words(folder, n):
    f = folder(verdict="violated", engine=stress(exit=1, hangs=[ring(n)]))
    html = page.render(page.view(f))
    parse(html)
    assert html.count('class="edge cycle"') == n == html.count('class="label cycle"') == html.count('class="actor ')
    assert "actor 0 waits for mutex b" in html and "1 driver hung under load." in html
    assert ('class="waits wide"' in html) == (n == 8)  # it has a line of its own


def test_a_deadlock_made_on_purpose_is_drawn_and_accuses_nobody(folder):
    f = folder(engine=stress(hangs=[ring(2, violated=False, scene="mutex-ab-ba", named_ms=391.2)]))
    html = page.render(page.view(f))
    assert 'class="edge cycle"' in html and "scene mutex-ab-ba" in html and "hung under load" not in html
    assert not [r for r in page.view(f).junit_records if r.clause == "HANG"]


@pytest.mark.parametrize(
    "nodes,edges", [(None, None), ([{}], [{"from": 0, "to": 1}]), ("x", [1]), ([EVIL], [{"from": 0, "to": 0}])]
)
def test_half_a_graph_draws_nothing(folder, nodes, edges):
    hangs = [ring(2, nodes=nodes, edges=edges), {"nodes": nodes}, 7]
    f = folder(verdict="violated", engine=stress(exit=1, hangs=hangs))
    html = page.render(page.view(f))
    assert "<svg class=\"waits" not in html and "<script" not in html


def test_hostile_names_in_a_graph_stay_text(folder):
    h = ring(2, kind=EVIL, text=EVIL)
    h["nodes"][0] |= {"f": EVIL, "pid": EVIL, "actor": EVIL, "instance": EVIL}
    h["edges"][0]["what"] = EVIL
    html = page.render(page.view(folder(verdict="violated", engine=stress(exit=1, hangs=[h]))))
    parse(html)
    assert "<script" not in html and 'class="waits"' in html


def test_a_gallery_on_the_console(capsys):
    from plumbline import stress as engine
    from plumbline.console import Out

    scene = {"scene": "mutex-ab-ba", "on": "mutex/robust", "kind": "deadlock", "cycle": 2, "named_ms": 391.2}
    odd = {**scene, "scene": "odd", "verdict": "violated", "why": "slow, where deadlock, ring of 2 must be"}
    s = engine.Stress(
        {"verdict": "held", "why": "1 scene", "gallery": [{**scene, "verdict": "held"}, odd, 7, {}],
         "hangs": [ring(2, violated=False), ring(3)]}, 0
    )
    engine.show(Out(), s, [])
    lines = [" ".join(l.split()) for l in capsys.readouterr().out.splitlines()]
    assert any(l.startswith("mutex-ab-ba mutex/robust deadlock 2 0.39 s held") for l in lines), lines
    assert any("violated: slow, where deadlock" in l for l in lines)
    assert sum(l.startswith("HANG ") for l in lines) == 1


def test_the_contents_lead_to_every_mechanism_and_part(folder):
    other = {**record("PIPE-01", "violated"), "mechanism": "pipe", "variant": "stream"}
    records = [record("PMQ-07", "held"), record("PMQ-02", "held"), other, record("PMQ-03", "skipped", reason="why")]
    f = folder(records, "violated", [violation()], engine=stress(exit=1, hangs=[ring(2), ring(3)]))
    v = page.view(f)
    tidy, text = parse(page.render(v))
    parts = ["promises", "violations", "load", "hangs", "environment", "skips"]
    assert {*parts, "mech-mq", "mech-pipe"} <= set(tidy.links)
    assert "mq.PMQ-02" in tidy.links and "trouble" not in tidy.ids
    assert [i for i in tidy.ids if i in page.TITLES] == parts
    assert [r.clause for r in v.matrices[0].rows] == ["PMQ-02", "PMQ-03", "PMQ-07"]
    assert [m.amiss for m in v.matrices] == [[("violated", 1)], [("violated", 1)]]
    assert "3 clauses, 1 variant: 1 held, 1 violated, 1 skipped" in text


def test_what_is_beyond_a_handful_is_counted(folder):
    found = [violation(variant=f"v{i}") for i in range(45)]
    text, v = text_of(folder(verdict="violated", violations=found, engine=stress(exit=1, hangs=[ring(2)] * 43)))
    assert len(v.findings) == len(v.hangs) == 40 and "5 more kinds of violation" in text and "3 more are in" in text


def test_the_sentence_stays_one(folder):
    found = [violation(variant=f"v{i}", expected="violated") for i in range(9)]
    text, _ = text_of(folder([record("PMQ-01", "held")], violations=found))
    assert "PMQ-02 (mq/v5) and 3 more. " in text


def test_the_course_of_a_run_is_on_its_page(folder):
    f = folder([record("PMQ-01", "held")], engine=stress())
    assert "Over time" not in page.render(page.view(f))
    (f.path / "stress").mkdir()
    (f.path / "stress" / "events.jsonl").write_text("".join(json.dumps(l) + "\n" for l in ticks(5, faults=(3,))))
    tidy, text = parse(page.render(page.view(f)))
    assert "Over time" in text and "actors were killed or stopped" in text


def test_every_drawing_says_what_it_is(folder):
    f = folder(verdict="violated", violations=[violation()], engine=stress(exit=1, hangs=[ring(2)]))
    html = page.render(page.view(f))
    assert html.count("<svg") == html.count('role="img" aria-label="') >= 4


def test_a_long_name_is_beside_its_bar_and_not_cut():
    name = "signal/standard-signalfd-and-more"
    for drawing in (svg.bars([(name, 1.0, "1/s")], "t"), svg.latencies([(name, 80.0, 900.0, 10**9)])):
        (label,) = [t for t in ET.fromstring(drawing).iter("text") if t.text == name]
        assert float(label.get("x")) >= 7.3 * len(name)  # 12 px monospace, ended there


def audit(error=1, **more):
    return {
        **{"source": "tsc", "error_ns": error, "handoffs": 20000, "backwards": 0, "pairs": 1, "all_pairs": 1},
        **{"unpinned": 0, **more},
    }


def test_the_clock_and_what_is_unknown_for_it(folder):
    """Rounds by a clock that is not to be trusted are neither held nor violated, and each claim on them says so."""
    good = stress(clock={**audit(), "after": audit()})
    text, v = text_of(folder([record("PMQ-02", "held")], engine=good))
    figures = "error 1 ns before, 1 ns after; 20000 and 20000 hand-offs over 1 of 1 pairs of CPUs"
    assert f"clock under load tsc; {figures}" in text and "clock of the suites" not in text
    alone, _ = text_of(folder([record("PMQ-02", "held")], clock={**audit(), "after": audit()}))
    assert f"clock of the suites tsc; {figures}" in alone and "clock under load" not in alone
    for half in (None, {}, {**audit(), "after": {}, "why": "it could not be looked at again"}):
        assert "clock of the suites" not in text_of(folder([record("PMQ-02", "held")], clock=half))[0]
    assert [(r.clause, r.outcome) for r in v.stress_records] == [("PMQ-02", "held")]
    why = "the clock source changed from tsc to hpet"
    kind = {**good["per_mech"]["mq/mq"], "rounds": 40, "judged": 0, "unknown": 40, "violated": 0}
    clock = {**audit(), "after": audit(7, source="hpet"), "why": why}
    bad = stress(clock=clock, per_mech={"mq/mq": kind}, verdict="unknown", exit=5)
    f = folder([record("PMQ-02", "held")], engine=bad)
    text, v = text_of(f)
    assert "tsc, then hpet" in text and "1 ns before, 7 ns after" in text and why in text
    assert [(r.clause, r.outcome, r.reason) for r in v.stress_records] == [("PMQ-02", "unknown", f"CLOCK: {why}")]
    case = junit.case_of(v.stress_records[0])
    junit.write(f.path / "j.xml", [case], {})
    assert f"CLOCK: {why}" in (f.path / "j.xml").read_text()
