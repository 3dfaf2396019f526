# SPDX-License-Identifier: MIT
"""KTAP, GitHub's summary and annotations: what reads them agrees with us, and no text of a run becomes markup."""
import re

import ktap_reader
import pytest
from plumbline import github, ktap
from plumbline.cli import main
from plumbline.outcomes import Record

EVIL = "# SKIP x\nok 9 y | `a` <script>*b*_c_ ::error::\x1b[31m\u2028 @me [l](http://x)"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUMBLINE_SOURCE", str(tmp_path))


def rec(clause, outcome, variant="v", **more):
    return Record(clause, variant, "m", outcome, **{"test": f"t::{clause}", "reason": f"why {clause}", **more})


def test_ktap_says_what_the_records_say():
    records = [rec("A-1", "held"), rec("A-2", "violated"), rec("A-2", "held"), rec("A-3", "skipped")]
    records += [rec("A-4", "violated", expected="violated", note="known"), rec("A-5", "broken"), rec("A-6", "unknown")]
    records += [rec("A-3", "skipped", "w"), rec(EVIL, "violated", "x", reason=EVIL, text=EVIL)]
    tests = ktap_reader.read(ktap.render(ktap.of_records(records, [rec("A-1", "held")])))
    assert [(ok, name, word) for ok, name, word, _, _ in tests] == [
        (False, "m/v", ""),
        (True, "m/w", "SKIP"),
        (False, "m/x", ""),
        (True, "m/v under load", ""),
    ]
    assert [(ok, name, word) for ok, name, word, _, _ in tests[0][3]] == [
        (True, "A-1", ""),
        (False, "A-2", ""),
        (True, "A-3", "SKIP"),
        (True, "A-4", "XFAIL"),
        (False, "A-5", "ERROR"),
        (False, "A-6", "ERROR"),
    ]
    assert "why A-2" in tests[0][3][1][4] and len(tests[2][3]) == 1 and tests[2][3][0][2] == ""


def test_ktap_of_nothing_is_whole():
    assert ktap_reader.read(ktap.render({})) == []
    assert "SKIP" in ktap.render({"a": []})


@pytest.mark.parametrize(
    "old, new",
    [
        ("1..2", "1..3"),
        ("  1..2", "  1..1"),
        ("  ok 2", "  ok 3"),
        ("  KTAP version 1\n", ""),
        ("ok 2 b", "okay 2 b"),
        ("ok 1 x", "ok 1 x # MAYBE"),
    ],
)
def test_the_reader_itself_can_fail(old, new):
    text = ktap.render({"a": [ktap.Line("x"), ktap.Line("y")], "b": [ktap.Line("z")]})
    ktap_reader.read(text)
    assert old in text
    with pytest.raises(ktap_reader.Bad):
        ktap_reader.read(text.replace(old, new, 1))


def test_every_run_and_gate_leaves_ktap_that_reads(results, tmp_path, capsys):
    results("r1", {"mq": {"A-1": "held", "A-2": "held"}}, {"mq": {"A-1": ""}})
    bad = {"mq": {"A-1": {"outcome": "violated", "reason": EVIL}, "A-2": "skipped"}}
    f = results("r2", bad, {"mq": {"A-1": "VORD"}})
    assert main(["report", "r2"]) == 0
    assert [t[1] for t in ktap_reader.read((f.path / "results.ktap").read_text())] == ["mq", "mq under load"]
    assert main(["gate", "r1", "r2", "--ktap", "k"]) == 1
    tests = ktap_reader.read((tmp_path / "k").read_text())
    assert [(t[0], t[1], len(t[3])) for t in tests] == [(False, "mq", 2), (False, "mq under load", 1)]
    capsys.readouterr()


# GitHub
def test_text_stays_text_in_markdown():
    shown = github.text(EVIL)
    assert not re.search(r"[<>|`*_\[\]\n\x1b\u2028]", shown) and "&#60;script&#62;" in shown
    row = github.table(["a"], [[EVIL]])[-1]
    assert row.count("|") == 2


def test_annotations_are_one_line_and_escaped():
    line = github.annotation("error", "a:b,c%\n", "x%0A\r\ny: z, ::error::")
    assert line == "::error title=a%3Ab%2Cc%25%0A::x%250A%0D%0Ay: z, ::error::"


def test_a_summary_is_cut_at_a_line_and_closes_what_is_open():
    lines = ["head", *github.details("t", [f"| {i} " + "é" * 50 for i in range(100)])]
    whole, some = github.cut(lines), github.cut(lines, 2000)
    assert "Cut here" not in whole and whole.count("</details>") == 1
    assert len(some.encode()) <= 2000 and "Cut here" in some and some.count("</details>") == 1
    assert all(line in lines or "Cut" in line or not line for line in some.split("\n"))


def test_the_summary_has_the_matrix_first_and_stays_below_a_mebibyte(results, tmp_path, capsys, monkeypatch):
    many = {f"m{i:03}": {f"A-{k:03}": "held" for k in range(40)} for i in range(30)}
    results("r1", many)
    many = {m: {c: {"outcome": "violated", "reason": EVIL * 20} for c in some} for m, some in many.items()}
    results("r2", many)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "s.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (tmp_path / "s.md").write_text("an earlier step wrote this\n")
    assert main(["gate", "r1", "r2"]) == 1
    text, out = (tmp_path / "s.md").read_text(), capsys.readouterr().out
    assert text.startswith("an earlier step wrote this\n## Plumbline: Blocked")
    assert 500_000 < len(text.encode()) < 1024 * 1024 and "Cut here" in text[-80:]
    assert text.index("| m000 |") < text.index("held → violated A-000 m000")
    notes = [line for line in out.splitlines() if line.startswith("::")]
    assert len(notes) == 10 and all(line.startswith("::error title=plumbline%3A held → violated") for line in notes)


def test_a_green_summary_is_short_and_has_no_annotations(results, tmp_path, capsys, monkeypatch):
    results("r1", {"mq": {"A-1": "held"}})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["gate", "r1", "r1", "--github-summary", "s.md"]) == 0
    assert "::error" not in capsys.readouterr().out
    text = (tmp_path / "s.md").read_text()
    assert "## Plumbline: Passed" in text and "| ✅ | mq | 1 |" in text and text.count("details>") % 2 == 0
