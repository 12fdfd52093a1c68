"""How many nodes are needed, and until when: what a site need not keep.

Pure. Knows an end only where all that is left runs and was measured: whoever still
waits may need any number of nodes for any time.
"""

from __future__ import annotations

import math

from climorch.core.lifecycle import Status
from climorch.core.outlook import expected_end_s
from climorch.core.state import CampaignState

__all__ = ["still_needed"]

# Estimates leave out checkpoints and moves, and durations vary.
LONGER, MORE_S = 1.5, 120.0
OVER = (Status.FINISHED, Status.FAILED, Status.CANCELLED)


def still_needed(state: CampaignState) -> tuple[int, float] | None:
    """Say how many nodes are needed and until when.

    Parameters
    ----------
    state : CampaignState
        As it is now.

    Returns
    -------
    tuple of int and float, or None
        Nodes, and UTC seconds that are late rather than early; None: nobody knows,
        so all of them for as long as may be.
    """
    needed: set[str] = set()
    jobs: set[str] = set()
    until_s = -math.inf
    for simulation in state.simulations.values():
        if simulation.status in OVER:
            continue
        # None also where it does not run: whoever waits or was paused may want nodes
        # any time. Rules may add what nobody has heard of yet.
        end_s = expected_end_s(simulation, state.now_s)
        if end_s is None or simulation.plan.rules:
            return None
        needed.update(simulation.lease)
        if simulation.plan.together:
            jobs.update(state.nodes[node].job for node in simulation.lease)
        until_s = max(until_s, state.now_s + LONGER * (end_s - state.now_s) + MORE_S)
    # What is left of a job beside such a lease is of no use to another one like it.
    jobs.discard("")
    needed.update(node.name for node in state.nodes.values() if node.job in jobs)
    return (len(needed), until_s) if needed else None
