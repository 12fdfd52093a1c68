"""Why each simulation is where it is, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from climorch.core.state import CampaignState, Phase
from climorch.core.statuses import SimulationStatus, known, summarise
from climorch.policy.sharing import Sharing

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a simulation is where it is.

    Attributes
    ----------
    status : SimulationStatus
        How far it is.
    factors : dict
        Every number that the decision rests on.
    """

    status: SimulationStatus
    factors: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.status.simulation} is {self.status.status}: {self.status.why}"]
        lines += [f"  {name} = {value}" for name, value in self.factors.items()]
        return "\n".join(lines)


def explain(
    state: CampaignState, name: str, now_s: float, sharing: Sharing | None = None
) -> Explanation:
    """Say why a simulation is where it is.

    Parameters
    ----------
    state : CampaignState
        What is known.
    name : str
        Simulation.
    now_s : float
        Driver's clock, seconds.
    sharing : Sharing or None
        How projects share the nodes; None: as by default.

    Raises
    ------
    NotFoundError
        If there is no such simulation.
    """
    simulation = known(state, name)
    status = next(s for s in summarise(state, now_s, sharing) if s.simulation == name)
    factors: dict[str, Any] = {
        "priority": simulation.priority,
        "order of submission": simulation.serial,
        "nodes needed": simulation.plan.nodes,
        "nodes usable": simulation.plan.most_nodes,
        "cores per node": simulation.plan.cores,
        "memory per node, bytes": simulation.plan.memory_bytes,
        "scratch per node, bytes": simulation.plan.scratch_bytes,
        "nodes held": simulation.lease,
        "nodes up": tuple(state.nodes),
        "failures": {cause.value: n for cause, n in simulation.failures.items()},
    }
    if state.draining:
        factors["nodes drained"] = tuple(sorted(state.draining))
    if simulation.branch is not None:
        factors["branch"] = msgspec.to_builtins(simulation.branch)
    for s in simulation.sets.values():
        factors[f"set {s.name}"] = {
            "phase": s.phase.value,
            "attempt": s.attempt,
            "boundary computed": s.reached,
            "boundary committed": s.committed,
            "boundaries": s.plan.last,
            "running": dict(s.running),
            "next checkpoint at": s.planned,
            "checkpoint being written": s.checkpoint,
            "waits for": [
                b
                for b in simulation.plan.prerequisites[s.name]
                if not simulation.sets[b].complete
            ]
            if s.phase is Phase.IDLE
            else [],
        }
    return Explanation(status=status, factors=factors)
