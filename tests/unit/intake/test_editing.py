"""What becomes of a simulation by the edits of its rule."""

from __future__ import annotations

from typing import Any

import pytest
import xarray as xr

import climorch as co
from climorch.core.fold import apply
from climorch.core.state import CampaignState, SimulationState
from climorch.intake.planning import make_plan
from climorch.model import events as e
from climorch.model.edits import (
    Committed,
    Edit,
    Finish,
    MoveEnd,
    SetPriority,
    SetResources,
)
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import (
    answered,
    ask,
    commit,
    ends,
    refused,
    step,
    workflow,
    world,
    years,
)


def test_an_end_moves_with_all_that_are_coupled() -> None:
    """Later or earlier; and the plan of the script is remembered."""
    later = answered(MoveEnd(stage="air", end="2012-01-01"))
    assert ends(later.changed) == {"air": 12, "sea": 12, "ice": 5}
    assert later.changed is not None
    assert later.changed.declared is not None
    assert [s.segments for s in later.changed.declared.stages] == [10, 10, 5]
    assert later.told == ("end 'air' at 2012-01-01",)

    wf = workflow(lambda _: [MoveEnd(stage="sea", end="2006-01-01")], on="commit")
    earlier = ask(world(wf, (4,)), wf)
    assert isinstance(earlier, e.RuleEvaluated)
    assert ends(earlier.changed) == {"air": 6, "sea": 6, "ice": 5}


def test_an_end_before_what_is_committed_is_refused() -> None:
    """Nothing that is committed is taken back."""
    message = refused(MoveEnd(stage="air", end="2006-01-01"))

    assert "10 segments are committed, its new end leaves 6" in message


def test_an_end_from_which_a_phase_began_stays() -> None:
    """What started from its last state would be another thing."""
    wf = workflow(lambda _: [MoveEnd(stage="air", end="2012-01-01")])
    state = world(wf)
    commit(state, 2, "ice")

    found = ask(state, wf)

    assert isinstance(found, e.RuleFailed)
    assert "'ice' has begun from its old end" in found.message


def test_finishing_ends_at_the_next_boundary() -> None:
    """What computes is finished; phases that have not begun are left out."""
    # Not between two parts of a segment.
    parted = Workflow("w")
    parted.stage("air", step, init=xr.Dataset(), span=years(2000, 2003), parts=4)
    parted.rule("r", when="air", then=lambda _: [Finish()], on="commit")
    found = ask(world(parted, (5,)), parted)
    assert isinstance(found, e.RuleEvaluated)
    assert ends(found.changed) == {"air": 8}

    wf = workflow(lambda _: [Finish()], on="commit")
    state = world(wf, (4,))
    s = state.simulations["s"].sets["air"]
    s.done.update(air=5, sea=5)
    s.running["air"] = 5

    found = ask(state, wf)
    assert isinstance(found, e.RuleEvaluated)
    apply(state, found, 0.0)

    assert ends(found.changed) == {"air": 6, "sea": 6, "ice": 0}
    assert not state.simulations["s"].complete
    commit(state, 6)
    assert state.simulations["s"].complete


def test_priority_and_resources() -> None:
    """The last word counts; the scenario of the script stays as it is."""
    found = answered(
        SetPriority(priority=5),
        SetPriority(priority=7),
        SetResources(stage="air", resources=co.Resources(nodes=3)),
    )

    assert found.priority == 7
    assert found.changed is not None
    assert found.changed.scenario.priority == 3
    assert [s.resources.nodes for s in found.changed.plan.stages] == [3, 1, 1]
    assert found.told[:2] == ("priority 5", "priority 7")


def test_what_changes_nothing_is_no_change() -> None:
    """Asking for what is."""
    found = answered(MoveEnd(stage="air", end="2010-01-01"))

    assert (found.changed, found.priority) == (None, None)


def extending(committed: Committed) -> list[Edit]:
    """Ask for one more year, always."""
    end = int(committed.end[:4]) + 1
    return [MoveEnd(stage="air", end=f"{end}-01-01")]


def grow(state: CampaignState, wf: Workflow, times: int) -> list[Any]:
    """Let a rule extend its stage so many times; return what was journaled."""
    journal: list[Any] = []
    for _ in range(times):
        found = ask(state, wf)
        journal.append(found)
        apply(state, found, 0.0)
        if isinstance(found, e.RuleFailed):
            break
        last = state.simulations["s"].sets["air"].plan.last
        commit(state, last)
    return journal


def fingerprint(simulation: SimulationState) -> tuple[Any, ...]:
    """What must be the same after a replay."""
    return simulation.plan, simulation.edits, simulation.rules_done


def test_a_thousand_edits_replay_to_the_same() -> None:
    """A chain in which each edit rests on the one before."""
    wf = workflow(extending)
    state = world(wf)
    journal = grow(state, wf, 1000)

    again = world(wf)
    for found in journal:
        apply(again, found, 0.0)
        # Told twice, it holds once.
        apply(again, found, 0.0)
        commit(again, again.simulations["s"].sets["air"].plan.last)

    assert state.simulations["s"].plan.stages[0].segments == 1010
    assert fingerprint(again.simulations["s"]) == fingerprint(state.simulations["s"])


def test_a_loop_ends_at_its_limit() -> None:
    """Three times, then it is refused."""
    wf = workflow(extending, most=3)
    journal = grow(world(wf), wf, 5)

    assert len(journal) == 4
    assert "has asked for something 3 times of 's'" in journal[-1].message


@pytest.mark.parametrize(
    ("start", "old", "end", "every"),
    [
        ("2000-01-01", "2003-01-01", "2007-06-01", "1YS"),
        ("2000-05-01", "2002-11-01", "2005-01-01", "6MS"),
        ("2000-01-01", "2001-01-01", "2002-01-01", "1YS"),
        ("2000-01-01", "2009-01-01", "2004-01-01", "6MS"),
        ("2000-01-01", "2000-07-20", "2001-02-04", "100D"),
    ],
)
def test_a_moved_end_cuts_as_a_new_span_would(
    start: str, old: str, end: str, every: str
) -> None:
    """Whatever was known of the old one, and into however many parts it is cut."""
    spans = [co.Span(start, x, every=every, calendar="noleap") for x in (old, end)]
    for parts in (1, 3):
        flows = [Workflow("w"), Workflow("w")]
        for wf, span in zip(flows, spans, strict=True):
            wf.stage("air", step, init=xr.Dataset(), span=span, parts=parts)
            wf.rule(
                "r",
                when="air",
                then=lambda _: [MoveEnd(stage="air", end=end)],
                on="commit",
            )

        found = ask(world(flows[0], (1,)), flows[0])

        assert isinstance(found, e.RuleEvaluated), found
        assert found.changed is not None
        expected = make_plan(flows[1], co.Scenario("s")).stages[0].boundaries
        assert found.changed.plan.stages[0].boundaries == expected


def test_a_segment_that_was_shorter_does_not_grow() -> None:
    """It may be computing: its end cannot move under it."""
    wf = Workflow("w")
    span = co.Span("2000-01-01", "2003-08-01", every="1YS", calendar="noleap")
    wf.stage("air", step, init=xr.Dataset(), span=span)
    wf.rule(
        "r",
        when="air",
        then=lambda _: [MoveEnd(stage="air", end="2005-01-01")],
        on="commit",
    )

    found = ask(world(wf, (1,)), wf)

    assert isinstance(found, e.RuleFailed)
    assert "its start or its segments changed" in found.message
