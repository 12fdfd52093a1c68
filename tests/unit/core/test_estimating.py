"""What a simulation will take, before it runs and while it does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from climorch.core.estimating import Interval, Outlay, outlay
from climorch.core.progress import Policies
from climorch.core.state import Phase, SimulationState
from climorch.errors import InvalidInputError
from climorch.model.plan import Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.policy.checkpointing import (
    CheckpointStrategy,
    EverySegments,
    Overrides,
)
from climorch.policy.learning import Learned
from climorch.policy.limits import Limits
from tests.unit.core.script import UNLIMITED, Script, plan, submitted

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS
# So many that the centre is known but for the assumed noise.
MANY = 1_000_000


def stage(
    name: str = "a",
    seconds: float | None = 100.0,
    *,
    segments: int = 10,
    every: int = 1,
    reads: dict[str, Coupling] | None = None,
    after: tuple[str, ...] = (),
    nodes: int = 1,
) -> StagePlan:
    """Make a stage with a guess."""
    return StagePlan(
        name=name,
        calendar="noleap",
        boundaries=tuple(range(0, segments * every + 1, every)),
        reads=reads or {},
        after=after,
        resources=Resources(nodes=nodes, segment_s=seconds),
    )


def estimated(
    p: SimulationPlan,
    own: SimulationState | None = None,
    *others: SimulationState,
    strategy: CheckpointStrategy | None = None,
) -> Outlay:
    """Estimate with a checkpoint at the end only."""
    return outlay(
        p,
        own=own,
        others=others,
        policies=Policies(
            checkpointing=strategy or EverySegments(count=10_000), limits=UNLIMITED
        ),
        mtbf_s=1e9,
    )


def begun(*stages: StagePlan) -> SimulationState:
    """Make a simulation that has not begun."""
    script = Script()
    script.tell(submitted(*stages))
    return script.simulation()


def show(simulation: SimulationState, name: str, seconds: float) -> None:
    """Let a simulation have shown on its nodes what a stage takes, steadily."""
    s = simulation.sets[simulation.plan.set_of[name]]
    learned = Learned(count=MANY, centre=math.log(seconds), variance=0.0)
    s.shown[name] = {simulation.plan.nodes: learned}


def test_a_guess_gives_a_wide_interval_around_its_sum() -> None:
    """Ten segments of 100 s: what is wrong with the guess does not even out."""
    found = estimated(plan(stage())).duration_s

    assert found.p50 == pytest.approx(1020, rel=0.01)
    # The centre: 0.5; the noise of ten: 0.2 / 10**0.5.
    off = math.exp(1.2816 * math.hypot(0.5, 0.0634))
    assert found.p10 == pytest.approx(1020 / off, rel=0.03)
    assert found.p90 == pytest.approx(1020 * off, rel=0.03)


def test_what_the_simulation_has_shown_narrows_it() -> None:
    """After many steady segments ten more are known to a few percent."""
    simulation = begun(stage())
    show(simulation, "a", 200.0)
    found = estimated(simulation.plan, simulation)

    assert found.duration_s.p50 == pytest.approx(2000, rel=0.01)
    assert found.duration_s.p90 / found.duration_s.p10 < 1.12
    (row,) = found.stages
    assert (row.basis, row.samples, row.segments) == ("measured", MANY, 10)
    assert row.segment_s == pytest.approx(200.0)


def test_others_of_the_workflow_serve_before_it_has_begun() -> None:
    """Better than a guess, and less sure than segments of its own."""
    other = begun(stage())
    show(other, "a", 200.0)
    found = estimated(plan(stage()), None, other)

    assert found.duration_s.p50 == pytest.approx(2000, rel=0.03)
    assert 1.2 < found.duration_s.p90 / found.duration_s.p10 < 2.0
    assert found.stages[0].basis == "others"
    assert estimated(plan(stage())).stages[0].basis == "guess"


@pytest.mark.parametrize(
    ("reads_a", "reads_b", "expected_s"),
    [
        # In turn.
        ({"b": PREVIOUS}, {"a": SAME}, 400.0),
        # Side by side: as the slower.
        ({"b": PREVIOUS}, {"a": PREVIOUS}, 300.0),
        # One behind the other: the slower, and the faster one's first segment.
        ({}, {"a": SAME}, 310.0),
    ],
)
def test_coupled_stages_keep_their_rhythm(
    reads_a: dict[str, Coupling], reads_b: dict[str, Coupling], expected_s: float
) -> None:
    """Ten boundaries with segments of 10 and 30 s."""
    simulation = begun(stage("a", reads=reads_a), stage("b", reads=reads_b))
    show(simulation, "a", 10.0)
    show(simulation, "b", 30.0)
    found = estimated(simulation.plan, simulation)

    assert found.duration_s.p50 == pytest.approx(expected_s, rel=0.01)
    assert [row.duration_s.p50 for row in found.stages] == [
        pytest.approx(100.0, rel=0.01),
        pytest.approx(300.0, rel=0.01),
    ]


def test_the_longest_of_equal_ones_is_longer_in_the_mean() -> None:
    """Two side by side with a noise of 0.2 take 1.11 times as long as one."""
    stages = (
        stage("a", segments=100, reads={"b": PREVIOUS}),
        stage("b", segments=100, reads={"a": PREVIOUS}),
    )
    simulation = begun(*stages)
    for name in "ab":
        s = simulation.sets["a"]
        s.shown[name] = {2: Learned(count=MANY, centre=0.0, variance=0.04)}
    found = estimated(simulation.plan, simulation).duration_s

    # The mean of the longer of two is 0.564 spreads above that of each.
    assert found.p50 == pytest.approx(100 * (1.02 + 0.564 * 0.2), rel=0.03)


def test_a_finer_stage_counts_all_its_segments() -> None:
    """Four of 10 s and then one of 5 s, ten times."""
    simulation = begun(
        stage("a", segments=40, reads={"b": PREVIOUS}),
        stage("b", segments=10, every=4, reads={"a": SAME}),
    )
    show(simulation, "a", 10.0)
    show(simulation, "b", 5.0)

    found = estimated(simulation.plan, simulation)
    assert found.duration_s.p50 == pytest.approx(450.0, rel=0.01)
    assert [row.segments for row in found.stages] == [40, 10]


def test_phases_add_up_and_branches_of_one_phase_do_not() -> None:
    """After a spin-up of 100 s two run at once, the longer of which counts."""
    simulation = begun(
        stage("spin", segments=1),
        stage("short", segments=2, after=("spin",)),
        stage("long", segments=5, after=("spin",)),
    )
    for name in ("spin", "short", "long"):
        show(simulation, name, 100.0)

    found = estimated(simulation.plan, simulation).duration_s
    assert found.p50 == pytest.approx(600.0, rel=0.02)


def test_only_what_is_left_is_estimated() -> None:
    """A phase that is over is over, a later end is counted."""
    script = Script()
    spin = stage("spin", None, segments=1)
    script.tell(submitted(spin, stage("a", None, segments=2, after=("spin",))))
    script.nodes("n")
    script.restored("spin")
    script.finished(0, "spin")
    script.committed(1, "spin")
    script.restored("a")
    script.finished(0)
    own = script.simulation()
    longer = plan(spin, stage("a", None, segments=7, after=("spin",)))
    found = estimated(longer, own)

    assert [(row.stage, row.segments) for row in found.stages] == [
        ("spin", 0),
        ("a", 6),
    ]
    assert found.stages[0].duration_s == Interval(p10=0.0, p50=0.0, p90=0.0)
    # Segments of 10 s, and the last checkpoint of 3 s.
    assert found.duration_s.p50 == pytest.approx(60 + 3 + 6 * 0.2, rel=0.06)


def test_what_is_over_takes_nothing() -> None:
    """A simulation at its end has nothing left, whatever was never measured."""
    simulation = begun(stage("a", None))
    simulation.sets["a"].done["a"] = 10

    found = estimated(simulation.plan, simulation)
    assert found == Outlay(stages=(), duration_s=Interval(p10=0.0, p50=0.0, p90=0.0))


def test_every_stage_of_which_nothing_is_known_is_named() -> None:
    """One error with each of them, and what to do."""
    p = plan(stage("a", None), stage("b"), stage("c", None, after=("a",)))
    with pytest.raises(InvalidInputError, match="nothing is known") as caught:
        estimated(p)

    assert [(f.place, f.remedy) for f in caught.value.faults] == [
        ("stage 'a'", "say what one takes: Resources(segment_s=...)"),
        ("stage 'c'", "say what one takes: Resources(segment_s=...)"),
    ]


def steady(simulation: SimulationState, *, cost_s: float | None = None) -> None:
    """Let a simulation have shown segments, checkpoints and restores."""
    show(simulation, "a", 100.0)
    s = simulation.sets["a"]
    s.cost_s = cost_s
    s.writing = Learned(count=MANY, centre=math.log(30.0), variance=0.0)
    s.restoring = Learned(count=MANY, centre=math.log(50.0), variance=0.0)


@pytest.mark.parametrize(("every", "checkpoints"), [(1, 10), (3, 4), (100, 1)])
def test_checkpoints_and_a_restore_are_counted_as_far_as_known(
    every: int, checkpoints: int
) -> None:
    """Each holds up the nodes, the last one is waited for, states are restored."""
    simulation = begun(stage())
    steady(simulation, cost_s=2.0)
    s = simulation.sets["a"]
    strategy = EverySegments(count=every)
    found = estimated(simulation.plan, simulation, strategy=strategy)

    expected_s = 1000 + checkpoints * 2 + 30 + 50
    assert found.duration_s.p50 == pytest.approx(expected_s, abs=4.0)
    s.phase = Phase.ACTIVE
    active = estimated(simulation.plan, simulation, strategy=strategy)
    assert active.duration_s.p50 == pytest.approx(found.duration_s.p50 - 50, abs=0.1)


def test_checkpoints_of_others_serve_too() -> None:
    """Their mean cost, where the simulation has had none."""
    two = begun(stage()), begun(stage())
    steady(two[0], cost_s=1.0)
    steady(two[1], cost_s=3.0)
    stranger = begun(stage("z"))
    costs = estimated(plan(stage()), None, *two, stranger, strategy=EverySegments())
    without = estimated(plan(stage()), None, *two, stranger)

    assert costs.duration_s.p50 - without.duration_s.p50 == pytest.approx(18.0)


def test_an_interval_can_be_moved_and_scaled() -> None:
    """Seconds become node-hours, and what was spent is added."""
    found = Interval(p10=1.0, p50=2.0, p90=4.0)

    assert found * 3 == Interval(p10=3.0, p50=6.0, p90=12.0)
    assert found + 1 == Interval(p10=2.0, p50=3.0, p90=5.0)


def test_the_strategy_of_a_stage_and_the_caps_count_in_an_estimate() -> None:
    """Asked for once a year of model time; every segment of half an hour is capped."""
    simulation = begun(stage())
    steady(simulation, cost_s=2.0)
    plain = Policies(checkpointing=EverySegments(count=100), limits=UNLIMITED)

    def ends_s(policies: Policies) -> float:
        found = outlay(
            simulation.plan, own=simulation, policies=policies, mtbf_s=1e9, name="s"
        )
        return found.duration_s.p50

    often = Overrides(stages={("w", "a"): EverySegments(count=2)})
    named = Overrides(scenarios={"s": EverySegments(count=5)})
    capped = Limits(most_exposure_s=300.0, most_overhead=math.inf)

    rarely_s = ends_s(plain)
    assert ends_s(replace(plain, overrides=often)) - rarely_s == pytest.approx(8.0)
    assert ends_s(replace(plain, overrides=named)) - rarely_s == pytest.approx(2.0)
    # 140 s between two: one segment of 100 s.
    assert ends_s(replace(plain, limits=capped)) - rarely_s == pytest.approx(18.0)
