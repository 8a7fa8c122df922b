"""What failed, in a few lines, from the report that `cargo nextest` wrote: what a test has to show may be long, and was
printed a quarter of an hour ago.

    failures.py REPORT.xml
"""

import sys
import xml.etree.ElementTree as ElementTree

LINES = 12  # of all messages together, but at least three of each
WIDTH = 240  # characters of a line


def main(path):
    failed = [case for case in ElementTree.parse(path).iter("testcase") if problem(case) is not None]
    each = max(3, LINES // max(1, len(failed)))
    for case in failed:
        print(f"✗ {case.get('classname')} {case.get('name')} after {float(case.get('time')):.0f} s")
        words, _, _ = message(problem(case)).partition("stack backtrace:")
        said = [line for line in words.splitlines() if line.strip()]
        for line in said[:each]:
            print(f"  {line[:WIDTH]}")


def problem(case):
    """What is wrong with a test: it failed, or it could not be run."""
    failure = case.find("failure")
    return case.find("error") if failure is None else failure


def message(found):
    """Its panic, or what became of its process."""
    return found.text or found.get("message") or found.get("type") or ""


if __name__ == "__main__":
    main(*sys.argv[1:])
