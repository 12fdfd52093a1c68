"""The months of the benchmark, shortly: coarse as fine, and much less to tell."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest

from benchmarks import campaign_months
from climorch.twin.driver import Twin


@dataclasses.dataclass
class Months:
    """The months of the benchmark, shortly, in one mode."""

    told: dict[str, Any]
    twin: Twin
    shares: campaign_months.Shares


@pytest.fixture(scope="module")
def months() -> tuple[Months, Months]:
    """Three weeks on a fifth of the nodes: fine, coarse."""
    told = tomllib.loads(campaign_months.SCENARIO.read_text())
    told |= {"days": 21, "nodes": 60}
    told["simulations"] |= {"count": 20, "most_nodes": 8}
    told["absence_of_demand"]["until_day"] = 7
    told["maintenance"]["first_day"] = 10
    told["others"] |= {"from_day": 14, "days": 3}
    found = []
    for coarse in (False, True):
        twin, shares, _ = campaign_months.play(told, coarse=coarse)
        found.append(Months(told, twin, shares))
    return found[0], found[1]


def test_months_agree_within_what_was_promised(months: tuple[Months, Months]) -> None:
    """Utilisation within a point; in truth to the last lease."""
    fine, coarse = (m.twin.ledger for m in months)

    assert abs(coarse.utilisation - fine.utilisation) <= 0.01
    assert [(s.simulation, s.nodes) for s in coarse.spans] == [
        (s.simulation, s.nodes) for s in fine.spans
    ]
    assert [s.stop_s for s in coarse.spans] == pytest.approx(
        [s.stop_s for s in fine.spans], abs=1.0
    )


def test_months_are_told_in_less_than_a_tenth_of_the_records(
    months: tuple[Months, Months],
) -> None:
    """Which is where the time goes."""
    fine, coarse = months
    assert coarse.shares.facts < fine.shares.facts / 10


@pytest.mark.parametrize(
    ("figure", "tolerance"),
    [
        ("useful", 0.01),
        ("stall", 0.001),
        ("lost", 0.002),
        ("restore", 0.001),
        ("drain", 0.001),
        ("free", 0.005),
    ],
)
def test_parts_of_the_node_hours_agree(
    months: tuple[Months, Months], figure: str, tolerance: float
) -> None:
    """In shares of the node-hours that were up and ours."""
    fine, coarse = (
        {p.name.lower(): s / m.twin.ledger.up_node_s for p, s in spent.items()}
        for m, spent in ((m, m.twin.ledger.spent()) for m in months)
    )
    assert coarse[figure] == pytest.approx(fine[figure], abs=tolerance)


def test_shares_losses_and_ends_agree(months: tuple[Months, Months]) -> None:
    """Decayed usage within a point, the worst loss within a minute, the same ends."""
    fine, coarse = months
    points = [campaign_months.worst_points(m.told, m.shares) for m in months]
    assert points[1] == pytest.approx(points[0], abs=0.01)
    worst_s = [
        max(a.worst_loss_s for a in m.twin.ledger.accounts.values()) for m in months
    ]
    assert worst_s[1] == pytest.approx(worst_s[0], abs=60.0)
    ends = [
        {
            name
            for name, a in m.twin.ledger.accounts.items()
            if a.completed_s is not None
        }
        for m in (fine, coarse)
    ]
    assert ends[0] == ends[1]
