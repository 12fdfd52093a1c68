"""Campaigns on storage without hard links, without locks, or with slow names.

Two simulations of two coupled stages on two node processes, on storage that lacks
something at the level of the C library, in all processes. The driver is killed once
results are published, and the script is run again.

The bar: all states and results equal bit by bit to an undisturbed run, nothing
committed twice, no process left, and the probe told beforehand what is lacking. With
``--quick`` one of the cells.

    uv run python benchmarks/lacking_storage.py [--quick] [--cell NAME]
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.bench import RESULTS, Figures, report
from benchmarks.storage_cells import try_each
from climorch.testing.lacking import LACKS, SOURCE
from climorch.testing.lacking_cells import Managed, try_lack

QUICK = ("none of them",)


def row_of(seen: Managed) -> str:
    """Say what one has shown, and what is not as it must be."""
    return (
        f"{seen.name:16} touched {seen.touched:5d}, {seen.linked:3d} links, second "
        f"driver {seen.took_s:5.1f} s {'; '.join(seen.problems)}"
    )


def main() -> int:
    """Try, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one cell")
    parser.add_argument("--cell", choices=LACKS, help="this one")
    given = parser.parse_args()
    names = [given.cell] if given.cell else [*(QUICK if given.quick else LACKS)]
    found = try_each(
        names,
        SOURCE,
        cell=try_lack,
        failed=lambda name, problem: Managed(name=name, problems=[problem]),
        told=row_of,
    )
    figures: Figures = {
        "cells": len(found),
        "violations": sum(bool(seen.problems) for seen in found),
        "touched_least": min(seen.touched for seen in found),
        "second_driver_s_most": max(seen.took_s for seen in found),
    }
    RESULTS.mkdir(exist_ok=True)
    report("lacking_storage", figures)
    print("bar: bit by bit as undisturbed, and the probe told what is lacking")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
