# SPDX-License-Identifier: MIT
"""plumbline expect: the file follows the run; what people wrote in it stays, or nothing is written."""
import tomllib

import pytest
from plumbline.cli import main

FILE = """# SPDX-License-Identifier: MIT
# Our kernel's list. Ask Ada before you touch it.

# Ticket 12: this one is a disgrace.
[[expect]]
clause = "A-1"
variant = "mq"
outcome = "violated"
reason = '''dropped "silently",
see the ticket'''   # really
link = "http://x/12"

[[expect]]
clause = "A-2"     # holds since 6.19?
variant = ["mq", "robust"]
outcome = "violated"
reason = "both"

# about A-3
[[expect]]
clause = "A-3"
outcome = "violated"
reason = "everywhere"
"""


@pytest.fixture
def update(tmp_path, monkeypatch, capsys):
    """update(conform, load): the file after the run, and what was said. Without --update it must stay as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUMBLINE_SOURCE", str(tmp_path))
    path = tmp_path / "x.toml"
    path.write_text(FILE)

    def run(code=0):
        before = path.read_text() if path.exists() else None
        if before is not None:
            assert main(["expect", "x.toml"]) == 0 and path.read_text() == before
        assert main(["expect", "--update", "x.toml", "latest"]) == code
        said = capsys.readouterr()
        return path.read_text() if path.exists() else "", said.out + said.err

    run.path = path
    return run


ALL = {"mq": {"A-1": "violated", "A-2": "violated", "A-3": "violated"}, "mutex/robust": {"A-2": "violated"}}


def test_nothing_to_do_changes_no_byte(update, results):
    results("r1", ALL)
    text, said = update()
    assert text == FILE and "nothing to change" in said


def test_new_deviations_are_added_once_and_say_that_nobody_explained_them(update, results):
    results("r1", {**ALL, "pipe/stream": {"B-1": {"outcome": "violated", "reason": 'bad\n"""[[expect]]\x1b'}}},
            {"pipe/stream": {"B-1": "VORD", "B-2": "VLOST"}})  # fmt: skip
    text, said = update()
    assert text.startswith(FILE) and "+ B-1 (pipe/stream): violated" in said
    new = tomllib.loads(text)["expect"][3:]
    assert [(e["clause"], e["variant"], e["outcome"], e["reason"]) for e in new] == [
        (c, "stream", "violated", "not explained yet") for c in ("B-1", "B-2")]  # fmt: skip
    assert "# seen on Linux 1, libc 2, this machine: bad" in text and "\x1b" not in text
    assert update()[0] == text


def test_what_holds_goes_with_its_comment_and_the_rest_stays(update, results):
    results("r1", {**ALL, "mq": {**ALL["mq"], "A-1": "held"}})
    text, said = update()
    head, rest = FILE.split("# Ticket")[0], FILE[FILE.index('[[expect]]\nclause = "A-2"') :]
    assert text == head + rest and "- A-1 (mq): holds now; the reason was: dropped" in said


def test_one_variant_of_several_is_taken_out(update, results):
    results("r1", {**ALL, "mutex/robust": {"A-2": "held"}})
    text, said = update()
    assert text == FILE.replace('["mq", "robust"]', '"mq"') and "only mq of mq, robust" in said


@pytest.mark.parametrize("how", ["skipped", "unknown", "broken"])
def test_what_could_not_be_tried_is_left_alone(update, results, how):
    results("r1", {"mq": {"A-1": how}})
    assert update()[0] == FILE


def test_all_variants_are_narrowed_by_hand(update, results):
    results("r1", {**ALL, "pipe": {"A-3": "held"}})
    text, said = update()
    assert text == FILE and "A-3: holds on pipe; the entry is for all variants" in said
    results("r2", {**ALL, "mq": {**ALL["mq"], "A-3": "held"}, "pipe": {"A-3": "held"}})
    assert "A-3" not in update()[0] and "# about" not in update()[0]


def test_an_expired_entry_is_said_and_neither_renewed_nor_doubled(update, results):
    update.path.write_text(FILE.replace('link = "http://x/12"', "expires = 2020-01-01"))
    before = update.path.read_text()
    results("r1", ALL)
    text, said = update()
    assert text == before and "expired on 2020-01-01" in said


def test_what_is_no_clause_cannot_be_expected(update, results, tmp_path):
    clauses = tmp_path / "conformance" / "clauses"
    clauses.mkdir(parents=True)
    entry = '[[clause]]\nid = "A-{}"\ntext = "t"\n'
    (clauses / "mq.toml").write_text('mechanism = "mq"\n' + "".join(entry.format(i) for i in (1, 2, 3)))
    results("r1", ALL, hangs=[{"mechanism": "mq", "kind": "deadlock"}])
    text, said = update()
    assert text == FILE and "HANG (mq): violated, but it is no clause" in said


def test_a_layout_that_cannot_be_edited_is_left_alone(update, results):
    odd = 'expect = [{ clause = "A-1", outcome = "violated", reason = "inline" }]\n'
    update.path.write_text(odd)
    results("r1", {"mq": {"A-1": "held"}})
    text, said = update(2)
    assert text == odd and "by hand" in said
    odd = FILE.replace('["mq", "robust"]', '[\n  "mq",\n  "robust",\n]')
    update.path.write_text(odd)
    results("r2", {**ALL, "mutex/robust": {"A-2": "held"}})
    text, said = update(2)
    assert text == odd and "by hand" in said


def test_a_file_is_made_when_there_is_none(update, results):
    update.path.unlink()
    results("r1", {"mq": {"A-1": "violated"}})
    text, _ = update()
    assert text.startswith("# SPDX") and tomllib.loads(text)["expect"][0]["clause"] == "A-1"
    assert main(["expect", "nix.toml"]) == 2
