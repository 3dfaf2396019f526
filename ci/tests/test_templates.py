# SPDX-License-Identifier: MIT
"""The templates for CI systems are YAML, their scripts are shell, and each command of ours in them exists."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, os.fspath(ROOT / "py"))
from plumbline import cli  # noqa: E402

yaml = pytest.importorskip("yaml")
TEMPLATES = sorted((ROOT / "ci" / "templates").glob("*.yml"))


def scripts(value):
    """Each text under a key that holds shell, however deep."""
    if isinstance(value, dict):
        for key, v in value.items():
            if key in ("run", "script", "before_script", "after_script"):
                yield "\n".join(v) if isinstance(v, list) else v
            else:
                yield from scripts(v)
    elif isinstance(value, list):
        for v in value:
            yield from scripts(v)


def commands(script):
    """argv of each call of ours: of plumbline, and of ci/start, which hands its arguments to `plumbline run`."""
    for line in script.replace("\\\n", " ").splitlines():
        line = re.split(r"\|\||&&|;", line)[0].strip()
        m = re.match(r"(?:sudo )?\S*?(/plumbline|ci/start)\s+(.*)", line)
        if m:
            yield (["run"] if m[1] == "ci/start" else []) + shlex.split(m[2])


def test_the_templates_are_there():
    assert [t.name for t in TEMPLATES] == ["github-actions.yml", "gitlab-ci.yml"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_a_template_is_yaml_and_shell_and_calls_what_exists(path):
    parsed, called = yaml.safe_load(path.read_text()), []
    for script in scripts(parsed):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=30)
        for argv in commands(script):
            called.append(cli._parser().parse_args(argv).command)
    assert sorted(called) == ["gate", "gate", "run"], called


@pytest.mark.parametrize("bad", ["a/plumbline fly", "a/plumbline gate --basline x", "ci/start --for 60"])
def test_a_command_that_does_not_exist_is_noticed(bad):
    with pytest.raises(SystemExit):
        for argv in commands(bad):
            cli._parser().parse_args(argv)
        pytest.fail("accepted")


def test_what_the_gate_asks_of_github_is_what_the_template_gives():
    """A `uses` names a version; a secret is not needed; `on`, which YAML reads as a boolean, is there."""
    parsed = yaml.safe_load((ROOT / "ci/templates/github-actions.yml").read_text())
    steps = parsed["jobs"]["ipc"]["steps"]
    assert {True} <= set(parsed) and all("@v" in s["uses"] for s in steps if "uses" in s)
    assert [s.get("name") for s in steps if s.get("if") == "always()"] == [None] and "secrets" not in str(parsed)
