"""What was used, and what to expect of it: ledgers, histories, forecasts of series.

For those who have usage of a machine or an allocation, with or without a campaign.
"""

from __future__ import annotations

from climorch.forecast.activities import Activity
from climorch.forecast.backtesting import Backtest, backtest, forecast_series
from climorch.forecast.booked import Ledger
from climorch.forecast.capacity import LatestStart, NodesNeeded
from climorch.forecast.entries import Power
from climorch.forecast.figures import plot_leases, plot_stage_costs, plot_usage
from climorch.forecast.history import History, history_of_jobs, history_of_ledger
from climorch.forecast.insights.finding import Finding, Gain, Kind
from climorch.forecast.insights.found import Insights
from climorch.forecast.projection import Completion, Forecast
from climorch.forecast.reading import read_usage
from climorch.forecast.reporting import Planned, Report
from climorch.forecast.series import Case, Outlook
from climorch.forecast.swf import read_swf
from climorch.forecast.trust import Basis, Trust

__all__ = [
    "Activity",
    "Backtest",
    "Basis",
    "Case",
    "Completion",
    "Finding",
    "Forecast",
    "Gain",
    "History",
    "Insights",
    "Kind",
    "LatestStart",
    "Ledger",
    "NodesNeeded",
    "Outlook",
    "Planned",
    "Power",
    "Report",
    "Trust",
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
