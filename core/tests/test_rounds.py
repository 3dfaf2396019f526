# SPDX-License-Identifier: MIT
"""Rounds under everything that can happen to them: they end, they are judged, and nothing false is said."""
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest
from conftest import DRIVERS, DriverError, children, held, preload

EVERY = [("mq", {}), ("pipe", {}), ("pipe", {"variant": "packet"}), ("mutex", {"variant": "robust"}), ("mutex",
    {"variant": "normal"})]
NAMES = ["-".join([n, *v.values()]) for n, v in EVERY]


@pytest.fixture(params=EVERY, ids=NAMES)
def crowd(request, driver):
    """crowd(n, kind, **client arguments): one of every mechanism."""
    name, how = request.param

    def make(n=4, kind="process", **k):
        d = driver(name, **k)
        d.close("o")
        d.open("o", **how)
        d.mechanism = name
        try:
            d.ids = d.actors(n, kind)
        except DriverError:
            pytest.skip(f"{name} has no actors of kind {kind}")
        return d
    return make


def refused(d, op, **fields):
    with pytest.raises(DriverError) as e:
        d.request(op, **fields)
    assert e.value.kind == "usage", e.value


@pytest.mark.parametrize("kind", ["process", "thread", "exec"])
@pytest.mark.parametrize("sched", ["free", "noise"])
def test_rounds_hold(crowd, kind, sched):
    d = crowd(4, kind)
    r = held(d, d.run(rounds=8, ops=200, sched=sched), 8)
    assert r["done"] >= 8 * 200 and r["pending"] == r["killed"] == 0
    assert d.status()["state"] == "idle" and {a["is"] for a in d.status()["actors"]} == {"idle"}


@pytest.mark.parametrize("how", ["fault", "kill(2)"])
def test_kills_at_every_moment(crowd, how):
    """As fast as they can be sent, so that they fall into work, drain, check and between rounds; until there were enough."""
    d = crowd(4)
    n = killed = rounds = 0
    while killed <= 10 or rounds <= 3:
        p = d.post("run", for_ms=700, ops=150, timeout=30)
        while not p.done():
            try:
                if how == "fault":
                    d.fault("kill", d.ids[n % 4])
                else:
                    os.kill(d.status()["actors"][d.ids[n % 4]]["pid"], signal.SIGKILL)
            except (DriverError, ProcessLookupError):
                pass
            n += 1
        r = p.ok()
        assert not r["violated"], (r, d.events[-5:])
        killed, rounds = killed + r["killed"], rounds + r["judged"] - r["unknown"]
        assert n < 100_000, (n, killed, rounds)
    held(d, d.run(rounds=3, ops=50), 3)


def test_kills_of_threads_take_all_of_them(crowd):
    """Of a round in which nothing came to its end, nothing is known: until there was one of which something is."""
    d = crowd(4, "thread")
    n = killed = rounds = 0
    while not killed or not rounds:
        p = d.post("run", for_ms=400, ops=150, timeout=30)
        while not p.done():
            try:
                d.fault("kill", d.ids[0])
            except DriverError:
                pass
            d.ping()
            n += 1
        r = p.ok()
        assert not r["violated"] and r["killed"] % 4 == 0, (r, d.events[-5:])
        killed, rounds = killed + r["killed"], rounds + r["judged"] - r["unknown"]
        assert n < 100_000, (n, killed, rounds)


@pytest.mark.parametrize("name, variant", [("lock", "record"), ("signal", "standard")])
def test_threads_are_no_parties_to_what_is_between_processes(driver, name, variant):
    d = driver(name)
    d.close("o")
    d.open("o", variant=variant)
    threads, processes = d.actors(2, "thread"), d.actors(2)
    refused(d, "run", on="o", rounds=1, ops=10)
    do = ["lock"] if name == "lock" else ["kill"]
    refused(d, "run", on="o", rounds=1, ops=10, plan={"actors": [{"ids": threads, "do": do}]})
    if name == "lock":
        d.run(rounds=1, ops=10, plan={"actors": [{"ids": processes, "do": do}]})


