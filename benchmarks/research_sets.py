"""Three sets of scenarios whose results are known, to draw campaigns from.

Learning curves of classifiers, with the seconds that training took; members of the
energy-balance ensemble of the example, scored against HadCRUT5; and made-up ones
whose early skill says nothing, or the opposite.
"""

from __future__ import annotations

import csv
import importlib.util
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.budgeted import Budgeted

__all__ = ["ENSEMBLE", "adversarial", "energy_balance", "learning_curves"]

Array = npt.NDArray[np.float64]

# Written down before the runs that are reported: the budget, what is good enough,
# how large a campaign is, which are mandatory.
BUDGET = 0.3
NODES = 8
MANDATORY = 0.05
PIECES = 8
DATA_SETS = 10
ACCURACY = 0.8
RMSE_K = 0.2
MEMBERS = 80
MADE_UP = 100

ENSEMBLE = Path(__file__).parent / "data" / "energy_balance.csv"
OBSERVED = Path(__file__).parents[1] / "examples" / "data"
BASELINE = range(1850, 1901)
YEARS_PER_PIECE = 15

# Of two generations of users: what each would try first.
TRUSTED = {
    "GradientBoostingClassifier": 2,
    "RandomForestClassifier": 2,
    "ExtraTreesClassifier": 2,
    "SVC_rbf": 1,
    "MLPClassifier": 1,
}


@cache
def _curves() -> dict[int, dict[str, list[tuple[float, float, float]]]]:
    """Read seconds, validation and test accuracy by data set, learner and size."""
    found = importlib.util.find_spec("lcdb")
    if found is None or not found.submodule_search_locations:
        raise SystemExit(
            "the learning curves are in the package lcdb: "
            "uv run --group research python benchmarks/research_output.py"
        )
    path = Path(found.submodule_search_locations[0]) / "database-accuracy.csv"
    sums: dict[tuple[int, str, int], list[float]] = defaultdict(lambda: [0.0] * 4)
    with path.open() as file:
        for row in csv.DictReader(file):
            key = int(row["openmlid"]), row["learner"], int(row["size_train"])
            total = sums[key]
            total[0] += 1
            total[1] += float(row["traintime"])
            total[2] += float(row["score_valid"])
            total[3] += float(row["score_test"])
    curves: dict[int, dict[str, list[tuple[float, float, float]]]] = {}
    for (data, learner, _), (n, *rest) in sorted(sums.items()):
        points = curves.setdefault(data, {}).setdefault(learner, [])
        points.append((rest[0] / n, rest[1] / n, rest[2] / n))
    return {data: c for data, c in curves.items() if len(c) >= 18}


def learning_curves(seed: int) -> Budgeted:
    """Draw a campaign: every learner on ten data sets, each larger and larger.

    A simulation is a learner on a data set; its segments train on more and more of
    the data and cost the seconds that this took. What takes more than ten times the
    median is left out: a single one of these would use up the budget.

    Parameters
    ----------
    seed : int
        Of the draw.
    """
    draw = np.random.default_rng(seed)
    curves = _curves()
    names, costs, margins = [], [], []
    for data in draw.choice(sorted(curves), DATA_SETS, replace=False):
        for learner, points in sorted(curves[int(data)].items()):
            if len(points) < PIECES:
                continue
            pieces = np.array_split(np.asarray(points), PIECES)
            # A node is not given out for less than a hundredth of a second.
            costs.append([max(float(piece[:, 0].sum()), 0.01) for piece in pieces])
            partial = [float(piece[-1, 1]) for piece in pieces[:-1]]
            margins.append([*partial, float(pieces[-1][-1, 2])])
            names.append((str(data), learner.rsplit(".", 1)[-1]))
    cost, margin = np.asarray(costs), np.asarray(margins) - ACCURACY
    total = cost.sum(axis=1)
    kept = draw.permutation(np.flatnonzero(total <= 10 * np.median(total)))
    return Budgeted(
        params=[{"data": names[i][0], "learner": names[i][1]} for i in kept],
        group=[names[i][0] for i in kept],
        value=np.ones(len(kept)),
        mandatory=draw.random(len(kept)) < MANDATORY,
        priority=np.array([TRUSTED.get(names[i][1], 0) for i in kept]),
        cost_s=cost[kept],
        margin=margin[kept],
        nodes=NODES,
        part=BUDGET,
    )


