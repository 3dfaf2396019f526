# SPDX-License-Identifier: MIT
"""Whom a name reaches: objects of an IPC namespace, abstract names of a network namespace, and paths, are seen where
they belong and nowhere else.

Source: ipc_namespaces(7), network_namespaces(7), unix(7), mount_namespaces(7), and the clauses named at each test.
"""
import resource
import time

import pytest

from suite.outcome import NotHere, Unknown
from suite.subject import LIVE_S, SIZE, fails, gives, said, within_limits

clause = pytest.mark.clause
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
O_RDWR, O_CREAT_EXCL = 2, 0o300
IPC_CREAT_EXCL = 0o3000

#: How a driver opens its object by name once more, and what makes one there that none can be in the way of.
OPEN = {
    "mq": ({"f": "open", "flags": O_RDWR}, {"f": "open", "flags": O_RDWR | O_CREAT_EXCL}),
    "sysvmsg": ({"f": "msgget"}, {"f": "msgget", "flags": IPC_CREAT_EXCL | 0o600}),
    "sysvsem": ({"f": "semget", "nsems": 0}, {"f": "semget", "nsems": 1, "flags": IPC_CREAT_EXCL | 0o600}),
    "sysvshm": ({"f": "shmget"}, {"f": "shmget", "size": 4096, "flags": IPC_CREAT_EXCL | 0o600}),
    "sem": ({"f": "open"},),
    "shm": ({"f": "open", "flags": O_RDWR},),
}
SMALL = {"mq": {"maxmsg": 1, "msgsize": 8}}


@clause("PMQ-46", "SVM-24", "SVSEM-30", "SVSHM-23")
def test_objects_of_an_ipc_namespace(d):
    """Inside, the name is not there and can be made anew; outside, it is, as before."""
    d.open()
    insider, outsider = d.actors(2)
    find, make = OPEN[d.clause.mechanism]
    assert d.call(insider, **find).errno is None, "the object is not found by its name before"
    d.enter_namespace(insider, CLONE_NEWIPC, "IPC")
    fails(d.call(insider, **find), "ENOENT", "opening, from another IPC namespace, what is in the first")
    assert (r := d.call(insider, **make)).errno != "EEXIST", f"the name is taken in a new IPC namespace: {said(r)}"
    d.kill_actor(insider)
    assert (r := d.call(outsider, **find)).errno is None, f"the object is gone from its own IPC namespace: {said(r)}"


def join(d, actor, other, flags):
    """The actor is in these namespaces of the other's from now on."""
    alone = d.call(actor, "join", to=other, flags=flags)
    r = d.call(actor, "join", to=other, flags=flags | CLONE_NEWUSER) if alone.errno else alone
    if r.errno:
        raise NotHere(f"no namespace of another process can be entered here: setns gives {alone.errno}, and {r.errno}")


def made(d, actor, **make):
    """An object of a new IPC namespace."""
    r = d.call(actor, **make)
    within_limits("making an object in a new IPC namespace", r)
    if r.errno == "EOVERFLOW":
        raise NotHere("who makes a user namespace is nobody in there: its uid_map or gid_map cannot be written")
    assert r.errno is None, f"an object cannot be made in a new IPC namespace: {said(r)}"


@clause("PMQ-48", "SVM-27", "SVSEM-39", "SVSHM-24")
def test_objects_outlive_who_made_them_in_there(d):
    d.open()
    maker, heir = d.actors(2)
    find, make = OPEN[d.clause.mechanism]
    d.enter_namespace(maker, CLONE_NEWIPC, "IPC")
    join(d, heir, maker, CLONE_NEWIPC)
    fails(d.call(heir, **find), "ENOENT", "opening, from an IPC namespace just entered, what is in another")
    made(d, maker, **make, **SMALL.get(d.clause.mechanism, {}))
    d.kill_actor(maker)
    assert (r := d.call(heir, **find)).errno is None, f"another process is in the namespace, and the object is gone: {said(r)}"


@clause("PMQ-49")
def test_queues_go_with_the_last_process(d):
    """What a queue counts against RLIMIT_MSGQUEUE is free again: of a user namespace of their own, where nobody else's
    queues count."""
    d.open()
    insider, other, outsider = d.actors(3)
    make = {"f": "open", "flags": O_RDWR | O_CREAT_EXCL, "maxmsg": 10, "msgsize": 512}  # some 6 KB each
    if (r := d.call(insider, "unshare", flags=CLONE_NEWUSER | CLONE_NEWIPC)).errno:
        raise NotHere(f"no user namespace can be made here: unshare gives {r.errno}")
    join(d, other, insider, CLONE_NEWUSER)
    d.enter_namespace(other, CLONE_NEWIPC, "IPC")
    for a in (insider, other):
        d.do(a, "rlimit", what=resource.RLIMIT_MSGQUEUE, n=10_000)
    made(d, insider, **make)
    if d.call(other, **make).errno != "EMFILE":
        raise NotHere("RLIMIT_MSGQUEUE is not counted by user namespace here")
    d.kill_actor(insider)
    end, again = time.monotonic() + LIVE_S, 0
    while (r := d.call(other, **make)).errno:
        fails(r, "EMFILE", "mq_open beyond RLIMIT_MSGQUEUE")
        if time.monotonic() < end:
            d.ping()
            continue
        if d.call(outsider, "open", flags=O_RDWR).errno:
            raise Unknown("no queue can be opened outside either")
        again += 1
        assert again < 5, f"{LIVE_S:g} s after the last process of an IPC namespace has ended its queue still counts"


@clause("PSEM-27", "PSHM-24")
def test_objects_that_are_files(d):
    """They belong to a mount, not to an IPC namespace."""
    d.open()
    insider, _ = d.actors(2)
    d.enter_namespace(insider, CLONE_NEWIPC, "IPC")
    assert (r := d.call(insider, **OPEN[d.clause.mechanism][0])).errno is None, f"from another IPC namespace: {said(r)}"


@clause("UADR-04")
def test_abstract_names_of_a_network_namespace(d):
    d.open()
    insider, outsider = d.actors(2)
    d.enter_namespace(insider, CLONE_NEWNET, "network")
    for actor in (insider, outsider):
        d.do(actor, "socket", as_=f"s{actor}")
    fails(d.call(insider, "connect", f"s{insider}"), "ECONNREFUSED", "connect, from another network namespace, to an abstract name")
    gives(d.call(outsider, "connect", f"s{outsider}"), 0, "connect to an abstract name of the same network namespace")


@clause("UADR-05")
@pytest.mark.parametrize("namespaces", [CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS],
                         ids=["network", "mount", "container"])
def test_a_path_leads_there_from_other_namespaces(d, namespaces):
    """Through a bind mount, too, where there is a mount namespace to have one in."""
    d.open()
    server, client = d.actors(2)
    d.do(server, "socket", as_="l")
    d.do(server, "bind", "l", n=1)
    if stream := "stream" in d.about["caps"]:
        d.do(server, "listen", "l")
    d.enter_namespace(client, namespaces, "such a")
    if namespaces & CLONE_NEWNS:
        d.do(client, "rebind")
    d.do(client, "socket", as_="c")
    gives(d.call(client, "connect", "c", n=1), 0, "connect by path from other namespaces")
    sent = d.do(client, "send", "c", size=SIZE)
    if stream:
        d.do(server, "accept", "l", as_="s")
    got = d.do(server, "recv", "s" if stream else "l")
    assert got.sum == sent.sum, "what was sent from other namespaces is not what came"
