#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A whole plumb/1 driver in another language: a toy queue, its actors all in one process."""
import json, os, select, sys, time, zlib

HELLO = {"ev": "hello", "t": 0, "proto": [1], "driver": "toy", "title": "toy queue", "build": "1", "pid": os.getpid(),
         "now": time.monotonic_ns(), "clock": {"name": "CLOCK_MONOTONIC", "res_ns": 1, "boot": "", "timens": 0},
         "limits": {"line": 65536, "actors": 64}, "open": {}, "ends": [], "ops": {
             "put": {"role": "put", "blocks": False, "timed": False, "args": {"size": [0, 4096]}, "size": "size"},
             "take": {"role": "take", "blocks": True, "timed": False, "args": {"size": [0, 4096]}, "size": "size"},
             "spoil": {"role": "none", "blocks": False, "timed": False, "args": {}}},
         "variants": [{"name": "toy", "model": "fifo", "caps": ["datagram", "blocking"], "supported": True, "why": ""}]}
t0, tick_s, serial, objects, actors, waiting = time.monotonic_ns(), 1.0, 0, {}, [], {}

def say(**message): os.write(1, (json.dumps({**message, "t": time.monotonic_ns() - t0}) + "\n").encode())
def err(re, kind, msg): say(re=re, err={"kind": kind, "definite": True, "msg": msg})
def unique(pairs): return dict(pairs) if len(dict(pairs)) == len(pairs) else 1 / 0
def result(ident, ret, since, **more):
    now = time.monotonic_ns() - t0
    say(re=ident, ok={"ret": ret, "t_inv": since, "t_ret": now, "dt_ns": now - since, **more})
def deliver(on):
    while objects.get(on) and (mine := [i for i, w in waiting.items() if w[1] == on]):
        message, (since, _, _) = objects[on].pop(0), waiting.pop(mine[0])
        result(mine[0], message["len"], since, **message)
def call(ident, on, f, actor, size=32):
    global serial
    since, serial = time.monotonic_ns() - t0, serial + 1
    if on not in objects or actor not in actors: return err(ident, "usage", "no such object or actor")
    if f not in HELLO["ops"] or not 0 <= size <= 4096: return err(ident, "usage", "no such call")
    if f == "take": waiting[ident] = (since, on, actor)
    else:
        message = {"token": hex(serial), "sum": hex(zlib.crc32(b"%d" % serial)), "len": size}
        objects[on].append(message)
        result(ident, size, since, **message)
    deliver(on)
def cancel(target):
    if target in waiting: result(target, -1, waiting.pop(target)[0], errno="EINTR", canceled=True)
def handle(r):
    global tick_s, t0
    op, i = r["op"], r["id"]
    if op == "call": return call(i, r.get("on"), r.get("f"), r.get("actor"), r.get("size", 32))
    if op == "init" and r.get("proto") != 1: return err(i, "usage", "this driver speaks version 1")
    if op == "init":
        tick_s, t0 = r.get("tick_ms", 1000) / 1000, r.get("t0", t0)
        ok = {"caps": ["datagram", "blocking"], "dir": False}
    elif op == "open": ok = {} if objects.setdefault(r["as"], []) is None else {}
    elif op == "actor":
        actors[:] = range(len(actors) + r["n"])
        ok = {"ids": actors[-r["n"]:], "pids": [os.getpid()] * r["n"]}
    elif op == "status": ok = {"state": "idle", "rung": "none", "actors": [{"id": a, "is": "blocked" if any(
        w[2] == a for w in waiting.values()) else "idle"} for a in actors]}
    elif op == "run": ok = {"rounds": r["rounds"], "verdict": "unknown"}  # it judges nothing
    elif op == "cancel": ok = cancel(r["target"]) or {}
    elif op in ("ping", "close", "stop"): ok = {"leaked": []} if op == "stop" else {}
    else: return err(i, "unsupported", f"unknown op {op!r}")
    say(re=i, ok=ok)
    if op == "stop": end(0)
def end(status): say(ev="bye", leaked=[]); sys.exit(status)
def line(raw):
    try: request = json.loads(raw.decode(), object_pairs_hook=unique) if len(raw) < 65536 else None
    except Exception: request = None
    good = isinstance(request, dict) and type(request.get("id")) is int and isinstance(request.get("op"), str)
    handle(request) if good else err(None, "proto", "no request")

if __name__ == "__main__":
    say(**HELLO)
    if "--hello" in sys.argv: sys.exit(0)
    rest, skip = b"", False
    while True:
        if not select.select([0], [], [], tick_s)[0]: say(ev="tick", done=0, okay=0, fail=0); continue
        data = os.read(0, 65536)
        if not data: end(0)
        *lines, rest = (rest + data).split(b"\n")
        for one in lines: skip = False if skip else line(one) is not None
        if len(rest) > 65536: rest, skip = b"", skip or line(rest) is None
