"""Which strategy counts for a set, what it is told, and which caps bind."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from climorch.core.explain import explain
from climorch.core.pacing import too_long_before
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.core.statuses import summarise
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling, StagePlan
from climorch.model.resources import Resources
from climorch.model.windows import Window
from climorch.policy.checkpointing import (
    BeforeEvent,
    EverySegments,
    Overrides,
)
from climorch.policy.limits import Limits
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

SAME = Coupling.SAME
RARELY = EverySegments(count=100)


def started(policies: Policies, *stages: StagePlan) -> Script:
    """Let a simulation run on a node."""
    s = Script(policies)
    s.tell(submitted(*(stages or (stage(boundaries=range(9)),))))
    s.nodes("n", "m")
    s.restored()
    return s


def planned(s: Script) -> list[c.CheckpointPlanned]:
    """Return the plans that were journaled at the last instant."""
    return [r for r in s.outcome.records if isinstance(r, c.CheckpointPlanned)]


def through(s: Script, segments: int, first: int = 0) -> list[int]:
    """Compute segments and commit what is checkpointed; return its boundaries."""
    found = []
    for k in range(first, first + segments):
        s.finished(k)
        boundary = s.set().checkpoint
        if boundary is not None:
            found.append(boundary)
            s.committed(boundary)
    return found


@pytest.mark.parametrize(
    ("overrides", "boundaries"),
    [
        (Overrides(), [8]),
        (Overrides(stages={("w", "a"): EverySegments(count=3)}), [3, 6, 8]),
        (Overrides(stages={("other", "a"): EverySegments(count=3)}), [8]),
        (Overrides(scenarios={"s": EverySegments(count=4)}), [4, 8]),
        (
            Overrides(
                stages={("w", "a"): EverySegments(count=3)},
                scenarios={"s": EverySegments(count=2)},
            ),
            [2, 4, 6, 8],
        ),
    ],
    ids=["campaign", "stage", "another workflow", "scenario", "both"],
)
def test_stages_and_scenarios_have_strategies_of_their_own(
    overrides: Overrides, boundaries: list[int]
) -> None:
    """Theirs count in place of the campaign's; of two, the strictest."""
    s = started(
        Policies(checkpointing=RARELY, overrides=overrides, limits=UNLIMITED),
    )

    assert through(s, 8) == boundaries


def test_wishes_meet_at_the_set() -> None:
    """Two coupled stages want every second and every fifth: both go every second."""
    overrides = Overrides(
        stages={("w", "a"): EverySegments(count=5), ("w", "b"): EverySegments(count=2)}
    )
    coupled = stage("b", boundaries=range(9), reads={"a": SAME})
    s = started(
        Policies(checkpointing=RARELY, overrides=overrides, limits=UNLIMITED),
        stage("a", boundaries=range(9)),
        coupled,
    )
    begun = []
    for k in range(4):
        s.finished(k)
        s.finished(k, "b")
        begun += [
            (r.boundary, r.why)
            for r in s.outcome.records
            if isinstance(r, c.BeginCheckpoint)
        ]
        if s.set().checkpoint is not None:
            s.committed(s.set().checkpoint or 0)

    assert begun == [(2, "every 2 boundaries"), (4, "every 2 boundaries")]


def test_a_put_off_checkpoint_is_journaled_once_and_told() -> None:
    """One costs 2 s, 2 % of 10 s allow none before 100 s have passed."""
    # An allowance of 3.6 s in the hour: one checkpoint.
    s = started(
        Policies(checkpointing=EverySegments(), limits=Limits(most_overhead=0.001)),
        stage(boundaries=range(3000)),
    )
    assert through(s, 1) == [1]
    state = s.orchestrator.state

    said = [s.finished(k) for k in (1, 2, 3)]

    assert said == [
        ["postpone s.a 2: overhead", "segment s.a 2 #1"],
        ["segment s.a 3 #1"],
        ["segment s.a 4 #1"],
    ]
    (status,) = summarise(state, s.now_s)
    assert status.caps == (
        "set a, overhead: every 1 boundaries; put off: overhead cap of 0.001: one "
        "costs 2 s, 2 s were spent in the last hour"
    )
    told = explain(state, "s", s.now_s, policies=s.policies)
    found = told.factors["checkpoints of a"]
    assert found["cap that binds"] == "overhead"
    assert found["strategy"] == "EverySegments(count=1)"
    assert (found["overhead cap"], found["cost of one, s"]) == (0.001, 2.0)

    s.tell(after_s=2000.0)
    s.finished(4)
    assert [(p.asked, p.binds) for p in planned(s)] == [(True, "overhead")]
    assert planned(s)[0].why.endswith("put off until now by the overhead cap")
    assert s.set().put_off is False


