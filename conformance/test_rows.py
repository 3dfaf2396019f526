# SPDX-License-Identifier: MIT
"""The catalogue's rows: one call and what it must give, as data. README.md describes them."""
import pytest

from suite.outcome import NotHere
from suite.subject import OBJECT, said, within_limits


@pytest.mark.clause()
def test_row(d, row):
    d.open(**row.open)
    actors = d.actors(2)

    def step(f, args, *_):
        args = {("as_" if k == "as" else k): v for k, v in args.items()}
        return d.call(actors[args.pop("actor", 0)], f, args.pop("on", OBJECT), **args)

    for f, args, *_ in row.do[:-1]:
        r = step(f, args)
        if r.errno == "ENOSYS":
            raise NotHere(f"{f} {args} is not there to set this up with: ENOSYS")
        within_limits(f"{f} {args}", r)
        assert r.ret >= 0, f"{f} {args} gave {said(r)}: it is set-up and must succeed"
    judge(row.do[-1], step(*row.do[-1]), row.expect)
    for call in row.then:
        judge(call, step(*call), call[2])


def judge(call, r, want):
    """`want`: an errno's name, a return value, or named results (and then no error)."""
    what = f"{call[0]} {call[1] or ''}".strip()
    if r.errno != want:
        within_limits(what, r)
    if isinstance(want, str):
        assert r.errno == want, f"{what} gave {said(r)} instead of {want}"
    elif isinstance(want, int):
        assert r.errno is None and r.ret == want, f"{what} gave {said(r)} instead of {want}"
    else:
        assert r.errno is None, f"{what} gave {said(r)}"
        got = {k: r.out.get(k, getattr(r, k, None)) for k in want}
        assert got == want, f"{what} gave {got} instead of {want}"
