"""Why each simulation is where it is, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from climorch.core.awaiting import market_of
from climorch.core.dropping import drop_factors
from climorch.core.factors import (
    checkpoint_factors,
    going,
    guest_factors,
    project_factors,
    protection_factors,
    set_factors,
    turn_factors,
    wait_factors,
    window_factors,
)
from climorch.core.hanging import hang_factors
from climorch.core.promising import promise_factors
from climorch.core.remedying import remedy_factors
from climorch.core.ruling import rule_factors
from climorch.core.scoring import score_factors
from climorch.core.shunning import move_factors
from climorch.core.state import CampaignState, SimulationState
from climorch.core.statuses import (
    SimulationStatus,
    known,
    shut_windows,
    status_of,
)
from climorch.core.supplying import supply_factors
from climorch.core.upkeep import Policies
from climorch.model.moments import LAST_DATE_S, date_of
from climorch.model.plan import SimulationPlan

__all__ = ["Explanation", "explain"]

# September 2001: no duration in seconds is as long.
EARLIEST_S = 1e9
_COUNTED = ("boundary computed", "boundary committed")
_UNITS = (", s", "hours", "bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a simulation is where it is.

    Attributes
    ----------
    status : SimulationStatus
        How far it is.
    factors : dict
        Every number that the decision rests on. Times are UTC seconds; None
        stands for what nobody knows. ``expected start`` is an estimate. Printed,
        times are dates, and what is None, zero or empty is left out.
    """

    status: SimulationStatus
    factors: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.status.simulation} is {self.status.status}: {self.status.why}"]
        for name, value in self.factors.items():
            parts = value.items() if isinstance(value, dict) else ()
            inner = [
                f"    {part} = {_told(str(part), of)}"
                for part, of in parts
                if _says(of) or part in _COUNTED
            ]
            if inner:
                lines += [f"  {name}:", *inner]
            elif _says(value) and not isinstance(value, dict):
                lines.append(f"  {name} = {_told(name, value)}")
        return "\n".join(lines)


def _says(value: object) -> bool:
    """Whether a factor says anything: not None, not empty, no bound of zero."""
    return not (value is None or value is False or value in (0, "", (), [], {}))


def _told(name: str, value: object) -> str:
    """Return a factor as people read it: times as dates, lists without brackets."""
    # What has a unit says so in its name; the rest of this size are UTC seconds.
    bare = not name.endswith(_UNITS)
    if isinstance(value, float) and bare and EARLIEST_S <= value < LAST_DATE_S:
        return date_of(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_told(name, of) for of in value)
    if isinstance(value, dict):
        return ", ".join(f"{part}: {_told(name, of)}" for part, of in value.items())
    return str(value)


def explain(
    state: CampaignState,
    name: str,
    now_s: float,
    policies: Policies | None = None,
) -> Explanation:
    """Say why a simulation is where it is.

    Parameters
    ----------
    state, name, now_s
        What is known, which simulation, and the driver's clock in seconds.
    policies : Policies or None
        The rules; None: as by default.

    Raises
    ------
    NotFoundError
        There is none of that name.
    """
    simulation = known(state, name)
    rules = policies or Policies()
    market = market_of(state, sharing := rules.sharing, rules.allocation)
    wait, shut = market.decided.waits.get(name), shut_windows(state)
    status = status_of(state, simulation, now_s, wait, shut, rules.limits)
    factors: dict[str, Any] = {
        "priority": simulation.priority,
        "order of submission": simulation.serial,
        **_asked_for(simulation.plan),
        "nodes held": simulation.lease,
        "nodes up": tuple(state.nodes),
        "failures": {cause.value: n for cause, n in simulation.failures.items()},
    }
    factors["project"] = project_factors(state, simulation, market, sharing)
    factors["protection"] = protection_factors(state, simulation, market)
    factors["turn"] = turn_factors(state, simulation, market)
    if windows := window_factors(state, simulation):
        factors["windows"] = windows
    if ends := going(state, simulation):
        factors["nodes go at"] = ends
    if status.status == "waiting":
        factors["waits for"] = wait_factors(state, simulation, market, now_s)
        if guest := guest_factors(simulation, market):
            factors["has waited too long"] = guest
    if simulation.wants_nodes:
        factors |= supply_factors(state)
    factors |= move_factors(state, simulation)
    factors |= _nodes_away(state, simulation)
    factors |= hang_factors(simulation) | remedy_factors(simulation)
    factors |= score_factors(simulation)
    factors |= promise_factors(state, simulation, rules.promise)
    factors |= rule_factors(simulation) | drop_factors(simulation)
    for s in simulation.sets.values():
        factors[f"set {s.name}"] = set_factors(simulation, s)
        factors[f"checkpoints of {s.name}"] = checkpoint_factors(
            state, simulation, s, rules
        )
    return Explanation(status=status, factors=factors)


def _asked_for(plan: SimulationPlan) -> dict[str, int]:
    return {
        "nodes needed": plan.nodes,
        "nodes usable": plan.most_nodes,
        "cores per node": plan.cores,
        "memory per node, bytes": plan.memory_bytes,
        "scratch per node, bytes": plan.scratch_bytes,
    }


def _nodes_away(state: CampaignState, simulation: SimulationState) -> dict[str, Any]:
    """Say which nodes are missing or left out, as far as any are."""
    found = {
        "nodes lost": dict(simulation.missed),
        "nodes drained": tuple(sorted(state.draining)),
        "nodes in quarantine": dict(state.quarantined),
        "segments that failed there and not elsewhere": {
            node: len(seen) for node, seen in state.outdone.items()
        },
    }
    return {name: nodes for name, nodes in found.items() if nodes}
