"""Forecasts of real usage, from histories alone. Nothing of the data is kept here."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from climorch.forecast.backtesting import backtest, forecast_series
from climorch.forecast.history import History, history_of_jobs
from climorch.forecast.series import Case
from climorch.forecast.swf import Jobs, read_swf

FOLDER = os.environ.get("CLIMORCH_TRACES")

pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="set CLIMORCH_TRACES to the folder of the traces"
)

MONTH_S = 30 * 86_400.0


@pytest.fixture(scope="module")
def hpc2n() -> Jobs:
    """Read a busy machine of 240 processors over 42 months."""
    return read_swf(Path(FOLDER or "") / "HPC2N-2002-2.2-cln.swf.gz")


def test_the_mean_of_six_months_forecasts_a_busy_machine(hpc2n: Jobs) -> None:
    """At least 88 % of origins within 15 %, mean error at most 6.8 %."""
    history = history_of_jobs(hpc2n)
    found = backtest(history)

    assert len(found.origins) == 25
    assert found.within >= 0.88, str(found)
    assert found.mean_error <= 0.068, str(found)
    assert 0.7 <= found.coverage <= 0.9, str(found)
    assert forecast_series(history).case is Case.STEADY


def test_single_users_are_out_of_reach(hpc2n: Jobs) -> None:
    """Their history alone says little, and the forecast says so."""
    users, counts = np.unique(hpc2n.user, return_counts=True)
    busiest = users[np.argsort(-counts)][:20]
    tests = [backtest(history_of_jobs(hpc2n, user=int(user))) for user in busiest]
    origins = [o for found in tests for o in found.origins if o.actual > 0]
    near = sum(abs(o.error) <= 0.15 for o in origins) / len(origins)

    assert near < 0.2
    cases = [forecast_series(history_of_jobs(hpc2n, user=int(u))).case for u in busiest]
    assert sum(case is Case.STEADY for case in cases) == 0, cases


def test_a_small_machine_is_out_of_reach_and_said_to_be() -> None:
    """KRC: mean error near 60 %, one origin in six within 15 %."""
    path = Path(FOLDER or "") / "KRC-2009-2012-usage.csv.gz"
    with gzip.open(path, "rt") as lines:
        jobs = pd.DataFrame(list(csv.DictReader(lines))).astype(float)
    month = (jobs["submit_s"] // MONTH_S).astype(int)
    hours = jobs["run_s"] * jobs["cores"] / 3600.0
    used = hours.groupby(month).sum()
    count = int(month.max())
    history = History(
        unit="core h",
        months=tuple(f"+{k:03d}" for k in range(count)),
        days=(30.0,) * count,
        used=tuple(float(used.get(k, 0.0)) for k in range(count)),
    )

    found = backtest(history)

    assert found.mean_error > 0.5, str(found)
    assert found.within < 0.3
    assert forecast_series(history).case is Case.ERRATIC
