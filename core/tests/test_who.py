# SPDX-License-Identifier: MIT
"""`who`: who waits for what, and who has it; and the event `rest` of a round that nobody can end."""
import pytest
from conftest import DriverError


def look(d):
    w = d.request("who")
    return {a["id"]: a for a in w["actors"]}, {o["on"]: o for o in w["objects"]}


def held(objects, on):
    return {h["actor"]: h["n"] for h in objects[on]["holders"]}


@pytest.fixture
def mutexes(driver):
    def make(variant, names="ab", n=3):
        d = driver("mutex")
        for name in names:
            d.open(name, variant=variant)
        d.actors(n)
        return d
    return make


def blocked(d, *calls):
    made = [d.start(a, f, on, **k) for a, f, on, k in calls]
    for a, *_ in calls:
        assert d.wait_blocked(a)
    return made


def test_holders_and_waiters(mutexes):
    d = mutexes("normal")
    d.call(0, "lock", "a")
    d.call(1, "lock", "b")
    blocked(d, (0, "lock", "b", {}), (1, "lock", "a", {}))
    actors, objects = look(d)
    assert d.request("who")["rung"] == d.status()["rung"]
    if d.status()["rung"] != "syscall":
        pytest.skip("/proc/PID/syscall is not readable here")
    for a, on in ((0, "b"), (1, "a")):
        me = actors[a]
        assert (me["is"], me["f"], me["role"], me["on"], me["in"]) == ("asleep", "lock", "acquire", on, "futex")
        assert me["since"] > 0 and "ends" not in me
    assert actors[2]["is"] == "idle"
    assert (held(objects, "a"), held(objects, "b")) == ({0: 1}, {1: 1})
    assert look(d)[0] == actors, "nothing has moved"


def test_what_is_given_back_is_nobodys(mutexes):
    d = mutexes("recursive")
    for n in (1, 2):
        d.call(0, "lock", "a")
        assert held(look(d)[1], "a") == {0: n}
    assert d.call(1, "trylock", "a").errno == "EBUSY"
    d.call(0, "unlock", "a")
    assert held(look(d)[1], "a") == {0: 1}
    d.call(0, "unlock", "a")
    assert held(look(d)[1], "a") == {}
    assert d.call(0, "unlock", "a").errno == "EPERM"
    d.call(1, "lock", "a")
    d.close("a")
    d.open("a", variant="recursive")
    assert held(look(d)[1], "a") == {}, "another object of the same name"


@pytest.mark.parametrize("variant,holders", [("normal", [(0, True)]), ("robust", [])])
def test_a_dead_holder(mutexes, variant, holders):
    d = mutexes(variant)
    d.call(0, "lock", "a")
    d.fault("kill", 0)
    d.wait_event("actor", actor=0, **{"is": "signalled"})
    actors, objects = look(d)
    assert actors[0]["is"] == "dead"
    assert [(h["actor"], h.get("dead")) for h in objects["a"]["holders"]] == holders
    assert "unsure" not in objects["a"]
    if variant == "robust":
        assert d.call(1, "lock", "a").errno == "EOWNERDEAD"
        assert held(look(d)[1], "a") == {1: 1}


def test_a_death_inside_of_an_operation_leaves_doubt(mutexes):
    d = mutexes("robust")
    d.call(0, "lock", "a")
    p, = blocked(d, (1, "lock", "a", {}))
    d.fault("kill", 1)
    with pytest.raises(DriverError):
        p.ok()
    assert look(d)[1]["a"]["unsure"] is True and "unsure" not in look(d)[1]["b"]


def test_the_level_that_the_waiter_would_find(driver):
    d = driver("mq", 3)
    d.open("full", maxmsg=1)
    d.call(0, "send", "full")
    blocked(d, (0, "send", "full", {}), (1, "receive", "o", {}), (2, "timedreceive", "o", {"timeout_ns": 60 * 10**9}))
    actors, objects = look(d)
    assert (actors[0]["amount"], actors[0]["room"], actors[0]["need"]) == (1, 0, 1)
    assert (actors[1]["amount"], actors[1]["role"]) == (0, "take")
    assert actors[2]["ends"] is True
    assert objects["full"]["name"].endswith(".full") and objects["full"]["ends"] == 1


