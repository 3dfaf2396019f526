# SPDX-License-Identifier: MIT
"""Run folders as a run leaves them, made up: what held, what rounds under load found, and whatever else a test says."""
from plumbline.runfolder import RunFolder


def _names(place):
    mech, _, variant = place.partition("/")
    return {"mechanism": mech, "variant": variant or mech}


def _kind(place):
    return "{mechanism}/{variant}".format(**_names(place))


def _record(place, clause, how):
    said = {"outcome": how} if isinstance(how, str) else how
    about = {"clause": clause, "text": f"Text of {clause}.", "since": 1, **_names(place)}
    return {**about, "reason": f"{clause} did not", "test": f"t.py::test_{clause}[{place}]", **said}


def _violation(place, clause, rule):
    replay = f"plumbline stress {place}=1 --seed 0x1"
    about = {"where": "stress", "clause": clause, "rule": rule, "instance": 0, **_names(place)}
    return {**about, "reason": f"{rule} broke {clause}", "replay": replay}


def _engine(load):
    figures = {"judged": 9, "drivers": 2, "done": 1000, "ops_per_s": 5e3, "lat_ns": {"p99": 5000}}
    bad = {place: any(rules.values()) for place, rules in load.items()}
    per_mech = {_kind(place): {**figures, "violated": int(bad[place])} for place in load}
    return {"exit": int(any(bad.values())), "per_mech": per_mech, "broken": []}


def make(root, run, conform, load=None, **more):
    """conform: {place: {clause: outcome, or fields of its record}}; load: {place: {clause: "RULE RULE"}}, "" for none;
    more: of run.json. `latest` is the last one made."""
    f = RunFolder(root / run)
    f.path.mkdir(parents=True)
    load = load or {}
    records = [_record(place, c, how) for place, some in conform.items() for c, how in some.items()]
    rules = {_kind(p): [{"id": c, "text": f"Text of {c}.", "since": 1} for c in some if c] for p, some in load.items()}
    found = [_violation(p, c, r) for p, some in load.items() for c, names in some.items() for r in names.split()]
    started = f"2026-01-01T00:00:{len(list(root.iterdir())):02}+00:00"
    about = {"run": run, "verdict": "held", "exit": 0, "catalogue": 1, "target": "this machine", "started": started}
    summary = {**about, "seconds": 1.5, "violations": found, "rules": rules, "hangs": [], "residue": []}
    f.write_json("conform.json", {"records": records})
    f.write_json("env.json", {"kernel": "Linux 1", "libc": "libc 2"})
    f.write_json("run.json", {**summary, "stress": _engine(load) if load else None, **more})
    f._link(root / "latest")
    return f


SECOND = 10**9


def ticks(n, faults=(), dropped=()):
    """The engine's events: 1000 operations a second at 2 us, and 10 at 1 ms; kills in the named seconds."""
    yield {"ev": "tick", "t": 5, "mechs": {"mq": {"done": 0}}}
    yield {"ev": "armed", "t": 10, "n": 1}
    killed = 0
    for i in range(1, n + 1):
        killed += 2 * (i in faults)
        if i not in dropped:
            mq = {"done": 1010 * i, "lat_hist": {"2048": 1000 * i, "1048576": 10 * i, "junk": 3}}
            yield {"ev": "tick", "t": 10 + i * SECOND, "mechs": {"mq": mq, "odd": 7}}
            yield {"ev": "fault", "t": 10 + i * SECOND, "kill": killed, "stop": 0}
