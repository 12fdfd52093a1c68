"""Figures of what was used and what is expected, as objects of matplotlib.

Nothing is shown and no file is written: that is for who gets them. matplotlib is an
extra, ``climorch[figures]``, and imported when a figure is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from climorch.errors import Fault, InvalidInputError, NotAllowedError
from climorch.forecast.entries import HOUR_S
from climorch.forecast.parts import Part
from climorch.forecast.reporting import Report

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plot_leases", "plot_stage_costs", "plot_usage"]

# Of a stage's bar, from below.
STACKED = (
    Part.USEFUL,
    Part.WIDE,
    Part.STALL,
    Part.RECOMPUTED,
    Part.LOST,
    Part.PENDING,
)
LEASE_COLUMNS = ("simulation", "nodes", "start", "stop")
# Of a row of the timeline, at its widest lease.
ROW = 0.8


def plot_usage(report: Report) -> Any:
    """Draw use by month added up, against the budget, with what is expected.

    Parameters
    ----------
    report : Report
        Of a campaign or a project; with an outlook for the months to come.

    Returns
    -------
    matplotlib.figure.Figure
        One pair of axes: a line of use; a level for the budget if every project of the
        report has one; a line for the median and a band for P10 to P90 of the months
        to come, where a forecast is known. The band adds up months as if all were off
        together, which is wide.

    Raises
    ------
    NotAllowedError
        If matplotlib is not installed.
    """
    figure, axes = _figure()
    used = report.ledger.to_pandas()
    by_month = used.groupby("month")["node_hours"].sum().sort_index()
    months = _months(list(by_month.index))
    # A month without any use is one, too.
    by_month = by_month.reindex(months, fill_value=0.0)
    total = by_month.cumsum().to_numpy(dtype=float)
    axes.plot(months, total, marker="o", label="used")
    outlook = report.outlook
    if outlook is not None:
        at = [*months[-1:], *outlook.months]
        reached = total[-1] if len(total) else 0.0
        low, mid, high = (
            reached + np.concatenate([[0.0][: len(months[-1:])], np.cumsum(quantile)])
            for quantile in (outlook.p10, outlook.p50, outlook.p90)
        )
        axes.plot(at, mid, linestyle="--", label="expected, P50")
        axes.fill_between(at, low, high, alpha=0.3, label="P10 to P90")
    budgets = [plan.budget_node_hours for plan in report.plans]
    known = [budget for budget in budgets if budget is not None]
    if known and len(known) == len(budgets):
        axes.axhline(sum(known), color="black", linestyle=":", label="budget")
    axes.set_xlabel("month (UTC)")
    axes.set_ylabel("node-hours since the begin of the period")
    whose = "all projects" if report.project is None else report.project
    axes.set_title(f"{report.campaign}, {whose}")
    axes.tick_params(axis="x", rotation=45)
    axes.legend()
    return figure


def plot_leases(table: pd.DataFrame) -> Any:
    """Draw who had how many nodes when.

    Parameters
    ----------
    table : pandas.DataFrame
        As `Campaign.leases` has it, or `Rehearsal.timelines` of one seed: columns
        ``simulation``, ``nodes``, ``start``, ``stop``.

    Returns
    -------
    matplotlib.figure.Figure
        One pair of axes with a row for each simulation, in the order of the table, and
        a bar for each lease and change of it, as high as it has nodes.

    Raises
    ------
    InvalidInputError
        If columns are missing.
    NotAllowedError
        If matplotlib is not installed.
    """
    missing = [name for name in LEASE_COLUMNS if name not in table.columns]
    if missing:
        fault = Fault(
            place="plot_leases",
            problem=f"the table has no {', '.join(missing)}",
            remedy="pass Campaign.leases(), or Rehearsal.timelines() of one seed",
        )
        raise InvalidInputError("these are no leases", faults=[fault])
    figure, axes = _figure()
    names = list(dict.fromkeys(table["simulation"]))
    most = max(table["nodes"], default=1)
    for row, name in enumerate(names):
        own = table[table["simulation"] == name]
        axes.barh(
            np.full(len(own), row),
            (own["stop"] - own["start"]).to_numpy(),
            left=own["start"].dt.tz_localize(None).to_numpy(),
            height=ROW * own["nodes"].to_numpy(dtype=float) / most,
            label=name,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("UTC")
    axes.set_title(f"leases; the highest bar is {most} nodes")
    figure.autofmt_xdate()
    return figure


def plot_stage_costs(report: Report) -> Any:
    """Draw what the node-hours of each stage were spent on.

    Parameters
    ----------
    report : Report
        Of a campaign or a project.

    Returns
    -------
    matplotlib.figure.Figure
        One pair of axes with a bar for each stage, of all simulations together, stacked
        by what the hours were for; parts that are nothing are left out.

    Raises
    ------
    NotAllowedError
        If matplotlib is not installed.
    """
    figure, axes = _figure()
    entries = [entry for entry in report.ledger.entries if entry.stage]
    stages = sorted({entry.stage for entry in entries})
    bottom = np.zeros(len(stages))
    for part in STACKED:
        hours = np.array(
            [
                sum(x.node_s[part] for x in entries if x.stage == stage) / HOUR_S
                for stage in stages
            ]
        )
        if hours.any():
            axes.bar(stages, hours, bottom=bottom, label=part.name.lower())
            bottom += hours
    axes.set_ylabel("node-hours")
    axes.set_title(f"{report.campaign}, {report.period}")
    if bottom.any():
        axes.legend()
    return figure


def _months(known: list[str]) -> list[str]:
    """Return all months from the first to the last of those in order."""
    if not known:
        return []
    edge = np.datetime64(known[-1]) + 1
    return [str(month) for month in np.arange(np.datetime64(known[0]), edge)]


def _figure() -> tuple[Any, Any]:
    """Make a figure with one pair of axes, which needs no display."""
    try:
        # Not pyplot, which would keep the figure and may look for a display.
        matplotlib = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise NotAllowedError(
            f"no figure can be drawn: {error}; install climorch[figures], or take the "
            "tables"
        ) from error
    figure = matplotlib.Figure(figsize=(9, 5), layout="constrained")
    return figure, figure.add_subplot()
