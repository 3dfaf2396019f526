# SPDX-License-Identifier: MIT
"""Stories of the POSIX message queue: names, priority, notification, the edge of a time-out.

Source: mq_overview(7), mq_open(3), mq_notify(3), mq_send(3), mq_receive(3), mq_close(3), and the clauses named.
"""
import random

import pytest

from suite.subject import O_NONBLOCK, SIZE, fails, gives, said

clause = pytest.mark.clause
SIGNAL = 0
SI_MESGQ = -3
O_RDWR, O_CREAT_EXCL = 2, 0o2 | 0o100 | 0o200


def queue(d, actors, maxmsg=4, msgsize=64, **own):
    d.open(maxmsg=maxmsg, msgsize=msgsize, **own)
    return d.actors(actors)


def inside(d, actor):
    return d.do(actor, "getattr").out["curmsgs"]


def notices(d, actor):
    """Notifications that have reached an actor since it was last asked: the call itself changes nothing."""
    return [s for s in d.signals(d.do(actor, "getattr")) if s["code"] == SI_MESGQ]


def send(d, actor, **args):
    return d.do(actor, "send", size=SIZE, **args)


def recv(d, actor, **args):
    return d.do(actor, "receive", size=64, **args)


@clause("PMQ-01")
def test_one_of_many_creators_wins(d):
    """The name is unlinked, then all race for it."""
    actors = queue(d, 8)
    for turn in range(6):
        d.do(actors[0], "unlink")
        racing = {a: d.start(a, "open", as_=f"t{turn}a{a}", flags=O_CREAT_EXCL) for a in actors}
        won = d.one_creates(racing, "mq_open")
        d.do(won, "close", f"t{turn}a{won}")


@clause("PMQ-02")
def test_highest_priority_first(d):
    """Sent in a shuffled order by two processes; stable inside a priority."""
    a, b, reader = queue(d, 3, maxmsg=10)
    order = random.Random(5)
    for _ in range(4):
        prios = [0, 1, 1, 7, 7, 7, 31, 32767, 2, 0]
        order.shuffle(prios)
        sent = [(p, send(d, (a, b)[i % 2], prio=p).sum) for i, p in enumerate(prios)]
        want = sorted(sent, key=lambda s: -s[0])
        got = [(r.tag, r.sum) for r in (recv(d, reader) for _ in prios)]
        assert got == want, f"priorities came as {[p for p, _ in got]}, or out of order inside one"


@clause("PMQ-02", "PMQ-03")
def test_priority_and_order_under_load(d):
    """Rounds with few priorities, so that many messages share one."""
    *senders, r1, r2 = queue(d, 6, maxmsg=8)
    d.rounds([{"ids": senders, "do": ["send"], "size": [SIZE, 64], "prio": [0, 3]},
              {"ids": [r1, r2], "do": ["receive"], "size": 64}], ops=400, rounds=10)


@clause("PMQ-33")
def test_queue_holds_maxmsg_and_no_more(d):
    sender, reader = queue(d, 2, maxmsg=5, nonblock=1)
    for turn in range(3):
        for i in range(5 - (turn > 0)):
            gives(d.call(sender, "send", size=SIZE), 0, f"send with {i + (turn > 0)} of 5 inside")
        fails(d.call(sender, "send", size=SIZE, prio=9), "EAGAIN", "send with 5 of 5 inside")
        assert inside(d, reader) == 5, "the full queue does not say that it holds 5"
        for _ in range(4):
            recv(d, reader)


@clause("PMQ-11")
def test_time_out_against_a_send(d):
    """The send is aimed at the deadline; each turn ends with the message received, or queued, and nothing else."""
    sender, reader = queue(d, 2)
    rng, ended = random.Random(11), {None: 0, "ETIMEDOUT": 0}
    for _ in range(250):
        p = d.start(reader, "timedreceive", size=64, timeout_ns=rng.randrange(0, 600_000))
        sent = send(d, sender)
        r = d.finish(p, "timedreceive with a time-out of less than a millisecond")
        assert r.errno in ended, f"timedreceive gave {said(r)}"
        ended[r.errno] += 1
        assert inside(d, sender) == (1 if r.errno else 0), f"timedreceive gave {said(r)}, and {inside(d, sender)} are queued"
        got = r if r.errno is None else recv(d, reader)
        assert got.sum == sent.sum, "the message that came is not the one that was sent"
    d.note(f"{ended['ETIMEDOUT']} of 250 timed out")


@clause("PMQ-11")
def test_time_outs_under_load(d):
    *senders, r1, r2 = queue(d, 5, maxmsg=2)
    d.rounds([{"ids": senders, "do": ["send"], "size": [SIZE, 64]},
              {"ids": [r1, r2], "do": ["timedreceive"], "size": 64, "timeout_ns": [0, 40_000]}], ops=300, rounds=6)


@clause("PMQ-13")
def test_notified_only_when_empty(d):
    watcher, sender = queue(d, 2)
    send(d, sender)
    d.do(watcher, "notify", how=SIGNAL)
    send(d, sender)
    assert notices(d, watcher) == [], "notified of a message that arrived at a queue that was not empty"
    recv(d, sender), recv(d, sender)
    assert notices(d, watcher) == [], "notified when the queue became empty"
    send(d, sender)
    assert len(notices(d, watcher)) == 1, "not notified once when a message arrived at the empty queue"


