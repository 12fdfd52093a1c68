"""What admission compares with the time before a window."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from climorch.core.fold import prove
from climorch.core.state import SetState, SimulationState
from climorch.core.stretch import (
    DRAWS,
    axis,
    durations,
    p99_s,
    release_s,
    restore_s,
    siblings,
    stretch_s,
    way_of,
)
from climorch.model.plan import Coupling, StagePlan
from climorch.model.resources import Resources
from climorch.policy.learning import Learned, learn
from tests.unit.core.script import Script, plan, stage, submitted

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS
SURE = 1_000_000


def guessed(
    name: str = "a",
    seconds: float | None = 100.0,
    *,
    boundaries: tuple[int, ...] = (0, 1, 2, 3, 4),
    reads: dict[str, Coupling] | None = None,
    nodes: int = 1,
) -> StagePlan:
    """Make a stage with a guess."""
    return StagePlan(
        name=name,
        calendar="noleap",
        boundaries=boundaries,
        reads=reads or {},
        resources=Resources(nodes=nodes, segment_s=seconds),
    )


def made(*stages: StagePlan) -> tuple[SimulationState, SetState]:
    """Make a simulation of one set that has not begun."""
    script = Script()
    script.tell(submitted(*stages))
    simulation = script.simulation()
    (s,) = simulation.sets.values()
    return simulation, s


def steadily(seconds: float, spread: float = 0.0) -> Learned:
    """Learn so many durations of a known spread that nothing is left to doubt."""
    return Learned(count=SURE, centre=math.log(seconds), variance=spread**2)


def show(s: SetState, stage: str, learned: Learned, nodes: int = 1) -> None:
    """Let a set have shown how long a stage takes."""
    s.shown.setdefault(stage, {})[nodes] = learned


def test_a_guess_alone_admits() -> None:
    """The first segment takes less than 2.4 times the guess, in 19 of 20 cases."""
    simulation, s = made(guessed())

    assert stretch_s(simulation, s, 0) == pytest.approx(244.0, abs=2.0)


def test_what_was_never_guessed_nor_measured_is_not_known() -> None:
    """One stage without either leaves the way of the set open."""
    stages = guessed(reads={"b": PREVIOUS}), guessed("b", None, reads={"a": SAME})
    simulation, s = made(*stages)

    assert stretch_s(simulation, s, 0) is None
    assert release_s(simulation, s, 0) is None
    show(s, "b", learn(None, 10.0))
    assert stretch_s(simulation, s, 0) is not None


@pytest.mark.parametrize(
    ("reads_a", "reads_b", "expected_s"),
    [
        # A measured spread of 0.1 from 19 samples in effect, with two that are
        # assumed, is 0.116; 0.125 with Student's quantile for 20 degrees of
        # freedom and the error of the median.
        # In turn, two of the same spread: the sum varies less than each.
        ({"b": PREVIOUS}, {"a": SAME}, 200 * math.exp(1.645 * 0.125 / 2**0.5)),
        # Side by side: the longer of two is over 1.955 spreads in 1 of 20.
        ({"b": PREVIOUS}, {"a": PREVIOUS}, 100 * math.exp(1.955 * 0.125)),
    ],
)
def test_the_spread_of_a_set_is_that_of_its_stages_together(
    reads_a: dict[str, Coupling], reads_b: dict[str, Coupling], expected_s: float
) -> None:
    """Sums even out, and the longest of many is longer than each."""
    simulation, s = made(
        guessed("a", None, reads=reads_a), guessed("b", None, reads=reads_b)
    )
    for name in "ab":
        show(s, name, steadily(100.0, 0.1), nodes=simulation.plan.nodes)

    assert stretch_s(simulation, s, 0) == pytest.approx(expected_s, rel=0.02)


def test_several_segments_to_the_next_boundary_add_up() -> None:
    """A finer stage is passed with all its segments."""
    simulation, s = made(
        guessed("a", None, boundaries=tuple(range(9)), reads={"b": PREVIOUS}),
        guessed("b", None, boundaries=(0, 4, 8), reads={"a": SAME}),
    )
    show(s, "a", steadily(10.0), nodes=2)
    show(s, "b", steadily(5.0), nodes=2)
    found = stretch_s(simulation, s, 0)

    assert found is not None
    assert 45.0 < found < 50.0


def test_behind_the_last_boundary_nothing_is_left() -> None:
    """At its end a set only has its checkpoint to write."""
    simulation, s = made(guessed())
    s.writing = steadily(30.0)

    assert stretch_s(simulation, s, 4) == 0.0
    assert release_s(simulation, s, 4) == pytest.approx(30 * 1.13, rel=0.02)


def test_release_adds_the_checkpoint() -> None:
    """Assumed half a minute until one was measured, then what it took."""
    simulation, s = made(guessed())
    stretch = stretch_s(simulation, s, 0)
    before = release_s(simulation, s, 0)
    s.writing = steadily(4.0)
    after = release_s(simulation, s, 0)

    assert stretch is not None
    assert before == pytest.approx(stretch + 30 * 2.44, abs=1.0)
    assert after == pytest.approx(stretch + 4 * 1.13, abs=0.1)


def test_more_nodes_are_faster_and_less_sure() -> None:
    """A lease of twice the nodes is judged by what one of the usual size took."""
    simulation, s = made(guessed(nodes=2))
    show(s, "a", steadily(100.0), nodes=2)
    usual, wide = (
        durations(simulation.plan, s.plan, own=simulation, nodes=nodes)["a"]
        for nodes in (None, 4)
    )

    assert usual is not None
    assert wide is not None
    assert wide.median_s == pytest.approx(100 * 0.325 / 0.55, rel=0.01)
    assert wide.p95_s / wide.median_s > usual.p95_s / usual.median_s
    assert stretch_s(simulation, s, 0, nodes=4) == wide.p95_s


def test_a_new_simulation_is_judged_by_others_of_its_workflow() -> None:
    """Segments, checkpoints and restores of others serve where it has none."""
    other, theirs = made(guessed("a", None))
    show(theirs, "a", steadily(100.0))
    theirs.writing, theirs.restoring = steadily(8.0), steadily(16.0)
    simulation, s = made(guessed("a", None))

    assert stretch_s(simulation, s, 0) is None
    stretch = stretch_s(simulation, s, 0, others=[other])
    release = release_s(simulation, s, 0, others=[other])
    assert stretch is not None
    assert release is not None
    assert stretch == pytest.approx(100 * 1.5, rel=0.1)
    assert release - stretch == pytest.approx(8 * 1.5, rel=0.1)
    assert restore_s(s, [other]) == pytest.approx(16 * 1.5, rel=0.1)
    assert restore_s(s) == pytest.approx(30 * 2.44, abs=1.0)


@pytest.mark.parametrize(
    "other",
    [
        # Segments of twice the span of model time.
        guessed("a", None, boundaries=(0, 2, 4)),
        guessed("z", None),
    ],
)
def test_what_is_not_the_same_stage_says_nothing(other: StagePlan) -> None:
    """Other segments, or a stage that this one does not have, are left out."""
    simulation, s = made(guessed("a", None))
    sibling, theirs = made(other)
    show(theirs, other.name, steadily(100.0))

    assert stretch_s(simulation, s, 0, others=[sibling]) is None


def test_siblings_are_the_newest_that_have_shown_something() -> None:
    """Of the same workflow, never the simulation itself, and not too many."""
    script = Script()
    script.tell(*(submitted(name=f"m{k:02d}") for k in range(40)))
    state = script.orchestrator.state
    for k in range(1, 40):
        show(script.set(simulation=f"m{k:02d}"), "a", steadily(1.0))
        prove(state, script.simulation(f"m{k:02d}"))

    found = [s.name for s in siblings(state, plan(stage()), "m39")]
    assert found == [f"m{k:02d}" for k in range(38, 6, -1)]


def test_siblings_run_out() -> None:
    """What has finished nothing is no measure."""
    script = Script()
    script.tell(submitted(name="m01"), submitted(name="m02"))
    state = script.orchestrator.state
    show(script.set(simulation="m01"), "a", steadily(1.0))
    prove(state, script.simulation("m01"))

    assert [s.name for s in siblings(state, plan(stage()), "m03")] == ["m01"]
    assert siblings(state, plan(stage()), "m01") == ()


def test_axes_are_normal_and_independent_of_each_other() -> None:
    """Each holds all quantiles once; no two go together."""
    axes = np.array([axis(k) for k in range(40)])
    normal = NormalDist()
    quantiles = [normal.inv_cdf((k + 0.5) / DRAWS) for k in range(DRAWS)]

    assert np.sort(axes, axis=1) == pytest.approx(np.tile(quantiles, (40, 1)))
    together = np.abs(np.corrcoef(axes) - np.eye(40))
    assert together[:16, :16].max() < 0.02
    assert together.max() < 0.2
    # Neither do their sizes.
    assert np.abs(np.corrcoef(axes**2) - np.eye(40)).max() < 0.25


def test_an_axis_is_the_same_whichever_was_asked_for_before() -> None:
    """Far ones too, beyond the primes that are used in turn."""
    axis.cache_clear()
    far = axis(200)
    axis.cache_clear()
    for number in range(200):
        axis(number)

    assert (axis(200) == far).all()


def test_the_way_of_a_set_with_known_durations() -> None:
    """One after the other where one reads the other in the same segment."""
    _, s = made(guessed("a"), guessed("b", reads={"a": SAME}))

    assert way_of(s.plan, 0, {"a": 100.0, "b": 30.0}) == 130.0
    assert way_of(s.plan, 4, {"a": 100.0, "b": 30.0}) == 0.0


def test_what_one_in_a_hundred_segments_exceeds() -> None:
    """A guess alone is no measure; the first segment leaves much open, many little."""
    simulation, s = made(guessed(seconds=100.0))
    assert p99_s(simulation, s, "a") is None

    s.shown["a"] = {1: learn(None, 100.0)}
    first_s = p99_s(simulation, s, "a") or 0.0
    s.shown["a"] = {1: steadily(100.0, spread=0.1)}
    last_s = p99_s(simulation, s, "a") or 0.0

    assert first_s > 300.0
    # 2.326 standard deviations of the logarithm, of which 19 samples tell.
    assert 100.0 * math.exp(0.2326) < last_s < 140.0
