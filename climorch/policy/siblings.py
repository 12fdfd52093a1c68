"""What finished siblings say of those that are not finished.

A Gaussian process over the parameters of the scenarios, its few constants not
chosen but averaged over, each with the weight that the data give it (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5). One of
the models says that nothing is to be learned from siblings: where that is so, it
takes over. Ignores what is measured and what for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Kinship", "kinship", "learned"]

Array = NDArray[np.float64]

# Part of the variance that parameters explain; 0 has a model of its own.
EXPLAINED = (0.5, 0.8, 0.95)
# How far a number reaches, as a part of its values in order.
REACH = (0.12, 0.3, 0.8)
# Part of parameters acting only together; the rest acts one by one.
JOINT = (0.0, 0.5, 1.0)
NOTHING_LEARNED = 0.5  # prior probability that siblings tell nothing
FEWEST = 3  # values below which nothing is concluded
CDF = NormalDist().cdf

Kinship = tuple[tuple[bool, tuple[float, ...]], ...]
"""By parameter: whether it is a number, and its value for each simulation."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What is expected of each simulation.

    Attributes
    ----------
    mean, sd : ndarray of float64, shape (simulations,)
        Of the value it will have, noise included.
    above : ndarray of float64, shape (simulations,)
        Probability that the value is at least 0.
    """

    mean: Array
    sd: Array
    above: Array


def kinship(params: Sequence[Mapping[str, object]]) -> Kinship:
    """Arrange parameters so that they can be compared.

    Parameters
    ----------
    params : sequence of mapping
        One for each simulation. Numbers are taken by their order among the values
        that occur, from 0 to 1, so that units and logarithms do not matter. Text
        and booleans, and numbers that some simulations lack, are names. Lists and
        mappings, and whatever does not vary, are left out.

    Returns
    -------
    tuple
        One entry for each parameter that varies.
    """
    names = dict.fromkeys(name for each in params for name in each)
    found = []
    for name in names:
        values = [each.get(name) for each in params]
        if all(_is_number(value) for value in values):
            column = np.asarray(values, dtype=np.float64)
            steps, codes = np.unique(column, return_inverse=True)
            if len(steps) > 1:
                ordered = codes / (len(steps) - 1)
                found.append((True, tuple(float(code) for code in ordered)))
        elif all(isinstance(v, str | bool | int | float | None) for v in values):
            known = {value: i for i, value in enumerate(dict.fromkeys(values))}
            if len(known) > 1:
                found.append((False, tuple(float(known[value]) for value in values)))
    return tuple(found)


@lru_cache(maxsize=16)
def learned(
    kin: Kinship,
    size: int,
    places: tuple[int, ...],
    values: tuple[float, ...],
    noise: tuple[float, ...] = (),
) -> Estimate | None:
    """Estimate a value for all simulations from those where it is known.

    Parameters
    ----------
    kin : Kinship
        Of all simulations.
    size : int
        How many there are.
    places : tuple of int
        Which of them are known.
    values : tuple of float
        Their values, finite.
    noise : tuple of float
        Standard deviations of the values as far as these are known, >= 0; by
        default all 0.

    Returns
    -------
    Estimate or None
        None while fewer than three are known.
    """
    if len(places) < FEWEST:
        return None
    y = np.asarray(values)
    # In units of the spread; the floor keeps equal values from a spread of 0.
    scale = float(np.std(y)) or 1.0
    extra = (np.asarray(noise or np.zeros(len(y))) / scale) ** 2
    at = np.asarray(places)
    models = [_Model(0.0, np.zeros((size, size)), at, y / scale, extra)]
    models += [
        _Model(part, kernel, at, y / scale, extra)
        for kernel in _kernels(kin)
        for part in EXPLAINED
    ]
    prior = [NOTHING_LEARNED if len(models) > 1 else 1.0]
    prior += [(1 - NOTHING_LEARNED) / (len(models) - 1 or 1)] * (len(models) - 1)
    likely = np.array([m.log_likelihood for m in models]) + np.log(prior)
    weights = np.exp(likely - likely.max())
    weights /= weights.sum()
    means = np.array([m.mean for m in models])
    variances = np.array([m.variance for m in models])
    mean = weights @ means
    variance = weights @ (variances + means**2) - mean**2
    # Of a mixture, not of the normal distribution with its moments.
    ratios = means / np.sqrt(variances)
    above = weights @ np.vectorize(CDF, otypes=[float])(ratios)
    return Estimate(mean=mean * scale, sd=np.sqrt(variance) * scale, above=above)


class _Model:
    """One Gaussian process: a constant mean, a kernel, and noise.

    The level and the size of the variations are integrated out (a flat and an
    inverse-gamma prior, the latter worth two values), so that few data do not
    look like certainty.
    """

    def __init__(
        self, explained: float, kernel: Array, at: NDArray[Any], y: Array, extra: Array
    ) -> None:
        n = len(at)
        between = explained * kernel[:, at]
        own = between[at] + np.diag(1 - explained + extra)
        lower = np.linalg.cholesky(own)
        right = np.column_stack([np.ones(n), y, between.T])
        solved = np.linalg.solve(lower, right)
        ones, values, each = solved[:, 0], solved[:, 1], solved[:, 2:]
        weight = float(ones @ ones)
        level = float(ones @ values) / weight
        rest = values - level * ones
        # Half of the spread, which is 1 here, before anything was seen.
        squares = float(rest @ rest) + 1.0
        freedom = n + 1
        unit = squares / freedom
        lacking = 1 - ones @ each
        left = explained - (each**2).sum(axis=0) + lacking**2 / weight
        self.mean = level + each.T @ rest
        self.variance = unit * np.maximum(left + 1 - explained, 1e-9)
        self.log_likelihood = (
            -float(np.log(np.diag(lower)).sum())
            - 0.5 * math.log(weight)
            - 0.5 * freedom * math.log(squares)
        )


@lru_cache(maxsize=4)
def _kernels(kin: Kinship) -> tuple[Array, ...]:
    """Compute how alike all simulations are, in each of the ways considered."""
    reaches = REACH if any(number for number, _ in kin) else REACH[:1]
    joints = JOINT if len(kin) > 1 else JOINT[:1]
    found = []
    for reach, joint in product(reaches if kin else (), joints):
        alike = []
        for number, column in kin:
            distance = np.subtract.outer(np.asarray(column), np.asarray(column))
            alike.append(
                np.exp(-0.5 * (distance / reach) ** 2)
                if number
                else (distance == 0).astype(np.float64)
            )
        singly = sum(alike, np.zeros_like(alike[0])) / len(alike)
        jointly = np.prod(alike, axis=0)
        found.append((1 - joint) * singly + joint * jointly)
    return tuple(found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
