# SPDX-License-Identifier: MIT
"""Whom a name reaches: objects of an IPC namespace, abstract names of a network namespace, and paths, are seen where
they belong and nowhere else.

Source: ipc_namespaces(7), network_namespaces(7), unix(7), mount_namespaces(7), and the clauses named at each test.
"""
import pytest

from suite.subject import SIZE, fails, gives, said

clause = pytest.mark.clause
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x40000000
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
