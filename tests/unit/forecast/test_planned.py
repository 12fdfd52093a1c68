"""What projects have planned, from the state of a campaign."""

from __future__ import annotations

import pytest

from climorch.core.fold import apply
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.forecast.booked import Ledger
from climorch.forecast.ledger import Gap
from climorch.forecast.planned import notes_on, planned, projects_of
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from tests.unit.core.script import plan
from tests.unit.forecast.journal import Journal
from tests.unit.twin.stage import stage

HOUR_S = 3600.0


def submitted(name: str, stage: StagePlan, project: str) -> e.SimulationSubmitted:
    """Submit a simulation of one stage."""
    return e.SimulationSubmitted(
        simulation=name, scenario=Scenario(name, project=project), plan=plan(stage)
    )


def guessed(segments: int) -> StagePlan:
    """A stage of two nodes whose segments take half an hour, as its user says."""
    return StagePlan(
        name="a",
        calendar="noleap",
        boundaries=tuple(range(segments + 1)),
        resources=Resources(nodes=2, segment_s=HOUR_S / 2),
    )


def state(*records: c.Record) -> CampaignState:
    """Fold records of one instant."""
    found = CampaignState()
    for record in records:
        apply(found, record, 0.0)
    return found


def test_plans_are_added_up_by_project() -> None:
    """Segments, budgets, and what the rest takes by what users guess."""
    known = state(
        e.ProjectDeclared(
            project=Project("p", institution="i", budget_node_hours=100.0)
        ),
        submitted("s", guessed(4), "p"),
        submitted("t", guessed(4), "p"),
        submitted("u", stage(), "q"),
    )
    ledger = Ledger(campaign="c")

    found = planned(known, Policies(), ledger, "p")

    assert (found.institution, found.budget_node_hours) == ("i", 100.0)
    assert (found.simulations, found.segments, found.committed) == (2, 8, 0)
    left = found.remaining_node_hours
    assert left is not None
    # Two simulations of four half hours on two nodes, and checkpoints on top.
    assert left.p50 == pytest.approx(8.0, rel=0.2)
    assert left.p10 < left.p50 < left.p90
    assert found.unknown == ()
    assert projects_of(known, ledger) == ("p", "q")


def test_what_nobody_can_tell_is_not_told() -> None:
    """One simulation without a guess makes the sum unknown, and is named."""
    known = state(submitted("s", guessed(4), "q"), submitted("u", stage(), "q"))

    found = planned(known, Policies(), Ledger(campaign="c"), "q")

    assert (found.remaining_node_hours, found.unknown) == (None, ("u",))
    assert (found.institution, found.budget_node_hours) == ("q", None)


def test_of_a_cancelled_simulation_nothing_is_left() -> None:
    """Though nobody knows what it would have taken."""
    known = state(submitted("u", stage(), "q"), e.CancelRequested(simulation="u"))

    left = planned(known, Policies(), Ledger(campaign="c"), "q").remaining_node_hours

    assert left is not None
    assert left.p90 == 0.0


def test_what_was_used_is_that_of_the_whole_campaign() -> None:
    """Of the project alone."""
    journal = Journal()
    journal.lease(0, "n1")
    ledger = journal.ledger(HOUR_S)
    known = state(journal.submitted)

    assert planned(known, Policies(), ledger, "p").used_node_hours == 1.0
    assert planned(known, Policies(), ledger, "q").used_node_hours == 0.0


def test_notes_say_what_must_be_known() -> None:
    """Hours that nobody wrote down, no forecast, nothing at all."""
    gap = Gap(since_s=0.0, until_s=2 * HOUR_S, nodes=3)
    assert notes_on(Ledger(campaign="c", gaps=(gap,)), known=True) == (
        "Nothing was used yet.",
        "1 times a driver died while nodes were held; up to 6.0 node-hours until the "
        "next one are counted nowhere.",
    )
    journal = Journal()
    journal.lease(0, "n1")
    assert notes_on(journal.ledger(5), known=False) == (
        "No forecast from use: less than six whole months of it.",
    )
