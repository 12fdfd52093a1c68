"""What a simulation will take and cost, before it runs or while it does.

Plays through possible courses: what is not known of a stage's speed holds for
all its segments and does not even out; the noise between segments does. Phases
add up, coupled stages keep their rhythm, checkpoints and restores cost what
they have cost so far. Ignores waiting for nodes, failures, lent nodes, and
simulations that rules will add.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

import msgspec
import numpy as np

from climorch.core.dropping import drops
from climorch.core.rhythm import Draws, steady_draws_s, way_s
from climorch.core.state import Phase, SetState, SimulationState
from climorch.core.stretch import DRAWS, Drawn, durations, restore, write
from climorch.core.upkeep import Policies
from climorch.errors import Fault, InvalidInputError
from climorch.model.pace import CheckpointStrategy, Pace
from climorch.model.plan import SetPlan, SimulationPlan
from climorch.policy.durations import Duration
from climorch.policy.limits import Limits, judge

__all__ = ["Interval", "Outlay", "StageOutlay", "outlay"]

LEVELS = (0.1, 0.5, 0.9)
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number that is not known for sure.

    Attributes
    ----------
    p10, p50, p90 : float
        It is below with these chances, in percent; ascending.
    """

    p10: float
    p50: float
    p90: float

    def __mul__(self, factor: float) -> Interval:
        """Return it in another unit; the factor is >= 0."""
        return Interval(
            p10=self.p10 * factor, p50=self.p50 * factor, p90=self.p90 * factor
        )

    def __add__(self, known: float) -> Interval:
        """Return it with something on top that is known."""
        return Interval(
            p10=self.p10 + known, p50=self.p50 + known, p90=self.p90 + known
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutlay:
    """What the segments of a stage that are left will take.

    Attributes
    ----------
    stage : str
        Its name.
    nodes : int
        Nodes that it asks for.
    segments : int
        Segments left; parts are counted as such.
    segment_s : float
        Median of one, in seconds.
    duration_s : Interval
        All of them, one after the other, in seconds.
    samples : int
        Measured segments that this rests on.
    basis : str
        ``measured``: segments of this simulation; ``others``: those of other
        simulations of the workflow; ``guess``: what its resources say.
    """

    stage: str
    nodes: int
    segments: int
    segment_s: float
    duration_s: Interval
    samples: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlay:
    """What is left of a simulation.

    Attributes
    ----------
    stages : tuple of StageOutlay
        In order of declaration.
    duration_s : Interval
        Until the last checkpoint, in seconds with nodes.
    """

    stages: tuple[StageOutlay, ...]
    duration_s: Interval


def outlay(
    plan: SimulationPlan,
    *,
    own: SimulationState | None = None,
    others: Sequence[SimulationState] = (),
    policies: Policies,
    mtbf_s: float,
    name: str = "",
) -> Outlay:
    """Estimate what a simulation will take on the nodes that it asks for.

    Parameters
    ----------
    plan : SimulationPlan
        What it consists of.
    own : SimulationState or None
        How far it is; None: not begun.
    others : sequence of SimulationState
        Those that it can be judged by, see `climorch.core.stretch.siblings`.
    policies, name
        When it is checkpointed; its name, since it may have a strategy of its own.
    mtbf_s : float
        Mean time between failures of its lease, in seconds.

    Returns
    -------
    Outlay
        Intervals hold what is stated if segments are lognormal about a centre
        that stays; trends and failures are not in them.

    Raises
    ------
    InvalidInputError
        If nothing is known of a stage that has segments left; names every one.
    """
    left = {s.name: _left(s, own) for s in plan.sets}
    known = _known(plan, left, own, others)
    drawn = Drawn(known, level=LEVELS[-1])
    ends: dict[str, Draws] = {}
    for s in (s for phase in plan.phases for s in phase):
        before = [ends[name] for name in plan.prerequisites[s.name]]
        begin = np.max(before, axis=0) if before else np.zeros(DRAWS)
        state = left[s.name]
        if state.plan.last > state.reached:
            period_s = _period_s(state, known, drawn)
            begin = begin + _computing_s(state, known, drawn, period_s)
            pace = _pace(state, others, mtbf_s, period_s)
            strategy = _strategy(policies, plan, s, name)
            begin += _around_s(state, others, strategy, policies.limits, pace)
        ends[s.name] = begin
    p10, p50, p90 = np.quantile(np.max(list(ends.values()), axis=0), LEVELS)
    return Outlay(
        stages=tuple(
            _stage(stage.name, known[stage.name], left[plan.set_of[stage.name]])
            for stage in plan.stages
            if stage.name in known
        ),
        duration_s=Interval(p10=float(p10), p50=float(p50), p90=float(p90)),
    )


def _known(
    plan: SimulationPlan,
    left: Mapping[str, SetState],
    own: SimulationState | None,
    others: Sequence[SimulationState],
) -> dict[str, Duration]:
    """Return what is known of each stage; of those with work left it must be."""
    known: dict[str, Duration] = {}
    unknown: list[str] = []
    for s in plan.sets:
        segments = _segments(left[s.name])
        for name, found in durations(plan, s, own=own, others=others).items():
            if found is not None:
                known[name] = found
            elif segments[name]:
                unknown.append(name)
    if unknown:
        raise InvalidInputError(
            f"nothing is known of how long workflow {plan.workflow!r} takes",
            faults=[
                Fault(
                    place=f"stage {name!r}",
                    problem="no guess, and no segment of it was ever finished here",
                    remedy="say what one takes: Resources(segment_s=...)",
                )
                for name in unknown
            ],
        )
    return known


def _left(s: SetPlan, own: SimulationState | None) -> SetState:
    """Return where a set stands, with the end that it is to have."""
    if own is None:
        return SetState(plan=s, done=dict(s.segments_at[0]))
    there = replace(own.sets[s.name], plan=s)
    if drops(own, there):
        # It is not computed any more.
        return replace(there, done=dict(s.segments_at[-1]))
    return there


def _segments(s: SetState) -> dict[str, int]:
    """Return the segments of each stage from where the set stands to its end."""
    return {
        name: counts[-1] - counts[s.reached] for name, counts in s.plan.counts.items()
    }


def _period_s(s: SetState, known: Mapping[str, Duration], drawn: Drawn) -> Draws:
    """Draw the mean time from one common boundary to the next, without noise."""
    boundaries = s.plan.last - s.reached
    takes_s = {
        name: drawn.medians_s[name] * (known[name].bias * count / boundaries)
        for name, count in _segments(s).items()
    }
    return steady_draws_s(s.plan, takes_s)


def _computing_s(
    s: SetState, known: Mapping[str, Duration], drawn: Drawn, period_s: Draws
) -> Draws:
    """Draw the time of all segments of a set, with the noise between them."""
    boundaries = s.plan.last - s.reached

    def even(stage: str) -> Draws:
        return drawn.medians_s[stage] * known[stage].bias

    def noisy(stage: str) -> Draws:
        noise: Draws = np.exp(known[stage].noise * drawn.normal())
        return drawn.medians_s[stage] * noise

    plain_s, found_s = (way_s(s.plan, s.reached, draw) for draw in (even, noisy))
    # The longest of several is longer in the mean than the longest mean.
    longer = max(float(np.mean(found_s) / np.mean(plain_s)), 1.0)
    # Stages that follow each other start one by one.
    fill_s = max(float(np.median(plain_s - period_s)), 0.0)
    variance = float(np.var(found_s / plain_s)) / boundaries
    spread = math.sqrt(math.log1p(variance))
    evened = np.exp(spread * drawn.normal() - spread**2 / 2)
    total: Draws = boundaries * longer * period_s * evened + fill_s
    return total


def _strategy(
    policies: Policies, plan: SimulationPlan, s: SetPlan, name: str
) -> CheckpointStrategy:
    return policies.overrides.strategy_for(
        policies.checkpointing,
        simulation=name,
        workflow=plan.workflow,
        stages=s.counts,
    )


def _pace(
    s: SetState, others: Sequence[SimulationState], mtbf_s: float, period_s: Draws
) -> Pace:
    """Say what a strategy will be told where the set stands now."""
    costs = [s.cost_s] if s.cost_s is not None else list(_costs(s.plan, others))
    model_s = s.plan.commons[s.reached]
    return Pace(
        since_s=0.0,
        boundaries=0,
        next_s=float(np.median(period_s)),
        cost_s=fmean(costs) if costs else None,
        mtbf_s=mtbf_s,
        model_s=model_s,
        since_model_s=model_s,
        calendar=s.plan.stages[0].calendar,
    )


def _around_s(
    s: SetState,
    others: Sequence[SimulationState],
    strategy: CheckpointStrategy,
    limits: Limits,
    pace: Pace,
) -> float:
    """Add up what restores and checkpoints take, as far as that is known."""
    boundaries = s.plan.last - s.reached
    every = boundaries
    for passed in range(1, boundaries):
        there = msgspec.structs.replace(
            pace,
            since_s=passed * pace.next_s,
            boundaries=passed,
            model_s=s.plan.commons[s.reached + passed],
        )
        if judge(strategy.due(there), there, limits).due:
            every = passed
            break
    around_s = math.ceil(boundaries / every) * (pace.cost_s or 0.0)
    last, first = write(s, others), restore(s, others)
    if last.samples:
        # The others are written while the next segments compute.
        around_s += last.median_s
    if first.samples and s.phase is not Phase.ACTIVE:
        around_s += first.median_s
    return around_s


def _costs(plan: SetPlan, others: Sequence[SimulationState]) -> Iterator[float]:
    for other in others:
        found = other.sets.get(plan.name)
        if found is not None and found.cost_s is not None:
            yield found.cost_s


def _stage(name: str, known: Duration, s: SetState) -> StageOutlay:
    """Sum the segments of one stage: the centre stays unknown, noise evens out."""
    segments = _segments(s)[name]
    spread = 0.0
    if segments:
        evened = math.log1p(math.expm1(known.noise**2) / segments)
        spread = math.hypot(known.widening(LEVELS[-1]) * known.common, evened**0.5)
        middle_s = segments * known.mean_s * math.exp(-evened / 2)
    else:
        middle_s = 0.0
    off = math.exp(NORMAL.inv_cdf(LEVELS[-1]) * spread)
    return StageOutlay(
        stage=name,
        nodes=s.plan.stage(name).resources.nodes,
        segments=segments,
        segment_s=known.median_s,
        duration_s=Interval(p10=middle_s / off, p50=middle_s, p90=middle_s * off),
        samples=known.samples,
        basis=_basis(name, known, s),
    )


def _basis(name: str, known: Duration, s: SetState) -> str:
    if s.shown.get(name):
        return "measured"
    return "others" if known.samples else "guess"
