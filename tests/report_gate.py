"""Decides whether the committed test report is that of this suite; run by ``.ci/run``.

Compares names of tests, not durations: the committed file must list exactly the
tests that a full run has now, and tell that they passed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

# A skipped test is one that this machine cannot run; it is listed all the same.
GREEN: Final = frozenset({"passed", "skipped"})
SHOWN: Final = 20


def differences(committed: dict[str, Any], fresh: dict[str, Any]) -> list[str]:
    """List what is wrong with the committed report.

    Parameters
    ----------
    committed : dict
        The report in the repository.
    fresh : dict
        The report of a full run just made.

    Returns
    -------
    list of str
        A line per fault; empty where there is none.
    """
    listed = Counter(test["nodeid"] for test in committed["tests"])
    present = {test["nodeid"] for test in fresh["tests"]}
    faults = [
        f"{name}: listed {count} times" for name, count in listed.items() if count > 1
    ]
    faults += [
        f"{name}: listed, but no such test was collected"
        for name in sorted(listed.keys() - present)
    ]
    faults += [
        f"{name}: collected, but not listed; commit the report of a full run"
        for name in sorted(present - listed.keys())
    ]
    faults += [
        f"{test['nodeid']}: listed as {test['outcome']}; commit a green run"
        for test in committed["tests"]
        if test["outcome"] not in GREEN
    ]
    return faults


def main(committed: Path, fresh: Path) -> int:
    """Print the faults; the exit status is 0 where there is none.

    Parameters
    ----------
    committed, fresh : pathlib.Path
        Reports of pytest-json-report.

    Returns
    -------
    int
        0 or 1.
    """
    faults = differences(
        json.loads(committed.read_text()), json.loads(fresh.read_text())
    )
    print(*faults[:SHOWN], sep="\n")
    print(f"committed test report: {len(faults)} differences from this suite")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
