"""Which sets a simulation goes on without, and what their failures count for.

Views and decisions; `fold_commands` changes the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from climorch.model.commands import Record, SetDropped, SimulationFailed
from climorch.model.events import Cause

if TYPE_CHECKING:
    from climorch.core.sets import SetState
    from climorch.core.state import SimulationState

__all__ = [
    "drop_factors",
    "dropped_told",
    "drops",
    "failures_of",
    "give_up",
    "try_all_again",
]


def drops(simulation: SimulationState, s: SetState) -> bool:
    """Tell whether a simulation goes on without a set.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    s : SetState
        An optional one that failed for good, or comes after such a one: what is
        not optional comes after none.
    """
    if not s.plan.optional or s.complete:
        return False
    return s.dropped is not None or any(
        drops(simulation, simulation.sets[name])
        for name in simulation.plan.prerequisites[s.name]
    )


def failures_of(simulation: SimulationState, s: SetState) -> dict[Cause, int]:
    """Return the failures that count for a set, by cause.

    Those of an optional one are its own: they use up nobody else's budget, and nobody
    else's progress makes up for them.
    """
    return s.failures if s.plan.optional else simulation.failures


def give_up(
    simulation: SimulationState, s: SetState, cause: Cause, message: str
) -> Iterator[Record]:
    """Give up what failed for good: a set that is optional, else its simulation.

    Parameters
    ----------
    simulation : SimulationState
        Whose set.
    s : SetState
        What failed, and is abandoned.
    cause : Cause
        Of its newest failure.
    message : str
        In words.
    """
    if s.plan.optional:
        yield SetDropped(
            simulation=simulation.name, set=s.name, cause=cause, message=message
        )
    else:
        yield SimulationFailed(simulation=simulation.name, cause=cause, message=message)


def try_all_again(simulation: SimulationState) -> None:
    """Let everything that failed for good be tried again, with full budgets."""
    simulation.failed = None
    simulation.failures.clear()
    for s in simulation.sets.values():
        s.dropped = None
        s.failures.clear()


def dropped_told(simulation: SimulationState) -> str:
    """Say without which sets a simulation goes on; empty: it has them all."""
    return "; ".join(f"without {n}: {why}" for n, why in _reasons(simulation).items())


def drop_factors(simulation: SimulationState) -> dict[str, Any]:
    """Say the same for ``explain``, as far as there is anything to say."""
    found = _reasons(simulation)
    return {"goes on without": found} if found else {}


def _reasons(simulation: SimulationState) -> dict[str, str]:
    reasons = {}
    for s in simulation.sets.values():
        if s.dropped is not None:
            cause, message = s.dropped
            reasons[s.name] = f"{cause.value}: {message}"
        elif drops(simulation, s):
            reasons[s.name] = "comes after one that failed for good"
    return reasons
