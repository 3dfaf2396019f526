# SPDX-License-Identifier: MIT
"""plumbline: the command line. Parses, hands over, and turns every trouble into one line and an exit code."""
from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Sequence

from . import __version__, after, agent, bundle, jobfile
from .calls import DriverError
from .console import Out, flush
from .drivers import ask
from .outcomes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_USAGE, Trouble
from .places import Places, program
from .target import Target, TargetError

EPILOG = """exit codes: 0 every claim held, 1 a claim was violated, 2 usage, 3 broken (harness or environment),
4 nothing ran or all was skipped, 5 inconclusive, 130 interrupted"""


def duration(text: str) -> float:
    """ "60s", "5m", "200ms", "1h": seconds. A unit must be there."""
    try:
        return jobfile.seconds(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def workers(text: str) -> str:
    """0 is no worker: the suites in one process."""
    if text != "auto" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: a number, or auto")
    return text


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="plumbline",
        description="Do this system's IPC mechanisms keep their promises, alone and under load?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"plumbline {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    place = _place()
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", metavar="-", nargs="?", const="-", help="the result as JSON on stdout")
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("--out", metavar="DIR", help="where run folders go (default: plumbline-results)")
    results.add_argument("--junit", metavar="FILE", help="write the JUnit file here too")
    results.add_argument("--expect", metavar="FILE", help="TOML of known deviations, which do not count as violated")
    suites = argparse.ArgumentParser(add_help=False)
    suites.add_argument("-k", dest="keyword", metavar="EXPR", default="", help="only tests that match, as for pytest")
    suites.add_argument("--shard", metavar="N/M", default="", help="the Nth of M parts of the tests")
    suites.add_argument("--jobs", metavar="N", type=workers, default="auto", help="tests at once (default: CPUs + 4)")
    suites.add_argument("--budget", metavar="TIME", type=duration, help="stop the suites after so long, as in 5m")

    def add(name: str, what: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=what,
            description=what,
            parents=list(parents),
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    add("doctor", "what this machine or target can run, and what lifts each limit", place, as_json)
    carry = add("bundle", "one tar of plumb-agent and the static drivers, for a target without a shell")
    carry.add_argument("path", metavar="FILE.tar")
    carry.add_argument("--drivers", metavar="DIR", help="a folder of static drivers (default: this build's)")
    add("list", "drivers, variants, capabilities, operations, clauses", place, as_json)
    check = add("drivercheck", "does a driver, in any language, speak plumb/1?", as_json)
    check.add_argument("path", help="the driver's program")
    check.add_argument("--target", metavar="PREFIX", default=None)
    conform = add(
        "conform",
        "clause by clause: what holds, what is violated, what is skipped and why",
        place,
        as_json,
        results,
        suites,
    )
    conform.add_argument("mechanisms", metavar="MECH", nargs="*", help="mq, mutex/robust …; all when none is named")
    _stress_options(add("stress", "hundreds of drivers at once, every round judged", place, as_json, results))
    add(
        "run",
        "the main job: conform, then a short stress of everything, then the report",
        place,
        as_json,
        results,
        suites,
    ).add_argument(
        "--for", dest="for_s", metavar="TIME", type=duration, default=20.0, help="length of the stress (default 20s)"
    )
    _repro_options(add("repro", "one C file, over the C library alone, that shows what a clause's test has seen"))
    after.parsers(add, as_json)
    _selftest_options(add("selftest", "is what is broken on purpose noticed, and nothing else? the score", as_json))
    _soak_options(add("soak", "stress for hours; after kill -9 it goes on where it was", place, as_json, results))
    return top


def _repro_options(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "what",
        nargs="?",
        metavar="[RUN/]CLAUSE[/VARIANT]",
        help="as in PMQ-16/mq or latest/PMQ-16; or RUN/INSTANCE, a driver of a stress that violated; or a mechanism",
    )
    p.add_argument(
        "--list", action="store_true", help="which clauses have a program, and why others have none (minutes)"
    )
    p.add_argument("--c", action="store_true", help="in C, which is what there is")
    p.add_argument("-o", metavar="FILE", help="write it there (default: stdout); of a mechanism, a folder")
    p.add_argument("-k", dest="keyword", metavar="EXPR", default="", help="only tests that match, as for pytest")
    p.add_argument("--drivers", metavar="DIR", help="where plumb-<name> are (default: this build's)")
    p.add_argument("--out", metavar="DIR", help="where run folders are (default: plumbline-results)")


def _place() -> argparse.ArgumentParser:
    """Which drivers, and where they run."""
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--drivers", metavar="DIR", help="where plumb-<name> are (default: this build's)")
    place.add_argument(
        "--target",
        metavar="PREFIX",
        default=None,
        help="command that runs a driver elsewhere, as in 'podman exec -i C'",
    )
    place.add_argument(
        "--agent",
        metavar="HOW",
        default=None,
        help="auto (default): carry the drivers there if the target has none; push: always; off: never; "
        "or the path of plumb-agent on the target",
    )
    return place


def _selftest_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="mutants and oddities, numbers, mechanisms (default: all)")
    p.add_argument("--list", action="store_true", help="what there is, and what is not tried and why; runs nothing")
    p.add_argument("--quick", action="store_true", help="each mutant in one place, oddities for 2 s")
    p.add_argument("--benign", action="store_true", help="harmless oddities only")
    p.add_argument("--for", dest="for_s", metavar="TIME", type=duration, help="of all oddities (default 20s each)")
    p.add_argument("--jobs", metavar="N", type=after.positive, help="trials at once (default: the CPUs, 4 at most)")
    p.add_argument("--drivers", metavar="DIR", help="where plumb-<name> are (default: this build's)")
    p.add_argument("--out", metavar="DIR", help="where run folders go (default: plumbline-results)")
    p.add_argument("--markdown", metavar="FILE", help="the score as a table in markdown")


def _soak_options(p: argparse.ArgumentParser) -> None:
    _stress_options(p, "8h")
    p.add_argument("--resume", metavar="RUN", nargs="?", const="", help="go on with a soak that died (default: newest)")
    p.add_argument("--segment", dest="segment_s", metavar="TIME", type=duration, help="of one engine (default 10m)")
    p.add_argument("--every", dest="every_s", metavar="TIME", type=duration, help="a line and a sample (default 1m)")
    p.add_argument("--prom", metavar="FILE", help="write the Prometheus text here too")
    p.set_defaults(for_s=None)


def _stress_options(p: argparse.ArgumentParser, length: str = "10s") -> None:
    what = f"as in 60s (default {length})"
    p.add_argument("mix", metavar="MECH[/VARIANT]=N", nargs="*")
    p.add_argument(
        "--job", metavar="FILE", help="TOML that says what to run (py/README.md); or a job of the engine's own"
    )
    p.set_defaults(parser=p)
    p.add_argument("--for", dest="for_s", metavar="TIME", type=duration, default=duration(length), help=what)
    p.add_argument("--seed", help="replay the random choices of an earlier run")
    p.add_argument("--lanes", metavar="N|free", help="drivers in a round at once (default: half the CPUs)")
    p.add_argument("--place", choices=("same", "spread", "free"), help="actors on CPUs")
    p.add_argument("--fault", metavar="KIND:RATE", action="append", default=[], help="as in kill:5/s; may be repeated")
    p.add_argument("--actors", metavar="N", help="of each driver")
    p.add_argument("--ops", metavar="N", help="of each actor and round")
    p.add_argument("--fit", action="store_true", help="run less where a limit does not allow all; the rest is skipped")
    p.add_argument("--only", metavar="N", help="run instance N of the mix alone, with its own seed")
    p.add_argument(
        "--on",
        metavar="NAME=PREFIX",
        action="append",
        default=[],
        help="given twice: rounds between two machines, as in --on a='ssh one' --on b='ssh two'",
    )
    p.add_argument("--at", metavar="NAME=ADDR", action="append", help="where the first of them is reached")
    p.add_argument("--dry-run", action="store_true", help="show the plan and the budget of limits, run nothing")


def _dispatch(a: argparse.Namespace, argv: Sequence[str]) -> int:
    from . import across, doctor, drivercheck, jobs, selftest, soak  # late: --help and a typo need no rich, no jinja2

    if a.command == "bundle":
        return _bundle(Out(quiet=False), a)
    if a.command == "repro":
        from .repro import command

        return command.command(Out(quiet=False), Places.find(a.drivers), a)
    if a.json not in (None, "-"):
        raise Trouble(f"--json {a.json}: only `-`, stdout, is known")
    out = Out(quiet=a.json is not None)
    if a.command in ("report", "gate", "diff", "runs", "expect"):
        return after.dispatch(out, a)
    if a.command == "selftest":
        return selftest.command(out, Places.find(a.drivers), a)
    target = Target.parse(a.target if a.target is not None else os.environ.get("PLUMBLINE_TARGET", ""))
    if a.command == "drivercheck":
        return drivercheck.command(out, a.path, target, a.json is not None)
    places = Places.find(a.drivers)
    if a.command == "soak":
        return soak.command(out, places, a, f"{program()} {shlex.join(argv)}")
    if a.command == "stress" and a.on:
        return across.command(out, places, a)
    target = _settled(out, a, target, places)
    if target.agent == agent.PUSH:  # these are the drivers that run
        places = dataclasses.replace(places, drivers=bundle.folder_for(places.drivers))
    if a.command in ("doctor", "list"):
        return (doctor.doctor if a.command == "doctor" else doctor.listing)(out, places, target, a.json is not None)
    job = jobs.Job(out, places, target, a, f"{program()} {shlex.join(argv)}")
    return {"conform": job.conform, "stress": job.stress, "run": job.run}[a.command]()


def _settled(out: Out, a: argparse.Namespace, target: Target, places: Places) -> Target:
    """Whether an agent carries the drivers (see agent.settle), said in one line."""
    choice = a.agent or os.environ.get("PLUMBLINE_AGENT") or "auto"
    names = places.driver_names()

    def probe(t: Target) -> str:
        whys: list[str] = []
        for some in (names[:1], names[1:4]):  # one that starts will do
            whys += [k.why for k in ask(places, t, some)]
            if "" in whys or not names:
                return ""
        return whys[0]

    target, words = agent.settle(target, choice, probe, places.drivers)
    if words and target.agent:
        out.say(f"target   {target}: {words}")
    elif words and a.command in ("doctor", "list"):
        out.warn(words)
    elif words:
        raise Trouble(words, EXIT_BROKEN)
    return target


def _bundle(out: Out, a: argparse.Namespace) -> int:
    names = bundle.write(Path(a.path), Places.find(a.drivers).drivers)
    out.say(f"{a.path}: {' '.join(names)}")
    out.say(
        f"on the target:  tar xf {shlex.quote(Path(a.path).name)} -C /opt/plumbline   "
        "(or unpack it into the root folder from outside)\n"
        f"then:           {program()} conform --target '…' --agent /opt/plumbline/plumb-agent"
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. No traceback ever reaches a user unless PLUMBLINE_DEBUG is set."""
    argv = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        parser = _parser()
        a = parser.parse_args(argv)
        if getattr(a, "job", None):
            a = jobfile.parse(parser, a, argv)
        return _dispatch(a, argv)
    except SystemExit as e:  # argparse
        return e.code if isinstance(e.code, int) else EXIT_USAGE
    except KeyboardInterrupt:
        return _complain("interrupted", EXIT_INTERRUPTED)
    except (Trouble, TargetError) as e:
        return _complain(str(e), getattr(e, "code", EXIT_USAGE))
    except DriverError as e:
        return _complain(str(e), EXIT_USAGE if e.kind == "usage" else EXIT_BROKEN)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN
    except Exception as e:  # noqa: BLE001
        if os.environ.get("PLUMBLINE_DEBUG"):
            raise
        return _complain(
            f"{type(e).__name__}: {e} (a fault of plumbline itself; PLUMBLINE_DEBUG=1 shows where)", EXIT_BROKEN
        )
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            agent.close_all()
        flush()


def _as_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _complain(text: str, code: int) -> int:
    try:
        print(f"plumbline: {text}", file=sys.stderr)
    except OSError:
        pass
    return code
