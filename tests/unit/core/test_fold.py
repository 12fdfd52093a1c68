"""How single records change the state."""

from __future__ import annotations

import math

import msgspec
import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState, Phase
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.scenario import Project, Scenario
from climorch.policy.learning import Learned
from tests.unit.core.script import Script, plan, stage, submitted
from tests.unit.model.examples import KINDS, example


def running() -> Script:
    """Begin a simulation that computes its first segment on one of two nodes."""
    script = Script()
    script.tell(submitted())
    script.nodes("n", "m")
    script.restored()
    return script


def test_the_clock_never_goes_back() -> None:
    """The state keeps the newest time of any record."""
    state = CampaignState()
    seen = []
    for now_s in (5.0, 3.0, 7.0):
        apply(state, e.StopRequested(), now_s)
        seen.append(state.now_s)

    assert seen == [5.0, 5.0, 7.0]


def test_a_campaign_has_a_name_and_projects() -> None:
    """Opening and declaring are kept."""
    state = CampaignState()
    apply(state, e.CampaignOpened(campaign="cmip", version="1"), 0.0)
    apply(state, e.ProjectDeclared(project=Project("potsdam")), 0.0)
    apply(state, e.ProjectDeclared(project=Project("potsdam", institution="P")), 0.0)

    assert state.campaign == "cmip"
    assert state.projects == {"potsdam": Project("potsdam", institution="P")}


def test_a_simulation_is_submitted_once() -> None:
    """A second submission of the same name changes nothing."""
    state = CampaignState()
    apply(state, submitted(priority=3), 0.0)
    apply(state, submitted(priority=9), 0.0)
    apply(state, submitted(name="x"), 0.0)

    assert [(s.name, s.serial, s.priority) for s in state.simulations.values()] == [
        ("s", 0, 3),
        ("x", 1, 0),
    ]
    assert state.simulations["s"].sets["a"].done == {"a": 0}


def test_a_change_brings_scenario_plan_and_priority() -> None:
    """What is submitted again differently takes the place of what was."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    new = plan(stage(boundaries=(0, 1)))
    scenario = Scenario("s", priority=4)
    apply(state, e.SimulationChanged(simulation="s", scenario=scenario, plan=new), 0.0)
    s = state.simulations["s"]

    assert (s.plan, s.scenario, s.priority) == (new, scenario, 4)
    assert s.sets["a"].plan.last == 1


@pytest.mark.parametrize(
    "fact",
    [
        e.PauseRequested(simulation="z"),
        e.ResumeRequested(simulation="z"),
        e.CancelRequested(simulation="z"),
        e.PriorityRequested(simulation="z", priority=1),
        e.NodeLost(node="z"),
        e.SetRestored(simulation="z", set="a", attempt=1, boundary=0, rung="init"),
        e.SetRestored(simulation="s", set="z", attempt=1, boundary=0, rung="init"),
        e.SetRestored(simulation="s", set="a", attempt=7, boundary=0, rung="init"),
        e.RestoreFailed(
            simulation="z",
            set="a",
            attempt=1,
            boundary=0,
            cause=Cause.STORAGE,
            message="m",
        ),
        e.SegmentFinished(simulation="s", stage="z", segment=0, attempt=1, seconds=1.0),
        e.SegmentFinished(simulation="s", stage="a", segment=3, attempt=1, seconds=1.0),
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=0,
            attempt=7,
            cause=Cause.MODEL,
            message="m",
        ),
        e.CheckpointScrubbed(simulation="z", set="a", boundary=1, damaged=True),
        e.CheckpointScrubbed(simulation="s", set="z", boundary=1, damaged=True),
        e.CheckpointScrubbed(simulation="s", set="a", boundary=1, damaged=True),
        e.CheckpointCommitted(
            simulation="z", set="a", boundary=1, attempt=1, seconds=1.0
        ),
        e.CheckpointCommitted(
            simulation="s", set="z", boundary=1, attempt=1, seconds=1.0
        ),
        e.CheckpointCommitted(
            simulation="s", set="a", boundary=0, attempt=1, seconds=1.0
        ),
        e.CheckpointFailed(
            simulation="s",
            set="a",
            boundary=1,
            attempt=1,
            cause=Cause.STORAGE,
            message="m",
        ),
        e.CheckpointDeleted(simulation="s", set="a", boundary=1),
        e.ResultsPublished(simulation="s", set="a", boundary=1),
        c.StartSegment(simulation="s", stage="a", segment=0, attempt=7),
        c.BeginCheckpoint(simulation="s", set="a", boundary=1, attempt=7),
        c.AbandonAttempt(simulation="s", set="a", attempt=7),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_what_is_about_nothing_that_lives_changes_nothing(fact: c.Record) -> None:
    """Records of unknown simulations, sets, segments or attempts have no effect."""
    script = running()
    before = repr(script.orchestrator.state)
    apply(script.orchestrator.state, fact, script.now_s)

    assert repr(script.orchestrator.state) == before


def test_a_set_that_is_active_is_restored_once() -> None:
    """A repeated restore does not move the start of the attempt."""
    script = running()
    since_s = script.set().since_s
    script.restored()

    assert (script.set().since_s, script.set().phase) == (since_s, Phase.ACTIVE)


def test_a_finished_segment_leaves_its_time_and_its_metrics() -> None:
    """The pace of a stage is a mean that follows the newest segments."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    apply(state, c.StartAttempt(simulation="s", set="a", attempt=1, boundary=0), 0.0)
    for k, seconds in enumerate((10.0, 20.0)):
        apply(
            state, c.StartSegment(simulation="s", stage="a", segment=k, attempt=1), 0.0
        )
        apply(
            state,
            e.SegmentFinished(
                simulation="s",
                stage="a",
                segment=k,
                attempt=1,
                seconds=seconds,
                metrics={"rmse": seconds} if k else {},
            ),
            0.0,
        )
    s = state.simulations["s"]

    assert s.sets["a"].seconds == {("a", 0): 10.0, ("a", 1): 20.0}
    assert s.sets["a"].pace_s == {"a": pytest.approx(13.0)}
    # By the nodes that the simulation asks for, where the fact names none.
    shown = s.sets["a"].shown["a"][1]
    assert shown.count == 2
    assert math.exp(shown.centre) == pytest.approx(200**0.5)
    # Not committed yet.
    assert (s.metrics, s.recent) == ({}, {"a": {1: {"rmse": 20.0}}})


