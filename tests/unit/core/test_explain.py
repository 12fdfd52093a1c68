from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.core.statuses import (
    NodeStatus,
    SimulationStatus,
    nodes_of,
    summarise,
)
from climorch.errors import NotFoundError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Branch, Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from tests.unit.core.copy_script import UNHURT

CUTS = (0, 1, 2, 3, 4)


def plan(nodes: int = 1, memory: int = 0) -> SimulationPlan:
    """A spin-up of two segments, then air and sea of four each."""
    return SimulationPlan(
        workflow="boxes",
        stages=(
            StagePlan(name="spin", calendar="noleap", boundaries=(-2, -1, 0)),
            StagePlan(
                name="air",
                calendar="noleap",
                boundaries=CUTS,
                reads={"sea": Coupling.PREVIOUS},
                after=("spin",),
            ),
            StagePlan(
                name="sea",
                calendar="noleap",
                boundaries=CUTS,
                reads={"air": Coupling.SAME},
                after=("spin",),
                resources=Resources(nodes=nodes, max_nodes=nodes + 2, memory=memory),
            ),
        ),
    )


def submitted(name: str, **options: Any) -> e.SimulationSubmitted:
    """A simulation."""
    priority = options.pop("priority", 0)
    branch = options.pop("branch", None)
    return e.SimulationSubmitted(
        simulation=name,
        scenario=Scenario(name, project="potsdam", priority=priority),
        plan=plan(**options),
        branch=branch,
    )


def finished(stage: str, segment: int, seconds: float) -> e.SegmentFinished:
    """A segment of m01's first attempt."""
    return e.SegmentFinished(
        simulation="m01", stage=stage, segment=segment, attempt=1, seconds=seconds
    )


def folded(*records: tuple[float, c.Record]) -> CampaignState:
    """The state after these records, each at its time."""
    state = CampaignState()
    apply(state, e.CampaignOpened(campaign="cmip", version="1"), 0.0)
    for now_s, record in records:
        apply(state, record, now_s)
    return state


NODES: tuple[tuple[float, c.Record], ...] = (
    (0.0, e.NodeJoined(node="n0", cores=2, memory_bytes=8000)),
    (0.0, e.NodeJoined(node="n1", cores=2, memory_bytes=8000)),
)


def lease(nodes: Iterable[str] = ("n0", "n1"), why: str = "its turn") -> c.SetLease:
    """What m01 holds."""
    return c.SetLease(simulation="m01", nodes=tuple(nodes), why=why)


def start(boundary: int = 0) -> c.StartAttempt:
    """The first attempt of the spin-up."""
    return c.StartAttempt(simulation="m01", set="spin", attempt=1, boundary=boundary)


RESTORED = e.SetRestored(
    simulation="m01", set="spin", attempt=1, boundary=0, rung="init"
)


def running() -> CampaignState:
    """One segment of the spin-up is computed, the next one runs."""
    return folded(
        *NODES,
        (100.0, submitted("m01")),
        (100.0, lease()),
        (110.0, start()),
        (120.0, RESTORED),
        (
            120.0,
            c.StartSegment(simulation="m01", stage="spin", segment=0, attempt=1),
        ),
        (150.0, finished("spin", 0, 30.0)),
        (
            150.0,
            c.StartSegment(simulation="m01", stage="spin", segment=1, attempt=1),
        ),
    )


def test_a_running_simulation_shows_how_far_it_is() -> None:
    """Segments, nodes, node-hours and what would be lost are counted up to now."""
    (status,) = summarise(running(), 160.0)
    assert status == SimulationStatus(
        simulation="m01",
        workflow="boxes",
        project="potsdam",
        status="running",
        priority=0,
        segments=10,
        computed=1,
        committed=0,
        nodes=2,
        node_hours=2 * 60.0 / 3600,
        checkpoints=0,
        exposure_s=30.0 + 10.0,
        lost_s=0.0,
        # One second of model time in 30 s; the phases to come are not measured.
        rate_sypd=9.1324200913242e-05,
        expected_end_s=None,
        checkpoint_age_s=None,
        why="its turn",
    )


