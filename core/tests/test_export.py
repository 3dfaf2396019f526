# SPDX-License-Identifier: MIT
"""Claim: what plumb-check --export prints is a history that Knossos and what reads its shape can judge, and they find in
it no violation where plumb-check finds none.

Knossos is not here. What it asserts of a history is (README and src/knossos/history.clj: complete, pairs, kindex), and
its models (src/knossos/model.clj) are; the judge is a search of all orders, which shares no line with the checkers.
"""
import json
import random
import re
import subprocess
from functools import lru_cache

import histfile as hf
import pytest
from conftest import DRIVERS

CHECK = DRIVERS.parent / "plumb-check"
pytestmark = pytest.mark.skipif(not CHECK.exists(), reason="plumb-check is not beside the drivers")


def run(*words):
    return subprocess.run([CHECK, *words], capture_output=True, text=True)


# ---- EDN, as much of it as a history needs ----


def edn(text):
    """The values in it. Keywords are their names."""
    tokens = re.findall(r'"[^"\\]*"|[{}\[\]]|:[a-z][a-z-]*|-?\d+|nil', re.sub(r",", " ", text))
    assert "".join(tokens) == re.sub(r"[,\s]", "", text), "something else is in it"
    tokens.append("end")

    def value(at):
        t = tokens[at]
        if t in "[{":
            items, at = [], at + 1
            while tokens[at] not in "]}":
                item, at = value(at)
                items.append(item)
            return (tuple(items) if t == "[" else dict(zip(items[::2], items[1::2]))), at + 1
        return (None if t == "nil" else t[1:] if t[0] == ":" else t[1:-1] if t[0] == '"' else int(t)), at + 1

    found, at = [], 0
    while tokens[at] != "end":
        item, at = value(at)
        found.append(item)
    return found


# ---- Knossos: the shape it asserts, its models, and a search ----


def operations(history):
    """[f, value, begin, end or None], of a history that Knossos accepts."""
    calls, crashed, found = {}, set(), []
    assert [op["index"] for op in history] == list(range(len(history)))
    assert all(a["time"] <= b["time"] for a, b in zip(history, history[1:]))
    for op in history:
        p = op["process"]
        if p == "nemesis":
            assert op["type"] == "info"
            continue
        assert isinstance(p, int) and {"type", "f", "value", "time"} <= set(op)
        if op["type"] == "invoke":
            assert p not in calls and p not in crashed, "a process does one thing at a time, and none after :info"
            calls[p] = op
            continue
        begun = calls.pop(p)
        assert begun["f"] == op["f"]
        if op["type"] == "fail":
            assert begun["value"] == op["value"]
        elif op["type"] == "info":
            crashed.add(p)
            found.append((op["f"], begun["value"], begun["index"], None))
        else:
            assert op["type"] == "ok"
            found.append((op["f"], op["value"], begun["index"], op["index"]))
    return found + [(op["f"], op["value"], op["index"], None) for op in calls.values()]


def fifo_queue(state, f, value):
    if f == "enqueue":
        return (*state, value)
    return state[1:] if state and state[0] == value else None


def mutex(state, f, _):
    return None if state == (f == "acquire") else f == "acquire"


def cas_register(state, f, value):
    """A state is a 1-tuple: nil is a value."""
    if f == "write":
        return (value,)
    if f == "cas":
        return (value[1],) if state == (value[0],) else None
    return state if value is None or state == (value,) else None


KNOSSOS = {"fifo": (fifo_queue, ()), "lock": (mutex, False), "register": (cas_register, (None,))}


def linearizable(ops, step, init):
    @lru_cache(maxsize=None)
    def search(left, state):
        ends = [ops[i][3] for i in left if ops[i][3] is not None]
        if not ends:
            return True
        for i in left:
            f, value, begin, _ = ops[i]
            after = step(state, f, value) if begin < min(ends) else None
            if after is not None and search(left - {i}, after):
                return True
        return False

    return search(frozenset(range(len(ops))), init)


# ---- random rounds, most of them right ----


