"""What forecasts of campaigns are worth where nobody knows the laws.

Forty virtual campaigns of ten to sixteen simulations run for eighteen months in the
twin, with laws outside the forecaster's family (`benchmarks/hidden_truth.py`): half
limited by demand, half by nodes; half with scenarios that are planned and not submitted
when the forecast is made, at month six, from the journal and the plan alone.

The bars, for the node-hours of the next six months together: within 15 % in nine of ten
campaigns, median error at most 6 %, better than the flat mean of the last six months
and than plan times mean cost; P10 to P90 holds 70 to 90 %; the month in which a
scenario is done is right or one off in four of five. Twelve months are reported. All
of it takes less than half an hour on two cores, so an hour of CPU time. With
``--quick`` a few campaigns and worlds, and only that the median is within 15 % and
better than flat. With ``--keep`` each campaign is written once it is judged, and those
that the file holds are not judged again: a run may come in pieces.

    uv run python benchmarks/forecast_accuracy.py [--quick] [--first SEED] [--count N]
        [--processes N] [--keep FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from benchmarks.bench import Figures, report
from benchmarks.forecast_judged import WORLDS, Judged, Size, judge
from benchmarks.hidden_truth import AHEAD
from climorch.forecast.backtesting import wilson
from climorch.twin.pooling import side_by_side

__all__ = ["COUNT", "FIRST", "figures_of", "judged_in_pieces", "misses"]

# Constants of the forecaster were tried on seeds below it.
FIRST, COUNT = 1000, 40
NEAR, MIDDLE, COVERED, MONTH_OFF, CPU_MIN = 0.15, 0.06, (0.70, 0.90), 0.80, 60.0


def figures_of(judged: Sequence[Judged]) -> Figures:
    """Return what forecasts were worth, each share with its Wilson interval."""
    figures: Figures = {"campaigns": len(judged)}
    for at, months in enumerate((6, AHEAD)):
        errors = [abs(j.errors[at]) for j in judged]
        _share(figures, f"within_15_{months}", sum(x <= NEAR for x in errors), errors)
        covered = [j.covered[at] for j in judged]
        _share(figures, f"covered_{months}", sum(covered), covered)
        figures[f"median_error_{months}"] = median(errors)
        figures[f"bias_{months}"] = float(np.mean([j.errors[at] for j in judged]))
        for name in ("flat", "naive"):
            others = [abs(getattr(j, name)[at]) for j in judged]
            figures[f"median_error_{name}_{months}"] = median(others)
            figures[f"within_15_{name}_{months}"] = sum(
                x <= NEAR for x in others
            ) / len(judged)
    right, asked = sum(j.right for j in judged), sum(j.months for j in judged)
    _share(figures, "month_right_or_one_off", right, range(asked))
    figures["with_scenarios_to_come"] = sum(j.coming > 0 for j in judged)
    figures["cpu_min"] = sum(j.cpu_s for j in judged) / 60
    figures["fewest_segments"] = min(j.fewest for j in judged)
    for limited in ("demand", "nodes"):
        errors = [abs(j.errors[0]) for j in judged if j.limited == limited]
        if errors:
            figures[f"median_error_6_{limited}"] = median(errors)
    return figures


def _share(figures: Figures, name: str, hits: int, of: Sequence[object]) -> None:
    low, high = wilson(hits, len(of))
    figures[name] = hits / len(of) if of else 1.0
    figures[f"{name}_low"], figures[f"{name}_high"] = low, high


def misses(figures: Figures) -> list[str]:
    """Name the bars that do not hold."""
    error = float(figures["median_error_6"])
    checks = {
        "within 15 % in 90 %": float(figures["within_15_6"]) >= 0.9,
        "median error": error <= MIDDLE,
        "better than flat": error < float(figures["median_error_flat_6"]),
        "better than plan times mean": error < float(figures["median_error_naive_6"]),
        "coverage": COVERED[0] <= float(figures["covered_6"]) <= COVERED[1],
        "months": float(figures["month_right_or_one_off"]) >= MONTH_OFF,
        "time": float(figures["cpu_min"]) <= CPU_MIN,
    }
    return [name for name, holds in checks.items() if not holds]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    size: Size
    judged: Judged


def judged_in_pieces(
    size: Size, seeds: Sequence[int], keep: Path | None, *, processes: int
) -> list[Judged]:
    """Judge campaigns, a few at a time, and write down each piece as soon as it is.

    Parameters
    ----------
    size : Size
        How much is played.
    seeds : sequence of int
        Of the campaigns.
    keep : Path or None
        A line for each campaign and size. What it holds is taken from it.
    processes : int
        Campaigns at a time.
    """
    known: dict[int, Judged] = {}
    if keep is not None and keep.exists():
        for line in keep.read_bytes().splitlines():
            kept = msgspec.json.decode(line, type=_Kept)
            if kept.size == size:
                known[kept.judged.seed] = kept.judged
    left = [seed for seed in seeds if seed not in known]
    several = processes if keep is not None else len(left)
    for at in range(0, len(left), max(several, 1)):
        piece = left[at : at + several]
        found = side_by_side(judge, size, piece, processes=processes)
        known |= {judged.seed: judged for judged in found}
        if keep is not None:
            with keep.open("ab") as file:
                for judged in found:
                    line = msgspec.json.encode(_Kept(size=size, judged=judged))
                    file.write(line + b"\n")
    return [known[seed] for seed in seeds]


def main() -> int:
    """Measure, print, and tell whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few campaigns")
    parser.add_argument("--sum", action="store_true", help="without the twin")
    parser.add_argument("--first", type=int, default=FIRST, help="first seed")
    parser.add_argument("--count", type=int, default=0, help="campaigns")
    parser.add_argument("--worlds", type=int, default=0, help="of each forecast")
    parser.add_argument("--processes", type=int, default=2, help="campaigns at a time")
    parser.add_argument("--keep", type=Path, help="where to write what is judged")
    asked = parser.parse_args()
    count = asked.count or (8 if asked.quick else COUNT)
    worlds = asked.worlds or (6 if asked.quick else WORLDS)
    judged = judged_in_pieces(
        Size(worlds=worlds, quick=asked.sum),
        range(asked.first, asked.first + count),
        asked.keep,
        processes=asked.processes,
    )
    for j in judged:
        print(
            f"{j.seed:5d} {j.limited:<6} {j.coming:2d} to come: {j.errors[0]:+6.1%} "
            f"{'in ' if j.covered[0] else 'out'} (12 months {j.errors[1]:+6.1%}), flat "
            f"{j.flat[0]:+6.1%}, plan x mean {j.naive[0]:+6.1%}, months {j.right} of "
            f"{j.months}"
        )
    figures = figures_of(judged)
    whole = (asked.first, count, worlds, asked.sum) == (FIRST, COUNT, WORLDS, False)
    report("forecast_accuracy" + "_try" * (not whole), figures)
    if asked.quick:
        error = float(figures["median_error_6"])
        holds = error <= NEAR and error < float(figures["median_error_flat_6"])
    else:
        missed = misses(figures)
        print("bars that fall short:", ", ".join(missed) or "none")
        holds = not missed
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
