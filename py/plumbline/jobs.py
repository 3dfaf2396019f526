# SPDX-License-Identifier: MIT
"""The commands that leave a run folder: conform, stress, run; and report, which reads one again."""
from __future__ import annotations

import datetime
import json
import os
import secrets
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from . import conform as suites
from . import agent, expect, junit, ktap, machine, store, stress
from .catalogue import Catalogue
from .conform import Conform
from .console import Out
from .drivers import ask
from .outcomes import EXIT_BROKEN, VERDICT_EXIT, Record, Trouble, cells, counts, plural, worst
from .places import Places, program
from .report import page
from .runfolder import RunFolder, sweep, tidy
from .stress import Stress, accuses
from .target import Target

SCHEMA = 1
FLEET = 160  # drivers in the stress of `run`, all variants together: each has two turns in 20 s
MOST = 12  # of each variant


def of_each(variants: int) -> int:
    """How many drivers of each variant `run` starts: one is never alone with its kind."""
    return max(2, min(MOST, FLEET // variants))


class Job:
    """One command's work on one run folder."""

    def __init__(self, out: Out, places: Places, target: Target, args: Any, command: str):
        self.out, self.places, self.target, self.args, self.command = out, places, target, args, command
        self.shard = suites.parse_shard(args.shard) if getattr(args, "shard", "") else ""
        self.known = Catalogue.load(places.conformance / "clauses")
        self.expected = expect.load(args.expect, self.known.by_id)
        self.seed = self._seed(getattr(args, "seed", None))
        self.begun = time.time()
        self.done_conform: Conform | None = None
        self.done_stress: Stress | None = None
        self.mix: list[str] = []

    @staticmethod
    def _seed(text: str | None) -> str:
        if text is None:
            return f"0x{secrets.randbits(64):016x}"
        try:
            if not 0 <= int(text, 0) < 2**64:
                raise ValueError
        except ValueError:
            raise Trouble(f"--seed {text}: an unsigned 64-bit number, as in 0x5eed") from None
        return text

    # the commands
    def conform(self) -> int:
        suites.check_mechanisms(self.args.mechanisms, self.places.need_drivers())
        named = dict.fromkeys(m.split("/")[0] for m in self.args.mechanisms if "/" in m)
        suites.check_variants(self.args.mechanisms, ask(self.places, self.target, list(named)))
        self.args.jobs = suites.workers(self.args.jobs)
        with self._folder() as self.folder:
            self._conform(self.args.mechanisms)
            return self._finish()

    def stress(self) -> int:
        self.places.need_drivers()
        self.mix = self._named(self.args.mix)
        if not self.mix and not self.args.job:
            raise Trouble("name what to run, as in `plumbline stress pipe=20 mq=10`, or say --job FILE")
        self.args.seed = self.seed
        if self.args.dry_run:
            return stress.dry_run(self.places, self.target, self.mix, stress.options(self.args)).returncode
        stress.refuse(self.places, self.target, self.mix, stress.options(self.args))
        with self._folder() as self.folder:
            self._stress(stress.options(self.args))
            return self._finish()

    def run(self) -> int:
        known = ask(self.places, self.target, self.places.need_drivers())
        self.args.jobs = suites.workers(self.args.jobs)
        with self._folder() as self.folder:
            self._doctor(known)
            self._conform([])
            if not self.done_conform.interrupted:
                here = [
                    f"{k.name}/{v['name']}"
                    for k in known
                    if not k.why
                    for v in k.variants
                    if v.get("supported") is not False
                ]
                self.mix = [f"{variant}={of_each(len(here))}" for variant in here]
                self.args.seed, self.args.fault, self.args.fit = self.seed, ["kill:2/s"], True
                if self.mix:
                    self._stress(stress.options(self.args))
            return self._finish()

    def _named(self, mix: list[str]) -> list[str]:
        """The mix with each variant named: a driver's first one is meant where none is."""
        bare = [m.split("=")[0] for m in mix]
        known = ask(self.places, self.target, [m for m in dict.fromkeys(bare) if m in self.places.driver_names()])
        first = {k.name: f"{k.name}/{k.variants[0]['name']}" for k in known if k.variants and not k.why}
        return [first.get(b, b) + m[len(b) :] for b, m in zip(bare, mix)]

    # their parts
    def _folder(self) -> "_Open":
        return _Open(self)

    def _doctor(self, known: list[Any]) -> None:
        env = machine.environment()
        self.out.say(
            f"machine  {env['kernel']} {env['machine']}, {env['libc']}, {plural(env['cpus'], 'CPU')}; "
            f"target: {self.target}"
        )
        for k in known:
            here = [v["name"] for v in k.variants if v.get("supported") is not False]
            self.out.say(
                f"driver   {k.name}: {', '.join(here) if here else 'nothing'}{'; BROKEN: ' + k.why if k.why else ''}"
            )

    def _conform(self, chosen: list[str]) -> None:
        a = self.args
        self.folder.event("conform", state="started")
        self.done_conform = suites.run(
            self.out,
            self.places,
            self.folder,
            self.target,
            chosen,
            keyword=a.keyword,
            shard=self.shard,
            expectations=a.expect,
            budget_s=a.budget,
            jobs=a.jobs,
        )
        suites.show(self.out, self.done_conform)
        self.folder.event(
            "conform", state="ended", verdict=self.done_conform.verdict, counts=counts(self.done_conform.records)
        )

    def _stress(self, opts: list[str]) -> None:
        self.out.say(f"stress: {' '.join(self.mix)} {' '.join(opts)}")
        self.folder.event("stress", state="started", mix=self.mix, seed=self.seed)
        self.done_stress = s = stress.run(
            self.out, self.places, self.target, self.mix, opts, self.folder.path / stress.FOLDER
        )
        self.folder.event("stress", state="ended", exit=s.exit)
        for line in () if self.done_conform else expect.expired(self.expected):
            self.out.say(f"expectations: {line}", "yellow")
        stress.show(self.out, s, stress.violations(s, self.known))

    def _finish(self) -> int:
        try:
            return self._keep()
        except Trouble as e:
            raise Trouble(f"{e} (the verdict would have been: {self._word(self._violations())})", e.code) from None

    def _keep(self) -> int:
        violated = self._violations()
        self.folder.write_json(
            "env.json", machine.environment() | {"target": str(self.target), "place": agent.place(self.target)}
        )
        if self.done_conform:
            self.folder.write_json(
                "conform.json",
                {
                    "records": [vars(r) for r in self.done_conform.records],
                    "news": self.done_conform.news,
                    "trouble": self.done_conform.trouble,
                    "seconds": self.done_conform.seconds,
                },
            )
        summary = self._summary(violated)
        self.folder.write_json("run.json", summary)
        sentence, path = finish(self.folder)
        if why := store.keep(self.folder):
            self.out.warn(why)
        if self.args.junit:
            try:
                shutil.copyfile(self.folder.path / "junit.xml", self.args.junit)
            except OSError as e:
                raise Trouble(f"--junit {self.args.junit}: {e.strerror}", EXIT_BROKEN) from None
        if self.args.json is not None:
            print(json.dumps(self.folder.read_json("run.json"), ensure_ascii=False))
        self.out.say()
        self.out.say(sentence, "bold red" if summary["verdict"] == "violated" else "bold")
        self.out.say(f"report  {path}")
        self.out.say(f"replay  {summary['replay']}")
        sys.stdout.flush()
        return summary["exit"]

    def _violations(self) -> list[dict[str, Any]]:
        out = []
        for r in self.done_conform.records if self.done_conform else ():
            if r.outcome == "violated":
                out.append(
                    {
                        "where": "conform",
                        **{
                            k: getattr(r, k)
                            for k in (
                                "clause",
                                "rule",
                                "mechanism",
                                "variant",
                                "text",
                                "source",
                                "level",
                                "reason",
                                "witness",
                                "timeline",
                                "slack_ns",
                                "test",
                                "expected",
                                "note",
                            )
                        },
                        "instance": None,
                        "replay": self._replay_test(r),
                    }
                )
        for v in stress.violations(self.done_stress, self.known) if self.done_stress else ():
            x = expect.foreseen(self.expected, v["clause"], v["variant"]) if v["clause"] else None
            only = isinstance(v.get("instance"), int) and not getattr(self.args, "job", None)
            replay = self._replay_stress() + (f" --only {v['instance']}" if only else "")
            out.append({**v, "expected": x.outcome if x else "", "note": x.words if x else "", "replay": replay})
        return out

    def _where(self) -> str:
        """The options that say which drivers, and where they run."""
        text = f" --drivers {shlex.quote(self.args.drivers)}" if self.args.drivers else ""
        text += f" --target {shlex.quote(str(self.target))}" if self.target.argv else ""
        return text + (f" --agent {shlex.quote(self.args.agent)}" if getattr(self.args, "agent", None) else "")

    def _replay_test(self, r: Record) -> str:
        name = " and ".join(filter(None, [r.test.split("::")[-1].split("[")[0], r.clause]))
        return f"{program()} conform {r.mechanism}/{r.variant} -k '{name}'{self._where()}"

    def _summary(self, violated: list[dict[str, Any]]) -> dict[str, Any]:
        c, s = self.done_conform, self.done_stress
        tally = counts(c.records) if c else {}
        engine = s.summary if s else {}
        for word, n in (engine.get("counts") or {}).items() if not c else ():
            tally[word] = n
        word = self._word(violated)
        against = [v for v in violated if v["expected"] != "violated"]
        replay = against[0]["replay"] if against else self._replay_stress() if s else self.command
        return {
            "schema": SCHEMA,
            "run": self.folder.run,
            "seed": self.seed,
            "argv": self.command,
            "command": self.args.command,
            "started": datetime.datetime.fromtimestamp(self.begun, datetime.timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.time() - self.begun, 2),
            "target": str(self.target),
            "verdict": word,
            "exit": VERDICT_EXIT[word],
            "counts": tally,
            "violations": violated,
            "hangs": engine.get("hangs") or [],
            "residue": engine.get("residue") or [],
            "replay": replay,
            "catalogue": self.known.version,
            "rules": self._rules(),
            "news": expect.expired(self.expected),
            "clock": c.clock if c else None,
            "stress": {**engine, "exit": s.exit, "stderr": s.stderr, "mix": self.mix} if s else None,
        }

    def _word(self, violated: list[dict[str, Any]]) -> str:
        """The verdict of all that was done."""
        words = [self.done_conform.verdict] if self.done_conform else []
        if self.done_stress:
            words.append(self._stress_verdict(self.done_stress, [v for v in violated if v["where"] == "stress"]))
        return worst(words)

    @staticmethod
    def _stress_verdict(s: Stress, found: list[dict[str, Any]]) -> str:
        """The engine's word, unless all that it found was expected."""
        if s.verdict != "violated" or not found or any(accuses(h) for h in s.summary.get("hangs") or []):
            return s.verdict
        return "violated" if any(v["expected"] != "violated" for v in found) else "held"

    def _rules(self) -> dict[str, list[dict[str, str]]]:
        """Which clauses a judged round speaks for, by mechanism and variant of the stress."""
        out: dict[str, list[dict[str, str]]] = {}
        for m in self.mix:
            mech, _, variant = m.split("=")[0].partition("/")
            about = ("id", "text", "source", "level", "since")
            out[m.split("=")[0]] = [
                {k: getattr(c, k) for k in about}
                for c in self.known
                if c.mechanism == mech and c.rules and c.covers(variant or mech)
            ]
        return out

    def _replay_stress(self) -> str:
        return f"{program()} stress {shlex.join(self.mix + stress.options(self.args))}{self._where()}"


class _Open:
    """A locked run folder for the length of a command, after dead runs' leftovers are gone."""

    def __init__(self, job: Job):
        self.job = job

    def __enter__(self) -> RunFolder:
        root = Path(self.job.args.out or "plumbline-results")
        for name in sweep(root, self.job.places, list(self.job.target.argv)) if root.is_dir() else ():
            self.job.out.say(f"swept   {name}, left behind by a dead run")
        self.folder = RunFolder.create(self.job.args.out)
        self.job.out.say(f"run {self.folder.run}  seed {self.job.seed}")
        return self.folder

    def __exit__(self, *why: Any) -> None:
        tidy(self.folder, self.job.places, list(self.job.target.argv))
        self.folder.close()


def finish(folder: RunFolder) -> tuple[str, Path]:
    """Writes report.html, junit.xml, results.ktap from the folder: the verdict's sentence, and the page's path."""
    view = page.view(folder)
    properties = {
        "run": folder.run,
        "seed": view.run.get("seed", ""),
        "replay": view.run.get("replay", ""),
        "kernel": view.env.get("kernel", ""),
        "target": view.run.get("target", ""),
    }
    folder.write("results.ktap", ktap.render(ktap.of_records(view.records, view.stress_records)))
    junit.write(folder.path / "junit.xml", [junit.case_of(r) for r in view.junit_records], properties)
    path = folder.write("report.html", page.render(view))
    return view.sentence, path


def report(out: Out, args: Any) -> int:
    folder = RunFolder.find(args.run, args.out)
    sentence, path = finish(folder)
    if why := store.keep(folder):
        out.warn(why)
    if args.json is not None:
        print(json.dumps({"report": str(path), "junit": str(folder.path / "junit.xml"), "sentence": sentence}))
    out.say(sentence)
    out.say(f"report  {path}")
    return 0
