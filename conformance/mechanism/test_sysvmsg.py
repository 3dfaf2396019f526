# SPDX-License-Identifier: MIT
"""Stories of System V message queues: keys, types, removal, deaths, and who waits for whom.

Source: msgget(2), msgop(2), msgctl(2), and the clauses named at each test.
"""
import pytest

from suite.subject import OBJECT, SIZE, fails, gives, said
from suite.transfer import interrupted, kill_through_rounds

clause = pytest.mark.clause
IPC_CREAT_EXCL = 0o1000 | 0o2000 | 0o600
IPC_NOWAIT, MSG_EXCEPT = 0o4000, 0o20000


def send(d, actor, **args):
    return d.do(actor, "msgsnd", size=SIZE, **args)


def take(d, actor, **args):
    return d.call(actor, "msgrcv_nowait", size=64, **args)


def fill(d, actor):
    n = 0
    while (r := d.call(actor, "msgsnd_nowait", size=64)).errno is None:
        n += 1
        assert n < 1 << 16, "msgsnd never says that there is no room"
    fails(r, "EAGAIN", "msgsnd without room")
    return n


@clause("SVM-09")
def test_order(d):
    d.open()
    a, b, reader = d.actors(3)
    sent = [send(d, (a, b)[i % 2], type=1).sum for i in range(12)]
    assert [take(d, reader).sum for _ in sent] == sent, "out of order"


@clause("SVM-09", "SVM-03")
def test_under_load(d):
    d.open()
    d.actors(5)
    d.judged(d.run(on=OBJECT, rounds=8, ops=300))


@clause("SVM-19")
def test_under_load_though_actors_die(d):
    d.open()
    kill_through_rounds(d, d.actors(5))


@clause("SVM-20")
def test_who_finds_nothing_waits_for_a_message(d):
    d.open()
    sender, reader = d.actors(2)
    for _ in range(3):
        r, sent = d.must_wait(reader, "msgrcv", lambda: send(d, sender), size=64)
        assert (r.ret, r.sum) == (SIZE, sent.sum), f"msgrcv gave {said(r)}"


@clause("SVM-21")
def test_who_finds_no_room_waits_for_it(d):
    d.open()
    sender, reader = d.actors(2)
    fill(d, sender)
    r, _ = d.must_wait(sender, "msgsnd", lambda: take(d, reader), size=64)
    gives(r, 0, "msgsnd after room was made")


@clause("SVM-25")
def test_receives_that_select_differently(d):
    """Three that take what they get, three that want something: nobody gets what he did not select, nor out of turn."""
    d.open()
    *senders, a, b, c, e = d.actors(7)
    d.rounds([{"ids": senders, "do": ["msgsnd"]}, {"ids": [a], "do": ["msgrcv"]}, {"ids": [b], "do": ["msgrcv_type"]},
              {"ids": [c], "do": ["msgrcv_except"]}, {"ids": [e], "do": ["msgrcv_type"], "select": [-4, -1]}], ops=300,
             rounds=8)


@clause("SVM-06", "SVM-21")
def test_a_small_queue_is_full_when_it_is_full(d):
    """Room for four of the longest: senders that wait and senders that do not meet its bound all the time."""
    d.open(qbytes=256)
    a, b, *readers = d.actors(4)
    d.rounds([{"ids": [a], "do": ["msgsnd"]}, {"ids": [b], "do": ["msgsnd_nowait"]},
              {"ids": readers, "do": ["msgrcv", "msgrcv_nowait"]}], ops=400, rounds=8)


@clause("SVM-10")
def test_other_types_neither_wake_nor_starve(d):
    """One waits for type 2 while messages of type 1 come and go."""
    d.open()
    sender, reader, other = d.actors(3)
    p = d.start(reader, "msgrcv", size=64, select=2)
    d.asleep((reader, p))
    for _ in range(20):
        send(d, sender, type=1)
        assert take(d, other, select=1).errno is None, "a message of another type cannot be taken"
    assert not p.done(), f"a message of another type ended the wait: {said(p.result())}"
    sent = send(d, sender, type=2)
    assert d.finish(p, "msgrcv of the type that was sent").sum == sent.sum, "the message is not the one that was sent"


