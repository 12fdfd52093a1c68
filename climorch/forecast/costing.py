"""What segments will cost, as far as a campaign's past shows, and how unsure that is.

A ridge regression in logarithms of weekly means: a level for each configuration (a
stage of a workflow), what each simulation differs by, steps where a level has changed,
one trend for all. Old weeks count less. What is drawn from it is a whole world at once,
so that an error that all simulations share does not average out.

Ignores waits, failures and checkpoints: the twin plays those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from climorch.forecast.witness import WEEK_S, Pieces
from climorch.policy.durations import BETWEEN, GUESS, NOISE, NOISE_FREEDOM, speedup

__all__ = ["Change", "CostDraw", "Costing", "Place", "learn_costs"]

Array = npt.NDArray[np.float64]
Place = tuple[str, str]
"""A workflow and a stage of it."""

# All ours, and tried on campaigns other than those that are reported. In logarithms:
# how well a level is known before anything is.
LEVEL = 3.0
# Trend of a month of 30 days; at most how much of it goes on: nobody knows, so a world
# draws it evenly.
TREND, GOES_ON = 0.01, 1.2
MONTH_WEEKS = 30 / 7
# What a level wanders by in a week: older weeks say less of today, and today less of
# what comes.
WANDER = 0.012
# What a week of one simulation differs by beyond noise.
WEEKLY = 0.02
# A change of level is believed if it is so many standard errors and at least this big.
CLEAR, BIG, STEP, MOST_CHANGES = 4.0, 0.05, 0.5, 2
# Weeks on both sides without which a change is not looked for.
FEWEST_WEEKS = 2
ROUNDS = 3


class Change(NamedTuple):
    """A configuration whose cost has changed for good.

    Attributes
    ----------
    place : tuple of (str, str)
        Workflow and stage.
    week : int
        First week after it, since the epoch.
    ratio : float
        Seconds after it over those before.
    """

    place: Place
    week: int
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostDraw:
    """Costs as they may be: one world.

    Attributes
    ----------
    seed : int
        Of simulations that nothing is known of.
    seconds : mapping of (str, str) to float
        Mean of a segment on the nodes that its simulation asks for, by place.
    factors : mapping of (str, str, str) to float
        By workflow, stage and simulation: what it differs by.
    between : mapping of (str, str) to float
        What others differ by: standard deviation of logarithms.
    drift_per_day : float
        By which share segments take longer each day, compound.
    noise_cv : float
        Of single segments.
    """

    seed: int
    seconds: Mapping[Place, float]
    factors: Mapping[tuple[str, str, str], float]
    between: Mapping[Place, float]
    drift_per_day: float
    noise_cv: float

    def mean_s(self, workflow: str, stage: str, simulation: str) -> float:
        """Return the mean seconds of a segment of a simulation.

        Parameters
        ----------
        workflow, stage, simulation : str
            Whose; one that has shown nothing differs by what others do.
        """
        factor = self.factors.get((workflow, stage, simulation))
        if factor is None:
            word = xxhash.xxh3_64_intdigest(f"{workflow}/{simulation}".encode())
            rng = np.random.default_rng((self.seed, word))
            spread = self.between.get((workflow, stage), BETWEEN)
            factor = math.exp(spread * float(rng.standard_normal()))
        return self.seconds[workflow, stage] * factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Costing:
    """What is known of costs.

    Attributes
    ----------
    pieces : mapping of (str, str) to int
        Measured segments by place; 0: a guess.
    changes : tuple of Change
        Levels that have changed.
    trend_per_month : float
        Of all costs, as a share; what `draw` lets go on is part of it.
    noise_cv : float
        Of single segments, pooled.
    centre : mapping of (str, str) to float
        Best estimates, in seconds.
    """

    pieces: Mapping[Place, int]
    changes: tuple[Change, ...]
    trend_per_month: float
    noise_cv: float
    centre: Mapping[Place, float]
    _fit: _Fit
    _guesses: Mapping[Place, float]

    def draw(self, seed: int) -> CostDraw:
        """Draw a world.

        Parameters
        ----------
        seed : int
            The same gives the same world.
        """
        fit, rng = self._fit, np.random.default_rng((seed, 1))
        found = fit.mean + fit.root @ rng.standard_normal(len(fit.mean))
        # Where the level wanders to, on the mean of half a year.
        ahead = WANDER * math.sqrt(26 / 3) * float(rng.standard_normal())
        seconds = {
            place: math.exp(found[at] + ahead) for place, at in fit.levels.items()
        }
        for place, guess_s in sorted(self._guesses.items()):
            off = float(np.random.default_rng((seed, 2)).standard_normal())
            seconds.setdefault(place, guess_s * math.exp(GUESS * off))
        trend = found[fit.trend] if fit.trend is not None else 0.0
        return CostDraw(
            seed=seed,
            seconds=seconds,
            factors={key: math.exp(found[at]) for key, at in fit.own.items()},
            between=fit.between,
            drift_per_day=math.expm1(float(rng.uniform(0, GOES_ON)) * trend / 30),
            noise_cv=self.noise_cv,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Weekly means: whose, when (weeks before now, <= 0), logarithm, segments."""

    keys: list[tuple[str, str, str]]
    when: Array
    logs: Array
    counts: Array
    cvs: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    mean: Array
    root: Array
    residuals: Array
    levels: dict[Place, int]
    own: dict[tuple[str, str, str], int]
    trend: int | None
    between: dict[Place, float]


