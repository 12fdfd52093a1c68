"""Kills and stops at every step of the checkpoint protocol and at random moments.

A campaign of two members with a spin-up, two coupled stages and a branch, on 4 node
processes, loses one worker, three of four, has one frozen, or loses its driver with
the Dask scheduler: each at 20 random moments and inside every step of the protocol.
After each it is compared with a campaign that nobody disturbed.

The bar: all states and results equal bit by bit, no segment committed twice, no
process left. Reported beside it: how long recovery took, and what compute was lost.
The whole takes the better part of an hour; with ``--quick`` one cell of each kind, of a
smaller campaign.

    uv run python benchmarks/kill_matrix.py [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bench import RESULTS, Figures, report
from climorch.errors import NotFoundError
from climorch.testing.kill_matrix import (
    DELETIONS,
    KINDS,
    Cell,
    Seen,
    cells,
    make_reference,
    try_cell,
)

MOMENTS = 20
QUICK_STEPS = ("chunk written", None, None, "before the manifest")


def measure(folder: Path, *, quick: bool, seed: int) -> list[Seen]:
    """Try every cell; print what is not as it must be at once."""
    members = 1 if quick else 2
    reference = make_reference(
        folder / "calm", members=members, segments=2 if quick else 4
    )
    longer = reference
    if not quick:
        longer = make_reference(folder / "long", members=members, segments=10)
    rng = np.random.default_rng(seed)
    if quick:
        chosen: list[Cell] = []
        for kind, step in zip(KINDS, QUICK_STEPS, strict=True):
            steps = [step] if step else []
            chosen += cells(
                rng,
                moments=1 - len(steps),
                rows=reference.rows,
                steps=steps,
                kinds=[kind],
            )
    else:
        chosen = cells(rng, moments=MOMENTS, rows=reference.rows)
    found = []
    for number, cell in enumerate(chosen):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            wanted = longer if cell.step in DELETIONS else reference
            try:
                seen = try_cell(Path(root), cell, wanted)
            except (NotFoundError, TimeoutError) as error:
                seen = Seen(cell=cell, problems=[str(error)])
        print(
            f"{number + 1}/{len(chosen)} {cell}: recovery {seen.recovery_s:.1f} s, "
            f"lost {seen.lost_s:.2f} s {'; '.join(seen.problems)}",
            flush=True,
        )
        found.append(seen)
    return found


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few cells")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        found = measure(Path(folder), quick=given.quick, seed=given.seed)
    figures: Figures = {"cells": len(found), "seed": given.seed}
    for kind in KINDS:
        of_kind = [seen for seen in found if seen.cell.kind == kind]
        name = kind.replace(" ", "_")
        recovery = [seen.recovery_s for seen in of_kind]
        lost = [seen.lost_s for seen in of_kind]
        figures |= {
            f"{name}_cells": len(of_kind),
            f"{name}_recovery_median_s": statistics.median(recovery),
            f"{name}_recovery_max_s": max(recovery),
            f"{name}_lost_median_s": statistics.median(lost),
            f"{name}_lost_max_s": max(lost),
        }
    bad = [seen for seen in found if seen.problems]
    figures["cells_with_problems"] = len(bad)
    report("kill_matrix", figures)
    print("bar: every cell bitwise equal, nothing committed twice, no process left")
    print(f"{len(bad)} of {len(found)} cells with a problem (0 holds)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
