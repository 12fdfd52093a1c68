"""Cut the power at every moment of what makes something durable, and recover.

The method of ALICE (Pillai et al., OSDI 2014), on what the library asks of its file
system; `climorch.testing.device` and `climorch.testing.power_loss` say what is
assumed. For each scenario: all losses of one change at every moment, then all losses of
two at every sixteenth, and some by chance. The journal's transactions are cut as
SQLite's files show them. Then every planted fault of durability has to be found.

The bar: no violation, and every planted fault found. With ``--quick`` a sample of the
moments.

    uv run python benchmarks/power_loss.py [--quick] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.bench import RESULTS, Figures, report
from climorch.testing.journal_loss import cut_appends, record_appends
from climorch.testing.planted import PLANTED
from climorch.testing.power_loss import Effort, Findings
from climorch.testing.power_scenarios import SCENARIOS, cut_power

MEMORY = Path("/dev/shm")
JOURNAL = "journal"
WHOLE = [Effort(most=1), Effort(most=2, every=16)]
QUICK = [Effort(most=1, every=40)]

# Small rows, several at once, and rows that make SQLite move the WAL into its file.
TRANSACTIONS = [
    [100],
    [50, 60, 70],
    [5000, 10],
    [300_000] * 8,
    [2_000_000, 2_000_000],
    [200],
    [300, 300],
]


def figures_of(name: str, found: Findings) -> Figures:
    """Name what was tried, print what was wrong."""
    for example in found.examples:
        print(f"{name}: {example}")
    short = re.sub(r"\W+", "_", name)
    return {
        f"{short}_operations": found.operations,
        f"{short}_moments": found.prefixes,
        f"{short}_losses": found.tried,
        f"{short}_states": found.states,
        f"{short}_violations": found.violations,
    }


def in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for thousands of small disks."""
    return tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else RESULTS)


def measure(quick: bool, only: Collection[str]) -> Figures:
    """Try everything, or some scenarios; return what was tried and was wrong."""
    figures: Figures = {}
    for name, scenario in SCENARIOS.items():
        if name not in only:
            continue
        total = Findings(operations=0)
        for effort in QUICK if quick else WHOLE:
            with in_memory() as folder:
                found = cut_power(scenario, Path(folder), effort)
            total.operations = found.operations
            total.prefixes += found.prefixes
            total.tried += found.tried
            total.states += found.states
            total.violations += found.violations
            total.examples += found.examples
        figures |= figures_of(name, total)
        print(f"{name}: {total.tried} losses, {total.states} states", flush=True)
    if JOURNAL in only:
        figures |= figures_of(JOURNAL, cut_journal(quick))
    for what in ("losses", "states", "violations"):
        figures[what] = sum(
            int(n) for key, n in figures.items() if key.endswith(f"_{what}")
        )
    planted = [name for name, fault in PLANTED.items() if fault.scenario in only]
    missed = [name for name in planted if not planted_is_found(name)]
    for name in missed:
        print(f"planted and not found: {name}")
    return figures | {
        "planted": len(planted),
        "planted_found": len(planted) - len(missed),
    }


def cut_journal(quick: bool) -> Findings:
    """Cut the transactions of a journal."""
    with in_memory() as folder:
        made, states = Path(folder, "made"), Path(folder, "states")
        made.mkdir()
        states.mkdir()
        appends = record_appends(made, TRANSACTIONS)
        return cut_appends(appends, states, samples=1 if quick else 10)


def planted_is_found(name: str) -> bool:
    """Put a fault into the library; tell whether it is found."""
    planted = PLANTED[name]
    with in_memory() as folder:
        found = cut_power(
            SCENARIOS[planted.scenario],
            Path(folder),
            Effort(since=planted.since, every=planted.every, enough=1),
            deaf=planted.deaf,
            planted=planted.patch(),
        )
    return found.violations > 0


def main() -> int:
    """Try, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sample of the moments")
    every = [*SCENARIOS, JOURNAL]
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    RESULTS.mkdir(exist_ok=True)
    begin_s = time.process_time()
    figures = measure(given.quick, given.only)
    figures["cpu_s"] = time.process_time() - begin_s
    report("power_loss", figures)
    print(
        "bar: nothing acknowledged is lost, nothing is mixed, planted faults are found"
    )
    found = figures["planted"] == figures["planted_found"]
    return 0 if found and not figures["violations"] else 1


if __name__ == "__main__":
    sys.exit(main())
