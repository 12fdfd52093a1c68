"""Six kinds of storage trouble, each in three places, under campaigns that run.

Two simulations of two coupled stages on two node processes. Once results are
published the storage of the checkpoints, of the journal or of the results is full,
over its quota, fails, is read-only, 50 times slower or hangs: at the level of the C
library, in all processes. The campaign has to compute on and to tell somebody; then
the trouble ends, and the campaign runs to its own end.

The bar: all states and results equal bit by bit to an undisturbed run, no segment
computed twice or lost, nothing committed twice, every alarm ended, no process and no
file in flight left. With ``--quick`` two of the cells.

    uv run python benchmarks/storage_trouble.py [--quick] [--cell NAME]
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.bench import RESULTS, Figures, report
from benchmarks.storage_cells import try_each
from climorch.testing.preload import SOURCE
from climorch.testing.trouble import TROUBLES
from climorch.testing.trouble_cells import Endured, try_trouble

QUICK = ("hanging storage of journal", "full storage of checkpoints")


def row_of(seen: Endured) -> str:
    """Say what one has shown, and what is not as it must be."""
    return (
        f"{seen.name:32} touched {seen.touched:5d}, {seen.computed:3d} segments in "
        f"{seen.lasted_s:4.1f} s, recovery {seen.recovery_s:4.1f} s, lost "
        f"{seen.lost_s:.1f} s {'; '.join(seen.problems)}"
    )


def main() -> int:
    """Try, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cells")
    parser.add_argument("--cell", choices=TROUBLES, help="this one")
    given = parser.parse_args()
    names = [given.cell] if given.cell else [*(QUICK if given.quick else TROUBLES)]
    found = try_each(
        names,
        SOURCE,
        cell=try_trouble,
        failed=lambda name, problem: Endured(name=name, problems=[problem]),
        told=row_of,
    )
    figures: Figures = {
        "cells": len(found),
        "violations": sum(bool(seen.problems) for seen in found),
        "touched_least": min(seen.touched for seen in found),
        "computed_meanwhile_least": min(seen.computed for seen in found),
        "recovery_s_most": max(seen.recovery_s for seen in found),
        "lost_s": sum(seen.lost_s for seen in found),
    }
    RESULTS.mkdir(exist_ok=True)
    report("storage_trouble", figures)
    print("bar: nothing is lost, repeated or left; somebody is told; it computes on")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
