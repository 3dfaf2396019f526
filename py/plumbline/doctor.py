# SPDX-License-Identifier: MIT
"""plumbline doctor and plumbline list: what this machine or target can run, and what there is to run."""
from __future__ import annotations

import json
import sys
from typing import Any

from . import agent, machine
from .catalogue import Catalogue
from .console import Out, mark
from .drivers import Known, ask
from .outcomes import EXIT_BROKEN, EXIT_HELD, plural
from .places import Places
from .target import Target


def facts(places: Places, target: Target) -> dict[str, Any]:
    """Everything doctor knows, as data: the same for --json and for people."""
    return {
        "target": str(target),
        "native": target.native,
        "agent": target.agent,
        "place": agent.place(target),
        "drivers": [_driver(k) for k in ask(places, target)],
        "environment": machine.environment(),
        "modules": machine.modules(),
        "limits": [vars(limit) for limit in machine.limits()],
    }


def _driver(k: Known) -> dict[str, Any]:
    return {
        "name": k.name,
        "path": str(k.path),
        "build": k.build,
        "title": k.hello.get("title", ""),
        "why": k.why,
        "variants": [{f: v.get(f) for f in ("name", "model", "supported", "why", "caps")} for v in k.variants],
    }


def doctor(out: Out, places: Places, target: Target, as_json: bool) -> int:
    """Exit 0 when there is a driver that can run, else 3."""
    f = facts(places, target)
    runs = any(v["supported"] is not False for d in f["drivers"] if not d["why"] for v in d["variants"])
    if as_json:
        json.dump(f, sys.stdout, indent=1)
        print()
        return EXIT_HELD if runs else EXIT_BROKEN
    env = f["environment"]
    if not target.native:
        out.say(f"target        {target}  (drivers are asked there; what follows them describes this machine)")
    _show_drivers(out, places, f["drivers"])
    _show_place(out, f["place"])
    out.say()
    rows = [
        ("kernel", f"{env['kernel']} {env['machine']}  {env['version']}"),
        ("libc", env["libc"]),
        ("cpus", f"{env['cpus']}  {env['model']}"),
        ("clock", env["clocksource"] or "unknown"),
        ("container", env["container"] or "none seen"),
        ("uid", str(env["uid"])),
        ("capabilities", _caps(env["capabilities"])),
        ("namespaces", " ".join(v for v in env["namespaces"].values() if v)),
        ("observer", f"rung {env['rung']}: " + RUNG[env["rung"]]),
        *env["mounts"].items(),
        ("python", env["python"] + "  " + " ".join(f"{k} {v or 'MISSING'}" for k, v in f["modules"].items())),
    ]
    for name, text in rows:
        out.say(f"{name:<13} {text}")
    out.say()
    out.table(
        ["limit", "value", "lifted by", "what it bounds"],
        [[x["name"], x["value"], x["lift"].split(" N")[0].split(f" {x['name']}")[0], x["means"]] for x in f["limits"]],
        right=[1],
    )
    if any("CAP_SYS_RESOURCE" in x["lift"] for x in f["limits"]):
        out.say("a limit that is at its hard value is raised by a process with CAP_SYS_RESOURCE only")
    out.say()
    out.say("ready: `plumbline run`" if runs else f"nothing can run here: no driver in {places.drivers} answers")
    return EXIT_HELD if runs else EXIT_BROKEN


RUNG = {
    "syscall": "a waiting actor's system call is seen",
    "stat": "only that it sleeps is seen; verdicts stay sound, some tests lose power",
    "none": "nothing is seen; verdicts stay sound, tests of blocking lose power",
}


SECCOMP = {0: "no filter", 1: "strict", 2: "a filter: some calls may be refused"}


def _show_place(out: Out, place: dict[str, Any]) -> None:
    """What the agent says of the place where the drivers run."""
    if not place:
        return
    bits = int(place.get("capabilities", "0x0"), 16)
    names = [name for i, name in enumerate(machine.CAPS) if bits >> i & 1]
    out.say()
    for name, text in (
        ("there: kernel", f"{place.get('kernel')} {place.get('machine')}"),
        ("uid", f"{place.get('uid')}; capabilities: {_caps(names)}"),
        ("seccomp", SECCOMP.get(place.get("seccomp"), "unknown")),
        ("observer", f"rung {place.get('rung')}: " + RUNG.get(place.get("rung"), "")),
        ("/dev/shm", place.get("shm", "")),
        ("limits", "  ".join(f"{k} {'unlimited' if v < 0 else v}" for k, v in place.get("limits", {}).items())),
    ):
        out.say(f"{name:<13} {text}")


def _caps(names: list[str]) -> str:
    missing = [n for n in machine.CAPS if n not in names]
    if not names:
        return "none"
    return "all" if not missing else f"all but {' '.join(missing)}" if len(missing) < 16 else " ".join(names)


def _show_drivers(out: Out, places: Places, drivers: list[dict[str, Any]]) -> None:
    if not drivers:
        out.say(
            f"drivers       none in {places.drivers}: build first (ninja -C build), or say --drivers DIR", "bold red"
        )
    rows = []
    for d in drivers:
        if d["why"]:
            rows.append([d["name"], d["build"], mark("broken"), d["why"]])
        for v in d["variants"] if not d["why"] else ():
            ok = v["supported"] is not False
            rows.append(
                [
                    d["name"] + "/" + v["name"],
                    d["build"],
                    mark("held" if ok else "skipped"),
                    d["title"] if ok else v["why"] or "not supported",
                ]
            )
    if rows:
        out.table(["driver", "build", "here", ""], rows)


def listing(out: Out, places: Places, target: Target, as_json: bool) -> int:
    """Drivers, variants, capabilities, operations, clauses."""
    known = ask(places, target, places.need_drivers())
    clauses = Catalogue.load(places.conformance / "clauses")
    if as_json:
        json.dump(
            {
                "drivers": [
                    {**_driver(k), "ops": k.hello.get("ops", {}), "open": k.hello.get("open", {})} for k in known
                ],
                "catalogue": clauses.version,
                "clauses": [vars(c) for c in clauses],
            },
            sys.stdout,
            indent=1,
        )
        print()
        return EXIT_HELD
    for k in known:
        out.say(f"{k.name}  {k.hello.get('title', '')}{'  BROKEN: ' + k.why if k.why else ''}", "bold")
        for v in k.variants:
            no = "" if v.get("supported", True) else f"  not here: {v.get('why')}"
            out.say(f"  variant {v['name']:<12} judged as {v['model']:<9} {' '.join(v.get('caps', []))}{no}")
        for name, op in k.hello.get("ops", {}).items():
            args = " ".join(f"{a}={lo}..{hi}" for a, (lo, hi) in op.get("args", {}).items())
            out.say(f"  {op.get('role', ''):<8} {name:<14} {'blocks ' if op.get('blocks') else ''}{args}")
        out.say()
    for mech in dict.fromkeys(c.mechanism for c in clauses):
        mine = [c for c in clauses if c.mechanism == mech]
        out.say(f"{mech}: {plural(len(mine), 'clause')}, {sum(not c.planned for c in mine)} tested", "bold")
        out.table(
            ["id", "variant", "level", "kind", "promise"],
            [[c.id, ",".join(c.variants), c.level, "planned" if c.planned else c.kind, c.text] for c in mine],
            cut=True,
        )
        out.say()
    return EXIT_HELD