def test_a_failure_is_counted_once_per_attempt() -> None:
    """What fails in an attempt that is broken already is not counted again."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    apply(state, c.StartAttempt(simulation="s", set="a", attempt=1, boundary=0), 0.0)
    for cause in (Cause.MODEL, Cause.HANG):
        fact = e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=0,
            attempt=1,
            cause=cause,
            message="m",
        )
        apply(state, fact, 0.0)
    s = state.simulations["s"]

    assert (s.failures, s.sets["a"].broken) == ({Cause.MODEL: 1}, (Cause.MODEL, "m"))


def test_a_checkpoint_knows_which_files_it_may_share() -> None:
    """A linked checkpoint belongs to the copy of the newest good one before it."""
    state = CampaignState()
    apply(state, submitted(stage(boundaries=range(9))), 0.0)
    s = state.simulations["s"].sets["a"]
    copies = []
    for boundary, independent, damages in (
        (1, False, None),
        (2, False, None),
        (3, True, None),
        (4, False, 4),
        (5, False, 3),
        (6, False, 6),
        (7, True, None),
    ):
        fact = e.CheckpointCommitted(
            simulation="s",
            set="a",
            boundary=boundary,
            attempt=1,
            seconds=1.0,
            cost_s=float(boundary),
            independent=independent,
        )
        apply(state, fact, 0.0)
        copies.append(s.commits[boundary].copy)
        if damages is not None:
            s.commits[damages].good = False

    assert copies == [1, 1, 2, 2, 2, 2, 3]
    assert s.cost_s == pytest.approx(4.5, abs=0.5)
    assert s.writing == Learned(count=7, centre=0.0, variance=0.0)


def test_durations_are_learned_by_the_number_of_nodes() -> None:
    """Two segments on two nodes and one on one are kept apart, per stage."""
    s = running()
    for segment, nodes in enumerate((2, 2, 1)):
        s.tell(msgspec.structs.replace(s.finish(segment), nodes=nodes))
        s.tell(s.finish(segment))

    shown = s.set().shown
    assert {n: learned.count for n, learned in shown["a"].items()} == {2: 2, 1: 1}
    assert shown.keys() == {"a"}


def test_a_fact_without_nodes_counts_for_those_that_are_held() -> None:
    """Journals of older versions do not say how many nodes there were."""
    s = Script()
    s.tell(submitted(stage(nodes=1, most=2)))
    s.nodes("n", "m")
    s.restored()
    s.tell(msgspec.structs.replace(s.finish(0), nodes=0))

    assert s.set().shown["a"].keys() == {2}


def test_restores_and_checkpoints_are_timed() -> None:
    """A restore lasts from its order to its end, a checkpoint says itself."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")
    s.tell(after_s=7.0)
    s.restored()
    s.finished(0)
    s.committed(1)
    restoring, writing = s.set().restoring, s.set().writing

    assert restoring is not None
    assert writing is not None
    assert math.exp(restoring.centre) == pytest.approx(8.0)
    assert math.exp(writing.centre) == pytest.approx(3.0)


