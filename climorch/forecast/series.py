"""What to expect of a usage series from its history alone: top-down.

The level is the mean of the last six months; on real traces no seasonal or trended
method was better. Ranges come from paths: pasts and futures made of blocks of the
history, and what each future was beside the mean of its past. Ignores plans: history
does not know what will be submitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.history import History

__all__ = ["LEVEL_MONTHS", "Case", "Outlook", "outlook"]

LEVEL_MONTHS = 6
"""Months whose mean is the level; ours, the best flat one on a busy machine."""
BLOCK_MONTHS = 3
"""Months that stay together in a path; of 1 to 12 tried, on a real machine and on
series of known memory, those of 2 and 3 covered what they should."""
YEAR_MONTHS = 12
PATHS = 2000
QUANTILES = (0.1, 0.5, 0.9)
LITTLE = "less than a year of history: ranges rest on very little"

Array = npt.NDArray[np.float64]


class Case(Enum):
    """How far history alone can be trusted."""

    STEADY = "steady: its six-month mean was within 15 % in most past months"
    UNEVEN = "uneven: past forecasts often missed by more than 15 %; use the range"
    ERRATIC = "erratic: history alone says little here; a plan is needed"
    SHORT = "short: less than two years, so no past forecast can be judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is expected of the months to come.

    Attributes
    ----------
    unit : str
        Of all amounts.
    case : Case
        How far to trust it, by what past forecasts of this series were worth.
    months : tuple of str
        Those to come.
    expected : tuple of float
        Of each: the level, by its days, at most the capacity.
    p10, p50, p90 : tuple of float
        Of each, over all paths.
    total : float
        Expected of all together.
    total_p10, total_p50, total_p90 : float
        Of all together, over all paths: months of a path go together.
    blocks : int
        Blocks of the past that the ranges rest on; they overlap.
    notes : tuple of str
        What was assumed.
    """

    unit: str
    case: Case
    months: tuple[str, ...]
    expected: tuple[float, ...]
    p10: tuple[float, ...]
    p50: tuple[float, ...]
    p90: tuple[float, ...]
    total: float
    total_p10: float
    total_p50: float
    total_p90: float
    blocks: int
    notes: tuple[str, ...] = ()

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per month and ``(total)``."""
        table = pd.DataFrame(
            {
                "month": [*self.months, "(total)"],
                "expected": [*self.expected, self.total],
                "p10": [*self.p10, self.total_p10],
                "p50": [*self.p50, self.total_p50],
                "p90": [*self.p90, self.total_p90],
            }
        )
        return table.set_index("month")

    def to_xarray(self) -> xr.Dataset:
        """Return the months along ``month``, quantiles along ``quantile``."""
        return xr.Dataset(
            {
                "expected": ("month", list(self.expected), {"units": self.unit}),
                "used": (
                    ("quantile", "month"),
                    np.array([self.p10, self.p50, self.p90]),
                    {"units": self.unit},
                ),
            },
            coords={"month": list(self.months), "quantile": list(QUANTILES)},
            attrs={"case": self.case.value},
        )

    def __str__(self) -> str:
        return (
            f"{self.months[0]} to {self.months[-1]}: {self.total:,.0f} {self.unit} "
            f"({self.total_p10:,.0f} to {self.total_p90:,.0f}); {self.case.value}"
        )


def outlook(
    history: History,
    *,
    months: int = 6,
    paths: int = PATHS,
    seed: int = 0,
    case: Case = Case.SHORT,
) -> Outlook:
    """Forecast a series from its history.

    Parameters
    ----------
    history : History
        At least six months.
    months : int
        How many to come, in [1, 120].
    paths : int
        How many are drawn, >= 100.
    seed : int
        Of the draws: the same history and seed give the same numbers.
    case : Case
        How far to trust it; `judged` finds out.

    Returns
    -------
    Outlook
        Medians equal the level; ranges hold about 80 % of what comes if the future
        varies as the past did.

    Raises
    ------
    InvalidInputError
        With every fault: less than six months of history, numbers out of range.
    """
    _check(history, months, paths)
    per_day = history.per_day
    names, lengths = history.ahead(months)
    days = np.array(lengths)
    most = (history.capacity_per_day or np.inf) * days
    level = per_day[-LEVEL_MONTHS:].mean() * days
    expected = np.minimum(level, most)
    drawn = np.minimum(level * _paths(per_day, months, paths, seed), most)
    p10, p50, p90 = np.quantile(drawn, QUANTILES, axis=0)
    total_p10, total_p50, total_p90 = np.quantile(drawn.sum(axis=1), QUANTILES)
    short = (LITTLE,) if len(per_day) < YEAR_MONTHS else ()
    return Outlook(
        unit=history.unit,
        case=case,
        months=names,
        expected=_floats(expected),
        p10=_floats(p10),
        p50=_floats(p50),
        p90=_floats(p90),
        total=float(expected.sum()),
        total_p10=float(total_p10),
        total_p50=float(total_p50),
        total_p90=float(total_p90),
        blocks=max(len(history) - BLOCK_MONTHS + 1, 1),
        notes=history.notes + short,
    )


def _check(history: History, months: int, paths: int) -> None:
    checks = (
        ("history", len(history), len(history) >= LEVEL_MONTHS, "6 months or more"),
        ("months", months, 1 <= months <= 120, "1 to 120"),
        ("paths", paths, paths >= 100, "100 or more"),
    )
    faults = [
        Fault(
            place=name,
            problem=f"got {found}, expected {expected}",
            remedy="import more of the past, or forecast from a plan"
            if name == "history"
            else "give another number",
        )
        for name, found, fine, expected in checks
        if not fine
    ]
    if faults:
        raise InvalidInputError("this cannot be forecast", faults=faults)


def _paths(per_day: Array, months: int, paths: int, seed: int) -> Array:
    """Draw futures, relative to the mean of the six months before each.

    Each path is a past and a future together, of blocks of the history, so that both
    are uncertain: what comes, and the level. Then paths are centred: what a trend added
    to them need not go on, and a flat mean does not say that it does.

    Returns
    -------
    ndarray, shape (path, month)
        Ratios, their median over paths 1 for the months together; without any where
        the past had nothing.
    """
    rng = np.random.default_rng(seed)
    need = LEVEL_MONTHS + months
    first = rng.integers(
        len(per_day) - BLOCK_MONTHS + 1, size=(paths, -(-need // BLOCK_MONTHS))
    )
    places = first[:, :, np.newaxis] + np.arange(BLOCK_MONTHS)
    series = per_day[places.reshape(paths, -1)[:, :need]]
    level = series[:, :LEVEL_MONTHS].mean(axis=1)
    some = level > 0
    ratios = series[some, LEVEL_MONTHS:] / level[some, np.newaxis]
    centre = np.median(ratios.mean(axis=1)) if some.any() else 0.0
    return ratios / centre if centre > 0 else np.ones((1, months))


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def judged(found: Outlook, *, within: float | None, error: float | None) -> Outlook:
    """Say how far to trust an outlook, by what past forecasts were worth.

    Parameters
    ----------
    found : Outlook
        The outlook.
    within : float or None
        Share of past forecasts within 15 % of what came; None: none could be made.
    error : float or None
        Their mean relative error.

    Returns
    -------
    Outlook
        With its case.
    """
    if within is None or error is None:
        return replace(found, case=Case.SHORT)
    if within >= 0.8:
        return replace(found, case=Case.STEADY)
    return replace(found, case=Case.UNEVEN if error < 0.3 else Case.ERRATIC)
