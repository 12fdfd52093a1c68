"""What was used, and what to expect of it: ledgers, histories, forecasts of series.

For those who have usage of a machine or an allocation, with or without a campaign.
"""

from __future__ import annotations

from climorch.forecast.backtesting import Backtest, backtest, forecast_series
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import Power
from climorch.forecast.figures import plot_leases, plot_stage_costs, plot_usage
from climorch.forecast.history import History, history_of_jobs, history_of_ledger
from climorch.forecast.insights.finding import Finding, Gain, Kind
from climorch.forecast.insights.found import Insights
from climorch.forecast.reading import read_usage
from climorch.forecast.reporting import Planned, Report
from climorch.forecast.series import Case, Outlook
from climorch.forecast.swf import read_swf

__all__ = [
    "Backtest",
    "Case",
    "Finding",
    "Gain",
    "History",
    "Insights",
    "Kind",
    "Ledger",
    "Outlook",
    "Planned",
    "Power",
    "Report",
    "backtest",
    "forecast_series",
    "history_of_jobs",
    "history_of_ledger",
    "plot_leases",
    "plot_stage_costs",
    "plot_usage",
    "read_swf",
    "read_usage",
]
