"""What a partial score says of the final one, by this campaign's own results.

In climate ensembles often nothing: of 150 members of CMIP6, skill by the year 2000
had a rank correlation of 0.19 with final skill. So it is measured, and where it is
low nothing is concluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from climorch.policy.prospects import Correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Foretold", "foretell", "rank_correlation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """How final values follow from partial ones: a straight line with scatter.

    Attributes
    ----------
    correlation : Correlation
        How well they do.
    slope, offset : float
        Of the line by least squares.
    sd : float
        Standard deviation of the final values about the line.
    mean, spread : float
        Mean and standard deviation of all final values.
    """

    correlation: Correlation
    slope: float
    offset: float
    sd: float
    mean: float
    spread: float

    def final(self, partial: float, *, mean: float, sd: float) -> tuple[float, float]:
        """Combine a partial value with what was expected without it.

        Both are evidence of the final value and rest on the same spread of all
        final values, which must be counted once.

        Parameters
        ----------
        partial : float
            Its partial value.
        mean, sd : float
            What siblings let expect of its final value.

        Returns
        -------
        (float, float)
            Mean and standard deviation of the final value.
        """
        line = self.slope * partial + self.offset
        own, kin, all_of_them = 1 / self.sd**2, 1 / sd**2, 1 / self.spread**2
        precision = own + kin - all_of_them
        if precision <= own:
            # Siblings know no more than the spread of all.
            return line, self.sd
        centre = (own * line + kin * mean - all_of_them * self.mean) / precision
        return centre, 1 / math.sqrt(precision)


def foretell(
    mark: int, partial: Sequence[float], final: Sequence[float]
) -> Foretold | None:
    """Learn from finished simulations what their partial values foretold.

    Parameters
    ----------
    mark : int
        Where the partial values were taken.
    partial, final : sequence of float
        Of the same simulations in the same order, finite.

    Returns
    -------
    Foretold or None
        None for fewer than three, or where one of both does not vary.
    """
    x, y = np.asarray(partial, dtype=np.float64), np.asarray(final, dtype=np.float64)
    if len(x) < 3 or not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return None
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    offset = float(y.mean() - slope * x.mean())
    spread = float(np.std(y, ddof=1))
    scatter = float(np.sum((y - slope * x - offset) ** 2)) / (len(x) - 2)
    return Foretold(
        correlation=Correlation(mark=mark, rank=rank_correlation(x, y), samples=len(x)),
        slope=slope,
        offset=offset,
        # A perfect line of few points is no certainty.
        sd=max(math.sqrt(scatter), 0.05 * spread),
        mean=float(y.mean()),
        spread=spread,
    )


def rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Compute Spearman's rank correlation; ties share their mean rank.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        Finite.

    Returns
    -------
    float
        In [-1, 1]; NaN where one of both does not vary.
    """
    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return math.nan
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
