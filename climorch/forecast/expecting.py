"""What of a forecast stands in a report: the same numbers, as its tables have them."""

from __future__ import annotations

import math

import pandas as pd

from climorch.forecast.projection import Forecast

__all__ = ["expected_of", "expected_tables"]


def expected_tables(forecast: Forecast, project: str | None) -> dict[str, pd.DataFrame]:
    """Return the tables of a forecast.

    Parameters
    ----------
    forecast : Forecast
        What is expected.
    project : str or None
        Whose; None: everybody's.

    Returns
    -------
    dict of str to DataFrame
        ``expected`` by month and project; ``completions`` by scenario, dates as
        text, empty where it is later than the forecast.
    """
    by_month = forecast.to_pandas()
    done = forecast.completions_to_pandas()
    if project is not None:
        by_month = by_month[by_month.index.get_level_values("project") == project]
        done = done[done["project"] == project]
    done = done.copy()
    for level in ("p10", "p50", "p90"):
        done[level] = [
            "" if pd.isna(at) else f"{pd.Timestamp(at):%Y-%m-%d}" for at in done[level]
        ]
    done["planned"] = ["yes" if planned else "" for planned in done["planned"]]
    return {"expected": by_month, "completions": done}


def expected_of(forecast: Forecast, project: str) -> dict[str, float]:
    """Return the node-hours that a project will use in all months together.

    Parameters
    ----------
    forecast : Forecast
        What is expected.
    project : str
        Whose; NaN: the forecast does not know it.
    """
    if project in forecast.projects:
        total = forecast.total(project=project)
        p10, p50, p90 = total.p10, total.p50, total.p90
    else:
        p10 = p50 = p90 = math.nan
    return {
        "expected_p10_node_hours": p10,
        "expected_p50_node_hours": p50,
        "expected_p90_node_hours": p90,
    }
