"""Decides whether enough of each package is covered; run by ``.ci/run``.

Reads what ``coverage json`` wrote. A figure is coverage's own: lines and branches
taken together, summed over the files of a package.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

# Least share of lines and branches, in percent.
FLOORS: Final = {
    "core": 95.0,
    "engine": 90.0,
    "model": 95.0,
    "policy": 95.0,
    "storage": 95.0,
}


def covered_percent(report: dict[str, Any], package: str) -> float:
    """Sum the coverage of one package.

    Parameters
    ----------
    report : dict
        As ``coverage json`` writes it, with branches.
    package : str
        Name of a package within climorch.

    Returns
    -------
    float
        Lines and branches taken, percent; NaN where no file was measured.
    """
    prefix = f"climorch/{package}/"
    summaries = [
        data["summary"]
        for path, data in report["files"].items()
        if path.replace("\\", "/").startswith(prefix)
    ]
    total = sum(s["num_statements"] + s["num_branches"] for s in summaries)
    taken = sum(s["covered_lines"] + s["covered_branches"] for s in summaries)
    return 100.0 * taken / total if total else float("nan")


def judge(report: dict[str, Any]) -> tuple[list[str], bool]:
    """Compare every package with its floor.

    Parameters
    ----------
    report : dict
        As ``coverage json`` writes it, with branches.

    Returns
    -------
    list of str
        A line per package.
    bool
        Whether all floors are reached; a package without files does not.
    """
    lines, passed = [], True
    for package, floor in FLOORS.items():
        percent = covered_percent(report, package)
        # NaN compares false, so it fails.
        enough = percent >= floor
        passed = passed and enough
        verdict = "ok" if enough else "TOO LOW"
        lines.append(f"{package:8} {percent:6.2f} %  floor {floor:.0f} %  {verdict}")
    return lines, passed


def main(path: Path) -> int:
    """Print the figures; the exit status is 0 where every floor is reached.

    Parameters
    ----------
    path : pathlib.Path
        What ``coverage json`` wrote.

    Returns
    -------
    int
        0 or 1.
    """
    lines, passed = judge(json.loads(path.read_text()))
    print(*lines, sep="\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