def test_progress_counts_what_is_committed() -> None:
    """Provisional segments are no progress yet; committed ones are."""
    state = running()
    assert summarise(state, 160.0)[0].progress == 0.0
    for now_s, record in (
        (180.0, finished("spin", 1, 30.0)),
        (
            190.0,
            c.BeginCheckpoint(simulation="m01", set="spin", boundary=2, attempt=1),
        ),
        (
            200.0,
            e.CheckpointCommitted(
                simulation="m01", set="spin", boundary=2, attempt=1, seconds=10.0
            ),
        ),
        (200.0, c.SegmentCommitted(simulation="m01", stage="spin", segment=0)),
        (200.0, c.SegmentCommitted(simulation="m01", stage="spin", segment=1)),
    ):
        apply(state, record, now_s)
    status = summarise(state, 200.0)[0]
    assert (status.computed, status.committed, status.checkpoints) == (2, 2, 1)
    assert status.progress == 0.2
    assert status.exposure_s == 0.0
    assert status.checkpoint_age_s == 0.0
    assert summarise(state, 260.0)[0].checkpoint_age_s == 60.0


def test_a_clock_that_is_behind_takes_nothing_away() -> None:
    """Asked with an earlier time than the lease, nothing becomes negative."""
    assert summarise(running(), 50.0)[0].node_hours == 0.0


def test_nodes_are_listed_with_their_holders() -> None:
    """A node that is up is held or free; a drained one is listed when it is gone."""
    state = folded(
        *NODES,
        (1.0, submitted("m01")),
        (1.0, lease(["n0"])),
        (2.0, e.DrainRequested(node="n1")),
        (2.0, e.DrainRequested(node="gone")),
    )

    assert nodes_of(state, 3.0) == (
        NodeStatus(node="gone", up=False, draining=True),
        NodeStatus(node="n0", up=True, simulation="m01", cores=2, memory_bytes=8000),
        NodeStatus(node="n1", up=True, draining=True, cores=2, memory_bytes=8000),
    )
    assert explain(state, "m01", 3.0).factors["nodes drained"] == ("gone", "n1")


def why(state: CampaignState, name: str = "m01") -> tuple[str, str]:
    """Status and reason."""
    status = explain(state, name, state.now_s).status
    return status.status, status.why


def test_waiting_without_a_driver_is_said() -> None:
    """A simulation that could start now waits only for a driver."""
    state = folded(*NODES, (1.0, submitted("m01")))
    assert why(state) == ("waiting", "no driver runs")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"nodes": 3},
            "needs 3 nodes; 2 such are up",
        ),
        (
            {"memory": 9000},
            "needs 1 node with 9000 bytes of memory each; none such is up",
        ),
    ],
)
def test_waiting_for_nodes_is_said(options: dict[str, int], reason: str) -> None:
    """A simulation that finds no fitting nodes says what it needs."""
    state = folded(*NODES, (1.0, submitted("m01", **options)))
    assert why(state) == ("waiting", reason)


def test_waiting_behind_others_is_said() -> None:
    """Those behind one that waits for nodes say for whom they wait."""
    state = folded(
        *NODES,
        (1.0, submitted("m01")),
        (1.0, lease(["n0"])),
        (2.0, submitted("m02", nodes=2)),
        (3.0, submitted("m03")),
        (4.0, submitted("m04", nodes=2, priority=5)),
    )
    assert why(state, "m04") == (
        "waiting",
        "needs 2 more nodes; 1 are free, 1 are asked back from m01",
    )
    assert why(state, "m02") == ("waiting", "goes after m04")
    assert why(state, "m03") == ("waiting", "goes after m04")


def test_pauses_cancels_and_stops_are_said() -> None:
    """What a user asked for is the reason, while nodes are held and after."""
    state = running()
    apply(state, e.PauseRequested(simulation="m01"), 170.0)
    assert why(state) == ("pausing", "paused")
    apply(state, lease([]), 180.0)
    assert why(state) == ("paused", "paused")
    apply(state, e.ResumeRequested(simulation="m01"), 190.0)
    apply(state, e.StopRequested(), 190.0)
    assert why(state) == ("waiting", "the driver is to stop")
    apply(state, e.CancelRequested(simulation="m01"), 200.0)
    assert why(state)[0] == "cancelled"


def test_giving_nodes_back_is_said() -> None:
    """A lease that shrinks says so."""
    state = running()
    apply(state, c.ShrinkPlanned(simulation="m01", nodes=1), 170.0)
    assert why(state) == ("running", "lent nodes go back")


