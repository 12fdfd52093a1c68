"""What follows from a state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from climorch.core.state import (
    CheckpointState,
    Control,
    SetState,
    SimulationState,
    Status,
)
from climorch.model.events import Cause
from climorch.model.plan import Coupling
from tests.unit.core.script import Script, plan, simulation, stage, submitted


def checkpoint(
    boundary: int, *, good: bool = True, deleting: bool = False
) -> CheckpointState:
    """Make a checkpoint."""
    return CheckpointState(
        boundary=boundary,
        attempt=1,
        committed_s=0.0,
        seconds=1.0,
        bytes_state=1,
        bytes_written=1,
        copy=1,
        good=good,
        deleting=deleting,
    )


def nested(fine: int, coarse: int, **running: int) -> SetState:
    """Make a set of a stage with eight segments and one with two."""
    (s,) = plan(
        stage("a", boundaries=range(9), reads={"b": Coupling.PREVIOUS}),
        stage("b", boundaries=(0, 4, 8)),
    ).sets
    return SetState(plan=s, done={"a": fine, "b": coarse}, running=dict(running))


@pytest.mark.parametrize(
    ("fine", "coarse", "reached", "front", "settled"),
    [
        (0, 0, 0, 0, True),
        (3, 0, 0, 0, False),
        (4, 0, 0, 1, False),
        (4, 1, 1, 1, True),
        (5, 1, 1, 1, False),
        (8, 1, 1, 2, False),
        (8, 2, 2, 2, True),
    ],
)
def test_boundaries_are_reached_by_all_and_by_some(
    fine: int, coarse: int, reached: int, front: int, settled: bool
) -> None:
    """A boundary is reached by a set when its slowest stage is there."""
    s = nested(fine, coarse)

    assert (s.reached, s.front(), s.settled) == (reached, front, settled)


def test_a_set_that_computes_is_not_settled() -> None:
    """A set that stands at a boundary moves on with the first segment."""
    assert not nested(4, 1, a=4).settled


@pytest.mark.parametrize(
    ("s", "boundary", "passed"),
    [
        (nested(4, 0), 1, False),
        (nested(4, 0, a=4), 1, True),
        (nested(5, 0), 1, True),
        (nested(3, 0, a=3), 1, False),
        (nested(3, 0, a=3), 0, True),
    ],
)
def test_a_boundary_is_passed_once_a_segment_beyond_it_began(
    s: SetState, boundary: int, passed: bool
) -> None:
    """A stage that stands at a boundary has not passed it."""
    assert s.passed(boundary) is passed


@pytest.mark.parametrize(
    ("checkpoints", "committed"),
    [
        ([], 0),
        ([checkpoint(1), checkpoint(2)], 2),
        ([checkpoint(1), checkpoint(2, good=False)], 1),
        # What is on its way to the trash cannot be gone back to.
        ([checkpoint(1, deleting=True), checkpoint(2, good=False)], 0),
    ],
)
def test_the_newest_good_checkpoint_counts(
    checkpoints: list[CheckpointState], committed: int
) -> None:
    """Damaged checkpoints and those being deleted are not fallen back to."""
    s = nested(0, 0)
    s.commits = {c.boundary: c for c in checkpoints}

    assert s.committed == committed
    assert s.complete is (committed == 2)
    assert s.name == "a"


def complete(s: SimulationState) -> None:
    """Commit it to its end."""
    s.sets["a"].commits[4] = checkpoint(4)


def paused(s: SimulationState) -> None:
    """Ask it to pause."""
    s.control = Control.PAUSED


def cancelled(s: SimulationState) -> None:
    """Cancel it."""
    s.control = Control.CANCELLED


def failed(s: SimulationState) -> None:
    """Let it fail."""
    s.failed = (Cause.MODEL, "no")


def leased(s: SimulationState) -> None:
    """Give it a node."""
    s.lease = ("n",)


@pytest.mark.parametrize(
    ("changes", "status", "wants_nodes"),
    [
        ([], Status.WAITING, True),
        ([leased], Status.RUNNING, True),
        ([leased, paused], Status.PAUSING, False),
        ([paused], Status.PAUSED, False),
        ([complete], Status.FINISHED, False),
        ([complete, paused], Status.FINISHED, False),
        ([failed], Status.FAILED, False),
        ([failed, paused], Status.FAILED, False),
        ([cancelled, failed, complete], Status.CANCELLED, False),
    ],
)
def test_status(
    changes: list[Callable[[SimulationState], None]], status: Status, wants_nodes: bool
) -> None:
    """The status says what matters most to a user."""
    s = simulation()
    for change in changes:
        change(s)

    assert (s.status, s.wants_nodes) == (status, wants_nodes)


def test_a_simulation_is_settled_when_results_are_out_and_rules_ran() -> None:
    """Complete is not settled: outputs are published and rules asked after it."""
    script = Script()
    script.tell(submitted(rules=[("r", "a")]))
    s = script.simulation()
    seen = [s.settled]
    complete(s)
    seen.append(s.settled)
    s.sets["a"].commits[4].published = True
    seen.append(s.settled)
    s.rules_done["r"] = 4
    seen.append(s.settled)
    # A damaged one has nothing to publish.
    s.sets["a"].commits[3] = checkpoint(3, good=False)
    seen.append(s.settled)

    assert seen == [False, False, False, True, True]


def test_sets_come_with_their_simulation_in_order_of_submission() -> None:
    """Every set of a campaign is listed once."""
    script = Script()
    script.tell(submitted(name="y"), submitted(stage("a"), stage("b"), name="x"))

    assert [(s.name, x.name) for s, x in script.orchestrator.state.sets()] == [
        ("y", "a"),
        ("x", "a"),
        ("x", "b"),
    ]
