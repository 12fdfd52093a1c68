"""How many nodes are enough, and how late is early enough."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.past import past_of
from climorch.model import events as e
from climorch.model.scenario import Project
from climorch.twin.asking import Question
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.site import TwinSite
from climorch.twin.sizing import latest_start_from, nodes_needed_from
from tests.unit.twin.months import ASKED, BEGIN, activity, pasts
from tests.unit.twin.stage import FREE

EMPTY = past_of(())
BEGIN_S = BEGIN.timestamp()
# Half a day each, exactly.
SITE = TwinSite(
    nodes=1,
    costs=Costs(default=Amdahl(seconds=43_200.0)),
    overheads=FREE,
)
WITH_P = dataclasses.replace(ASKED, facts=(e.ProjectDeclared(project=Project("p")),))
FOUR = tuple(activity(f"s{k}", segments=20, nodes=1, punctual=True) for k in range(4))


def needed(days: float, **more: Any) -> Any:
    """Ask how many nodes do four times ten days of one node in so many days."""
    question = Question(plan=FOUR, site=SITE, seeds=(0, 1))
    given: dict[str, Any] = {"chance": 0.5, "begin_s": BEGIN_S} | more
    past = given.pop("past", EMPTY)
    return nodes_needed_from(
        past,
        given.pop("question", question),
        WITH_P,
        by=BEGIN + timedelta(days=days),
        **given,
    )


@pytest.mark.parametrize(("days", "nodes"), [(11, 4), (22, 2), (45, 1)])
def test_the_fewest_nodes_that_do_it(days: float, nodes: int) -> None:
    """Forty node-days: four nodes need ten days, one needs forty."""
    found = needed(days)

    assert found.nodes == nodes
    assert found.chance >= 0.5
    assert found.by == BEGIN + timedelta(days=days)


def test_what_no_number_of_nodes_does_is_refused() -> None:
    """Each alone takes ten days."""
    with pytest.raises(InvalidInputError, match="in time") as caught:
        needed(9)
    assert "even with 4" in caught.value.faults[0].problem


def test_nodes_are_as_they_have_been_where_no_site_is_given() -> None:
    """Forty days of work on two nodes, beside what else is submitted."""
    march = pasts()[1]

    found = nodes_needed_from(
        march,
        Question(plan=(activity("one"),), seeds=(0, 1)),
        ASKED,
        by=datetime(2027, 4, 25, tzinfo=UTC),
        chance=0.5,
        begin_s=march.as_of_s,
    )

    assert 4 <= found.nodes <= 6
    assert found.chance >= 0.5


def latest(days: float, **more: Any) -> Any:
    """Ask when ten days of work must begin to be over in so many days."""
    return latest_start_from(
        EMPTY,
        Question(site=dataclasses.replace(SITE, nodes=2), seeds=(0, 1), **more),
        WITH_P,
        activity=FOUR[0],
        by=BEGIN + timedelta(days=days),
        chance=0.9,
        begin_s=BEGIN_S,
    )


def test_the_last_day_that_is_early_enough() -> None:
    """Ten days before the end; one more would be too late."""
    found = latest(30.5)

    assert found.start == BEGIN + timedelta(days=20)
    assert {t.number: t.chance for t in found.tried}[21] == 0.0


def test_others_that_are_planned_are_in_the_way() -> None:
    """Two of them hold both nodes for ten days."""
    assert latest(30.5, plan=FOUR[1:3]).start == BEGIN + timedelta(days=20)
    with pytest.raises(InvalidInputError, match="in time"):
        latest(15, plan=FOUR[1:])


@pytest.mark.parametrize(
    ("by", "chance", "place"),
    [
        (datetime(2027, 2, 1), 0.9, "by"),  # noqa: DTZ001
        (datetime(2026, 2, 1, tzinfo=UTC), 0.9, "by"),
        (datetime(2047, 2, 1, tzinfo=UTC), 0.9, "by"),
        (datetime(2027, 2, 1, tzinfo=UTC), 0.0, "chance"),
    ],
)
def test_dates_and_chances_that_cannot_be_are_refused(
    by: datetime, chance: float, place: str
) -> None:
    """No time zone, the past, another decade; no chance at all."""
    with pytest.raises(InvalidInputError) as caught:
        nodes_needed_from(
            EMPTY,
            Question(plan=FOUR, site=SITE),
            ASKED,
            by=by,
            chance=chance,
            begin_s=BEGIN_S,
        )
    assert [fault.place for fault in caught.value.faults] == [place]
