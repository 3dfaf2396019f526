# SPDX-License-Identifier: MIT
"""The test as judge: given other answers, does it go on, call them violated, or go another way?"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from ..outcomes import Trouble
from .playback import Astray, Beyond, Clock, Player, Timeless
from .script import Script

ON, VIOLATED, ASTRAY, OTHER = "on", "violated", "astray", "other"
OWN = "the test starts a driver of its own"


@dataclass(frozen=True)
class Verdict:
    """`asked`: how many requests fitted the script before it came to this. `why`: the test's own words."""

    word: str
    asked: int
    why: str = ""
    astray: Astray | None = None


@dataclass(frozen=True)
class Judge:
    """`test` plays it with a driver; `driver` makes one from its wire; `violated` says what an exception means."""

    test: Callable[[Any], None]
    driver: Callable[[Callable[[Any], Any]], Any]
    violated: Callable[[BaseException], str]  # the reason; "" when it is no violation

    def of(self, script: Script) -> Verdict:
        clock, players = Clock(), []

        def wire(on_line: Callable[[bytes], None]) -> Player:
            players.append(Player(script, clock, on_line))
            return players[0]

        def ended(word: str, why: str = "", astray: Astray | None = None) -> Verdict:
            return Verdict(word, players[0].asked if players else 0, why, astray)

        with clock.installed():
            try:
                d = self.driver(wire)
                d._cond = Timeless(clock)
                d.clock.error_ns = 0  # a script says what came first
                self.test(d)
            except Beyond:
                return ended(ON)
            except Astray as e:
                return ended(ASTRAY, str(e), e)
            except (KeyboardInterrupt, SystemExit):
                raise
            except Trouble:  # there is no place to start one from
                return ended(OTHER, OWN)
            except BaseException as e:  # noqa: BLE001 - a changed answer may make a test fail in any way
                why = self.violated(e)
                return ended(VIOLATED if why else OTHER, why or f"{type(e).__name__}: {e}")
        return ended(ON)
