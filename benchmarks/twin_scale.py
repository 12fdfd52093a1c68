"""What the virtual cluster costs does not grow faster than what happens on it.

The cluster of `benchmarks/scenarios/months.toml` is made ten times as large, with ten
times the simulations, and then run ten times as long. Each run is one process's CPU
time, the scenario drawn before.

The bar: ten times the work, either way, in at most twelve times the CPU. ``--quick``:
half the nodes and days. ``--coarse``: in coarse mode, and for three times as long, so
that there is something to measure.

    uv run python benchmarks/twin_scale.py [--quick] [--coarse]
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from dataclasses import dataclass
from functools import partial

from benchmarks.bench import Figures, report
from benchmarks.campaign_months import SCENARIO, play

BAR = 12.0
TIMES = 10
COARSE_TIMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took.

    Attributes
    ----------
    segments, records : int
        Segments committed, and records of all kinds.
    cpu_s : float
        CPU seconds.
    """

    segments: int
    records: int
    cpu_s: float


def cost(*, simulations: int, nodes: int, days: float, coarse: bool = False) -> Cost:
    """Run the months' cluster in another size and for other days.

    Parameters
    ----------
    simulations, nodes : int
        How many.
    days : float
        Virtual days.
    coarse : bool
        In which mode.
    """
    told = tomllib.loads(SCENARIO.read_text())
    told["simulations"]["count"] = simulations
    # Demand is there from the first day on, and nobody ends: in the months each of
    # them lasts for weeks.
    told["simulations"]["demand"] = 3.5
    told["absence_of_demand"]["until_day"] = 0
    told |= {"nodes": nodes, "days": days}
    begin_s = time.process_time()
    twin, shares, _ = play(told, coarse=coarse)
    cpu_s = time.process_time() - begin_s
    return Cost(segments=twin.ledger.segments, records=shares.facts, cpu_s=cpu_s)


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half the work")
    parser.add_argument("--coarse", action="store_true", help="in coarse mode")
    asked = parser.parse_args()
    simulations, nodes, days = (50, 150, 1.0) if asked.quick else (100, 300, 2.0)
    if asked.coarse:
        days *= COARSE_TIMES
    run = partial(cost, coarse=asked.coarse)
    run(simulations=10, nodes=30, days=1.0)
    one = run(simulations=simulations, nodes=nodes, days=days)
    large = run(simulations=TIMES * simulations, nodes=TIMES * nodes, days=days)
    long = run(simulations=simulations, nodes=nodes, days=TIMES * days)
    figures: Figures = {}
    for name, found in (("one", one), ("large", large), ("long", long)):
        figures[f"{name}_segments"] = found.segments
        figures[f"{name}_records"] = found.records
        figures[f"{name}_cpu_s"] = found.cpu_s
        figures[f"{name}_us_per_record"] = found.cpu_s / found.records * 1e6
    figures["large_times_cpu"] = large.cpu_s / one.cpu_s
    figures["long_times_cpu"] = long.cpu_s / one.cpu_s
    report("twin_scale" + "_coarse" * asked.coarse, figures)
    holds = max(large.cpu_s, long.cpu_s) <= BAR * one.cpu_s
    print(f"bar: {TIMES} x the work in <= {BAR:g} x the CPU")
    print(
        f"{large.cpu_s / one.cpu_s:.1f} x as large, {long.cpu_s / one.cpu_s:.1f} x as "
        f"long; {'holds' if holds else 'falls short'}"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