def test_the_time_of_the_next_try_is_said() -> None:
    """A simulation that waits after a failure says for how long."""
    state = running()
    apply(
        state,
        c.AbandonAttempt(
            simulation="m01", set="spin", attempt=1, retry_at_s=200.0, why="failed"
        ),
        170.0,
    )
    assert why(state) == ("running", "tries again in 30 s")


def test_a_failure_says_its_cause() -> None:
    """A failed simulation tells what used its retries up."""
    state = running()
    fact = c.SimulationFailed(
        simulation="m01", cause=e.Cause.MODEL, message="KeyError: 'salt'"
    )
    apply(state, fact, 170.0)
    assert why(state) == ("failed", "error in the model: KeyError: 'salt'")


def commit(name: str, boundary: int) -> e.CheckpointCommitted:
    """A checkpoint at the end of a set."""
    return e.CheckpointCommitted(
        simulation="m01", set=name, boundary=boundary, attempt=1, seconds=1.0
    )


def test_an_end_is_said() -> None:
    """A simulation with every set committed to its end is finished."""
    state = running()
    for name, boundary in (("spin", 2), ("air", 4)):
        apply(
            state,
            c.StartAttempt(simulation="m01", set=name, attempt=1, boundary=0),
            170.0,
        )
        apply(state, commit(name, boundary), 180.0)
    assert why(state) == ("finished", "every stage is committed to its end")


def test_explaining_gives_every_number_behind_a_decision() -> None:
    """Factors hold nodes, failures and where each set stands."""
    state = running()
    told = explain(state, "m01", 160.0)
    sets = {"checkpoints of spin", "checkpoints of air"}
    topics = {"project", "protection", "turn"} | sets
    assert topics < told.factors.keys()
    assert {k: v for k, v in told.factors.items() if k not in topics} == {
        "priority": 0,
        "order of submission": 0,
        "nodes needed": 1,
        "nodes usable": 3,
        "cores per node": 0,
        "memory per node, bytes": 0,
        "scratch per node, bytes": 0,
        "nodes held": ("n0", "n1"),
        "nodes up": ("n0", "n1"),
        "failures": {},
        "set spin": {
            "phase": "active",
            "attempt": 1,
            "boundary computed": 1,
            "boundary committed": 0,
            "boundaries": 2,
            "running": {"spin": 1},
            "next checkpoint at": None,
            "checkpoint being written": None,
            **UNHURT | {"states came from": "init"},
            "waits for": [],
        },
        "set air": {
            "phase": "idle",
            "attempt": 0,
            "boundary computed": 0,
            "boundary committed": 0,
            "boundaries": 4,
            "running": {},
            "next checkpoint at": None,
            "checkpoint being written": None,
            **UNHURT,
            "waits for": ["spin"],
        },
    }


def test_a_branch_names_its_parent() -> None:
    """A simulation that a rule added says where it comes from."""
    branch = Branch(simulation="m00", rule="split")
    state = folded((1.0, submitted("m01", branch=branch)))
    told = explain(state, "m01", 1.0).factors["branch"]
    assert (told["simulation"], told["rule"], told["generation"]) == ("m00", "split", 1)


def test_failures_are_counted_by_cause() -> None:
    """Each cause that was met since the last commit is listed with its count."""
    state = running()
    state.simulations["m01"].failures[e.Cause.MEMORY] = 2
    assert explain(state, "m01", 160.0).factors["failures"] == {"out of memory": 2}


def test_an_unknown_simulation_is_not_found() -> None:
    """The error lists what there is."""
    with pytest.raises(NotFoundError, match=r"journal of campaign 'cmip'; it has \['"):
        explain(running(), "m09", 0.0)
    with pytest.raises(NotFoundError, match="it has none"):
        explain(folded(), "m09", 0.0)
    with pytest.raises(NotFoundError, match="the campaign was never run"):
        explain(CampaignState(), "m09", 0.0)


def test_a_status_is_a_row() -> None:
    """Fields come by name and in order."""
    status = summarise(running(), 160.0)[0]
    assert SimulationStatus.columns() == tuple(status.to_dict())
    assert status.to_dict()["simulation"] == "m01"
