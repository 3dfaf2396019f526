# SPDX-License-Identifier: MIT
"""Job files: every key reaches the engine, the command line wins, a mistake is one line with the nearest key."""
import argparse

import pytest
from plumbline import jobfile
from plumbline.cli import _parser, main
from plumbline.outcomes import Trouble
from plumbline.stress import options

WHOLE = """
for = "90s"
seed = 0x5eed
lanes = "free"
place = "spread"
faults = ["kill:5/s", "stop:1/s"]
actors = 3
ops = 500
segment = "2m"
every = "30s"
prom = "m.prom"
expect = "known.toml"
[mechanisms]
pipe = 20
"mutex/robust" = 7
"""


@pytest.fixture
def job(tmp_path):
    def make(text):
        (tmp_path / "j.toml").write_text(text)
        return str(tmp_path / "j.toml")

    return make


def parse(*argv):
    parser = _parser()
    return jobfile.parse(parser, parser.parse_args(argv), argv)


def test_every_key_arrives(job, tmp_path):
    a = parse("soak", "--job", job(WHOLE))
    assert a.mix == ["pipe=20", "mutex/robust=7"] and a.seed == str(0x5EED)
    want = "--for 90s --seed 24301 --lanes free --place spread --actors 3 --ops 500 --fault kill:5/s --fault stop:1/s"
    assert options(a) == want.split()
    assert (a.segment_s, a.every_s) == (120, 30)
    assert (a.prom, a.expect) == (str(tmp_path / "m.prom"), str(tmp_path / "known.toml"))
    assert options(parse("stress", "--job", job(WHOLE))) == want.split()


def test_the_command_line_wins(job):
    a = parse("stress", "--job", job(WHOLE), "--for", "1s", "mq=3", "--fault", "kill:9/s", "--lanes", "2")
    assert a.mix == ["mq=3"] and a.for_s == 1 and a.lanes == "2" and a.place == "spread"
    assert a.fault == ["kill:5/s", "stop:1/s", "kill:9/s"]


def test_expectations_may_lie_in_the_job_itself(job):
    path = job('[mechanisms]\nmq = 1\n[[expect]]\nclause = "PMQ-16"\noutcome = "violated"\nreason = "known"\n')
    assert parse("stress", "--job", path).expect == path


BAD = [
    ("lane = 2\n[mechanisms]\npipe = 1", "unknown key 'lane'; did you mean 'lanes'?"),
    ("fault = []\n[mechanisms]\npipe = 1", "did you mean 'faults'?"),
    ("xyzzy = 2", "valid are actors every"),
    ("for = 10", "for = 10: a duration carries its unit"),
    ('for = "ten"', "duration carries its unit"),
    ("lanes = 0", "lanes = 0: a positive integer"),
    ("lanes = true", "positive integer"),
    ("seed = 1.5", "unsigned 64-bit"),
    ('place = "here"', "one of same, spread, free"),
    ('faults = "kill:1/s"', "a list of KIND:RATE"),
    ("expect = 3", "a file's name"),
    ("actors = 2", "no mechanisms"),
    ("mechanisms = 3", "is a table"),
    ("[mechanisms]\npipe = 0", "positive number of drivers"),
    ('[mechanisms]\npipe = "3"', "positive number of drivers"),
    ("[mechanisms]\nmutex.robust = 3", "names with a slash need quotes"),
    ("for = ", "Invalid value"),
]


@pytest.mark.parametrize("text, words", BAD)
def test_a_mistake_is_one_line(job, text, words, capfd):
    path = job(text)
    with pytest.raises(Trouble, match="^--job "):
        jobfile.load(path)
    assert main(["stress", "--job", path]) == 2
    err = capfd.readouterr().err
    assert words in err and err.startswith("plumbline: --job ") and len(err.strip().splitlines()) == 1


def test_a_bare_name_is_the_engines_own_job():
    assert not jobfile.is_file("deadlock-gallery") and jobfile.is_file("./x") and jobfile.is_file("x.toml")
    a = argparse.Namespace(for_s=1.0, job="deadlock-gallery")
    assert options(a) == ["--for", "1s", "--job", "deadlock-gallery"]
