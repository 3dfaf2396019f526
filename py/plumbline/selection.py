# SPDX-License-Identifier: MIT
"""A pytest plugin: keeps the tests of the chosen mechanisms and of one shard. Loaded by `plumbline conform`, by name.

$PLUMBLINE_MECH: "mq mutex/robust", empty for all. $PLUMBLINE_SHARD: "2/4".
"""
from __future__ import annotations

import os
import re
import zlib
from typing import Any


def wanted(node: str, mechanisms: set[str], names: set[str], chosen: list[str]) -> bool:
    """`mechanisms` and `names` (its variant among them), as far as the test's parameters tell; else the words of its
    name. A variant may be called like another mechanism: fifo."""
    if not mechanisms:
        words = names or set(re.split(r"[^a-z0-9]+", node))
        return any(set(c.split("/")) <= words for c in chosen)
    return any(m in mechanisms and {*variant} <= names for m, *variant in (c.split("/") for c in chosen))


def _names(item: Any) -> tuple[set[str], set[str]]:
    """What a test's parameters say about it, one level deep: the `mechanism` of a clause, and all strings."""
    mechanisms: set[str] = set()
    names: set[str] = set()
    for value in dict(getattr(getattr(item, "callspec", None), "params", {})).values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            names |= {part} if isinstance(part, str) else set()
            mechanisms |= {m} if isinstance(m := getattr(part, "mechanism", None), str) else set()
    return mechanisms, names


def in_shard(node: str, shard: str) -> bool:
    """By a checksum of the name: the same test is in the same shard wherever it runs."""
    if not shard:
        return True
    n, of = map(int, shard.split("/"))
    return zlib.crc32(node.encode()) % of == n - 1


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    chosen, shard = os.environ.get("PLUMBLINE_MECH", "").split(), os.environ.get("PLUMBLINE_SHARD", "")
    keep = [i for i in items if in_shard(i.nodeid, shard) and (not chosen or wanted(i.nodeid, *_names(i), chosen))]
    gone = [i for i in items if i not in keep]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = keep
