"""Every fault that we can inject, at every moment, under every strategy.

Each cell runs a small campaign of two simulations on four node processes, lets one
fault strike at one moment and runs it to its end. The bar: all states and results
equal bit by bit to an undisturbed run, no segment committed twice, the fault shown in
the journal, recovery below 300 s and 30 s in the median, no more compute lost than
interval, drain and one segment, a hang found within twice its budget, and nothing left
behind: no process, thread, temporary file, shared memory or folder in flight. A cell
that does not end within four minutes is ended, and says where it stands.

Results are appended to a file as they come; run again, it goes on with what is missing.
A cell alone is run by its name, which is also what a violation prints.

    uv run python benchmarks/fault_matrix.py [--quick] [--cell NAME] [--list]
        [--minutes M] [--again] [--share K/N] [--docs]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench import RESULTS, Figures, report
from climorch.testing.fault_cells import ROWS, Cell, all_cells, cell_named
from climorch.testing.fault_trials import try_cell
from climorch.testing.fault_verdicts import References, Seen

GUIDE = Path(__file__).parents[1] / "docs" / "guide-failures.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
FOUND = RESULTS / "fault_matrix.jsonl"
QUICK = (
    "several nodes at once/mid-segment/EverySegments",
    "out of memory/mid-segment/Daly",
    "driver killed/between receipts and commit/combined",
)
MOST_RECOVERY_S, MEDIAN_RECOVERY_S = 300.0, 30.0


def known(path: Path = FOUND) -> dict[str, Seen]:
    """Return what was found before, the newest of each cell."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return {seen.cell: seen for seen in (Seen(**json.loads(line)) for line in lines)}


def measure(cells: Sequence[Cell], *, until_s: float, path: Path) -> list[Seen]:
    """Try cells one by one; print and keep each at once."""
    found: list[Seen] = []
    with tempfile.TemporaryDirectory(prefix="fault-matrix-") as made:
        folder = Path(made)
        references = References(folder / "calm")
        for number, cell in enumerate(cells):
            if time.monotonic() > until_s:
                print(f"{len(cells) - number} cells are left for the next time")
                break
            place = folder / str(number)
            try:
                seen = try_cell(place, cell, references.of(cell))
            except Exception as error:  # one cell tells nothing of the others
                seen = Seen(
                    cell=str(cell), problems=[f"{type(error).__name__}: {error}"]
                )
            print(
                f"{number + 1}/{len(cells)} {cell}: recovery {seen.recovery_s:.1f} s, "
                f"lost {seen.lost_s:.2f} of {seen.most_lost_s:.2f} s, "
                f"{seen.seconds:.0f} s {'; '.join(seen.problems)}",
                flush=True,
            )
            with path.open("a") as file:
                file.write(json.dumps(asdict(seen)) + "\n")
            found.append(seen)
    return found


def table(found: Sequence[Seen]) -> str:
    """Return what was found as a table of Markdown, one row for each fault."""
    lines = [
        "| Fault | Cells | Recovery, s: median, longest "
        "| Lost compute, s: median, most (allowed) | Hang found after, s (budget) |",
        "|---|---|---|---|---|",
    ]
    planned = [cell.fault for cell in all_cells()]
    for fault in ROWS:
        seen = [one for one in found if one.cell.split("/")[0] == fault]
        cells = f"{len(seen)} of {planned.count(fault)}"
        if not seen:
            lines.append(f"| {fault} | {cells} | | | |")
            continue
        recovery = [one.recovery_s for one in seen]
        lost = [one.lost_s for one in seen]
        dearest = max(seen, key=lambda one: one.lost_s)
        red = sum(bool(one.problems) for one in seen)
        lines.append(
            f"| {fault} | {cells}{f', {red} red' if red else ''} "
            f"| {statistics.median(recovery):.1f}, {max(recovery):.1f} "
            f"| {statistics.median(lost):.1f}, {dearest.lost_s:.1f} "
            f"({dearest.most_lost_s:.1f}) | {_found(seen)} |"
        )
    return "\n".join(lines)


def _found(seen: Sequence[Seen]) -> str:
    """Return how long the longest hang lasted, and its budget; empty: nothing hung."""
    if not any(one.budget_s for one in seen):
        return ""
    longest = max(seen, key=lambda one: one.found_s)
    return f"{longest.found_s:.1f} ({longest.budget_s:g})"


def write_guide(found: Sequence[Seen]) -> None:
    """Put the table where the guide has it."""
    head, rest = GUIDE.read_text().split(BEGIN)
    GUIDE.write_text(f"{head}{BEGIN}\n\n{table(found)}\n\n{END}{rest.split(END)[1]}")


def summarise(found: Sequence[Seen]) -> Figures:
    """Return figures over all cells."""
    recovery = [seen.recovery_s for seen in found]
    return {
        "cells": len(found),
        "cells_with_problems": sum(bool(seen.problems) for seen in found),
        "recovery_median_s": statistics.median(recovery),
        "recovery_max_s": max(recovery),
        "lost_median_s": statistics.median(seen.lost_s for seen in found),
        "lost_max_s": max(seen.lost_s for seen in found),
        "hang_found_max_of_budget": max(
            (seen.found_s / seen.budget_s for seen in found if seen.budget_s),
            default=0.0,
        ),
        "lost_max_of_allowed": max(
            (seen.lost_s / seen.most_lost_s for seen in found if seen.most_lost_s),
            default=0.0,
        ),
    }


def main() -> int:
    """Try what is asked for, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three cells")
    parser.add_argument("--cell", help="one cell, by its name")
    parser.add_argument("--list", action="store_true", help="print the cells' names")
    parser.add_argument("--docs", action="store_true", help="write the guide's table")
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--share", default="1/1", help="K/N: every N-th cell, from K")
    parser.add_argument("--minutes", type=float, default=60.0, help="then stop")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    cells, path = all_cells(), FOUND
    if given.list:
        print("\n".join(map(str, cells)))
        return 0
    if given.cell or given.quick:
        # Not kept: the table is of the matrix as a whole.
        names = [given.cell] if given.cell else QUICK
        cells, path = [cell_named(name) for name in names], Path("/dev/null")
    before = {} if given.again or given.cell or given.quick else known()
    first, every = map(int, given.share.split("/"))
    mine = cells[first - 1 :: every]
    wanted = [cell for cell in mine if str(cell) not in before]
    until_s = time.monotonic() + 60 * given.minutes
    new = measure(wanted, until_s=until_s, path=path) if wanted else []
    found = list({**before, **{seen.cell: seen for seen in new}}.values())
    names_now = {str(cell) for cell in cells}
    found = [seen for seen in found if seen.cell in names_now]
    if given.docs:
        write_guide(found)
    figures = summarise(found)
    report("fault_matrix", figures)
    bad = [seen for seen in found if seen.problems]
    for seen in bad:
        print(f"--cell {seen.cell!r}: {'; '.join(seen.problems)}")
    slow = statistics.median(seen.recovery_s for seen in found) > MEDIAN_RECOVERY_S
    print(f"bar: no cell with a problem, recovery median < {MEDIAN_RECOVERY_S:g} s")
    print(f"{len(bad)} of {len(found)} cells with a problem, {len(cells)} in all")
    return 1 if bad or slow else 0


if __name__ == "__main__":
    sys.exit(main())
