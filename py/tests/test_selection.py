# SPDX-License-Identifier: MIT
"""Which tests `plumbline conform MECH[/VARIANT]` runs."""
import pytest
from plumbline.selection import in_shard, wanted


@pytest.mark.parametrize("chosen,mechanism,variant,runs", [
    ("fifo", "fifo", "fifo", True),
    ("fifo", "sysvmsg", "fifo", False),
    ("sysvmsg/fifo", "sysvmsg", "fifo", True),
    ("fifo/fifo", "sysvmsg", "fifo", False),
    ("mutex", "mutex", "robust", True),
    ("mutex/robust", "mutex", "robust-pi", False),
    ("mq mutex/robust", "mutex", "robust", True),
])
def test_a_mechanism_is_no_variant_of_another(chosen, mechanism, variant, runs):
    assert wanted("test_x.py::test_y", {mechanism}, {variant, "other words"}, chosen.split()) == runs


def test_a_test_without_a_clause_is_known_by_its_name():
    assert wanted("mechanism/test_sem.py::test_y[named]", set(), set(), ["sem/named"])
    assert not wanted("mechanism/test_sysvsem.py::test_y", set(), set(), ["sem"])


def test_shards_share_the_tests():
    nodes = [f"test_x.py::test_{i}" for i in range(60)]
    assert sorted(n for k in (1, 2, 3) for n in nodes if in_shard(n, f"{k}/3")) == sorted(nodes)
