"""How long a set needs to its next boundary, and until it has let go of its nodes.

What admission compares with the time before a window. Answers that hold in 19
of 20 cases, from guesses first and from measured durations later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import count, islice
from math import isqrt
from statistics import NormalDist

import numpy as np

from climorch.core.rhythm import Draws, way_s
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.model.plan import SetPlan, SimulationPlan, StagePlan
from climorch.policy.durations import P95, Duration, Shown, assumed, expected

__all__ = [
    "DRAWS",
    "Drawn",
    "axis",
    "durations",
    "p99_s",
    "release_s",
    "restore",
    "restore_s",
    "siblings",
    "stretch_s",
    "way_of",
    "write",
]

# Possible courses that are played through. The 95th percentile is right to
# about 5 % of the spread.
DRAWS = 512
# Simulations that others are judged by: the newest, so that a campaign of
# thousands costs no more than one of dozens.
MOST_SIBLINGS = 32
# Segments of one stage in two simulations are alike if their mean spans of model
# time differ by less: months are not of equal length.
ALIKE = 0.1
P99 = 0.99
# Assumed before one was measured, in seconds; ours.
FIRST_WRITE_S, FIRST_RESTORE_S = 30.0, 30.0

# Axes back to which another one is made uncorrelated.
UNALIKE = 16

_PRIMES = tuple(n for n in range(2, 300) if all(n % d for d in range(2, isqrt(n) + 1)))
_NORMAL = NormalDist()
_QUANTILES = np.array([_NORMAL.inv_cdf((k + 0.5) / DRAWS) for k in range(DRAWS)])


def siblings(
    state: CampaignState, plan: SimulationPlan, name: str
) -> tuple[SimulationState, ...]:
    """Return the simulations that a simulation can be judged by.

    Parameters
    ----------
    state : CampaignState
        All that is known.
    plan : SimulationPlan
        Of the simulation.
    name : str
        Its own name.

    Returns
    -------
    tuple of SimulationState
        Others of the same workflow that have finished a segment, the newest
        first, at most `MOST_SIBLINGS`.
    """
    newest = reversed(state.proven.get(plan.workflow, ()))
    others = (state.simulations[other] for _, other in newest if other != name)
    return tuple(islice(others, MOST_SIBLINGS))


def durations(
    plan: SimulationPlan,
    s: SetPlan,
    *,
    nodes: int | None = None,
    own: SimulationState | None = None,
    others: Sequence[SimulationState] = (),
) -> dict[str, Duration | None]:
    """Say what a segment of each stage of a set will take.

    Parameters
    ----------
    plan : SimulationPlan
        Of the simulation; guesses hold for the nodes that it asks for.
    s : SetPlan
        One of its sets.
    nodes : int or None
        Nodes of the lease; None: those that it asks for.
    own : SimulationState or None
        The simulation itself, if it exists.
    others : sequence of SimulationState
        Those that it can be judged by, see `siblings`.

    Returns
    -------
    dict of str to Duration or None
        By stage; None: nothing is known.
    """
    return {
        stage.name: expected(
            nodes or plan.nodes,
            guess_s=stage.resources.segment_s,
            guess_nodes=plan.nodes,
            own=next(_shown(stage, [] if own is None else [own]), None),
            others=tuple(_shown(stage, others)),
        )
        for stage in s.stages
    }


def stretch_s(
    simulation: SimulationState,
    s: SetState,
    boundary: int,
    *,
    nodes: int | None = None,
    others: Sequence[SimulationState] = (),
) -> float | None:
    """Say how long a set needs from a common boundary to the next.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    s : SetState
        One of its sets.
    boundary : int
        Index of the common boundary at which all its stages stand.
    nodes : int or None
        Nodes of the lease; None: those that the simulation asks for.
    others : sequence of SimulationState
        Those that it can be judged by, see `siblings`.

    Returns
    -------
    float or None
        Seconds that it exceeds in one of 20 cases; 0 at the last boundary;
        None while a stage has neither a guess nor a measured segment.
    """
    if boundary >= s.plan.last:
        return 0.0
    known = durations(
        simulation.plan, s.plan, nodes=nodes, own=simulation, others=others
    )
    found = {name: d for name, d in known.items() if d is not None}
    if len(found) < len(known):
        return None
    here, there = s.plan.segments_at[boundary : boundary + 2]
    if all(there[name] - here[name] == 1 for name in found) and len(found) == 1:
        return next(iter(found.values())).p95_s
    drawn = Drawn(found, level=P95)
    return float(np.quantile(way_s(s.plan, boundary, drawn.segment), P95))


def way_of(plan: SetPlan, boundary: int, takes_s: Mapping[str, float]) -> float:
    """Say how long a set needs from a common boundary to the next, if that is known.

    Parameters
    ----------
    plan : SetPlan
        The set.
    boundary : int
        Index of the common boundary.
    takes_s : mapping of str to float
        Seconds of a segment of each stage.

    Returns
    -------
    float
        Seconds; 0 at the last boundary.
    """
    if boundary >= plan.last:
        return 0.0
    return float(way_s(plan, boundary, lambda stage: np.array([takes_s[stage]]))[0])


def release_s(
    simulation: SimulationState,
    s: SetState,
    boundary: int,
    *,
    nodes: int | None = None,
    others: Sequence[SimulationState] = (),
) -> float | None:
    """Say how long a set needs from a common boundary until its nodes are free.

    Parameters
    ----------
    simulation, s, boundary, nodes, others
        As for `stretch_s`.

    Returns
    -------
    float or None
        Seconds to the next common boundary and of the checkpoint there, each
        exceeded in one of 20 cases, so that the sum is exceeded in fewer; None
        as for `stretch_s`.
    """
    way = stretch_s(simulation, s, boundary, nodes=nodes, others=others)
    return None if way is None else way + write(s, others).p95_s


def p99_s(simulation: SimulationState, s: SetState, stage: str) -> float | None:
    """Say what one in a hundred segments of a stage exceeds.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    s : SetState
        The set of the stage.
    stage : str
        Its name.

    Returns
    -------
    float or None
        Seconds on the nodes of its lease, with few samples far above all of
        them; None while it has finished none: a guess may be far off, and what
        others took says little of how long this one may.
    """
    if not s.shown.get(stage):
        return None
    nodes = len(simulation.lease) or None
    found = durations(simulation.plan, s.plan, nodes=nodes, own=simulation)[stage]
    return None if found is None else found.quantile_s(P99)


def restore_s(s: SetState, others: Sequence[SimulationState] = ()) -> float:
    """Say how long it takes until the states of a set are on their nodes.

    Parameters
    ----------
    s : SetState
        The set.
    others : sequence of SimulationState
        Those that it can be judged by.

    Returns
    -------
    float
        Seconds that it exceeds in one of 20 cases.
    """
    return restore(s, others).p95_s


def write(s: SetState, others: Iterable[SimulationState] = ()) -> Duration:
    """Say what a checkpoint of a set will take from its start to its commit."""
    theirs = (o.writing for o in _alike(s.plan, others))
    return assumed(
        FIRST_WRITE_S, own=s.writing, others=[x for x in theirs if x is not None]
    )


def restore(s: SetState, others: Iterable[SimulationState] = ()) -> Duration:
    """Say what it will take until the states of a set are on their nodes."""
    theirs = (o.restoring for o in _alike(s.plan, others))
    return assumed(
        FIRST_RESTORE_S, own=s.restoring, others=[x for x in theirs if x is not None]
    )


class Drawn:
    """Possible durations of segments, the same ones each time.

    Parameters
    ----------
    known : mapping of str to Duration
        What is known of each stage.
    level : float
        Quantile that will be asked for: its widening for small samples is
        applied to every draw.

    Attributes
    ----------
    medians_s : dict of str to ndarray, shape (DRAWS,), seconds
        What the median of each stage's segments may be.
    """

    def __init__(self, known: Mapping[str, Duration], *, level: float) -> None:
        self._axes = count(1 + len(known))
        self._known = known
        self._widening = {name: d.widening(level) for name, d in known.items()}
        self.medians_s: dict[str, Draws] = {}
        for at, (name, d) in enumerate(known.items(), start=1):
            common = d.shared**0.5 * axis(0) + (1 - d.shared) ** 0.5 * axis(at)
            spread = self._widening[name] * d.common
            self.medians_s[name] = d.median_s * np.exp(spread * common)

    def segment(self, stage: str) -> Draws:
        """Draw what the next segment of a stage takes, in seconds."""
        noise = self._widening[stage] * self._known[stage].noise
        drawn: Draws = self.medians_s[stage] * np.exp(noise * self.normal())
        return drawn

    def normal(self) -> Draws:
        """Draw from the standard normal distribution, each time anew."""
        return axis(next(self._axes))


@cache
def axis(number: int) -> Draws:
    """Return equally likely values of a standard normal, shuffled.

    Parameters
    ----------
    number : int
        Values of different numbers are as good as independent, >= 0.

    Returns
    -------
    ndarray, shape (DRAWS,)
        Quantiles of the normal distribution in the order of the fractions of
        ``k**2 * sqrt(p)``, p a prime, which are equidistributed (Weyl 1916,
        Math. Ann. 77, 313-352), less what they have in common with the axes
        before (Iman and Conover 1982, Communications in Statistics B 11,
        311-334). No generator of random numbers: the same on any machine and
        version.
    """
    turn, at = divmod(number, len(_PRIMES))
    k = np.arange(1, DRAWS + 1, dtype=np.float64) + turn * DRAWS
    shuffled = _ranked((k * k * np.sqrt(_PRIMES[at])) % 1.0)
    for other in range(max(number - UNALIKE, 0), number):
        shuffled = shuffled - axis(other) * np.mean(shuffled * axis(other))
    return _ranked(shuffled)


def _ranked(values: Draws) -> Draws:
    """Put quantiles of the normal distribution in the order of some values."""
    ranked: Draws = _QUANTILES[np.argsort(np.argsort(values, kind="stable"))]
    return ranked


def _shown(stage: StagePlan, of: Iterable[SimulationState]) -> Iterator[Shown]:
    """Yield what simulations have shown of a stage, where it is the same."""
    for simulation in of:
        name = simulation.plan.set_of.get(stage.name)
        if name is None:
            continue
        s = simulation.sets[name]
        widths = s.shown.get(stage.name)
        length_s = _length_s(stage)
        if widths and abs(_length_s(s.plan.stage(stage.name)) - length_s) < (
            ALIKE * length_s
        ):
            yield Shown(widths=widths)


def _length_s(stage: StagePlan) -> float:
    """Return the mean model time of a segment."""
    return (stage.boundaries[-1] - stage.boundaries[0]) / stage.segments


def _alike(plan: SetPlan, others: Iterable[SimulationState]) -> Iterator[SetState]:
    """Yield the sets of other simulations that have the same stages."""
    for other in others:
        found = other.sets.get(plan.name)
        if found is not None and found.plan.counts.keys() == plan.counts.keys():
            yield found