def test_checkpoints_are_kept_in_order_of_their_boundaries() -> None:
    """One that is found late takes its place among the newer ones."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    s = state.simulations["s"].sets["a"]
    for attempt, boundary in ((1, 2), (2, 3), (3, 1)):
        fact = e.CheckpointCommitted(
            simulation="s", set="a", boundary=boundary, attempt=attempt, seconds=1.0
        )
        apply(state, fact, 0.0)

    assert list(s.commits) == [1, 2, 3]
    assert s.committed == 3


def test_a_lease_is_charged_for_what_was_held() -> None:
    """Every change of a lease settles the node-seconds before it."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    for node in "ab":
        apply(state, e.NodeJoined(node=node, cores=1), 0.0)
    apply(state, c.SetLease(simulation="s", nodes=("a", "b"), why="turn"), 10.0)
    apply(state, e.NodeLost(node="b"), 15.0)
    apply(state, c.ShrinkPlanned(simulation="s", nodes=1), 17.0)
    apply(state, c.SetLease(simulation="s", nodes=(), why="over"), 20.0)
    s = state.simulations["s"]

    assert (s.node_s, s.lease, s.granted, s.shrink_to) == (15.0, (), 0, None)
    assert s.held_s == 10.0
    assert s.lease_why == "over"


def test_a_driver_that_stops_holds_nothing() -> None:
    """Nodes, leases, requests and retries of a driver end with it."""
    state = CampaignState()
    apply(state, submitted(stage("a"), stage("b")), 0.0)
    apply(state, e.NodeJoined(node="n", cores=1), 0.0)
    apply(state, c.SetLease(simulation="s", nodes=("n",)), 0.0)
    apply(state, c.StartAttempt(simulation="s", set="a", attempt=1, boundary=0), 0.0)
    apply(state, c.EvaluateRule(simulation="s", rule="r"), 0.0)
    fact = e.CheckpointCommitted(
        simulation="s", set="a", boundary=1, attempt=1, seconds=1.0
    )
    apply(state, fact, 0.0)
    apply(state, c.PublishResults(simulation="s", set="a", boundary=1), 0.0)
    apply(state, c.DeleteCheckpoint(simulation="s", set="a", boundary=1), 0.0)
    apply(state, e.DriverStopped(reason="stop"), 8.0)
    s = state.simulations["s"]

    assert (s.lease, s.granted, s.node_s, s.rules_asked) == ((), 0, 8.0, set())
    assert s.sets["a"].broken == (Cause.NODE_LOST, "the driver ended")
    assert s.sets["b"].phase is Phase.IDLE
    assert (state.nodes, state.node_s) == ({}, 8.0)
    commit = s.sets["a"].commits[1]
    assert (commit.publishing, commit.deleting) == (False, False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_record_is_folded(kind: type[msgspec.Struct]) -> None:
    """No record can be journaled that the state does not know how to take."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    apply(state, c.StartAttempt(simulation="s", set="a", attempt=2, boundary=0), 0.0)
    fact = e.CheckpointCommitted(
        simulation="s", set="a", boundary=3, attempt=2, seconds=1.0
    )
    apply(state, fact, 0.0)
    apply(state, example(kind), 8.0)

    assert state.now_s == 8.0
