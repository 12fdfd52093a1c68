"""Until when a simulation goes on by itself, whatever time brings.

What concerns it besides facts about it: nodes that go at a known time, a budget
that ends, its own end. A pure view of the state, asked by the twin's coarse mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from climorch.core.dropping import drops
from climorch.core.holds import leaving
from climorch.core.horizon import FAR, closes_s, roughly_s
from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.model.plan import RuleTime
from climorch.policy.sharing import remaining_node_s

__all__ = ["LAST", "calm_until_s", "near_end"]

LAST = 3
"""Common boundaries before its end at which a set no longer goes on by itself."""

OFTEN = (RuleTime.COMMIT, RuleTime.UNTIL)

# By how much its pace may slow down until then.
SLOWER = 1.5


def calm_until_s(state: CampaignState, simulation: SimulationState) -> float:
    """Say until when nothing but a fact can concern a simulation that computes.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.

    Returns
    -------
    float
        Driver's clock, seconds; infinite: to near its end. Minus infinity: it is
        concerned now, or does not compute.
    """
    if (
        state.stopping
        or not simulation.fruitful
        or not simulation.lease
        or len(simulation.lease) != simulation.granted
        or simulation.preempted is not None
        or simulation.shrink_to is not None
        or leaving(simulation)
        or simulation.failures
        or any(s.failures for s in simulation.sets.values() if s.dropped is None)
        # A rule that is asked at each commit may change everything there.
        or any(rule.on in OFTEN for rule in simulation.plan.rules)
        or not simulation.wants_nodes
        # What a mark says may change who has which nodes.
        or simulation.plan.scores
        or not state.draining.isdisjoint(simulation.lease)
        or not _go_on(state, simulation)
    ):
        return -math.inf
    ends_s = min(_ends_s(state, simulation), default=math.inf)
    if ends_s == math.inf:
        return ends_s
    # From there on each boundary is asked whether the way to the next one fits.
    until_s = ends_s - SLOWER * FAR * roughly_s(simulation.sets.values())
    return until_s if until_s > state.now_s else -math.inf


def _go_on(state: CampaignState, simulation: SimulationState) -> bool:
    """Tell whether every set computes, is complete or waits for one that computes."""
    computes = False
    for s in simulation.sets.values():
        if s.phase is Phase.ACTIVE:
            if s.retry_at_s > state.now_s or near_end(s):
                return False
            computes = True
        elif s.phase is not Phase.IDLE:
            return False
        elif not (s.complete or drops(simulation, s)):
            before = simulation.plan.prerequisites[s.name]
            if all(simulation.sets[name].complete for name in before):
                return False
    return computes


def near_end(s: SetState) -> bool:
    """Tell whether some stage of a set is at one of its last common boundaries.

    Parameters
    ----------
    s : SetState
        The set.
    """
    return s.front() >= s.plan.last - LAST


def _ends_s(state: CampaignState, simulation: SimulationState) -> Iterator[float]:
    """Yield when a node of the lease goes, and when the budget may be used up."""
    if state.timed:
        for node in simulation.lease:
            yield closes_s(state, simulation, node)
    name = simulation.scenario.project
    project, used = state.projects.get(name), state.usage.get(name)
    if project is None or project.budget_node_hours is None or used is None:
        return
    node_s = used.at(state.now_s, half_life_s=state.half_life_s).node_s
    # At the earliest: if the project had all nodes from now on.
    left_s = remaining_node_s(project, node_s) / max(len(state.nodes), 1)
    yield state.now_s + left_s
