# SPDX-License-Identifier: MIT
"""Each rule of ci/tidy.py goes red on the fault it is for, and stays green on the same thing done well."""
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tidy  # noqa: E402

C = "/* SPDX-License-Identifier: MIT */\n"
PY = "# SPDX-License-Identifier: MIT\n"
size, columns = partial(tidy.size, graces={}), partial(tidy.columns, graces={})
OPS = 'static const struct pl_op ops[] = {{\n\t{{ "frob", op_frob, PL_NONE, 0 }},\n\t{{ 0 }},\n}};\n{}'
TITLE = 'PL_DRIVER(a, "a thing", v)'
CLAUSE = '[[clause]]\nid = "PIPE-01"\n'


def body(lines):
    return "int f(void)\n{\n" + "\tg();\n" * (lines - 2) + "}\n"


# rule, files that are wrong, what is said, files that are right
CASES = [
    (size, {"core/a.c": C + "\n" * 500}, "501 lines", {"core/a.c": C + "\n" * 499}),
    (columns, {"core/a.c": C + "\t" * 12 + "12345\n"}, "101 columns", {"core/a.c": C + "\t" * 12 + "1234\n"}),
    (partial(tidy.columns, graces={"core/": 200}), {"core/a.c": C}, "no longer needs", {"core/a.c": C + "x" * 150}),
    (tidy.functions, {"core/a.c": body(71)}, "71 lines", {"core/a.c": body(70)}),
    (tidy.functions, {"py/a.py": "def f():\n" + "    g()\n" * 70}, "71 lines",
     {"py/a.py": "def f():\n" + "    g()\n" * 69}),
    (tidy.licence, {"core/a.c": "int a;\n"}, "SPDX", {"core/a.c": C}),
    (tidy.licence, {"ci/go": "#!/bin/sh\ntrue\n"}, "SPDX", {"ci/go": "#!/bin/sh\n" + PY}),
    (tidy.banned_in_c, {"drivers/a.c": "usleep(3);"}, "usleep",
     {"drivers/a.c": '/* sleep( */ x->sleep(1); s = "usleep(3)";'}),
    (tidy.banned_in_c, {"stress/a.c": "\tstrcpy(a, b);"}, "strcpy", {"stress/a.c": "\tstrncpy(a, b, n);"}),
    (tidy.banned_in_c, {"core/hist/a.c": 'printf("x");'}, "never prints", {"core/kit/main.c": 'printf("x");'}),
    (tidy.banned_in_python, {"py/a.py": "time.sleep(1)"}, "time.sleep", {"py/a.py": "a = 'time.sleep(1)'"}),
    (tidy.driver_list,
     {"drivers/meson.build": "driver_names = ['b', 'a']", "drivers/a.c": C, "drivers/b.c": C}, "not sorted",
     {"drivers/meson.build": "driver_names = ['a', 'b']", "drivers/a.c": C, "drivers/b.c": C}),
    (tidy.driver_list, {"drivers/meson.build": "driver_names = ['a']", "drivers/a.c": C, "drivers/b.c": C}, "disagree",
     {"drivers/meson.build": "driver_names = ['a', 'b']", "drivers/a.c": C, "drivers/b.c": C}),
    (tidy.driver_operations, {"drivers/a.c": OPS.format("")}, "`frob`",
     {"drivers/a.c": OPS.format(""), "conformance/clauses/a.toml": 'do = [["frob"]]'}),
    (tidy.clauses, {"conformance/clauses/pipe.toml": CLAUSE}, "neither tried nor planned",
     {"conformance/clauses/pipe.toml": CLAUSE, "conformance/semantics/test_a.py": '@clause("PIPE-01")'}),
    (tidy.clauses, {"conformance/clauses/pipe.toml": CLAUSE + 'status = "planned"\ndo = []\n'}, "planned, yet tried",
     {"conformance/clauses/pipe.toml": CLAUSE + 'status = "planned"\n'}),
    (tidy.counts,
     {"conformance/clauses/a.toml": CLAUSE, "drivers/a.c": TITLE, "README.md": "| a thing | x | 2 |"}, "not 2",
     {"conformance/clauses/a.toml": CLAUSE, "drivers/a.c": TITLE, "README.md": "| a thing | x | 1 |"}),
    (tidy.dead_files, {"core/a.c": C, "core/meson.build": "files('b.c')"}, "no meson.build names it",
     {"core/a.c": C, "core/meson.build": "files('a.c')"}),
    (tidy.dead_files, {"core/a.h": C}, "nobody includes it",
     {"core/a.h": C, "core/a.c": '#include "a.h"', "meson.build": "'a.c'"}),
    (tidy.machine_paths, {"py/a.py": 'P = "/home' + '/me/x"'}, "one machine", {"py/a.py": 'P = "build/x/home/y"'}),
    (tidy.readmes, {"README.md": "see [x](nowhere.md)"}, "nowhere.md",
     {"README.md": "see [x](LICENSE.md)", "LICENSE.md": ""}),
    (tidy.readmes, {"README.md": "    ci/gone now\n"}, "ci/gone",
     {"README.md": "    ci/here now\n", "ci/here": "#!/bin/sh\n"}),
    (tidy.readmes, {"README.md": "    plumbline dance now\n", "py/plumbline/cli.py": '"run"'}, "no command",
     {"README.md": "    plumbline run now\n", "py/plumbline/cli.py": '"run"'}),
]


def said_of(rule, files, folder):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [text for _, _, text in rule(tidy.Tree(folder))]


@pytest.mark.parametrize("rule,wrong,what,right", CASES)
def test_rule(rule, wrong, what, right, tmp_path):
    said = said_of(rule, wrong, tmp_path / "wrong")
    assert len(said) == 1 and what in said[0], said
    assert said_of(rule, right, tmp_path / "right") == []


def test_every_rule_is_tried_here():
    assert set(tidy.RULES) == {getattr(rule, "func", rule) for rule, *_ in CASES}
