"""When simulations must be looked at again though nothing is heard of them.

What failed is tried again after a while, and a copy in memory is written before its
nodes go. Kept from one look at a simulation to the next; a replay makes it anew.
"""

from __future__ import annotations

import math

from climorch.core.partnering import write_out_s
from climorch.core.state import CampaignState, SimulationState

__all__ = ["Retries"]


class Retries:
    """Times of simulations, driver's clock, seconds."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}

    @property
    def first_s(self) -> float:
        """The first of them; infinite: there is none."""
        return min(self._at_s.values(), default=math.inf)

    def due(self, now_s: float) -> set[str]:
        """Return whose time has come, driver's clock, seconds."""
        if not self._at_s:
            return set()
        return {name for name, at_s in self._at_s.items() if at_s <= now_s}

    def note(self, state: CampaignState, simulation: SimulationState) -> None:
        """Keep the time of a simulation that was looked at.

        Parameters
        ----------
        state, simulation
            What is known, and who.
        """
        at_s = _retry_at_s(state, simulation)
        if at_s < math.inf:
            self._at_s[simulation.name] = at_s
        else:
            self._at_s.pop(simulation.name, None)


def _retry_at_s(state: CampaignState, simulation: SimulationState) -> float:
    """Say when time alone calls for a look at a simulation; infinite: never."""
    sets, now_s = simulation.sets.values(), state.now_s
    times = [s.retry_at_s for s in sets]
    if state.timed:
        times += [write_out_s(state, simulation, s) for s in sets]
    # Of nearly all of them nothing is due: only then it matters whether they compute.
    times = [at_s for at_s in times if now_s < at_s < math.inf]
    if times and (simulation.lease or simulation.wants_nodes):
        return min(times)
    return math.inf