@cache
def _ensemble() -> tuple[list[tuple[float, float]], Array]:
    """Read feedback and aerosol factor of each member, and its skill by segment."""
    with ENSEMBLE.open() as file:
        rows = list(csv.DictReader(file))
    with (OBSERVED / "hadcrut5_global_annual.csv").open() as file:
        table = list(csv.reader(file))
    observed = {int(row[0]): float(row[1]) for row in table[1:]}
    years = [int(row["year"]) for row in rows]
    members = [name for name in rows[0] if name != "year"]
    series = np.array([[float(row[name]) for name in members] for row in rows])
    truth = np.array([observed[year] for year in years])
    early = np.array([year in BASELINE for year in years])

    def rmse(upto: int) -> Array:
        base = early & (np.arange(len(years)) < upto)
        ours = series[:upto] - series[base].mean(axis=0)
        theirs = truth[:upto] - truth[base].mean()
        return np.asarray(np.sqrt(((ours - theirs[:, None]) ** 2).mean(axis=0)))

    marks = range(YEARS_PER_PIECE, len(years) + 1, YEARS_PER_PIECE)
    margin = np.array([RMSE_K - rmse(mark) for mark in marks]).T
    pairs = [tuple(map(float, name.split(" "))) for name in members]
    return [(pair[0], pair[1]) for pair in pairs], margin


def energy_balance(seed: int) -> Budgeted:
    """Draw a campaign: eighty members of the ensemble, 1850 to 2014.

    Scored by their distance from HadCRUT5 up to the same model year. All cost the
    same but for noise of 10 %. The user would try first what is near the assessed
    feedback and aerosol forcing.

    Parameters
    ----------
    seed : int
        Of the draw.
    """
    draw = np.random.default_rng(seed)
    pairs, margin = _ensemble()
    kept = draw.permutation(len(pairs))[:MEMBERS]
    far = [abs(pairs[i][0] - 1.2) / 0.3 + abs(pairs[i][1] - 1.0) / 0.3 for i in kept]
    return Budgeted(
        params=[{"feedback": pairs[i][0], "aerosol": pairs[i][1]} for i in kept],
        group=[f"aerosol {pairs[i][1]}" for i in kept],
        value=np.ones(len(kept)),
        mandatory=draw.random(len(kept)) < MANDATORY,
        priority=-np.rint(far).astype(int),
        cost_s=1200 * draw.lognormal(0.0, 0.1, (len(kept), margin.shape[1])),
        margin=margin[kept],
        nodes=NODES,
        part=BUDGET,
    )


def adversarial(seed: int) -> Budgeted:
    """Make up a campaign whose parameters and early skill say nothing.

    In every other one early skill is the opposite of the final one.

    Parameters
    ----------
    seed : int
        Of the draw.
    """
    draw = np.random.default_rng(seed)
    final = draw.normal(-0.5, 1.0, MADE_UP)
    early = (
        draw.normal(-0.5, 1.0, MADE_UP)
        if seed % 2
        else -final - 1.0 + draw.normal(0.0, 0.3, MADE_UP)
    )
    weight = np.linspace(0.0, 1.0, PIECES) ** 8
    margin = (1 - weight) * early[:, None] + weight * final[:, None]
    where = draw.random((MADE_UP, 2))
    kinds = draw.integers(0, 4, MADE_UP)
    cost = 1200 * draw.lognormal(0.0, 0.5, MADE_UP)
    return Budgeted(
        params=[
            {"x": float(x), "y": float(y), "kind": f"kind {kind}"}
            for (x, y), kind in zip(where, kinds, strict=True)
        ],
        group=[f"kind {kind}" for kind in kinds],
        value=np.ones(MADE_UP),
        mandatory=draw.random(MADE_UP) < MANDATORY,
        priority=draw.integers(0, 3, MADE_UP),
        cost_s=np.repeat(cost[:, None], PIECES, axis=1),
        margin=np.asarray(margin),
        nodes=NODES,
        part=BUDGET,
    )
