"""What figures show: axes, lines, bars and their data."""

from __future__ import annotations

import io
import math
import sys

import pandas as pd
import pytest
from matplotlib.figure import Figure

from climorch.errors import InvalidInputError, NotAllowedError
from climorch.forecast import plot_leases, plot_stage_costs, plot_usage
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import Entry
from climorch.forecast.parts import Part
from climorch.forecast.reporting import Planned, Report
from climorch.forecast.series import Case, Outlook

HOUR_S = 3600.0
JANUARY_S, FEBRUARY_S = 1_767_225_600.0, 1_769_904_000.0


def entry(since_s: float, stage: str = "a", **hours: float) -> Entry:
    """Make an entry of node-hours by part."""
    parts = [hours.get(part.name.lower(), 0.0) * HOUR_S for part in Part]
    return Entry(
        since_s=since_s,
        until_s=since_s + 1,
        project="p",
        simulation="s",
        stage=stage,
        node_s=tuple(parts),
    )


def planned(budget: float | None) -> Planned:
    """Make a plan with a budget."""
    return Planned(
        project="p",
        institution="i",
        budget_node_hours=budget,
        used_node_hours=0.0,
        simulations=1,
        completed=0,
        segments=1,
        committed=0,
        remaining_node_hours=None,
    )


def report(
    *entries: Entry,
    plans: tuple[Planned, ...] = (),
    outlook: Outlook | None = None,
    project: str | None = None,
) -> Report:
    """Make a report of some entries."""
    return Report(
        campaign="c",
        project=project,
        since_s=-math.inf,
        until_s=math.inf,
        ledger=Ledger(campaign="c", entries=entries),
        plans=plans,
        outlook=outlook,
    )


OUTLOOK = Outlook(
    unit="node h",
    case=Case.STEADY,
    months=("2026-03", "2026-04"),
    expected=(20.0, 20.0),
    p10=(10.0, 10.0),
    p50=(20.0, 20.0),
    p90=(30.0, 40.0),
    total=40.0,
    total_p10=20.0,
    total_p50=40.0,
    total_p90=70.0,
    blocks=9,
)
TWO_MONTHS = (
    entry(JANUARY_S, useful=10.0),
    entry(JANUARY_S, stage="", idle=2.0),
    entry(FEBRUARY_S, useful=5.0, lost=1.0),
    entry(FEBRUARY_S, stage="b", useful=4.0),
)


def data(line: object) -> list[float]:
    """Return the heights of a line."""
    return [float(y) for y in line.get_ydata()]  # type: ignore[attr-defined]


def test_usage_is_drawn_against_budget_and_expectation() -> None:
    """12, then 22 node-hours; from there on what is expected, with its band."""
    figure = plot_usage(
        report(*TWO_MONTHS, plans=(planned(100.0),), outlook=OUTLOOK, project="p")
    )

    (axes,) = figure.axes
    used, expected, budget = axes.lines
    assert data(used) == [12.0, 22.0]
    assert data(expected) == [22.0, 42.0, 62.0]
    assert data(budget) == [100.0, 100.0]
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (22.0, 92.0)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["used", "expected, P50", "P10 to P90", "budget"]
    assert axes.get_title() == "c, p"
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        "2026-01",
        "2026-02",
        "2026-03",
        "2026-04",
    ]
    assert "node-hours" in axes.get_ylabel()


def test_without_a_budget_of_all_and_a_forecast_there_is_use_alone() -> None:
    """A budget of some projects is no budget of the whole."""
    plans = (planned(100.0), planned(None))
    (axes,) = plot_usage(report(*TWO_MONTHS, plans=plans)).axes

    assert [data(line) for line in axes.lines] == [[12.0, 22.0]]
    assert axes.get_title() == "c, all projects"


def test_usage_of_nothing_is_an_empty_figure() -> None:
    """With a forecast it begins at zero."""
    (axes,) = plot_usage(report()).axes
    assert [data(line) for line in axes.lines] == [[]]
    (axes,) = plot_usage(report(outlook=OUTLOOK)).axes
    assert data(axes.lines[1]) == [20.0, 40.0]


def test_a_month_without_use_is_one_too() -> None:
    """From January to March the line is level in February."""
    march_s = FEBRUARY_S + 28 * 24 * HOUR_S
    used = report(entry(JANUARY_S, useful=1.0), entry(march_s, useful=2.0))
    (axes,) = plot_usage(used).axes

    assert [data(line) for line in axes.lines] == [[1.0, 1.0, 3.0]]


def leases(*rows: tuple[str, int, int, int]) -> pd.DataFrame:
    """Make a table of leases, in hours of the first day of 1970."""
    table = pd.DataFrame(rows, columns=["simulation", "nodes", "start", "stop"])
    for name in ("start", "stop"):
        table[name] = pd.to_datetime(table[name] * HOUR_S, unit="s", utc=True)
    return table


def test_each_lease_is_a_bar_in_the_row_of_its_simulation() -> None:
    """As long as it lasted and as high as it has nodes."""
    figure = plot_leases(leases(("s", 4, 0, 6), ("t", 2, 3, 12), ("s", 2, 6, 12)))

    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["s", "t"]
    bars = [
        (
            bar.get_y() + bar.get_height() / 2,
            round(bar.get_height(), 3),
            round(bar.get_x() * 24, 6),
            round(bar.get_width() * 24, 6),
        )
        for container in axes.containers
        for bar in container
    ]
    assert bars == [
        (pytest.approx(0.0), 0.8, 0.0, 6.0),
        (pytest.approx(0.0), 0.4, 6.0, 6.0),
        (pytest.approx(1.0), 0.4, 3.0, 9.0),
    ]
    assert "4 nodes" in axes.get_title()


def test_no_leases_are_no_bars() -> None:
    """And a table of something else is refused."""
    (axes,) = plot_leases(leases()).axes
    assert not axes.containers
    with pytest.raises(InvalidInputError) as caught:
        plot_leases(pd.DataFrame({"simulation": [], "start": []}))
    assert "nodes, stop" in caught.value.faults[0].problem


def test_the_cost_of_a_stage_is_a_bar_of_what_it_was_for() -> None:
    """Leases themselves have no stage; what is nothing is not drawn."""
    (axes,) = plot_stage_costs(report(*TWO_MONTHS)).axes

    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b"]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["useful", "lost"]
    useful, lost = axes.containers
    assert [bar.get_height() for bar in useful] == [15.0, 4.0]
    assert [(bar.get_y(), bar.get_height()) for bar in lost] == [(15.0, 1.0), (4.0, 0)]


def test_costs_of_nothing_are_an_empty_figure() -> None:
    """Without a legend."""
    (axes,) = plot_stage_costs(report()).axes
    assert not axes.containers
    assert axes.get_legend() is None


def test_figures_need_no_display_and_can_be_drawn() -> None:
    """As a picture in memory."""
    figure = plot_usage(report(*TWO_MONTHS, outlook=OUTLOOK))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")

    assert isinstance(figure, Figure)
    assert picture.getvalue().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What to install, and what to take instead."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (plot_usage, plot_stage_costs):
        with pytest.raises(NotAllowedError, match=r"climorch\[figures\]"):
            draw(report())
    with pytest.raises(NotAllowedError, match="take the tables"):
        plot_leases(leases())