def learn_costs(
    pieces: Sequence[Pieces],
    *,
    gangs: Mapping[str, int],
    guesses: Mapping[Place, float],
    as_of_s: float,
) -> Costing:
    """Learn what segments cost.

    Parameters
    ----------
    pieces : sequence of Pieces
        What was measured.
    gangs : mapping of str to int
        Nodes that each simulation asks for: seconds are told for those.
    guesses : mapping of (str, str) to float
        What users say that a segment takes, in seconds, for places without pieces.
    as_of_s : float
        Now, UTC seconds.

    Returns
    -------
    Costing
        Levels are those of now. With few pieces the spread is mostly assumed.
    """
    rows, noise = _rows(pieces, gangs, as_of_s)
    changes: list[tuple[Place, float]] = []
    fit = _fitted(rows, changes)
    for _ in range(MOST_CHANGES * max(len(fit.levels), 1)):
        found = _change(rows, fit, changes)
        if found is None:
            break
        changes.append(found)
        fit = _fitted(rows, changes)
    counts: dict[Place, int] = dict.fromkeys(guesses, 0)
    for x in pieces:
        place = (x.workflow, x.stage)
        counts[place] = counts.get(place, 0) + x.count
    first = len(fit.mean) - len(changes)
    this_week = as_of_s / WEEK_S
    centre = {place: math.exp(fit.mean[at]) for place, at in fit.levels.items()}
    return Costing(
        pieces=counts,
        changes=tuple(
            Change(
                place,
                math.ceil(this_week + when),
                math.exp(-float(fit.mean[first + k])),
            )
            for k, (place, when) in enumerate(changes)
        ),
        trend_per_month=math.expm1(fit.mean[fit.trend])
        if fit.trend is not None
        else 0.0,
        noise_cv=noise,
        centre={**guesses, **centre},
        _fit=fit,
        _guesses=dict(guesses),
    )


def _rows(
    pieces: Sequence[Pieces], gangs: Mapping[str, int], as_of_s: float
) -> tuple[_Rows, float]:
    """Make rows of what was measured; return the noise of single segments, too."""
    squares = {(x.workflow, x.stage): NOISE_FREEDOM * NOISE**2 for x in pieces}
    freedom = dict.fromkeys(squares, NOISE_FREEDOM)
    for x in pieces:
        squares[x.workflow, x.stage] += x.squares / x.mean_s**2
        freedom[x.workflow, x.stage] += x.count - 1
    cv2 = {place: squares[place] / freedom[place] for place in squares}
    keys, when, logs, counts, cvs = [], [], [], [], []
    for x in pieces:
        gang = gangs.get(x.simulation, x.nodes) or 1
        scale = speedup(x.nodes or gang) / speedup(gang)
        own = cv2[x.workflow, x.stage]
        keys.append((x.workflow, x.stage, x.simulation))
        # The middle of its week, and never after now.
        when.append(min(x.week + 0.5 - as_of_s / WEEK_S, 0.0))
        # The logarithm of a mean of few is below that of many.
        logs.append(math.log(x.mean_s * scale) + min(own / (2 * x.count), 0.1))
        counts.append(x.count)
        cvs.append(math.sqrt(own))
    weight = sum(freedom.values())
    noise = math.sqrt(sum(squares.values()) / weight) if weight else NOISE
    rows = _Rows(
        keys=keys,
        when=np.array(when, float),
        logs=np.array(logs, float),
        counts=np.array(counts, float),
        cvs=np.array(cvs, float),
    )
    return rows, noise


