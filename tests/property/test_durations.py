"""Estimates are ordered, grow with the work, learn, and hold what they say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.core.estimating import Interval, outlay
from climorch.core.progress import Policies
from climorch.core.state import SetState, SimulationState
from climorch.core.stretch import stretch_s
from climorch.model.plan import Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.policy.durations import Shown, expected
from climorch.policy.learning import Learned, learn
from climorch.testing.strategies import simulation_plans

SECONDS = st.floats(0.01, 1e6)
COURSES = 500


def stage(
    name: str, segments: int, *, guess_s: float | None = None, **reads: Coupling
) -> StagePlan:
    """Make a stage."""
    return StagePlan(
        name=name,
        calendar="noleap",
        boundaries=tuple(range(segments + 1)),
        reads=reads,
        resources=Resources(segment_s=guess_s),
    )


def simulation(plan: SimulationPlan, name: str = "m01") -> SimulationState:
    """Make a simulation that has not begun."""
    return SimulationState(
        name=name,
        serial=0,
        scenario=Scenario(name),
        plan=plan,
        branch=None,
        sets={s.name: SetState(plan=s, done=dict(s.segments_at[0])) for s in plan.sets},
    )


def estimated(
    plan: SimulationPlan, own: SimulationState | None = None, *others: SimulationState
) -> Interval:
    """Estimate with the usual checkpoints."""
    found = outlay(plan, own=own, others=others, policies=Policies(), mtbf_s=1e6)
    return found.duration_s


def show(of: SimulationState, name: str, seconds: np.ndarray) -> None:
    """Let a simulation have finished segments of a stage on its nodes."""
    learned: Learned | None = None
    for one in seconds:
        learned = learn(learned, float(one))
    if learned is not None:
        widths = {of.plan.nodes: learned}
        of.sets[of.plan.set_of[name]].shown[name] = widths


@settings(max_examples=40, deadline=None)
@given(plan=simulation_plans(), data=st.data())
def test_any_estimate_is_ordered_and_grows_with_what_is_slower(
    plan: SimulationPlan, data: st.DataObject
) -> None:
    """P10 <= P50 <= P90, whatever was measured; twice as slow takes no less."""
    own = simulation(plan)
    slower = simulation(plan)
    for s in plan.stages:
        count = data.draw(st.integers(1, 30))
        seconds = np.array(data.draw(st.lists(SECONDS, min_size=1, max_size=4)))
        show(own, s.name, np.resize(seconds, count))
        show(slower, s.name, np.resize(2 * seconds, count))
    found = estimated(plan, own)

    assert 0 < found.p10 <= found.p50 <= found.p90 < math.inf
    twice = estimated(plan, slower)
    assert twice.p50 == pytest.approx(2 * found.p50, rel=1e-6)
    for of in own.sets.values():
        stretch = stretch_s(own, of, 0)
        assert stretch is not None
        assert 0 < stretch < math.inf


@settings(max_examples=50, deadline=None)
@given(
    segments=st.lists(st.integers(1, 500), min_size=2, max_size=5, unique=True),
    guess_s=SECONDS,
)
def test_more_segments_take_longer(segments: list[int], guess_s: float) -> None:
    """Each of the three numbers grows with the number of segments."""
    found = [
        estimated(
            SimulationPlan(workflow="w", stages=(stage("a", n, guess_s=guess_s),))
        )
        for n in sorted(segments)
    ]

    for less, more in itertools.pairwise(found):
        assert less.p50 < more.p50
        assert less.p90 < more.p90
        # Noise evens out, so that the lower end grows too.
        assert less.p10 < more.p10


@given(
    truth_s=SECONDS,
    factor=st.floats(0.05, 20.0),
    noise=st.floats(0.0, 0.3),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_what_is_learned_converges_to_the_truth(
    truth_s: float, factor: float, noise: float, seed: int
) -> None:
    """After 100 segments the median is within five standard errors of it.

    19 samples in effect: noise / 19**0.5; the guess has left nothing.
    """
    rng = np.random.default_rng(seed)
    learned: Learned | None = None
    for z in rng.standard_normal(100):
        learned = learn(learned, truth_s * math.exp(noise * z))
    assert learned is not None
    found = expected(1, guess_s=truth_s * factor, own=Shown(widths={1: learned}))
    assert found is not None

    error = abs(math.log(found.median_s / max(truth_s, 1e-3)))
    assert error <= 5 * noise / 19**0.5 + 1e-3
    assert found.common == pytest.approx(found.noise / 19**0.5, rel=0.01)


Course = Callable[[np.random.Generator], tuple[Interval, float]]


def guessed(rng: np.random.Generator) -> tuple[Interval, float]:
    """A guess, wrong by the spread that is assumed, then 30 segments."""
    truth_s = 100 * math.exp(0.5 * rng.standard_normal())
    plan = SimulationPlan(workflow="w", stages=(stage("a", 30, guess_s=100.0),))
    return estimated(plan), float(np.sum(noisy(rng, truth_s, 30, 0.2)))


def member(rng: np.random.Generator) -> tuple[Interval, float]:
    """The fifth member of an ensemble that differs by 15 %."""
    plan = SimulationPlan(workflow="w", stages=(stage("a", 30),))
    centres_s = 100 * np.exp(0.15 * rng.standard_normal(5))
    others = [simulation(plan, f"m{k}") for k in range(4)]
    for other, centre_s in zip(others, centres_s, strict=False):
        show(other, "a", noisy(rng, centre_s, 30, 0.1))
    return estimated(plan, None, *others), float(
        np.sum(noisy(rng, centres_s[-1], 30, 0.1))
    )


def under_way(rng: np.random.Generator) -> tuple[Interval, float]:
    """Eight segments of 38 are done."""
    plan = SimulationPlan(workflow="w", stages=(stage("a", 38),))
    own = simulation(plan)
    show(own, "a", noisy(rng, 100.0, 8, 0.15))
    own.sets["a"].done["a"] = 8
    return estimated(plan, own), float(np.sum(noisy(rng, 100.0, 30, 0.15)))


def coupled(rng: np.random.Generator) -> tuple[Interval, float]:
    """Two stages side by side that differ by 10 %, 10 boundaries of 40 are done."""
    stages = (
        stage("a", 40, b=Coupling.PREVIOUS),
        stage("b", 40, a=Coupling.PREVIOUS),
    )
    plan = SimulationPlan(workflow="w", stages=stages)
    own = simulation(plan)
    centres_s = 100 * np.exp(0.1 * rng.standard_normal(2))
    for name, centre_s in zip("ab", centres_s, strict=True):
        show(own, name, noisy(rng, centre_s, 10, 0.15))
        own.sets["a"].done[name] = 10
    both = np.maximum(*(noisy(rng, centre_s, 30, 0.15) for centre_s in centres_s))
    return estimated(plan, own), float(np.sum(both))


def noisy(
    rng: np.random.Generator, centre_s: float, count: int, noise: float
) -> np.ndarray:
    """Draw durations of segments."""
    drawn: np.ndarray = centre_s * np.exp(noise * rng.standard_normal(count))
    return drawn


@pytest.mark.parametrize("course", [guessed, member, under_way, coupled])
def test_of_ten_simulations_eight_end_within_the_interval(course: Course) -> None:
    """P10 to P90 hold 70 to 90 % of 500 courses, and each side a tail of its own."""
    rng = np.random.default_rng(2026)
    below = within = above = 0
    for _ in range(COURSES):
        interval, took_s = course(rng)
        below += took_s < interval.p10
        above += took_s > interval.p90
        within += interval.p10 <= took_s <= interval.p90

    assert 0.70 * COURSES <= within <= 0.90 * COURSES
    assert min(below, above) >= 0.03 * COURSES
    assert max(below, above) <= 0.17 * COURSES
