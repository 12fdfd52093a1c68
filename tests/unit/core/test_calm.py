"""Who goes on by itself, and until when."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from climorch.core.calm import calm_until_s
from climorch.model import events as e
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from tests.unit.core.script import Script, plan, stage

Change = Callable[[Script], None]


def computing(*, boundaries: int = 100) -> Script:
    """Let a simulation compute its third segment, two are committed."""
    script = Script()
    script.nodes("n")
    script.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s", project="p"),
            plan=plan(stage(boundaries=range(boundaries))),
        )
    )
    script.restored()
    for segment in (0, 1):
        script.finished(segment)
        script.committed(segment + 1)
        script.published(segment + 1)
    return script


def until_s(script: Script) -> float:
    """Ask of the simulation ``s``."""
    return calm_until_s(script.orchestrator.state, script.simulation())


def test_one_that_computes_goes_on_until_somebody_wants_something() -> None:
    """Time alone does not concern it."""
    assert until_s(computing()) == math.inf


@pytest.mark.parametrize(
    "wish",
    [
        e.PauseRequested(simulation="s"),
        e.CancelRequested(simulation="s"),
        e.DrainRequested(node="n"),
        e.StopRequested(),
        e.NodeLost(node="n"),
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=2,
            attempt=1,
            cause=e.Cause.MODEL,
            message="m",
        ),
    ],
    ids=lambda wish: type(wish).__name__,
)
def test_whoever_is_wanted_does_not(wish: e.Fact) -> None:
    """Neither the one that breaks nor the one that somebody takes nodes from."""
    script = computing()
    script.tell(wish)
    assert until_s(script) == -math.inf


def test_one_that_has_committed_nothing_in_its_turn_does_not() -> None:
    """Its turn could not be ended before; that begins with a commit."""
    script = Script()
    script.nodes("n")
    script.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s"),
            plan=plan(stage(boundaries=range(100))),
        )
    )
    script.restored()
    script.finished(0)
    assert until_s(script) == -math.inf


@pytest.mark.parametrize(("boundaries", "calm"), [(7, True), (6, False), (5, False)])
def test_near_its_end_a_set_does_not(boundaries: int, calm: bool) -> None:
    """Two of so many boundaries less one are behind it; three are kept."""
    assert (until_s(computing(boundaries=boundaries)) == math.inf) is calm


def test_nodes_that_go_concern_it_from_a_dozen_segments_before() -> None:
    """Eight times half as much again as its segments take."""
    script = computing()
    script.tell(
        e.WindowDeclared(window=Window(name="w", start_s=10_000.0, stop_s=20_000.0))
    )
    pace_s = script.simulation().sets["a"].pace_s["a"]
    assert pace_s > 0
    assert until_s(script) == pytest.approx(10_000.0 - 12 * pace_s)


def test_a_window_that_is_near_concerns_it_now() -> None:
    """Each boundary is asked whether the next segment fits before."""
    script = computing()
    now_s = script.orchestrator.state.now_s
    near = Window(name="w", start_s=now_s + 5.0, stop_s=now_s + 50.0)
    script.tell(e.WindowDeclared(window=near))
    assert until_s(script) == -math.inf


def test_a_budget_concerns_it_before_all_nodes_could_use_it_up() -> None:
    """Two node-hours on two nodes: an hour, less what the segments may take."""
    script = computing()
    script.nodes("m")
    script.tell(e.ProjectDeclared(project=Project("p", budget_node_hours=2.0)))
    state = script.orchestrator.state
    used_s = state.usage_at(state.now_s)["p"].node_s
    pace_s = script.simulation().sets["a"].pace_s["a"]
    assert until_s(script) == pytest.approx(
        state.now_s + (7200.0 - used_s) / 2 - 12 * pace_s
    )


def test_a_project_without_a_budget_concerns_nobody() -> None:
    """However much it used."""
    script = computing()
    script.tell(e.ProjectDeclared(project=Project("p", share=2.0)))
    assert until_s(script) == math.inf


def test_a_set_that_may_start_now_is_awaited() -> None:
    """A second phase, once the first one is committed to its end."""
    script = Script()
    script.nodes("n")
    script.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s"),
            plan=plan(
                stage("spin", boundaries=range(2)),
                stage("air", boundaries=range(50), after=("spin",)),
                stage("ice", boundaries=range(50), after=("air",)),
            ),
        )
    )
    script.restored("spin")
    script.finished(0, "spin")
    script.committed(1, "spin")
    # The air is being brought to the nodes now.
    assert until_s(script) == -math.inf
    script.restored("air")
    script.finished(0, "air")
    script.committed(1, "air")
    # The ice waits for it, and nobody is concerned by that.
    assert until_s(script) == math.inf


def test_a_set_that_is_to_be_tried_again_is_awaited() -> None:
    """Though the other one goes on and has made good for the failure."""
    script = Script()
    script.nodes("n", "m")
    script.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s"),
            plan=plan(
                stage("a", boundaries=range(50)), stage("b", boundaries=range(50))
            ),
        )
    )
    script.restored("a")
    script.restored("b")
    script.finished(0, "a")
    script.failed(0, e.Cause.STORAGE, "b")
    script.tell(script.commit(1, "a"), after_s=0.0)
    assert script.simulation().failures == {}
    assert until_s(script) == -math.inf
