"""What a checkpoint strategy is told of a set, and what becomes of its word.

Views of the state: where the set stands, what its lease has shown, which strategy
counts for it, and which caps. Also whether the promise on exposure can be kept at
all, for a set whose way from one boundary to the next is too long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from climorch.core.fold import apply
from climorch.core.horizon import closes_s
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.core.stretch import durations, release_s, siblings, way_of, write
from climorch.core.upkeep import Policies, strategy_of
from climorch.errors import Fault
from climorch.model.events import SimulationSubmitted
from climorch.model.pace import Pace
from climorch.policy.limits import Binds, Limits, Ruling, faded, judge

__all__ = [
    "caps_of",
    "ends_s_of",
    "pace_at",
    "ruling_at",
    "too_long",
    "too_long_before",
    "word_on",
]


def ends_s_of(state: CampaignState, simulation: SimulationState) -> float:
    """Say when the first node of a lease goes, as announced.

    Parameters
    ----------
    state, simulation
        What is known, and whose lease.

    Returns
    -------
    float
        Driver's clock, seconds; infinite: none does.
    """
    if not state.timed:
        return math.inf
    ends_s = (closes_s(state, simulation, node) for node in simulation.lease)
    return min(ends_s, default=math.inf)


def pace_at(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    boundary: int,
    now_s: float,
    ends_s: float,
    held_node_s: float | None = None,
) -> Pace:
    """Say what is known about a set that has reached a common boundary.

    Parameters
    ----------
    state, simulation, s
        What is known, whose set, and which.
    boundary : int
        Index of the common boundary, below the last.
    now_s : float
        Driver's clock, seconds; nodes neither came nor went since they were counted.
    ends_s : float
        From `ends_s_of`.
    held_node_s : float or None
        Node-seconds that all leases have held until then; None: as the state says.
    """
    plan, nodes = s.plan, len(simulation.lease)
    here, there = plan.segments_at[boundary], plan.segments_at[boundary + 1]
    next_s, pace_s = 0.0, s.pace_s
    for stage, count in here.items():
        next_s = max(next_s, (there[stage] - count) * pace_s.get(stage, 0.0))
    return Pace(
        since_s=now_s - s.since_s,
        boundaries=boundary // plan.parts - s.from_boundary // plan.parts,
        next_s=next_s,
        cost_s=s.cost_s,
        mtbf_s=state.mtbf_s(nodes, now_s, held_node_s),
        spent_s=faded(s.spent_s, now_s - s.spent_at_s),
        ends_in_s=ends_s - now_s,
        model_s=plan.commons[boundary],
        since_model_s=plan.commons[s.from_boundary],
        calendar=plan.stages[0].calendar,
        nodes=max(nodes, 1),
        copied=s.held.boundary is not None,
        torn=state.losses.torn,
        up_s=state.any_up_s(now_s),
    )


def ruling_at(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    boundary: int,
    now_s: float,
    policies: Policies,
) -> Ruling:
    """Decide whether a set is checkpointed at a boundary.

    Parameters
    ----------
    state, simulation, s, boundary, now_s
        As for `pace_at`.
    policies : Policies
        The rules.
    """
    ends_s = ends_s_of(state, simulation)
    pace = pace_at(state, simulation, s, boundary, now_s, ends_s)
    wanted = strategy_of(policies, simulation, s).due(pace)
    return judge(wanted, pace, policies.limits)


def word_on(s: SetState, ruling: Ruling) -> tuple[Binds, str]:
    """Say which cap binds for a checkpoint that is due, and why it is taken.

    Parameters
    ----------
    s : SetState
        Of which set.
    ruling : Ruling
        From `ruling_at`.
    """
    if s.put_off and not ruling.binds:
        return "overhead", f"{ruling.why}; put off until now by the overhead cap"
    return ruling.binds, ruling.why


def too_long(
    state: CampaignState, simulation: SimulationState, limits: Limits
) -> Iterator[Fault]:
    """Say where the cap on exposure cannot be kept, and what helps.

    Checkpoints are taken at common boundaries, of parts too: a step that is under
    way has no state to be kept.

    Parameters
    ----------
    state : CampaignState
        What is known of others that tell how long segments take.
    simulation : SimulationState
        Which.
    limits : Limits
        The caps.

    Yields
    ------
    Fault
        One for each set whose way to the next boundary, with the checkpoint
        there, exceeds the longest interval in more than one of 20 cases; by a
        mere guess, if it is longer itself.
    """
    others = siblings(state, simulation.plan, simulation.name)
    nodes = len(simulation.lease) or None
    for s in simulation.sets.values():
        if s.complete or s.dropped is not None:
            continue
        way_s = release_s(simulation, s, s.reached, nodes=nodes, others=others)
        known = durations(
            simulation.plan, s.plan, nodes=nodes, own=simulation, others=others
        )
        guesses = {g: d.median_s for g, d in known.items() if d and not d.samples}
        if len(guesses) == len(known):
            # Doubtful as it is, a guess of 20 min is no reason for a warning.
            way_s = way_of(s.plan, s.reached, guesses) + write(s, others).median_s
        if way_s is not None and way_s > limits.longest_s:
            yield Fault(
                place=f"simulation {simulation.name!r}, set {s.name!r}",
                problem=f"the way to the next common boundary and its checkpoint "
                f"take up to {way_s:.0f} s, more than the {limits.longest_s:.0f} s "
                f"that keep a loss below {limits.most_exposure_s:.0f} s",
                remedy="give it shorter segments (Span(every=...)) or more nodes, or "
                "let its step yield states (stage(parts=...)); or accept the loss: "
                "Limits(most_exposure_s=...)",
            )


def caps_of(state: CampaignState, simulation: SimulationState, limits: Limits) -> str:
    """Say which cap binds for a simulation, or cannot be kept.

    Parameters
    ----------
    state, simulation, limits
        As for `too_long`.

    Returns
    -------
    str
        In words, of every set; empty: none does.
    """
    if simulation.complete:
        return ""
    told = [
        f"{fault.problem}; {fault.remedy}"
        for fault in too_long(state, simulation, limits)
    ]
    told += [
        f"set {s.name}, {s.binds}: {s.binds_why}"
        for s in simulation.sets.values()
        if s.binds and not s.complete
    ]
    return "; ".join(told)


def too_long_before(
    state: CampaignState, submitted: SimulationSubmitted, limits: Limits
) -> tuple[Fault, ...]:
    """Say the same of a simulation that is being submitted.

    Parameters
    ----------
    state, limits
        As for `too_long`.
    submitted : SimulationSubmitted
        What is submitted.
    """
    known = state.simulations.get(submitted.simulation)
    if known is None:
        fresh = CampaignState()
        apply(fresh, submitted, state.now_s)
        known = fresh.simulations[submitted.simulation]
    return tuple(too_long(state, known, limits))
