"""What forecasts of a series would have been worth, from every past month on.

Each origin knows the months before it only. Origins overlap, so they are not
independent: Wilson intervals by their number are too narrow, and say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.history import History
from climorch.forecast.series import YEAR_MONTHS, Outlook, judged, outlook

__all__ = ["Backtest", "Origin", "backtest", "forecast_series", "wilson"]

NEAR = 0.15
Z95 = 1.959963984540054
# Origins from which on a share of them says something.
FEWEST = 6


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Compute the 95 % Wilson score interval of a share.

    Parameters
    ----------
    hits, count : int
        How many of how many; 0 <= hits <= count.

    Returns
    -------
    tuple of float
        In [0, 1]; all of it where nothing was counted.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22(158), 209-212.
    """
    if count == 0:
        return 0.0, 1.0
    share, z2 = hits / count, Z95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    half *= Z95 / (1 + z2 / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One past forecast of a total, and what came.

    Attributes
    ----------
    month : str
        First month that was forecast.
    expected, p10, p90 : float
        Of all months together.
    actual : float
        What came.
    """

    month: str
    expected: float
    p10: float
    p90: float
    actual: float

    @property
    def error(self) -> float:
        """Relative, signed; infinite where nothing came and something was expected."""
        if self.actual:
            return (self.expected - self.actual) / self.actual
        return math.inf if self.expected else 0.0

    @property
    def covered(self) -> bool:
        """Whether it came between P10 and P90."""
        return self.p10 <= self.actual <= self.p90


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Past forecasts of a series.

    Attributes
    ----------
    months : int
        How many each forecast together.
    origins : tuple of Origin
        By time; they overlap.
    """

    months: int
    origins: tuple[Origin, ...]

    @property
    def mean_error(self) -> float:
        """Mean relative error, whatever its sign; NaN without origins."""
        return float(np.mean(self._errors)) if self.origins else math.nan

    @property
    def median_error(self) -> float:
        """Median of the same."""
        return float(np.median(self._errors)) if self.origins else math.nan

    @property
    def p90_error(self) -> float:
        """Nine of ten are not farther off; NaN without origins."""
        if not self.origins:
            return math.nan
        return float(np.quantile(self._errors, 0.9, method="higher"))

    @property
    def bias(self) -> float:
        """Mean signed error; > 0: too much was expected."""
        if not self.origins:
            return math.nan
        return float(np.mean([origin.error for origin in self.origins]))

    @property
    def near(self) -> int:
        """Origins within 15 %."""
        return sum(error <= NEAR for error in self._errors)

    @property
    def within(self) -> float:
        """Their share; NaN without origins."""
        return self.near / len(self.origins) if self.origins else math.nan

    @property
    def within_interval(self) -> tuple[float, float]:
        """Wilson interval of it, as if origins were independent: too narrow."""
        return wilson(self.near, len(self.origins))

    @property
    def coverage(self) -> float:
        """Share that came between P10 and P90, 0.8 if ranges are right; may be NaN."""
        if not self.origins:
            return math.nan
        return sum(origin.covered for origin in self.origins) / len(self.origins)

    @property
    def coverage_interval(self) -> tuple[float, float]:
        """Wilson interval of it, likewise."""
        return wilson(sum(o.covered for o in self.origins), len(self.origins))

    @property
    def _errors(self) -> list[float]:
        return [abs(origin.error) for origin in self.origins]

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per origin."""
        rows = [
            {
                "month": o.month,
                "expected": o.expected,
                "p10": o.p10,
                "p90": o.p90,
                "actual": o.actual,
                "error": o.error,
                "covered": o.covered,
            }
            for o in self.origins
        ]
        columns = ["month", "expected", "p10", "p90", "actual", "error", "covered"]
        return pd.DataFrame(rows, columns=columns).set_index("month")

    def __str__(self) -> str:
        low, high = self.within_interval
        return (
            f"{len(self.origins)} overlapping origins, {self.months} months each: mean "
            f"error {self.mean_error:.1%}, bias {self.bias:+.1%}, within 15 % "
            f"{self.within:.0%} ({low:.0%} to {high:.0%}), P90 error "
            f"{self.p90_error:.1%}, P10-P90 covers {self.coverage:.0%}"
        )


def backtest(
    history: History, *, months: int = 6, first: int = YEAR_MONTHS, seed: int = 0
) -> Backtest:
    """Forecast from every past month, and compare with what came.

    Parameters
    ----------
    history : History
        What is known now.
    months : int
        Months of each forecast, >= 1.
    first : int
        Months that the first origin knows, >= 6.
    seed : int
        Of the paths.

    Returns
    -------
    Backtest
        Without origins where the history is too short for one.

    Raises
    ------
    InvalidInputError
        If numbers are out of range.
    """
    faults = [
        Fault(place=name, problem=f"got {found}", remedy=f"give {least} or more")
        for name, found, least in (("months", months, 1), ("first", first, 6))
        if found < least
    ]
    if faults:
        raise InvalidInputError("this cannot be tested", faults=faults)
    origins = []
    for at in range(first, len(history) - months + 1):
        found = outlook(history.until(at), months=months, seed=seed)
        origins.append(
            Origin(
                month=history.months[at],
                expected=found.total,
                p10=found.total_p10,
                p90=found.total_p90,
                actual=math.fsum(history.used[at : at + months]),
            )
        )
    return Backtest(months=months, origins=tuple(origins))


def forecast_series(history: History, *, months: int = 6, seed: int = 0) -> Outlook:
    """Forecast a series, and say how far to trust that by testing it on the past.

    Parameters
    ----------
    history : History
        At least six months; from two years on its case is known.
    months : int
        How many to come.
    seed : int
        Of the paths.

    Returns
    -------
    Outlook
        With its case.

    Raises
    ------
    InvalidInputError
        As `outlook` does.
    """
    found = outlook(history, months=months, seed=seed)
    tried = backtest(history, months=months, seed=seed).origins
    # To expect nothing of what has stopped is right, and shows nothing.
    past = Backtest(months=months, origins=tuple(o for o in tried if o.actual > 0))
    if len(past.origins) < FEWEST:
        return judged(found, within=None, error=None)
    return judged(found, within=past.within, error=past.mean_error)