def _fitted(rows: _Rows, changes: Sequence[tuple[Place, float]]) -> _Fit:
    """Fit levels, simulations, trend and steps, and how unsure they are."""
    levels = {p: at for at, p in enumerate(dict.fromkeys(k[:2] for k in rows.keys))}
    own = {key: len(levels) + at for at, key in enumerate(dict.fromkeys(rows.keys))}
    if not levels:
        nothing = np.zeros(0)
        return _Fit(
            mean=nothing,
            root=np.zeros((0, 0)),
            residuals=nothing,
            levels={},
            own={},
            trend=None,
            between={},
        )
    trend = len(levels) + len(own)
    design = np.zeros((len(rows.logs), trend + 1 + len(changes)))
    for row, key in enumerate(rows.keys):
        design[row, levels[key[:2]]] = design[row, own[key]] = 1.0
    design[:, trend] = rows.when / MONTH_WEEKS
    for k, (place, when) in enumerate(changes):
        before = [
            key[:2] == place and at < when
            for key, at in zip(rows.keys, rows.when, strict=True)
        ]
        design[:, trend + 1 + k] = before
    variance = rows.cvs**2 / rows.counts + WEEKLY**2 - WANDER**2 * rows.when
    between = dict.fromkeys(levels, BETWEEN)
    for _ in range(ROUNDS):
        prior = np.full(design.shape[1], STEP)
        prior[list(levels.values())] = LEVEL
        prior[trend] = TREND
        for key, at in own.items():
            prior[at] = between[key[:2]]
        mean, root, residuals = _ridge(design, rows.logs, variance, prior)
        between = _between(own, mean)
    return _Fit(
        mean=mean,
        root=root,
        residuals=residuals,
        levels=levels,
        own=own,
        trend=trend,
        between=between,
    )


def _ridge(
    design: Array, logs: Array, variance: Array, prior: Array
) -> tuple[Array, Array, Array]:
    """Return mean, a root of the covariance, and residuals in standard errors."""
    # About the mean of all, so that the prior of a level says nothing.
    origin = float(np.average(logs, weights=1 / variance))
    scaled = design / variance[:, None]
    precision = design.T @ scaled + np.diag(prior**-2)
    centre = prior * 0.0
    centre[np.flatnonzero(prior == LEVEL)] = origin
    mean = np.linalg.solve(precision, scaled.T @ logs + centre / prior**2)
    residuals = (logs - design @ mean) / np.sqrt(variance)
    # More scatter than was assumed makes everything less sure, less does not help.
    over = max(float(np.mean(residuals**2)), 1.0)
    covariance = np.linalg.inv(precision) * over
    root: Array = np.linalg.cholesky(covariance)
    return np.asarray(mean, float), root, residuals


def _between(
    own: Mapping[tuple[str, str, str], int], mean: Array
) -> dict[Place, float]:
    """Say what simulations of each place differ by, with what is assumed of it."""
    squares: dict[Place, list[float]] = {}
    for key, at in own.items():
        squares.setdefault(key[:2], []).append(float(mean[at]) ** 2)
    return {
        place: math.sqrt((2 * BETWEEN**2 + sum(found)) / (2 + len(found)))
        for place, found in squares.items()
    }


def _change(
    rows: _Rows, fit: _Fit, known: Sequence[tuple[Place, float]]
) -> tuple[Place, float] | None:
    """Find the clearest change of level that is not known, if any is clear."""
    best, found = CLEAR, None
    for place in fit.levels:
        if sum(place == other for other, _ in known) >= MOST_CHANGES:
            continue
        here = np.array([key[:2] == place for key in rows.keys])
        when = rows.when[here]
        deviation = np.sqrt(rows.cvs[here] ** 2 / rows.counts[here] + WEEKLY**2)
        sure = deviation**-2.0
        off = fit.residuals[here] * np.sqrt(deviation**2 - WANDER**2 * when)
        for at in np.unique(when)[FEWEST_WEEKS:]:
            early = when < at
            if np.unique(when[~early]).size < FEWEST_WEEKS:
                continue
            gap = np.average(off[~early], weights=sure[~early]) - np.average(
                off[early], weights=sure[early]
            )
            error = math.sqrt(1 / sure[~early].sum() + 1 / sure[early].sum())
            if abs(gap) > BIG and abs(gap) / error > best:
                best, found = abs(gap) / error, (place, float(at))
    return found
