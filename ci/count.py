# SPDX-License-Identifier: MIT
"""ci/count.py FOLDER: adds up the JUnit files of a test run, names what failed, and ends with one plain line.

FOLDER holds NAME.xml and NAME.log of each step, and `steps`: a line "NAME CODE" each. A step that failed and names no
test that did (it crashed, or never began) is a failure itself: green must not come from silence.
"""
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def results(path):
    """(passed, [names that failed], skipped) of one JUnit file."""
    passed, failed, skipped = 0, [], 0
    for case in ET.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append("::".join(filter(None, (case.get("classname"), case.get("name")))))
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, sorted(set(failed)), skipped


def main(folder):
    total, failures, skips = 0, 0, 0
    for line in (folder / "steps").read_text().splitlines():
        name, code = line.rsplit(" ", 1)
        try:
            passed, failed, skipped = results(folder / f"{name}.xml")
        except (OSError, ET.ParseError):
            passed, failed, skipped = 0, [], 0
            code = int(code) or "no results"
        if not failed and (code not in ("0", 0) or passed + skipped == 0):
            failed = [f"{name} (exit {code}, {passed} passed)"]
        for test in failed:
            print(f"failed: {test}")
        if failed:
            print(f"   log: {folder / name}.log")
        total, failures, skips = total + passed, failures + len(failed), skips + skipped
    print(f"{total} passed, {failures} failed" + (f", {skips} skipped" if skips else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
