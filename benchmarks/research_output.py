"""What comes out of a fixed budget of node-hours, by who decides what computes.

Three sets (``benchmarks/research_sets.py``) and five rules: submission order, the
user's priorities, equal parts, successive halving, and the default, which judges by
finished siblings. Output is the value of the scenarios that were finished and are
good enough. Thresholds, the budget of 30 % and the sizes stood before the runs that
are reported; the rule was tuned on seeds from 10,000 on, those reported begin at 0.

The bars, with 95 % bootstrap intervals over the seeds: on learning curves and on the
ensemble the default brings more than 1.20 times what submission order brings, at the
lower end of the interval of the ratio of means; on the adversarial set, where nothing
can be learned, the mean of the ratios is at least 0.95 at the lower end; and mandatory
scenarios are all finished.

Learning curves need the package lcdb (480 MB, group ``research``). Without it the set
is left out, loudly. ``--make-ensemble`` computes the ensemble anew: 120 members,
20 min on two cores. ``--quick``: 40 seeds and the bar of the adversarial set at 0.8.

    uv run --group research python benchmarks/research_output.py [--quick]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.bench import Figures, report
from benchmarks.budgeted import Budgeted, Output, play
from benchmarks.research_sets import (
    ENSEMBLE,
    adversarial,
    energy_balance,
    learning_curves,
)
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import PromiseRule
from climorch.policy.simple_promise import (
    EqualSplit,
    FixedPriorities,
    SubmissionOrder,
    SuccessiveHalving,
)

Array = npt.NDArray[np.float64]

SETS: Mapping[str, Callable[[int], Budgeted]] = {
    "learning curves": learning_curves,
    "energy balance": energy_balance,
    "adversarial": adversarial,
}
RULES: Mapping[str, PromiseRule] = {
    "submission order": SubmissionOrder(),
    "user priority": FixedPriorities(),
    "equal split": EqualSplit(),
    "halving": SuccessiveHalving(marks=(0, 1, 3)),
    "siblings": SiblingPromise(),
}
GAIN_BAR = 1.2
FEEDBACKS = [round(0.9 + 0.1 * i, 1) for i in range(15)]
AEROSOLS = [round(0.2 * i, 1) for i in range(1, 9)]


def outputs(name: str, seed: int) -> list[Output]:
    """Play one campaign of a set under each rule."""
    campaign = SETS[name](seed)
    return [play(campaign, rule) for rule in RULES.values()]


def lower(above: Array, below: Array) -> float:
    """Compute the lower end of a bootstrap interval of 95 % of a ratio of means.

    Parameters
    ----------
    above, below : ndarray of float64, shape (seeds,)
        Drawn together.
    """
    picks = np.random.default_rng(0).integers(0, len(above), (4000, len(above)))
    return float(np.quantile(above[picks].sum(1) / below[picks].sum(1), 0.025))


def judge(name: str, played: Sequence[Sequence[Output]], quick: bool) -> list[str]:
    """Print the table of a set; return what misses its bar."""
    missed = []
    print(f"\n{name}: {len(played)} campaigns")
    head = "output  /order   low  mean/order   low  groups   best  pauses  wrong  left"
    print(f"{'':18}{head}")
    base = np.array([row[0].value for row in played])
    for i, rule in enumerate(RULES):
        out = np.array([row[i].value for row in played])
        ratios = out / np.maximum(base, 1.0)
        gain = float(out.sum() / base.sum())
        low, mean_low = lower(out, base), lower(ratios, np.ones(len(out)))
        left = sum(row[i].mandatory_left for row in played)
        print(
            f"{rule:18}{out.mean():6.2f}{gain:8.3f}{low:6.2f}{ratios.mean():12.3f}"
            f"{mean_low:6.2f}{np.mean([r[i].groups for r in played]):8.1f}"
            f"{np.nanmean([r[i].best for r in played]) if out.any() else math.nan:7.3f}"
            f"{np.mean([r[i].pauses for r in played]):8.1f}"
            f"{np.mean([r[i].wrong for r in played]):7.1f}{left:6d}"
        )
        if rule != "siblings":
            continue
        if name == "adversarial":
            if mean_low < (0.8 if quick else 0.95):
                missed.append(f"{name}: mean ratio may be {mean_low:.3f}")
        elif low <= GAIN_BAR:
            missed.append(f"{name}: the gain may be {low:.3f}")
        if left:
            missed.append(f"{name}: {left} mandatory scenarios were not finished")
    return missed


def make_ensemble() -> None:
    """Compute the members with the library itself and keep their global means."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import climorch as co
    import physics

    member = co.Workflow("member")
    spinup = co.Span("1810-01-01", "1850-01-01", every="40YS", calendar="noleap")
    member.stage("spinup", physics.spinup, init=physics.init_spinup, span=spinup)
    span = co.Span("1850-01-01", "2015-01-01", every="15YS", calendar="noleap")
    previous = {"ocean": co.PREVIOUS, "land": co.PREVIOUS}
    for name, reads in (
        ("atmosphere", previous),
        ("ocean", {"atmosphere": co.SAME}),
        ("land", {"atmosphere": co.SAME}),
    ):
        member.stage(
            name,
            getattr(physics, name),
            init=getattr(physics, f"init_{name}"),
            span=span,
            reads=reads,
            after=("spinup",),
        )
    columns: dict[str, Array] = {}
    with tempfile.TemporaryDirectory() as root:
        campaign = co.Campaign("ensemble", root=root)
        pairs = list(itertools.product(FEEDBACKS, AEROSOLS))
        for feedback, aerosol in pairs:
            params = {"feedback": feedback, "aerosol": aerosol, "grid_degrees": 20}
            scenario = co.Scenario(f"fb{feedback}-ae{aerosol}", params=params)
            campaign.submit(member, scenario=scenario)
        campaign.run(co.LocalSite(nodes=2))
        for feedback, aerosol in pairs:
            found = campaign.results(f"fb{feedback}-ae{aerosol}", "atmosphere")
            columns[f"{feedback} {aerosol}"] = found["ts_global"].values
    with ENSEMBLE.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["year", *columns])
        for i, year in enumerate(range(1850, 2015)):
            table.writerow([year, *(f"{c[i]:.5f}" for c in columns.values())])


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--set", choices=[*SETS, "all"], default="all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--make-ensemble", action="store_true")
    asked = parser.parse_args()
    if asked.make_ensemble:
        make_ensemble()
        return 0
    seeds = range(asked.first, asked.first + (40 if asked.quick else asked.seeds))
    names = list(SETS) if asked.set == "all" else [asked.set]
    if "learning curves" in names and importlib.util.find_spec("lcdb") is None:
        print("LEFT OUT: learning curves; install lcdb: uv sync --group research")
        names.remove("learning curves")
    began_s = time.perf_counter()
    missed, figures = [], Figures()
    with ProcessPoolExecutor(asked.processes, get_context("spawn")) as pool:
        for name in names:
            played = list(pool.map(partial(outputs, name), seeds, chunksize=5))
            missed += judge(name, played, asked.quick)
            for rule, column in zip(RULES, zip(*played, strict=True), strict=True):
                value = float(np.mean([output.value for output in column]))
                figures[f"{name}, {rule}"] = value
    figures["wall_s"] = time.perf_counter() - began_s
    report("research_output", figures)
    for fault in missed:
        print(f"MISSED: {fault}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
