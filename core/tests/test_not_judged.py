# SPDX-License-Identifier: MIT
"""What rounds cannot know they do not judge: what is beyond the model, around it, or was there before."""
import socket

import pytest
from conftest import held


@pytest.mark.parametrize("name,variant,actors", [
    ("lock", "ofd", [{"ids": [0, 1], "do": ["lock"], "start": 1}]),
    ("lock", "ofd-ranges", [{"ids": [0, 1], "do": ["lock"], "len": 99}]),
    ("unix", "dgram", [{"ids": [0], "do": ["send"]}, {"ids": [1], "do": ["recv"], "flags": [0, 2]}]),
    ("sysvmsg", "lowest", [{"ids": [0], "do": ["msgsnd"]}, {"ids": [1], "do": ["msgrcv"], "select": 0}]),
    ("shm", "memfd", [{"ids": [0], "do": ["store"], "at": [0, 64]}, {"ids": [1], "do": ["load"], "at": 8}])])
def test_a_plan_beyond_the_model_is_not_judged(driver, name, variant, actors):
    """Two shared locks, a datagram that was looked at only, another selection, other words: all of it legal."""
    d = driver(name, 2)
    d.open("p", variant=variant)
    r = d.run(on="p", rounds=2, plan={"actors": actors})
    assert (r["unknown"], r["verdict"]) == (2, "unknown") and r["why"].startswith("PLAN: "), r
    held(d, d.run(on="p", rounds=2), 2)


@pytest.mark.parametrize("variant", ["record", "ofd", "flock", "record-ranges", "ofd-ranges"])
def test_shared_locks_are_judged_beside_exclusive_ones(driver, variant):
    d = driver("lock", 4)
    d.close("o")
    d.open("p", variant=variant)
    held(d, d.run(on="p", rounds=4, ops=100, plan={"actors": [
        {"ids": [0], "do": ["lock"], "shared": [0, 1]}, {"ids": [1], "do": ["lock_shared", "trylock_shared"]},
        {"ids": [2, 3], "do": ["lock", "trylock", "lock_shared"]}]}), 4)


def test_takes_that_select_are_judged_where_the_model_knows_of_it(driver):
    """Plain ones beside those of one type, of any other, and of the lowest; elsewhere they are made for another variant."""
    for variant, judged in ("selected", 3), ("fifo", 0):
        d = driver("sysvmsg", 4)
        d.close("o")
        d.open("p", variant=variant)
        r = d.run(on="p", rounds=3, ops=200, plan={"actors": [
            {"ids": [0, 1], "do": ["msgsnd"]}, {"ids": [2], "do": ["msgrcv", "msgrcv_nowait"], "select": [-3, 0]},
            {"ids": [3], "do": ["msgrcv_type", "msgrcv_except"]}]})
        assert (r["judged"], r["violated"]) == (judged, 0), r


@pytest.mark.parametrize("name,variant,do,put,take", [
    ("eventfd", "counter", {"do": ["write_bytes"], "len": 8, "ops": 5}, "write", "read"),
    ("lock", "record", {"do": ["dup"]}, "lock", "lock"),
    ("shm", "memfd", {"do": ["pwrite"], "value": 77}, "store", "load"),
    ("sysvmsg", "fifo", {"do": ["rmid"], "ops": 1}, "msgsnd", "msgrcv"),
    ("sysvsem", "plain", {"do": ["setval"], "ops": 1}, "post", "trywait"),
    ("unix", "stream", {"do": ["shutdown"], "how": 0, "ops": 1}, "send", "recv")])
def test_what_changes_the_object_outside_of_the_model_is_not_judged(driver, name, variant, do, put, take):
    """A counter that somebody sets, a lock that a close gives up, a queue that is removed: no fault of the mechanism."""
    d = driver(name, 3)
    d.close("o")
    d.open("p", variant=variant)
    r = d.run(on="p", rounds=2, ops=200, plan={"actors": [
        {"ids": [0], "do": [put]}, {"ids": [1], "do": [take]}, {"ids": [2], **do}]})
    assert (r["judged"], r["violated"]) == (0, 0) and r["unknown"] >= 1, r


@pytest.mark.parametrize("name,variant,neutral,put,take", [
    ("mq", "mq", "open", "send", "receive"), ("pipe", "stream", "setsize", "write", "read"),
    ("shm", "memfd", "pread", "store", "load"), ("sysvsem", "plain", "pulse", "post", "wait")])
def test_what_leaves_the_object_alone_does_not_keep_rounds_from_being_judged(driver, name, variant, neutral, put, take):
    d = driver(name, 3)
    d.close("o")
    d.open("p", variant=variant)
    assert d.hello["ops"][neutral]["neutral"] is True
    held(d, d.run(on="p", rounds=4, ops=100, plan={"actors": [
        {"ids": [0], "do": [put]}, {"ids": [1], "do": [take]}, {"ids": [2], "do": [neutral]}]}), 4)


@pytest.mark.parametrize("name,variant,put,take", [
    ("eventfd", "semaphore", "write", "read"), ("shm", "memfd", "store", "load")])
def test_what_looks_at_a_descriptor_sees_no_value(driver, name, variant, put, take):
    d = driver(name, 3)
    d.open("p", variant=variant)
    held(d, d.run(on="p", rounds=10, plan={"actors": [
        {"ids": [0], "do": [put]}, {"ids": [1], "do": [take]}, {"ids": [2], "do": ["poll", "select"], "events": 5}]}), 10)


@pytest.mark.parametrize("name,variant,left", [
    ("fifo", "fifo", "write"), ("inet", "tcp4", "sendmsg"), ("lock", "record", "trylock"), ("mq", "mq", "send"),
    ("mutex", "robust", "lock"), ("pipe", "stream", "writev"), ("sysvmsg", "lowest", "msgsnd"), ("sysvsem", "undo", "post"),
    ("unix", "dgram-path", "send"), ("unix", "seqpacket", "write")])
def test_what_a_call_left_is_held_against_nobody(driver, name, variant, left):
    """A message that no round put, a lock that no round took: the rounds cannot know, and accuse nobody."""
    d = driver(name, 3)
    d.close("o")
    d.open("p", variant=variant)
    held(d, d.run(on="p", rounds=2, ops=50), 2)
    assert d.call(0, left, "p").ret >= 0
    r = d.run(on="p", rounds=3, ops=50)
    assert (r["judged"], r["violated"], r["unknown"]) == (0, 0, 3) and "calls before the run" in r["why"], r


def test_what_calls_took_again_is_no_longer_there(driver):
    """Nor is what a call failed to put; but a peek has taken nothing."""
    d = driver("unix", 3)
    held(d, d.run(rounds=2, ops=50), 2)
    assert d.call(0, "send", "o", size=40).ret == d.call(1, "recv", "o", size=64).ret == 40
    assert d.call(1, "recv", "o", size=64, flags=socket.MSG_DONTWAIT).errno == "EAGAIN"
    held(d, d.run(rounds=2, ops=50), 2)
    assert d.call(0, "send", "o", size=40).ret == d.call(1, "recv", "o", size=64, flags=socket.MSG_PEEK).ret == 40
    assert d.run(rounds=2, ops=50)["unknown"] == 2


def test_a_take_may_be_answered_before_its_put(driver):
    """The taker is woken inside of the put, and its answer may be the first: what it took was put all the same."""
    d = driver("mq", 2)
    for _ in range(200):
        p = d.start(1, "receive", "o")
        d.wait_blocked(1)
        d.call(0, "send", "o", size=24)
        p.result()
    held(d, d.run(on="o", rounds=2), 2)