def test_the_exposure_cap_is_told_with_the_plan() -> None:
    """Nobody asked for a checkpoint; 28 min would have been exceeded."""
    s = started(Policies(checkpointing=RARELY))
    s.finished(0)
    s.tell(after_s=1670.0)
    s.finished(1)

    (plan,) = planned(s)
    assert (plan.boundary, plan.asked, plan.binds) == (2, True, "exposure")
    assert plan.why.startswith("exposure cap: 1672 s since the last one")
    assert s.set().binds == "exposure"


def test_what_a_strategy_wants_within_the_caps_binds_nothing() -> None:
    """A plan that was asked for says so; the end of a phase is nobody's wish."""
    s = started(Policies(checkpointing=EverySegments(count=4), limits=UNLIMITED))
    plans = []
    for k in range(8):
        s.finished(k)
        plans += [(p.boundary, p.asked, p.binds) for p in planned(s)]
        if s.set().checkpoint is not None:
            s.committed(s.set().checkpoint or 0)

    assert plans == [(4, True, ""), (8, False, "")]
    assert summarise(s.orchestrator.state, s.now_s)[0].caps == ""


def test_nodes_that_go_are_announced_to_the_strategy() -> None:
    """From the lead on before a window, every boundary is checkpointed."""
    policies = Policies(
        checkpointing=RARELY | BeforeEvent(lead_s=1000.0), limits=UNLIMITED
    )
    s = started(policies, stage(boundaries=range(200)))
    assert through(s, 1) == []
    window = Window(name="w", start_s=s.now_s + 1200.0, stop_s=s.now_s + 2000.0)
    s.tell(e.WindowDeclared(window=window))

    assert through(s, 2, first=1) == []
    s.tell(after_s=200.0)
    assert through(s, 2, first=3) == [4, 5]


def guessed(seconds: float, **more: Any) -> e.SimulationSubmitted:
    """Submit a stage whose segments are said to take so long."""
    long = msgspec.structs.replace(
        stage(**more), resources=Resources(nodes=1, segment_s=seconds)
    )
    return submitted(long)


def test_too_long_segments_are_told_before_they_run() -> None:
    """A guess of half an hour may exceed the 28 min between two checkpoints."""
    (fault,) = too_long_before(CampaignState(), guessed(1800.0), Limits())

    assert fault.place == "simulation 's', set 'a'"
    assert "more than the 1680 s that keep a loss below 3600 s" in fault.problem
    assert "Span(every=...)" in fault.remedy


@pytest.mark.parametrize(
    ("seconds", "limits"),
    [(60.0, Limits()), (1800.0, Limits(most_exposure_s=math.inf))],
)
def test_others_are_not(seconds: float, limits: Limits) -> None:
    """Short segments keep the promise; without a cap there is none."""
    assert too_long_before(CampaignState(), guessed(seconds), limits) == ()


def test_nothing_is_said_where_nothing_is_known() -> None:
    """Without a guess and without a measured segment nobody can tell."""
    assert too_long_before(CampaignState(), submitted(), Limits()) == ()


def test_too_long_segments_are_told_while_they_run() -> None:
    """The status and `explain` name the remedy; what is complete needs none."""
    s = Script(Policies(limits=Limits()))
    s.tell(guessed(4000.0, boundaries=(0, 1)))
    state = s.orchestrator.state

    caps = summarise(state, s.now_s)[0].caps
    factors = explain(state, "s", s.now_s, policies=s.policies).factors

    assert "keep a loss below 3600 s" in caps
    assert len(factors["checkpoints of a"]["cannot be kept"]) == 1
    assert too_long_before(state, guessed(4000.0, boundaries=(0, 1)), Limits())
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.committed(1)
    assert summarise(state, s.now_s)[0].caps == ""
    assert too_long_before(state, guessed(4000.0), Limits()) == ()