def test_stops_and_continues(crowd):
    d = crowd(4)
    p = d.post("run", for_ms=600, ops=200, timeout=30)
    n = 0
    while not p.done():
        d.fault("stop" if n % 2 == 0 else "cont", d.ids[n // 2 % 4])
        n += 1
    for a in d.ids:
        d.fault("cont", a)
    held(d, p.ok())
    held(d, d.run(rounds=2, ops=50), 2)


def test_one_that_is_stopped_is_waited_for(driver):
    d = driver("mq", 4)
    d.fault("stop", 2)
    p = d.post("run", rounds=3, ops=50, timeout=20)
    for _ in range(30):
        d.ping()
    assert not p.done() and d.status()["actors"][2]["is"] == "stopped"
    d.fault("cont", 2)
    held(d, p.ok(), 3)


@pytest.mark.parametrize("victim", [signal.SIGKILL, signal.SIGSTOP])
def test_the_checker_is_killed(driver, victim):
    """Then that round is unknown; the run goes on. One that is hit may have ended just before: many are hit."""
    d = driver("mq", 2)
    p = d.post("run", rounds=60, ops=2000, timeout=60)
    actors, hit = {a["pid"] for a in d.status()["actors"]}, set()
    while not p.done() and len(hit) < 40:
        for pid in set(children(d.pid)) - actors - hit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, victim)
                hit.add(pid)
                os.kill(pid, signal.SIGCONT)
    r = p.ok()
    assert r["rounds"] == 60 and r["violated"] == 0 and hit
    if victim == signal.SIGKILL:
        assert 1 <= r["unknown"] <= len(hit) and r["verdict"] == "unknown" and "checker" in r["why"]
    else:
        assert r["verdict"] == "held"


def test_two_runs_in_a_row_do_each_unit_once(driver):
    """A stage that was begun twice would show as too many operations."""
    d = driver("mutex", 4)
    plan = {"actors": [{"ids": d.ids, "do": ["lock"], "ops": 5}]}
    for _ in range(150):
        a, b = (d.post("run", rounds=1, plan=plan, sched="free") for _ in range(2))
        for p in (a, b):
            try:
                assert p.ok()["done"] == 4 * 5 * 2
            except DriverError as e:
                assert "under way" in e.msg and p is b
    for a in d.ids:
        assert d.call(a, "trylock", "o").ret == 0 and d.call(a, "unlock", "o").ret == 0


def test_a_run_on_what_was_opened_just_before(crowd):
    """An actor that is slow to leave one run must hear of the new object before it enters the next."""
    d = crowd(4)
    for i in range(15):
        d.open(f"h{i % 3}")
        held(d, d.run(on=f"h{i % 3}", rounds=1, ops=5), 1)
        if i >= 2:
            d.close(f"h{(i + 1) % 3}")


def test_calls_between_runs(crowd):
    d = crowd(4)
    put, take = {"mq": ("send", "receive"), "pipe": ("write", "read"), "mutex": ("lock", "unlock")}[d.mechanism]
    size = {} if d.mechanism == "mutex" else {"size": 64}
    for _ in range(10):
        held(d, d.run(rounds=2, ops=20), 2)
        assert d.call(0, put, "o", **size).ret >= 0
        assert d.call(0 if d.mechanism == "mutex" else 3, take, "o", **size).ret >= 0


def test_a_busy_driver_refuses_and_answers(driver):
    d = driver("mq", 2)
    p = d.start(0, "receive", "o", size=64)
    assert d.wait_blocked(0)
    refused(d, "run", rounds=1)
    d.request("cancel", target=p.id)
    p.result()
    p = d.post("run", for_ms=60_000, ops=100)
    refused(d, "run", rounds=1)
    refused(d, "call", actor=0, f="getattr", on="o")
    refused(d, "open", as_="x"), refused(d, "close", on="o"), refused(d, "actor", n=1)
    for what in ("exit", "exec"):
        refused(d, "fault", what=what, actor=0)
    refused(d, "fault", what="close", actor=0, on="o")
    times = []
    for op in ["ping", "status"] * 25:
        t = time.monotonic()
        d.request(op)
        times.append(time.monotonic() - t)
    assert statistics.median(times) < 0.1 and max(times) < 2, times
    d.request("cancel", target=p.id)
    r = p.ok()
    assert r["canceled"] is True and r["verdict"] in ("held", "unknown") and not r["violated"]


PLANS = [
    {},
    {"actors": []},
    {"actors": {}},
    {"actors": [{}]},
    {"actors": [5]},
    {"actors": [{"ids": [0]}]},
    {"actors": [{"do": ["send"]}]},
    {"actors": [{"ids": [], "do": ["send"]}]},
    {"actors": [{"ids": [9], "do": ["send"]}]},
    {"actors": [{"ids": ["0"], "do": ["send"]}]},
    {"actors": [{"ids": [-1], "do": ["send"]}]},
    {"actors": [{"ids": [0], "do": []}]},
    {"actors": [{"ids": [0], "do": ["write"]}]},
    {"actors": [{"ids": [0], "do": "send"}]},
    {"actors": [{"ids": [0], "do": [1]}]},
    {"actors": [{"ids": [0], "do": ["send"] * 9}]},
    {"actors": [{"ids": [0], "do": ["close"]}]}, {"actors": [{"ids": [0, 0], "do": ["send"]}]},
    {"actors": [{"ids": [0], "do": ["send"]}, {"ids": [0], "do": ["receive"]}]},
    {"actors": [{"ids": [0], "do": ["send"], "ops": -1}]},
    {"actors": [{"ids": [0], "do": ["send"], "ops": 2**32}]}, {"actors": [{"ids": [0], "do": ["send"], "ops": "5"}]},
    {"actors": [{"ids": [0], "do": ["send"], "size": [64, 32]}]},
    {"actors": [{"ids": [0], "do": ["send"], "size": [0, 2**40]}]},
    {"actors": [{"ids": [0], "do": ["send"], "size": "big"}]}, {"actors": [{"ids": [0], "do": ["send"], "prio": -1}]},
    {"actors": [{"ids": [0], "do": ["timedsend"], "timeout_ns": [5]}]},
]


def test_a_wrong_plan_is_one_line_of_usage(driver):
    d = driver("mq", 2)
    for plan in PLANS:
        with pytest.raises(DriverError) as e:
            d.run(rounds=1, plan=plan, timeout=5)
        assert e.value.kind == "usage" and e.value.msg.startswith("plan: ") and "\n" not in e.value.msg, (plan, e.value)
    assert d.status()["state"] == "idle"


def test_plans_do_what_they_say(driver):
    d = driver("mq", 3)
    d.call(2, "getattr", "o")  # an actor that answers has closed what it inherited
    fds = len(os.listdir(f"/proc/{d.status()['actors'][2]['pid']}/fd"))
    r = held(d, d.run(rounds=4, plan={"actors": [
        {"ids": [0], "do": ["send", "timedsend"], "ops": 40, "size": [24, 64], "prio": 2, "timeout_ns": [0, 1000]},
        {"ids": [1], "do": ["receive"]},
        {"ids": [2], "do": ["getattr", "open"], "seq": True, "ops": 7}]}), 4)
    assert r["okay"] >= 4 * (40 + 40 + 7 * 2)
    assert len(os.listdir(f"/proc/{d.status()['actors'][2]['pid']}/fd")) == fds, "what a unit opens it closes"
    d.open("e")
    r = d.run(on="e", rounds=1, ops=30, plan={"actors": [{"ids": [0], "do": ["receive"]}, {"ids": [1], "do":
        ["send"], "ops": 0}]})
    assert r["rounds"] == 1 and r["done"] <= 1, "takers share what is put: nothing"


def test_control_may_give_up_its_view(driver):
    """It reads no level then, at the start and at rest, and tells of none."""
    d = driver("sem", 2)
    d.request("release", on="o")
    r = d.run(rounds=3, plan={"actors": [{"ids": [0], "do": ["wait"], "ops": 3}, {"ids": [1], "do": ["post"], "ops": 1}]})
    assert r["rounds"] == 3 and not r["violated"]
    held(d, d.run(rounds=3), 3)
    d.start(0, "wait", "o")
    assert d.wait_blocked(0)
    assert "amount" not in d.request("who")["actors"][0]


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_what_each_actor_opened_it_closes(driver, kind):
    d = driver("shm", 3, kind=kind)
    fds = f"/proc/{d.status()['actors'][0]['pid']}/fd"
    d.close("o")
    d.open("p", variant="memfd")
    for a in d.ids:
        d.call(a, "where", "p")
    assert not [to for to in (os.readlink(f"{fds}/{f}") for f in os.listdir(fds)) if "plumb." in to]


def test_unbalanced_plans_come_to_rest_and_are_judged(driver):
    """Two put what one takes: the sleeper is seen asleep, read about, woken by a signal."""
    d = driver("mq", 2)
    t = time.monotonic()
    r = d.run(rounds=3, plan={"actors": [{"ids": [0], "do": ["send"], "ops": 25}]})
    assert r["rounds"] == 3 and not r["violated"] and time.monotonic() - t < 10, r
    m = driver("mutex", 2)
    r = m.run(rounds=2, plan={"actors": [{"ids": [0], "do": ["unlock"], "ops": 1}, {"ids": [1], "do": ["lock"],
        "ops": 5}]})
    assert r["rounds"] == 2


def test_a_full_log_ends_the_round(driver):
    """More operations than there is room to write down: what is written is judged."""
    d = driver("mq", 2)
    plan = {"actors": [{"ids": [0], "do": ["getattr"] * 8, "ops": 16384, "seq": True}]}
    r = held(d, d.run(rounds=2, timeout=60, plan=plan), 2)
    assert 2 * 65_000 < r["okay"] <= 2 * 65_536
    held(d, d.run(rounds=2, ops=20), 2)


def test_reads_larger_than_a_log(driver):
    d = driver("pipe", 2)
    r = held(d, d.run(rounds=2, plan={"actors": [{"ids": [0], "do": ["write"], "ops": 50, "size": [24, 100_000]},
                                                 {"ids": [1], "do": ["read"], "size": 1 << 20}]}), 2)
    assert r["bytes"] > 2_000_000, "the reader read; it was not the drain"


@pytest.mark.parametrize("size", [64, [60, 70]], ids=["alike", "drawn"])
def test_takers_go_on_until_all_is_taken(driver, size):
    """More than a pipe holds, so that a writer whose reader leaves early cannot finish."""
    d = driver("pipe", 2)
    actors = [{"ids": [0], "do": ["write"], "size": size}, {"ids": [1], "do": ["read"], "size": 4096}]
    r = held(d, d.run(rounds=2, ops=3000, plan={"actors": actors}), 2)
    assert r["bytes"] >= 2 * 3000 * 60 and r["fail"] == r["pending"] == 0


def test_whoever_only_fails_does_not_hold_up_the_round(driver):
    """A sender with a time-out, to a full queue: it would try again until its log is full."""
    d = driver("mq", 2)
    r = d.run(rounds=2, plan={"actors": [{"ids": [0], "do": ["timedsend"], "ops": 20, "timeout_ns": 20_000}]})
    assert r["rounds"] == 2 and not r["violated"] and 0 < r["fail"] < 60_000, r


def test_the_seed_decides_the_draws(driver):
    plan = {"actors": [{"ids": [0], "do": ["write"], "ops": 100, "size": [24, 4000]}, {"ids": [1], "do": ["read"]}]}
    said = {}
    for seed in (1, 1, 2):
        d = driver("pipe", 2, seed=seed)
        got = [held(d, d.run(rounds=1, plan=plan))["bytes"] for _ in range(3)]
        assert len(set(got)) > 1, "every round draws anew"
        assert said.setdefault(seed, got) == got
    assert said[1] != said[2]


def test_a_start_that_is_far_costs_nothing_and_can_be_called_off(driver):
    d = driver("mq", 2)
    t = time.monotonic()
    r = held(d, d.run(rounds=1, ops=10, start_in_ms=300), 1)
    assert time.monotonic() - t >= 0.3 and r["elapsed_ns"] >= 300_000_000
    p = d.post("run", rounds=5, ops=10, start_in_ms=300_000)
    busy = cpu(a["pid"] for a in d.status()["actors"])
    seen = len(d.events)
    d.wait_event("tick", since=seen)
    assert cpu(a["pid"] for a in d.status()["actors"]) - busy < 0.08
    d.request("cancel", target=p.id)
    assert p.ok()["canceled"] is True


def cpu(pids):
    """Seconds of processor time that they have used."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def test_ticks_go_on_when_idle_and_cost_nothing(driver):
    d = driver("mq", 4, tick_ms=100)
    held(d, d.run(rounds=5, ops=100))
    pids = [d.pid, *(a["pid"] for a in d.status()["actors"])]
    before, seen = cpu(pids), len(d.events)
    for _ in range(10):
        e = d.wait_event("tick", since=seen)
        seen = d.events.index(e) + 1
    assert cpu(pids) - before <= 0.05
    assert {a["pid"] for a in d.status()["actors"]} == set(pids[1:])
    assert e["done"] == 0 and e["blocked"] == [] and sum(x["done"] for x in d.events if x["ev"] == "tick") > 0


def test_ticks_tell_operations_and_latencies_of_judged_rounds(driver):
    d = driver("mq", 2, tick_ms=50)
    plan = {"actors": [{"ids": [0], "do": ["send"], "size": 8}, {"ids": [1], "do": ["receive"]}]}
    held(d, d.run(rounds=3, ops=100, plan=plan))
    seen = len(d.events)
    d.wait_event("tick", since=seen)
    ticks = [e for e in d.events if e["ev"] == "tick"]
    for op in ("send", "receive"):
        told = [e["op"][op] for e in ticks if op in e.get("op", {})]
        assert sum(n for n, _ in told) >= 300 and all(failed <= n for n, failed in told)
    hist = [e["lat_ns"]["hist"] for e in ticks if "hist" in e["lat_ns"]]
    returned = sum(n for e in ticks for n, _ in e.get("op", {}).values())
    assert sum(sum(h.values()) for h in hist) == returned and all(int(edge) > 0 for h in hist for edge in h)


def test_histories_of_violated_rounds_are_kept(driver, tmp_path):
    """A queue that swaps messages, made so in the driver's libc; without it nothing is kept."""
    shim = DRIVERS.parent / "conformance" / "mutants" / "libplumb-mutants.so"
    check = DRIVERS.parent / "plumb-check"
    if not shim.exists():
        pytest.skip(f"no {shim}")
    folder = tmp_path / "with spaces"
    folder.mkdir()
    held(d := driver("mq", 4, dir=folder), d.run(rounds=20, ops=100))
    assert [f.name for f in folder.iterdir()] == ["objects"] and d.run_id in (folder / "objects").read_text()
    d = driver("mq", 4, dir=folder, env=preload(shim, "mq-double,every=50"))
    r = d.run(rounds=10, ops=200)
    assert r["verdict"] == "violated" and r["violated"] >= 1
    v = d.wait_event("violation")
    assert v["files"] and v["witness"] and v["rule"] and v["confirmed"] is True
    assert sum(e["ev"] == "violation" for e in d.events) == r["violated"]
    kept = {f.name for f in folder.glob("*.hist")}
    assert set(v["files"]) <= kept and len({n.split(".")[0] for n in kept}) <= 4
    if check.exists():
        out = subprocess.run([check, *(folder / f for f in v["files"])], capture_output=True, text=True)
        assert out.returncode == 1 and v["rule"] in out.stdout, out


def test_histories_keep_the_clocks_error(driver, tmp_path):
    """Who judges them again allows for it, too."""
    shim = DRIVERS.parent / "conformance" / "mutants" / "libplumb-mutants.so"
    if not shim.exists():
        pytest.skip(f"no {shim}")
    d = driver("mq", 4, dir=tmp_path, env=preload(shim, "mq-double,every=50"), clock_error_ns=987654321)
    assert d.run(rounds=5, ops=200)["violated"]
    (control, *_) = tmp_path.glob("*.control.hist")
    assert (987654321).to_bytes(8, sys.byteorder) in control.read_bytes()[:4096]


def test_memory_of_rounds_is_given_back(driver):
    d = driver("mq", 4)
    held(d, d.run(rounds=3, ops=16000))
    kib = 0
    for pid in (d.pid, *(a["pid"] for a in d.status()["actors"])):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            kib += sum(int(line.split()[1]) for line in f if line.startswith("Pss_Shmem"))
    assert kib < 500, f"{kib} KiB of histories after the run"
