"""Which case a forecast is in."""

from __future__ import annotations

import pytest

from climorch.forecast.activities import Slippage
from climorch.forecast.costing import learn_costs
from climorch.forecast.trust import Basis, trusted
from climorch.forecast.witness import Pieces


def pieces(stage: str, count: int) -> Pieces:
    """Measure so many segments of a stage."""
    return Pieces(
        workflow="w",
        stage=stage,
        simulation="s",
        nodes=1,
        week=0,
        count=count,
        mean_s=10.0,
        squares=0.0,
    )


@pytest.mark.parametrize(
    ("counts", "basis", "weakest"),
    [
        ({"a": 10, "b": 99}, Basis.PROVEN, "w/a"),
        ({"a": 9, "b": 99}, Basis.PILOT, "w/a"),
        ({"a": 10, "b": 0}, Basis.GUESS, "w/b"),
        ({}, Basis.EMPTY, ""),
    ],
)
def test_the_weakest_configuration_says_which_case_it_is(
    counts: dict[str, int], basis: Basis, weakest: str
) -> None:
    """Ten segments of each prove it; nothing of one makes it a guess."""
    costing = learn_costs(
        [pieces(stage, count) for stage, count in counts.items() if count],
        gangs={},
        guesses={("w", stage): 1.0 for stage in counts},
        as_of_s=0.0,
    )

    found = trusted(
        costing,
        [("w", stage) for stage in counts],
        slips=Slippage(),
        failures=3,
        outages=1,
    )

    assert (found.basis, found.weakest) == (basis, weakest)
    assert found.segments == min(counts.values(), default=0)
    assert str(found).startswith(basis.value)
    assert "slippage +7 days assumed (0 seen), 3 failures, 1 outages" in str(found)


def test_slippage_that_was_seen_is_not_assumed() -> None:
    """It says how often."""
    costing = learn_costs([], gangs={}, guesses={}, as_of_s=0.0)
    slips = Slippage(seen=4, mean_s=-86_400.0)

    found = trusted(costing, [], slips=slips, failures=0, outages=0)

    assert "slippage -1 days (4 seen)" in str(found)
