#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The smallest plumb/1 driver that conforms: a counter, with actors that are only numbers. Nothing in it blocks."""
import json, os, signal, sys, time

HELLO = {"ev": "hello", "proto": [1], "driver": "small", "title": "counter", "build": "1", "pid": os.getpid(),
         "now": time.monotonic_ns(), "clock": {"name": "CLOCK_MONOTONIC", "res_ns": 1, "boot": "", "timens": 0},
         "limits": {"line": 65536, "actors": 64}, "open": {}, "ends": [],
         "ops": {"add": {"role": "none", "blocks": False, "timed": False, "args": {"n": [0, 100]}}},
         "variants": [{"name": "small", "model": "none", "caps": [], "supported": True, "why": ""}]}
counters, actors, zero = {}, [], [0]

def now(): return time.monotonic_ns() - zero[0]
def say(**message): os.write(1, json.dumps({**message, "t": now()}).encode() + b"\n")
def err(re, kind, msg): say(re=re, err={"kind": kind, "definite": True, "msg": msg})
def unique(pairs): return dict(pairs) if len(dict(pairs)) == len(pairs) else 1 / 0
def end(): signal.setitimer(signal.ITIMER_REAL, 0), say(ev="bye", leaked=[]), sys.exit(0)

def handle(r):
    ok, since, n = {}, now(), r.get("n", 1)
    match r:
        case {"op": "init", "proto": 1}:
            signal.setitimer(signal.ITIMER_REAL, *[r.get("tick_ms", 1000) / 1000] * 2)
            zero[0], ok = r.get("t0", 0), {"caps": [], "dir": False}
        case {"op": "open", "as": name}: counters[name] = 0
        case {"op": "actor"}: actors[:], ok = range(len(actors) + n), {"ids": [len(actors) + k for k in range(n)]}
        case {"op": "status"}: ok = {"state": "idle", "actors": [{"id": a, "is": "idle"} for a in actors]}
        case {"op": "call", "f": "add", "on": o, "actor": a} if o in counters and a in actors and 0 <= n <= 100:
            counters[o] += n
            ok = {"ret": counters[o], "t_inv": since, "t_ret": (t := now()), "dt_ns": t - since}
        case {"op": "stop"}: ok = {"leaked": []}
        case {"op": "init" | "call"}: return err(r["id"], "usage", "no such version, object, actor or operation")
        case {"op": op} if op not in ("ping", "close"): return err(r["id"], "unsupported", f"no op {op!r}")
    say(re=r["id"], ok=ok)
    if r["op"] == "stop": end()

say(**HELLO)
signal.signal(signal.SIGALRM, lambda *_: say(ev="tick", done=0, okay=0, fail=0))
for raw in () if "--hello" in sys.argv else sys.stdin.buffer:
    try: request = json.loads(raw.decode(), object_pairs_hook=unique) if len(raw) <= 65536 else None
    except Exception: request = None
    good = isinstance(request, dict) and type(request.get("id")) is int and isinstance(request.get("op"), str)
    if raw.endswith(b"\n"): handle(request) if good else err(None, "proto", "no request")
if "--hello" not in sys.argv: end()
