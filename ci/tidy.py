# SPDX-License-Identifier: MIT
"""ci/tidy.py [ROOT]: the house rules that a machine can check. Prints FILE:LINE: what is wrong; exit 1 if anything is.

A rule is a generator over a tree that yields (path, line, text); RULES at the foot lists them all.
"""
import ast
import os
import re
import sys
import tomllib
from pathlib import Path

FILE_MAX, FUNCTION_MAX = 500, 70
COLUMNS_MAX = {".c": 100, ".h": 100, ".py": 120, "": 120}
TEXT = {".c", ".h", ".py", ".toml", ".md", ".build", ".txt", ".ini", ".in", ".sh", ".yml", ""}

# Longer, or wider, than allowed when the rule came: a file, or a folder for all below it. A number may only fall, and
# an entry that is no longer needed is an error.
LONG = {}
WIDE = {"core/": 125, "stress/": 113, "conformance/": 140}

C_BANNED = {
    "sleep": "wait on a pipe, a futex or a deadline", "usleep": "wait on a pipe, a futex or a deadline",
    "strcpy": "it has no limit", "strcat": "it has no limit", "sprintf": "it has no limit", "gets": "it has no limit",
    "system": "no shell in between",
}
PRINTS = {"printf", "puts", "putchar", "perror", "fprintf", "fputs", "vprintf", "vfprintf"}
MAY_PRINT = re.compile(r"core/kit/main\.c$|core/(tool|tests|bench)/")
SKIP = re.compile(r"build|\.|__pycache__|plumbline-results")
MACHINE = re.compile(r"(?<![\w.$}/@-])/(?:home|root|work|Users|mnt)/\w")


class Tree:
    """The files of a source tree, read once."""

    def __init__(self, root):
        self.root, self.texts = Path(root), {}
        for folder, names, files in os.walk(root):
            names[:] = sorted(n for n in names if n == ".ci" or not SKIP.match(n))
            for name in sorted(f for f in files if f[0] != "."):
                path = Path(folder, name)
                if path.suffix in TEXT and not path.is_symlink():
                    try:
                        self.texts[path.relative_to(root).as_posix()] = path.read_text()
                    except (UnicodeDecodeError, OSError):
                        continue

    def files(self, *suffixes, under=""):
        for path, text in self.texts.items():
            if path.endswith(suffixes) and path.startswith(under):
                yield path, text

    def text(self, path):
        return self.texts.get(path, "")

    def exists(self, path):
        return (self.root / path).exists()


def bare(text):
    """C without comments and the insides of strings; lines stay where they are."""
    def blank(m):
        return '""' if m[0][0] == '"' else "''" if m[0][0] == "'" else "\n" * m[0].count("\n")
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def over(found, limit, graces, what):
    """found: (path, line, number). Those above the limit, and graces that nothing needs."""
    needed = set()
    for path, line, number in found:
        if number > limit(path):
            grace = next((g for g in graces if path.startswith(g)), "")
            needed.add(grace)
            if number > graces.get(grace, limit(path)):
                yield path, line, f"{number} {what}, {graces.get(grace, limit(path))} allowed"
    for grace in sorted(set(graces) - needed):
        yield "ci/tidy.py", 1, f"{grace} no longer needs its grace of {graces[grace]} {what}"


def size(tree, graces=LONG):
    found = [(path, text.count("\n"), text.count("\n")) for path, text in tree.files(".c", ".h", ".py")]
    yield from over(found, lambda path: FILE_MAX, graces, "lines")


def columns(tree, graces=WIDE):
    found = [(path, n, len(line.expandtabs(8))) for path, text in tree.texts.items()
             if Path(path).suffix in COLUMNS_MAX and not Path(path).name.isupper()
             for n, line in enumerate(text.splitlines(), 1)]
    yield from over(found, lambda path: COLUMNS_MAX[Path(path).suffix], graces, "columns")


