"""How well a member tells the past: HadCRUT5 against its global mean.

Decides one comparison. The model is idealised, its constants were set by hand
with this series in sight: the skill is in-sample and says nothing of the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from climorch.errors import InvalidInputError
from physics.forcing import BASELINE_YEARS
from physics.grid import DATA, Array

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SCORED_YEARS", "Skill", "score_against_hadcrut"]

SCORED_YEARS = range(1850, 2015)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Distance to the observations.

    Attributes
    ----------
    rmse_kelvin : float
        Root mean square difference of annual means, K.
    bias_kelvin : float
        Mean of model less observation, K.
    correlation : float
        Pearson's, in [-1, 1]; NaN for a model that does not vary.
    """

    rmse_kelvin: float
    bias_kelvin: float
    correlation: float


def score_against_hadcrut(results: xr.Dataset) -> Skill:
    """Compare global annual means with HadCRUT5 over 1850-2014.

    Both are taken relative to their own mean of 1850-1900. In-sample: the model
    is idealised and was set by hand on these observations.

    Parameters
    ----------
    results : xarray.Dataset
        ``ts_global (time)``, degC or K, with one date in each year 1850-2014;
        other years are left out. Is computed if lazy.

    Returns
    -------
    Skill

    Raises
    ------
    InvalidInputError
        If a year is missing or ``ts_global`` is not finite.
    """
    series = results["ts_global"]
    years = [int(year) for year in series["time"].dt.year.to_numpy()]
    missing = sorted(set(SCORED_YEARS) - set(years))
    if missing:
        raise InvalidInputError(
            f"ts_global: year {missing[0]} and {len(missing) - 1} more are missing, "
            "expected 1850-2014; score a finished historical run"
        )
    by_year = dict(zip(years, series.to_numpy().tolist(), strict=True))
    model = np.array([by_year[year] for year in SCORED_YEARS])
    if not np.isfinite(model).all():
        raise InvalidInputError(
            "ts_global: got values that are not finite; the member blew up, "
            "look at its parameters"
        )
    observed = _observed()
    baseline = len(BASELINE_YEARS)
    model = model - model[:baseline].mean()
    difference = model - (observed - observed[:baseline].mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = float(np.corrcoef(model, observed)[0, 1])
    return Skill(
        rmse_kelvin=float(np.sqrt((difference**2).mean())),
        bias_kelvin=float(difference.mean()),
        correlation=correlation,
    )


@cache
def _observed() -> Array:
    frame = pd.read_csv(DATA / "hadcrut5_global_annual.csv", index_col="Time")
    column = frame.loc[SCORED_YEARS.start : SCORED_YEARS.stop - 1, "Anomaly (deg C)"]
    values: Array = column.to_numpy(dtype=np.float64)
    return values
