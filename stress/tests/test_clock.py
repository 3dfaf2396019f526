# SPDX-License-Identifier: MIT
"""What rests on stamps is believed only if the clock they come from is the one that was audited."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, STRESS

SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
HERE = {"name": "CLOCK_MONOTONIC", "res_ns": 1, "boot": open("/proc/sys/kernel/random/boot_id").read().strip(),
        "timens": os.stat("/proc/self/ns/time").st_ino if os.path.exists("/proc/self/ns/time") else 0}


def fake_clock(**differs):
    return {**os.environ, "PLUMB_FAKE_CLOCK": json.dumps({**HERE, **differs})}


def in_doubt(r, why):
    s = r.summary
    assert (r.code, s["verdict"], s["counts"]["violated"]) == (5, "unknown", 0), (r.code, s["verdict"], s["why"])
    assert s["why"].startswith("CLOCK: ") and why in s["why"] and why in s["clock"]["why"], s["why"]
    assert s["rounds"] == s["unknown"] > 0 and s["judged"] == s["violated"] == 0
    assert all(m["judged"] == 0 for m in s["per_mech"].values()) and not s["violations"]
    return s


def test_the_audit_is_in_the_runs_file(engine):
    r = engine("fake/obey=2", env=fake_clock())
    k = r.summary["clock"]
    assert r.code == 0 and "why" not in k and not r.summary["doubtful"]
    for a in (k, k["after"]):
        assert a["cpus"] == len(os.sched_getaffinity(0)) and a["error_ns"] >= a["res_ns"] > 0
        assert 0 <= a["pairs"] <= a["all_pairs"] and a["timens"] == HERE["timens"] and a["boot"] == HERE["boot"]


@pytest.mark.parametrize("differs, why", [({"timens": 1}, "time namespace"), ({"boot": "another"}, "kernel")])
def test_another_clock_than_the_engines(engine, differs, why):
    """A driver that reads it violated nothing that rests on stamps, as far as is known."""
    s = in_doubt(engine("fake/obey=1", "fake/lie-numbers=1", env=fake_clock(**differs)), why)
    assert s["doubtful"] and {v["rule"] for v in s["doubtful"]} == {"VORD"}


def test_who_cannot_tell_its_clock_is_believed(engine):
    assert engine("fake/obey=2", env=fake_clock(boot="", timens=0)).code == 0
    assert engine("fake/lie-numbers=1", env=fake_clock()).code == 1


def mounted_over(path, text):
    """A command's beginning: whatever follows sees `text`, a file, in place of `path`."""
    argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", str(text), path]
    if os.geteuid() or not shutil.which("unshare") or subprocess.run([*argv, "true"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    return argv


@pytest.mark.parametrize("then, code", [("hpet", 5), ("tsc", 1)])
def test_the_clock_source_changes_during_a_run(engine, tmp_path, then, code):
    source = tmp_path / "source"
    source.write_text("tsc\n")
    argv = [*mounted_over(SOURCE, source), *engine.argv("fake/lie-numbers=1", "--for", "700ms")]
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=engine.root, env=fake_clock())
    p.folder = engine.folder
    engine.started.append(p)
    assert any("ready in" in line for line in p.stdout)
    source.write_text(f"{then}\n")
    r = engine.end(p, 20)
    assert r.code == code, r.out
    if code == 5:
        assert in_doubt(r, "from tsc to hpet")["doubtful"]


def test_drivers_in_another_time_namespace(engine, tmp_path):
    """Real ones: their stamps are a day away."""
    target = ["unshare", "--time", "--monotonic", "86400"]
    if not shutil.which("unshare") or subprocess.run([*target, "true"], capture_output=True).returncode:
        pytest.skip("no time namespaces here")
    folder = tmp_path / "out"
    argv = [STRESS, "pipe=2", "--for", "300ms", "--drivers", BUILD / "drivers", "--out", folder]
    argv += ["--target", " ".join(target)]
    r = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    s = json.loads((folder / "run.json").read_text())
    assert (r.returncode, s["verdict"], s["judged"]) == (5, "unknown", 0), r.stdout + r.stderr
    assert "time namespace" in s["why"]
