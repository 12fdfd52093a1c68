"""What pushes the climate: effective radiative forcing by calendar year.

Decides the forcing of a scenario relative to 1850-1900. Ignores the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from climorch.errors import InvalidInputError
from physics.grid import DATA, Array

__all__ = ["BASELINE_YEARS", "FORCING_YEARS", "forcing_of"]

BASELINE_YEARS = range(1850, 1901)
FORCING_YEARS = range(1750, 2101)
TOTAL = "{}/Effective Radiative Forcing/W/m^2"
AEROSOL = "{}/Effective Radiative Forcing|Anthropogenic|Aerosols/W/m^2"


def forcing_of(scenario: str, aerosol: float, years: Sequence[int]) -> Array:
    """Look up the global mean forcing minus its 1850-1900 mean.

    Parameters
    ----------
    scenario : str
        Such as ``ssp245``; up to 2014 all are the same.
    aerosol : float
        Factor on the part of anthropogenic aerosols, 1.
    years : sequence of int
        Calendar years in 1750-2100.

    Returns
    -------
    ndarray, shape (year,), W m-2

    Raises
    ------
    InvalidInputError
        If a year is outside the data.
    """
    outside = [year for year in years if year not in FORCING_YEARS]
    if outside:
        raise InvalidInputError(
            f"forcing of {scenario}: got year {outside[0]}, expected 1750-2100; "
            "end the span at 2101-01-01 or before"
        )
    first = FORCING_YEARS.start
    total, aerosols = _table(scenario)
    series = total + (aerosol - 1.0) * aerosols
    baseline = series[BASELINE_YEARS.start - first : BASELINE_YEARS.stop - first]
    chosen: Array = series[np.asarray(years) - first] - baseline.mean()
    return chosen


@cache
def _table(scenario: str) -> tuple[Array, Array]:
    frame = pd.read_csv(DATA / "ssp_radiative-forcing.csv", index_col="year")
    rows = frame.loc[FORCING_YEARS.start : FORCING_YEARS.stop - 1]
    total, aerosols = (
        rows[column.format(scenario)].to_numpy(dtype=np.float64)
        for column in (TOTAL, AEROSOL)
    )
    return total, aerosols
