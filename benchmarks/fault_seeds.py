"""Random campaigns, faults and users in the twin: no seed breaks an invariant.

Each seed draws a small campaign, a site, and all that happens to it; drivers die, and
others replay their journals. Numbers blow up, stages end early, scores fail, budgets
run out, the archive is away; how often each of these happened is counted. Every
decision is audited (`climorch.testing.invariants`). One seed in ten has a real
journal and real checkpoints, on a recorded disk, and the power goes. Then faults are
planted in the library, one for each promise, and seeds have to find them.

The bar: no violation, every planted fault found by the invariant that it breaks,
everything met that can be, and 10,000 seeds in less than 15 minutes. A violation
prints its seed, which is all that is needed to see it again; ``--seed`` tells what was
decided before it, ``--shrink`` leaves out of the case what does not matter.

    uv run python benchmarks/fault_seeds.py [--quick] [--seeds N] [--first N]
    uv run python benchmarks/fault_seeds.py --seed N [--shrink]
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.bench import Figures, report
from climorch.testing.seeds.meeting import MET
from climorch.testing.seeds.planted_features import EVERY
from climorch.testing.seeds.running import (
    Verdict,
    case_of,
    found_within,
    judge,
    shrunk,
    trace,
)

SEEDS = 10_000
QUICK = 60
BAR_S = 900.0
# Within how many seeds a planted fault has to be found, and in the quick run.
WITHIN = 400
# Seeds that a process takes at a time.
BATCH = 50


@dataclass(slots=True, kw_only=True)
class Total:
    """What became of many seeds."""

    records: int = 0
    lives: int = 0
    cuts: int = 0
    cpu_s: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    broken: list[Verdict] = field(default_factory=list)


def play(seeds: range) -> Total:
    """Play some seeds."""
    logging.disable(logging.CRITICAL)
    total, begin_s = Total(), time.process_time()
    for seed in seeds:
        verdict = judge(case_of(seed))
        total.records += verdict.records
        total.lives += verdict.lives
        total.cuts += verdict.cuts
        total.fired += verdict.fired
        total.met += verdict.met
        if verdict.broken:
            total.broken.append(verdict)
    total.cpu_s = time.process_time() - begin_s
    return total


def batches(first: int, count: int) -> Iterator[range]:
    """Cut seeds into batches."""
    for begin in range(first, first + count, BATCH):
        yield range(begin, min(begin + BATCH, first + count))


def play_all(first: int, count: int, processes: int) -> Total:
    """Play seeds in several processes, and tell violations as they come."""
    total = Total()
    # Forking would take along whatever threads there are.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for part in pool.imap_unordered(play, batches(first, count)):
            total.records += part.records
            total.lives += part.lives
            total.cuts += part.cuts
            total.cpu_s += part.cpu_s
            total.fired += part.fired
            total.met += part.met
            total.broken += part.broken
            for verdict in part.broken:
                print(f"seed {verdict.seed}: {verdict.broken}", flush=True)
                print(f"    {verdict.evidence[:500]}", flush=True)
    return total


def tell(seed: int, *, shrink: bool) -> int:
    """Play one seed, and tell what was decided before it broke."""
    case = case_of(seed)
    verdict = judge(case)
    if shrink and verdict.broken:
        case = shrunk(case, verdict.broken)
        for what in (
            *case.facts,
            *case.events,
            *case.troubles,
            *case.poison,
            *case.blows,
        ):
            print(f"left: {what}")
        verdict = judge(case)
    for line in trace(verdict):
        print(line)
    print(f"seed {seed}: {verdict.broken or 'every invariant holds'}")
    print(verdict.evidence)
    return 1 if verdict.broken else 0


def look_for_planted(within: int) -> Figures:
    """Look for every planted fault; 0: it was not found."""
    figures: Figures = {}
    for name, planted in EVERY.items():
        seeds, broken = found_within(planted, within)
        print(
            f"{name}: {seeds or 'not found'}, {broken or 'nothing broke'}", flush=True
        )
        figures[f"planted_{name.replace(' ', '_')}"] = seeds
    return figures


def main() -> int:
    """Play, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} seeds")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, help="play this one, and tell of it")
    parser.add_argument("--shrink", action="store_true", help="make its case small")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if args.seed is not None:
        return tell(args.seed, shrink=args.shrink)
    count = QUICK if args.quick else args.seeds
    begin_s = time.monotonic()
    total = play_all(args.first, count, args.processes)
    wall_s = time.monotonic() - begin_s
    planted = look_for_planted(WITHIN)
    found = sum(bool(n) for n in planted.values())
    figures: Figures = {
        "seeds": count,
        "violations": len(total.broken),
        "records": total.records,
        "drivers": total.lives,
        "power_cuts": total.cuts,
        "troubles": sum(total.fired.values()),
        "cpu_s": total.cpu_s,
        "cpu_s_per_seed": total.cpu_s / count,
        "wall_s": wall_s,
        "planted": len(planted),
        "planted_found": found,
    }
    shares: Figures = {
        f"met_{name.replace(' ', '_')}": total.met[name] / count for name in MET
    }
    report("fault_seeds", figures | shares | planted)
    missed = [name for name in MET if not total.met[name]]
    print(f"never met: {', '.join(missed) or 'nothing'}")
    print(
        "bar: no violation, all planted faults found, everything met, "
        f"{SEEDS} seeds in {BAR_S:g} s"
    )
    in_time = wall_s / count * SEEDS < BAR_S
    # So few seeds need not meet what is rare.
    reached = args.quick or not missed
    whole = not total.broken and found == len(planted) and reached
    return 0 if in_time and whole else 1


if __name__ == "__main__":
    sys.exit(main())
