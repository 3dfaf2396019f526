# SPDX-License-Identifier: MIT
"""The operations that show a violation, as the driver that judged it has drawn them: lines for a terminal."""
from __future__ import annotations

from typing import Any

_LINES_MAX, _LINE_MAX = 64, 120


def drawing(lines: Any) -> list[str]:
    """A timeline as far as a screen goes; nothing of what is none."""
    return [x[:_LINE_MAX] for x in lines[:_LINES_MAX] if isinstance(x, str)] if isinstance(lines, list) else []


def story(v: dict[str, Any]) -> list[str]:
    """What was promised, and the operations that show that it was not kept."""
    promise = v.get("promise")
    return ([f"promised: {promise}"] if promise and isinstance(promise, str) else []) + drawing(v.get("timeline"))