def test_each_end_of_a_pair_has_a_level_of_its_own(driver):
    d = driver("unix", 2)
    d.open("p", variant="stream")
    blocked(d, (0, "send", "p.a", {"size": 1000000}), (1, "recv", "p.a", {"size": 64}))
    actors, objects = look(d)
    assert (actors[0]["end"], actors[1]["end"], objects["p"]["ends"]) == (0, 0, 2)
    assert actors[0]["room"] == 0 and actors[1]["amount"] == 0, "what went in at a does not come out there"


def test_who_wants_one_kind_of_message_says_so(driver):
    d = driver("sysvmsg", 3)
    d.call(0, "msgsnd", "o", type=1)
    blocked(d, (1, "msgrcv", "o", {"select": 2}))
    me = look(d)[0][1]
    assert (me["amount"], me["need"], me["picky"]) == (1, 1, True), "one is there, and not that one"
    d.call(0, "msgrcv", "o")
    blocked(d, (2, "msgrcv", "o", {}))
    assert "picky" not in look(d)[0][2]
    d.call(0, "msgsnd", "o", type=2)
    d.call(0, "msgsnd", "o", type=2)


def test_a_lock_given_back_in_part_leaves_doubt(driver):
    d = driver("lock", 2)
    d.open("f", variant="ofd")
    d.call(0, "lock", "f")
    assert held(look(d)[1], "f") == {0: 1}
    d.call(0, "lock", "f")
    assert held(look(d)[1], "f") == {0: 1}, "they do not nest"
    d.call(0, "unlock", "f", len=1)
    assert look(d)[1]["f"]["unsure"] is True
    d.fault("kill", 0)
    d.wait_event("actor", actor=0, **{"is": "signalled"})
    assert held(look(d)[1], "f") == {}, "a death frees it"


def test_a_stopped_actor_is_not_asleep(driver):
    d = driver("mq", 2)
    blocked(d, (0, "receive", "o", {}))
    d.fault("stop", 0)
    d.fault("stop", 1)
    assert [a["is"] for a in d.request("who")["actors"]] == ["stopped", "stopped"]
    d.fault("cont", 0)
    d.fault("cont", 1)
    d.call(1, "send", "o")


def plan(**roles):
    """f=[(actor, units)]: a plan that need not balance."""
    return {"actors": [{"ids": [a], "do": [f], "ops": n, "seq": True} for f, who in roles.items() for a, n in who]}


def rests(d):
    return [e for e in d.events if e["ev"] == "rest"]


def test_a_round_that_nobody_can_end_says_who_waits(driver):
    d = driver("mq", 2)
    assert d.run(plan=plan(receive=[(0, 1)], send=[(1, 30)]), rounds=1)["rounds"] == 1
    e = d.wait_event("rest")
    me, = (a for a in e["actors"] if a["is"] != "idle")
    assert (me["id"], me["f"], me["on"], me["amount"], me["room"]) == (1, "send", "o", 10, 0)
    d.run(plan=plan(receive=[(0, 1)]), rounds=20)
    assert len(rests(d)) <= 5, "a few of one run are enough"


def test_a_round_of_locks_says_who_holds(driver):
    d = driver("mutex", 2)
    d.open("n", variant="normal")
    d.run(plan={"actors": [{"ids": [0, 1], "do": ["lock", "trylock"], "ops": 3, "seq": True}]}, on="n", rounds=1)
    assert rests(d) == [], "a unit gives back what it takes"


def test_rounds_whose_puts_may_merge_do_not(driver):
    d = driver("signal", 4)
    d.open("s", variant="standard-signalfd")
    d.run(on="s", rounds=20)
    assert rests(d) == []


def test_balanced_rounds_and_rounds_with_a_death_do_not(driver):
    d = driver("mq", 4)
    run = d.post("run", timeout=60, for_ms=700)
    for a in (0, 1, 2, 3):
        d.fault("kill", a)
    assert run.ok()["killed"] >= 1
    d.run(rounds=10)
    assert rests(d) == []