class Maker:
    """Operations take effect one after the other; each began a while before and ends a while after."""

    def __init__(self, seed, number, model):
        self.rng = random.Random(f"{seed}/{number}")
        self.logs = [hf.Log(i, model, number, hf.ROBUST) for i in range(self.rng.randint(2, 4))]
        self.free = [0] * len(self.logs)
        self.now, self.tokens, self.state = 0, 0, []
        self.dead, self.notes = set(), []
        self.control = hf.Log(hf.CONTROL, model, number, hf.ROBUST)
        self.plan = {"fifo": self.queue, "lock": self.section, "register": self.touch}[model]
        for _ in range(self.rng.randint(4, 10)):
            if len(self.dead) < len(self.logs):
                self.plan(self.rng.choice([i for i in range(len(self.logs)) if i not in self.dead]))
        for when, op, who in sorted(self.notes):
            self.control.add(op, hf.INFO, when, when, who)

    def token(self):
        self.tokens += 1
        return 1 << 48 | self.tokens

    def times(self, who):
        """Of an operation that takes effect now. Some stamps are off: then the round may be wrong."""
        self.now = max(self.now, self.free[who]) + self.rng.randint(1, 20)
        begin = self.rng.randint(self.free[who], self.now)
        self.free[who] = self.now + self.rng.randint(1, 40)
        if self.rng.random() < 0.1:
            begin = self.free[who] - 1
        return begin, self.free[who]

    def add(self, who, op, token=0, aux=0, crash=0.05):
        begin, end = self.times(who)
        if self.rng.random() < crash and who not in self.dead:
            self.logs[who].add(op, hf.INVOKED, begin, 0, token, aux)
            self.notes += [(end, hf.KILL, who), (end + 5, hf.REAP, who)]
            self.dead.add(who)
            return self.rng.random() < 0.5
        self.logs[who].add(op, hf.OK, begin, end, token, aux)
        return True

    def queue(self, who):
        if self.rng.random() < 0.5:
            token = self.token()
            if self.add(who, "send", token):
                self.state.append(token)
        elif self.state:
            at = 1 if len(self.state) > 1 and self.rng.random() < 0.3 else 0
            self.add(who, "receive", self.state.pop(at), crash=0)
        else:
            begin, end = self.times(who)
            self.logs[who].add("receive", hf.FAIL, begin, end, err=hf.EAGAIN)

    def section(self, who):
        self.tokens += 1
        self.add(who, "lock", aux=self.tokens, crash=0)
        self.now = self.free[who] - (self.rng.random() < 0.3) * 60
        self.add(who, "unlock", crash=0)

    def touch(self, who):
        kind = self.rng.choice(["send", "load", "load", "exchange"])
        before = self.state[-1] if self.state else 9 << 48
        if kind == "load":
            self.add(who, "load", self.rng.choice(self.state) if self.state and self.rng.random() < 0.3 else before)
            return
        token = self.token()
        if self.add(who, kind, token, before):
            self.state.append(token)


@pytest.mark.parametrize("model", sorted(KNOSSOS))
def test_an_independent_judge_agrees(tmp_path, model):
    rounds, seed = 300, 20
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number in range(rounds):
        made = Maker(seed, number, model)
        hf.write(tmp_path / "in", [*made.logs, made.control])
    judged = run("--json", tmp_path / "in")
    assert judged.returncode == 1 and judged.stderr == ""
    assert run("--export", "edn", "--out", tmp_path / "out", tmp_path / "in").returncode == 0
    count = {"held": 0, "violated": 0, "unknown": 0}
    for line in judged.stdout.splitlines():
        v = json.loads(line)
        ops = operations(edn((tmp_path / "out" / f"run-3-{v['round']}.edn").read_text()))
        valid = linearizable(ops, *KNOSSOS[model])
        where = f"round {v['round']}: {v['verdict']} {v['rule']} {v['text']}, {ops}"
        assert v["verdict"] != "held" or valid, where
        # what an export cannot say: a guarded counter, that a queue was empty, when the dead were dead
        if v["rule"] in ("VORD", "VREPET", "VFRESH", "OVERLAP", "STALE") and all(end for *_, end in ops):
            assert not valid, where
        count[v["verdict"]] += 1
    assert sum(count.values()) == rounds and count["held"] > 100 and count["violated"] > 20, count


def test_json_lines_and_edn_say_the_same(tmp_path):
    made = Maker(1, 0, "register")
    hf.write(tmp_path, [*made.logs, made.control])
    lines = [json.loads(line) for line in run("--export", "jsonl", tmp_path).stdout.splitlines()]
    assert lines == json.loads(json.dumps(edn(run("--export", "edn", tmp_path).stdout)))


def test_a_death_in_a_call_is_info_and_its_process_stays_away(tmp_path):
    a, b, control = hf.Log(0, "lock", caps=hf.ROBUST), hf.Log(1, "lock", caps=hf.ROBUST), hf.Log(hf.CONTROL, "lock")
    a.add("lock", hf.OK, 0, 10, aux=0)
    a.add("unlock", hf.INVOKED, 20)
    control.add(hf.KILL, hf.INFO, 30, 30, 0)
    control.add(hf.REAP, hf.INFO, 30, 40, 0)
    b.add("lock", hf.FAIL, 5, 60, aux=1, err=130)
    hf.write(tmp_path, [a, b, control])
    history = edn(run("--export", "edn", tmp_path).stdout)
    told = [(op["process"], op["type"], op["f"]) for op in history]
    assert told == [
        (0, "invoke", "acquire"),
        (1, "invoke", "acquire"),
        (0, "ok", "acquire"),
        (0, "invoke", "release"),
        (2, "invoke", "release"),
        (2, "info", "release"),
        ("nemesis", "info", "kill"),
        ("nemesis", "info", "reap"),
        (0, "info", "release"),
        (1, "ok", "acquire"),
    ]
    assert linearizable(operations(history), *KNOSSOS["lock"])


def test_several_rounds_need_a_folder(tmp_path):
    for number in range(2):
        made = Maker(1, number, "fifo")
        hf.write(tmp_path, [*made.logs, made.control])
    done = run("--export", "edn", tmp_path)
    assert done.returncode == 2 and "--out" in done.stderr and not done.stdout