@clause("SVM-07")
def test_removal_wakes_everybody(d):
    """Four who wait for a message; then four who wait for room."""
    d.open()
    actors = d.actors(5)
    waits = [(a, d.start(a, "msgrcv", size=64)) for a in actors[:4]]
    d.asleep(*waits)
    d.do(actors[4], "rmid")
    for a, p in waits:
        fails(d.finish(p, f"msgrcv by actor {a} after the removal"), "EIDRM", f"msgrcv by actor {a}")
    d.open("w")
    fill_on(d, actors[4], "w")
    waits = [(a, d.start(a, "msgsnd", "w", size=64)) for a in actors[:4]]
    d.asleep(*waits)
    d.do(actors[4], "rmid", "w")
    for a, p in waits:
        fails(d.finish(p, f"msgsnd by actor {a} after the removal"), "EIDRM", f"msgsnd by actor {a}")


def fill_on(d, actor, on):
    while d.call(actor, "msgsnd_nowait", on, size=64).errno is None:
        pass


@clause("SVM-14")
def test_a_stale_id_finds_nothing(d):
    d.open()
    a, = d.actors(1)
    for _ in range(20):
        d.do(a, "rmid")
        made = d.do(a, "msgget", flags=IPC_CREAT_EXCL)
        assert made.out["same"] == 0, "the id came back at once"
        fails(d.call(a, "msgsnd_nowait", size=SIZE), "EINVAL", "msgsnd to an id that was removed")
        d.close(OBJECT)
        d.open()


@clause("SVM-22")
def test_of_many_creators_one_wins(d):
    d.open()
    actors = d.actors(8)
    for _ in range(5):
        d.do(actors[0], "rmid")
        d.one_creates({a: d.start(a, "msgget", flags=IPC_CREAT_EXCL) for a in actors}, "msgget")
        d.close(OBJECT)
        d.open()


@clause("SVM-08")
def test_a_caught_signal_ends_the_wait_and_loses_nothing(d):
    d.open()
    sender, reader = d.actors(2)
    fails(interrupted(d, reader, d.start(reader, "msgrcv", size=64)), "EINTR", "msgrcv with a signal in its wait")
    sent = send(d, sender)
    assert take(d, reader).sum == sent.sum, "the message is not the one that was sent"
    full = fill(d, sender)
    fails(interrupted(d, sender, d.start(sender, "msgsnd", size=64)), "EINTR", "msgsnd with a signal in its wait")
    assert d.do(sender, "stat").out["qnum"] == full, "the interrupted message is in the queue"


@clause("SVM-16")
@pytest.mark.parametrize("death", ["kill", "exit"])
def test_messages_outlive_their_sender(d, death):
    d.open()
    sender, reader = d.actors(2)
    sent = [send(d, sender).sum for _ in range(5)]
    d.kill_actor(sender, death)
    stranger, = d.actors(1, kind="exec")
    assert [take(d, a).sum for a in (reader, stranger, reader, stranger, reader)] == sent, "not what was sent, in its order"


@clause("SVM-23")
def test_a_killed_waiter_takes_no_message_with_it(d):
    d.open()
    sender, *readers = d.actors(4)
    waits = {a: d.start(a, "msgrcv", size=64) for a in readers}
    d.asleep(*waits.items())
    for victim in readers[:2]:
        d.kill_actor(victim)
    sent = send(d, sender)
    assert d.finish(waits[readers[2]], "the waiter that is left").sum == sent.sum, "the message is not the one that was sent"


@clause("SVM-15")
def test_all_types_but_one(d):
    d.open()
    a, = d.actors(1)
    sums = [send(d, a, type=t).sum for t in (1, 2, 1, 3)]
    got = [d.do(a, "msgrcv", size=64, select=1, flags=IPC_NOWAIT | MSG_EXCEPT) for _ in range(2)]
    assert [(r.tag, r.sum) for r in got] == [(2, sums[1]), (3, sums[3])], "MSG_EXCEPT did not take the oldest messages of other types"
    fails(d.call(a, "msgrcv", size=64, select=1, flags=IPC_NOWAIT | MSG_EXCEPT), "ENOMSG", "msgrcv of anything but type 1")