@clause("PMQ-14")
def test_notified_once_for_a_registration(d):
    watcher, other, sender = queue(d, 3)
    d.do(watcher, "notify", how=SIGNAL)
    send(d, sender)
    assert len(notices(d, watcher)) == 1, "not notified once"
    recv(d, sender)
    send(d, sender)
    assert notices(d, watcher) == [], "notified a second time for one registration"
    gives(d.call(watcher, "notify", how=SIGNAL), 0, "registering again")
    recv(d, sender)
    send(d, sender)
    assert len(notices(d, watcher)) == 1, "registered while a message was queued, then emptied: not notified"
    gives(d.call(other, "notify", how=SIGNAL), 0, "registration by another, after the notification")


@clause("PMQ-15")
def test_waiting_receiver_comes_before_notification(d):
    watcher, reader, sender = queue(d, 3)
    d.do(watcher, "notify", how=SIGNAL)
    for _ in range(3):
        got, sent = d.must_wait(reader, "receive", lambda: send(d, sender), size=64)
        assert got.sum == sent.sum, "the receiver that waited did not get the message"
        assert notices(d, watcher) == [], "notified though a receiver was waiting"
    fails(d.call(reader, "notify", how=SIGNAL), "EBUSY", "registration by another while the first still holds")
    send(d, sender)
    assert len(notices(d, watcher)) == 1, "the registration was lost to a message that a receiver took"


@clause("PMQ-16")
def test_closing_another_descriptor_keeps_the_registration(d):
    """Two descriptors of the queue in one process; it registers through the first and closes the second."""
    watcher, other = queue(d, 2)
    d.do(watcher, "open", as_="second", flags=O_RDWR)
    d.do(watcher, "notify", how=SIGNAL)
    fails(d.call(other, "notify", how=SIGNAL), "EBUSY", "registration by another before the close")
    d.do(watcher, "close", "second")
    r = d.call(other, "notify", how=SIGNAL)
    assert r.errno == "EBUSY", f"after mq_close of the other descriptor another process could register ({said(r)})"


@clause("PMQ-26")
def test_close_frees_the_registration(d):
    watcher, other = queue(d, 2)
    d.do(watcher, "notify", how=SIGNAL)
    fails(d.call(other, "notify", how=SIGNAL), "EBUSY", "registration by another before the close")
    d.do(watcher, "close")
    gives(d.call(other, "notify", how=SIGNAL), 0, "registration by another after the close")


@clause("PMQ-26")
def test_death_frees_the_registration(d):
    watcher, other = queue(d, 2)
    d.do(watcher, "notify", how=SIGNAL)
    fails(d.call(other, "notify", how=SIGNAL), "EBUSY", "registration by another before the death")
    d.kill_actor(watcher)
    gives(d.call(other, "notify", how=SIGNAL), 0, "registration by another after SIGKILL of the first")


@clause("PMQ-17")
def test_what_the_signal_carries(d):
    watcher, sender = queue(d, 2)
    d.do(watcher, "notify", how=SIGNAL, value=4711)
    send(d, sender)
    told = d.signals(d.do(watcher, "getattr"))
    assert [(s["code"], s["value"]) for s in told] == [(SI_MESGQ, 4711)], f"the notification carried {told}"


@clause("PMQ-27")
def test_signal_names_the_sender(d):
    d.open(maxmsg=4, msgsize=64)
    started = d.request("actor", n=2)
    (watcher, sender), pids = started["ids"], started["pids"]
    d.do(watcher, "notify", how=SIGNAL)
    send(d, sender)
    told = notices(d, watcher)
    assert [s["pid"] for s in told] == [pids[1]], f"si_pid: {told}; the sender is {pids[1]}"


@clause("PMQ-19")
def test_unlinked_queue_lives_on(d):
    a, b = queue(d, 2)
    sent = send(d, a)
    d.do(b, "unlink")
    fails(d.call(b, "open", as_="gone", flags=O_RDWR), "ENOENT", "mq_open of a name that was unlinked")
    assert recv(d, b).sum == sent.sum, "the message in the unlinked queue is gone"
    d.do(b, "open", as_="new", flags=O_CREAT_EXCL)
    send(d, a)
    r = d.do(b, "getattr", "new")
    assert r.out["curmsgs"] == 0, "the name's new queue has what was sent to the old one"
    assert inside(d, b) == 1, "the old queue has not got what was sent to it"


@clause("PMQ-22")
def test_inherited_descriptors_share_o_nonblock(d):
    a, b = queue(d, 2)
    d.do(a, "open", as_="own", flags=O_RDWR)
    d.do(a, "setattr", flags=O_NONBLOCK)
    assert d.do(b, "getattr").out["flags"] == O_NONBLOCK, "O_NONBLOCK is not seen through the inherited descriptor"
    fails(d.call(b, "receive", size=64), "EAGAIN", "receive through the inherited descriptor")
    assert d.do(a, "getattr", "own").out["flags"] == 0, "O_NONBLOCK is seen through another mq_open's descriptor"
    d.do(b, "setattr", flags=0)
    d.must_wait(a, "receive", lambda: send(d, b), size=64, what="receive after O_NONBLOCK is off")


@clause("PMQ-40")
def test_exec_closes_the_descriptors(d):
    """Closed, they free what was registered through them."""
    watcher, other = queue(d, 2)
    d.do(watcher, "notify", how=SIGNAL)
    fails(d.call(other, "notify", how=SIGNAL), "EBUSY", "registration by another before the exec")
    d.fault("exec", watcher)
    d.do(watcher, "getattr")  # the new program answers: it has opened the queue anew
    gives(d.call(other, "notify", how=SIGNAL), 0, "registration by another after the exec")
