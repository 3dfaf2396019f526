# SPDX-License-Identifier: MIT
"""What every kind of shared memory promises: one memory for all who map it, whatever becomes of them.

One body a promise, for each variant of POSIX and System V shared memory. Source: the clauses named at each test.
"""
import pytest

from suite.subject import OBJECT
from suite.transfer import kill_through_rounds

clause = pytest.mark.clause
FIRST, SECOND = 0x1122334455667788, 0x8877665544332211


def store(d, actor, value, at=0):
    d.do(actor, "store", at=at, token=hex(value))


def found(d, actor, at=0):
    return int(d.do(actor, "load", at=at).token or "0", 16)


@clause("PSHM-09")
def test_store_is_found_by_all(d):
    """Both ways, and at the end of the object as well as at its beginning."""
    d.open()
    a, *others = d.attached(4)
    at = {x: d.do(x, "where").out["address"] for x in (a, *others)}
    for value, place in ((FIRST, 0), (SECOND, 4088)):
        store(d, a, value, place)
        for x in others:
            assert found(d, x, place) == value, f"actor {x} does not find what actor {a} has stored"
        store(d, others[0], value + 1, place)
        assert found(d, a, place) == value + 1, f"actor {a} does not find what actor {others[0]} has stored"
    d.note(f"{len(set(at.values()))} addresses")


@clause("PSHM-09", "SVSHM-21", caps=("names",))
def test_unrelated_processes_share_it(d):
    """Kind exec: nothing is inherited but the name."""
    d.open()
    a, b = d.attached(2, kind="exec")
    store(d, a, FIRST)
    assert found(d, b) == FIRST, "an unrelated process does not find what was stored"
    d.judged(d.run(on=OBJECT, rounds=3, ops=400))


@clause("PSHM-14", "PSHM-16", "SVSHM-18", "SVSHM-19")
def test_stores_and_loads_under_load(d):
    d.open()
    d.attached(5)
    d.judged(d.run(on=OBJECT, rounds=8, ops=600))


@clause("PSHM-16", "SVSHM-19")
def test_no_addition_is_lost(d):
    """Each addition finds another number, and all of them together are what is there in the end."""
    d.open()
    actors = d.attached(4)
    seen = []
    for _ in range(30):
        going = [d.start(a, "atomic_fetch_add", n=1) for a in actors]
        seen += [d.finish(p, "atomic_fetch_add").out["value"] for p in going]
    assert sorted(seen) == list(range(120)), f"{120 - len(set(seen))} of 120 additions found what another had found"
    assert found(d, actors[0]) == 120, f"{found(d, actors[0])} is there after 120 additions of 1"


@clause("PSHM-16", "SVSHM-19")
def test_compare_and_exchange_has_one_winner(d):
    d.open()
    actors = d.attached(4)
    for turn in range(20):
        going = [d.start(a, "atomic_compare_exchange", expected=turn, desired=turn + 1) for a in actors]
        ended = [d.finish(p, "atomic_compare_exchange") for p in going]
        assert sum(r.ret for r in ended) == 1, f"{sum(r.ret for r in ended)} of {len(ended)} exchanged one value"
        assert all(r.out["value"] == turn + 1 - r.ret for r in ended), f"turn {turn} found {[r.out for r in ended]}"


@clause("PSHM-19", "SVSHM-22")
def test_killed_in_a_store(d):
    """Actors are killed all through the rounds: what is found afterwards is a whole value, old or new."""
    d.open()
    kill_through_rounds(d, d.attached(4))


@clause("PSHM-17", "SVSHM-17")
@pytest.mark.parametrize("end", ["kill", "exit", "exec"])
def test_what_was_stored_outlives_its_process(d, end):
    d.open()
    writer, reader = d.attached(2)
    store(d, writer, FIRST)
    if end == "exec":
        d.fault("exec", writer)
    else:
        d.kill_actor(writer, end)
    assert found(d, reader) == FIRST, f"after the {end} of who stored it, it is gone"
    store(d, reader, SECOND)
    assert found(d, *d.attached(1)) == SECOND, f"a process that came after the {end} does not find what is there"


@clause("PSHM-18", "SVSHM-17", caps=("names", "persist"))
def test_contents_stay_while_nobody_is_there(d):
    """Control gives up its descriptor, then everybody dies."""
    d.open()
    actors = d.attached(2)
    store(d, actors[0], FIRST)
    d.release(OBJECT)
    for a in actors:
        d.kill_actor(a)
    assert found(d, *d.attached(1)) == FIRST, "what was stored is gone though nobody has removed the object"
