# SPDX-License-Identifier: MIT
"""A pytest plugin: after a test, what it asked of its driver becomes one C file. Loaded by `plumbline repro`, by name.

$PLUMBLINE_REPRO: the folder that gets the files, and results.jsonl that says what became of each test.
$PLUMBLINE_TRANSCRIPT: tell this one, of an earlier run; no driver is started.
"""
from __future__ import annotations

import errno
import inspect
import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ..outcomes import Trouble
from ..target import Target
from .calls import NoCall
from .judge import VIOLATED, Judge
from .mine import Miner, first
from .program import LINES_MAX, About, Story, says_something
from .repair import repaired
from .script import NoScript, Script
from .trial import disagrees

REQUESTS, LONGEST = 60, 200  # of a story that is looked at: so many, or so many if it ends in a violation
_TRANSCRIPT = os.environ.get("PLUMBLINE_TRANSCRIPT")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
    """In the place of the driver, of a test that is not run."""
    if fixturedef.argname != "d" or not _TRANSCRIPT:
        return None
    clause, variant = request.getfixturevalue("case")
    d = SimpleNamespace(clause=clause, variant=variant, transcript=_TRANSCRIPT)
    fixturedef.cached_result = (d, fixturedef.cache_key(request), None)
    return d


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Any:
    d = pyfuncitem.funcargs.get("d")
    if _TRANSCRIPT and d is not None:
        pyfuncitem.obj, test = lambda **_: None, pyfuncitem.obj
        yield
        pyfuncitem.obj = test
    else:
        yield
    if d is not None:
        _tell(pyfuncitem, d)


def _tell(item: Any, d: Any) -> None:
    folder = Path(os.environ["PLUMBLINE_REPRO"])
    result = {"clause": d.clause.id, "variant": d.variant, "mechanism": d.clause.mechanism, "test": item.nodeid}
    try:
        text, result["outcome"] = _program(item, d)
        result["file"] = f"{len(list(folder.iterdir()))}.c"
        (folder / result["file"]).write_text(text)
    except (NoScript, NoCall) as e:
        result["why"] = str(e)
    with open(folder / "results.jsonl", "a") as f:
        f.write(json.dumps(result) + "\n")


def _program(item: Any, d: Any) -> tuple[str, str]:
    """The program, and how its story ended. One of what was violated goes to the end; of others, so much as fits."""
    script = Script.read(Path(d.transcript))
    judge = _judge(item, d)
    violated = judge.of(script).word == VIOLATED
    miner = Miner(judge, script.cut(LONGEST if violated else REQUESTS), _errors(item))
    if violated:
        repaired(miner)
    steps = miner.mine()
    c, machine = d.clause, script.about.get("machine") or " ".join(os.uname()[i] for i in (0, 2, 4))
    observed = f"{miner.base.why} ({machine})." if violated else ""
    about = About(c.id, c.text, c.source, item.nodeid, c.mechanism, d.variant, machine, observed)
    hello = next(line.message for line in script.lines if line.message.get("ev") == "hello")
    for n in range(len(steps), 0, -1):
        told = first(steps, n)
        if not says_something(told):
            break
        text = Story(about, told, hello, len(script.requests()), miner.flows).program()
        if violated or text.count("\n") < LINES_MAX:
            if not violated and (said := disagrees(text)):
                raise NoScript(f"as a program it goes another way: {said}")
            return text, miner.base.word
    if says_something(steps):
        raise NoScript(f"no program of less than {LINES_MAX} lines tells of it")
    rounds = any(line.message["op"] == "run" for line in script.requests())
    raise NoScript("it is judged by rounds" if rounds else "the test checks nothing of what single calls give")


def _judge(item: Any, d: Any) -> Judge:
    args = {a: _alone if a == "beside" else item.funcargs[a] for a in item._fixtureinfo.argnames}
    outcome, subject = sys.modules["suite.outcome"], sys.modules["suite.subject"].Subject

    def violated(e: BaseException) -> str:
        ended = outcome.classify(e)
        return ended.reason if ended.outcome == "violated" else ""

    def driver(wire: Any) -> Any:
        home, here = Path(d.transcript).parent, Target.parse("")
        return subject(
            d.clause, d.variant, d.clause.mechanism, home, drivers=Path("none"), target=here, run="replayed", wire=wire
        )

    return Judge(lambda other: item.obj(**{**args, "d": other}), driver, violated)


def _alone(mechanism: str, variant: str) -> None:
    """In the place of `beside`: only what the test's own driver said is kept."""
    raise Trouble(f"a driver of {mechanism}/{variant} beside its own")


def _errors(item: Any) -> list[str]:
    """Names of errors that the test's module or its data have in them."""
    text = inspect.getsource(item.module) + repr(getattr(item, "callspec", None) and item.callspec.params)
    return sorted(set(re.findall(r"\bE[A-Z0-9]{3,14}\b", text)) & set(errno.errorcode.values()))
