"""What failures and checkpoints cost in the mean."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.daly import daly_interval, expected_run_time_s

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("mtbf_s", "minutes"), [(24 * HOUR_S, 117), (6 * HOUR_S, 57), (0.25 * HOUR_S, 9.1)]
)
def test_the_interval_is_that_of_daly(mtbf_s: float, minutes: float) -> None:
    """A dump of five minutes gives the published intervals of compute between."""
    interval_s = daly_interval(cost_s=300.0, mtbf_s=mtbf_s)

    assert interval_s / 60 == pytest.approx(minutes, rel=0.01)


def test_the_interval_by_hand() -> None:
    """Equation 37 of Daly (2006): 7200 s x (1 + 1/72 + 1/5184) less the dump."""
    assert daly_interval(cost_s=300.0, mtbf_s=86400.0) == pytest.approx(
        7200 * (1 + 1 / 72 + 1 / 5184) - 300, rel=1e-12
    )


@pytest.mark.parametrize("cost_s", [200.0, 1000.0])
def test_where_dumps_take_longer_than_nodes_live(cost_s: float) -> None:
    """From twice the mean time between failures on, the interval is that time."""
    assert daly_interval(cost_s=cost_s, mtbf_s=100.0) == 100.0


@pytest.mark.parametrize(
    ("cost_s", "mtbf_s", "places"),
    [
        (0.0, 1.0, ["cost_s"]),
        (1.0, -1.0, ["mtbf_s"]),
        (math.nan, math.inf, ["cost_s", "mtbf_s"]),
    ],
)
def test_an_interval_needs_positive_times(
    cost_s: float, mtbf_s: float, places: list[str]
) -> None:
    """All arguments that are not finite and positive are told."""
    with pytest.raises(InvalidInputError, match="no checkpoint interval") as caught:
        daly_interval(cost_s=cost_s, mtbf_s=mtbf_s)

    assert [fault.place for fault in caught.value.faults] == places


@pytest.mark.parametrize(
    ("mtbf_s", "ratio"),
    [(24 * HOUR_S, 1.0958), (6 * HOUR_S, 1.2204), (0.25 * HOUR_S, 5.008)],
)
def test_the_run_time_is_that_of_daly(mtbf_s: float, ratio: float) -> None:
    """Dump 5 min, restart 10 min, Daly's interval: the published run-time ratios."""
    interval_s = daly_interval(cost_s=300.0, mtbf_s=mtbf_s)

    found = expected_run_time_s(
        work_s=1e6, interval_s=interval_s, cost_s=300.0, restart_s=600.0, mtbf_s=mtbf_s
    )

    assert found / 1e6 == pytest.approx(ratio, rel=1e-3)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_no_other_interval_is_better(factor: float) -> None:
    """Well beside Daly's interval the expected run time is longer."""
    best_s = daly_interval(cost_s=300.0, mtbf_s=6 * HOUR_S)
    times = [
        expected_run_time_s(
            work_s=1e6,
            interval_s=interval_s,
            cost_s=300.0,
            restart_s=600.0,
            mtbf_s=6 * HOUR_S,
        )
        for interval_s in (best_s, best_s * factor)
    ]

    assert times[0] < times[1]


def test_a_hopeless_run_never_ends() -> None:
    """Where no number can hold how long it takes, it takes for ever."""
    assert (
        expected_run_time_s(
            work_s=1.0, interval_s=1e6, cost_s=1.0, restart_s=0.0, mtbf_s=1.0
        )
        == math.inf
    )


def test_a_run_time_needs_times() -> None:
    """All arguments that are outside their ranges are told."""
    with pytest.raises(InvalidInputError, match="no expected run time") as caught:
        expected_run_time_s(
            work_s=0.0, interval_s=1.0, cost_s=-1.0, restart_s=math.inf, mtbf_s=1.0
        )

    assert [fault.place for fault in caught.value.faults] == [
        "work_s",
        "cost_s",
        "restart_s",
    ]