def functions(tree):
    """In C a function's body begins and ends with a brace in column 1; that is the format's doing."""
    for path, text in tree.files(".c"):
        for m in re.finditer(r"^\{\n.*?^\}", bare(text), re.M | re.S):
            if (lines := m[0].count("\n") + 1) > FUNCTION_MAX:
                yield path, line_of(bare(text), m.start()), f"a function of {lines} lines, {FUNCTION_MAX} allowed"
    for path, text in tree.files(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_MAX:
                    yield path, node.lineno, f"{node.name}() has {lines} lines, {FUNCTION_MAX} allowed"


def licence(tree):
    for path, text in tree.texts.items():
        source = path.endswith((".c", ".h", ".py", "meson.build", ".sh")) or text.startswith("#!")
        if source and not re.match(r"(#!.*\n)?(/\*|#|//) SPDX-License-Identifier: MIT( \*/)?\n", text):
            yield path, 1, "begins without its SPDX-License-Identifier line"


def banned_in_c(tree):
    for path, text in tree.files(".c", ".h"):
        code = bare(text)
        for m in re.finditer(r"(?<![\w.>])(\w+)\s*\(", code):
            if m[1] in C_BANNED:
                yield path, line_of(code, m.start()), f"{m[1]}(): {C_BANNED[m[1]]}"
            elif m[1] in PRINTS and path.startswith("core/") and not MAY_PRINT.search(path):
                yield path, line_of(code, m.start()), f"{m[1]}() in core/: it never prints"


def banned_in_python(tree):
    for path, text in tree.files(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep", "os.system"):
                yield path, node.lineno, f"{ast.unparse(node.func)}(): wait on something, with a deadline"


def driver_list(tree):
    text = tree.text("drivers/meson.build")
    m = re.search(r"driver_names = \[(.*?)\]", text, re.S)
    names = re.findall(r"'([^']+)'", m[1]) if m else []
    if names != sorted(set(names)):
        yield "drivers/meson.build", line_of(text, m.start()), f"not sorted: {names}"
    have = {Path(p).stem for p, _ in tree.files(".c", under="drivers/")}
    for name in sorted(have ^ set(names)):
        yield "drivers/meson.build", 1, f"drivers/{name}.c and the list disagree"


def driver_operations(tree):
    """Each operation of a driver is tried by a clause: in a row, by a test, or by the rounds (a weight)."""
    tests = "\n".join(text for _, text in tree.files(".py", under="conformance/"))
    for path, text in tree.files(".c", under="drivers/"):
        rows = tree.text(f"conformance/clauses/{Path(path).stem}.toml")
        table = re.search(r"struct pl_op ops\[\] = \{\n(.*?)^\};", text, re.M | re.S)
        for m in re.finditer(r'^\t\{ ?"(\w+)",(.*?)(?=^\t\{)', table[1] if table else "", re.M | re.S):
            if ".weight" not in m[2] and f'"{m[1]}"' not in rows and f'"{m[1]}"' not in tests:
                yield path, line_of(text, table.start(1) + m.start()), f"no clause and no test uses `{m[1]}`"


def clauses(tree):
    """Each clause is judged by a test or a row, or says that it is planned."""
    tests = "\n".join(text for _, text in tree.files(".py", under="conformance/"))
    waits = tomllib.loads(tree.text("conformance/waits.toml"))
    for path, text in tree.files(".toml", under="conformance/clauses/"):
        for c in tomllib.loads(text).get("clause", ()):
            tried = "do" in c or "row" in c or c["id"] in waits or f'"{c["id"]}"' in tests
            if tried == (c.get("status") == "planned"):
                where = line_of(text, text.index(f'"{c["id"]}"'))
                yield path, where, f"{c['id']} is {'planned, yet tried' if tried else 'neither tried nor planned'}"


def counts(tree):
    """The README's table says how many clauses of a mechanism are tried."""
    readme = tree.text("README.md")
    for path, text in tree.files(".toml", under="conformance/clauses/"):
        title = re.search(r'PL_DRIVER\(\w+, "([^"]+)"', tree.text(f"drivers/{Path(path).stem}.c"))
        row = title and re.search(rf"^\| {re.escape(title[1])} \|.*\| (\d+) \|", readme, re.M)
        tried = sum(c.get("status") != "planned" for c in tomllib.loads(text).get("clause", ()))
        if row and int(row[1]) != tried:
            yield "README.md", line_of(readme, row.start()), f"{tried} clauses of {title[1]} are tried, not {row[1]}"


def dead_files(tree):
    recipes = "\n".join(text for _, text in tree.files("meson.build"))
    for path, _ in tree.files(".c"):
        name, stem = re.escape(Path(path).name), re.escape(Path(path).stem)
        if not path.startswith("drivers/") and not re.search(rf"['/]{name}'|'{stem}'", recipes):
            yield path, 1, "no meson.build names it"
    code = "\n".join(text for _, text in tree.files(".c", ".h"))
    for path, _ in tree.files(".h"):
        name = re.escape(Path(path).name)
        if "/tests/" not in path and not re.search(rf'#include ["<](?:[\w./]*/)?{name}[">]', code):
            yield path, 1, "nobody includes it"


def machine_paths(tree):
    for path, text in tree.texts.items():
        for n, line in enumerate(text.splitlines(), 1):
            if path != "ci/tidy.py" and (m := MACHINE.search(line)):
                yield path, n, f"a path of one machine: {line[m.start():m.start() + 30]}"


def readmes(tree):
    """What a README names exists: links, commands of this tree, and words after `plumbline`."""
    words = set(re.findall(r'"([a-z]+)"', tree.text("py/plumbline/cli.py")))
    for path, text in tree.files(".md"):
        here = Path(path).parent
        for m in re.finditer(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
            if not tree.exists(here / m[1]):
                yield path, line_of(text, m.start()), f"a link to {m[1]}, which is not there"
        for m in re.finditer(r"(?<![\w/.<-])((?:ci|core|drivers|stress|conformance|py)/[\w./-]*\w)", text):
            built = "/plumb-" in m[1] or "/lib" in m[1]
            if not built and not tree.exists(m[1]) and not tree.exists(here / m[1]):
                yield path, line_of(text, m.start()), f"{m[1]} is not there"
        for m in re.finditer(r"^(?: {4}|\$ |    \$ )?(?:build/)?plumbline ([a-z]+)\b(?= |$)", text, re.M):
            if words and m[1] not in words:
                yield path, line_of(text, m.start()), f"`plumbline {m[1]}` is no command"


RULES = [size, columns, functions, licence, banned_in_c, banned_in_python, driver_list, driver_operations, clauses,
         counts, dead_files, machine_paths, readmes]


def findings(root):
    tree = Tree(root)
    return [(path, line, text) for rule in RULES for path, line, text in rule(tree)]


def main(argv):
    found = findings(argv[1] if len(argv) > 1 else Path(__file__).resolve().parent.parent)
    for path, line, text in found:
        print(f"{path}:{line}: {text}")
    print(f"tidy: {len(found)} findings" if found else "tidy")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
