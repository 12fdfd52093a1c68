"""When rules are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from climorch.core.state import Control, SimulationState
from climorch.model.commands import EvaluateRule

__all__ = ["ask_rules", "rule_factors", "rule_faults_told"]


def rule_faults_told(simulation: SimulationState) -> str:
    """Say which rules ended in a fault; empty: none did.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    """
    return "; ".join(
        f"rule {name!r} at {fault.at}: {fault.message}"
        for name, fault in simulation.rule_faults.items()
    )


def rule_factors(simulation: SimulationState) -> dict[str, Any]:
    """Say what rules made of a simulation, as far as they did, for ``explain``.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    """
    found: dict[str, Any] = {}
    if simulation.branch is not None:
        found["branch"] = msgspec.to_builtins(simulation.branch)
    if simulation.edits:
        found["edits by rules"] = tuple(
            f"{edit.rule} at {edit.at}: {', '.join(edit.told)}"
            for edit in simulation.edits
        )
    if simulation.rule_faults:
        found["faults of rules"] = rule_faults_told(simulation)
    return found


def ask_rules(simulation: SimulationState) -> Iterator[EvaluateRule]:
    """Ask the first rule for which there is something new.

    One question at a time: what a rule makes of a simulation is worked out on what
    the answers before it made.

    Parameters
    ----------
    simulation : SimulationState
        Must have every yielded command applied before the next is asked for.

    Yields
    ------
    EvaluateRule
        To be journaled and carried out.
    """
    if simulation.failed or simulation.control is Control.CANCELLED:
        return
    for rule in simulation.plan.rules:
        if simulation.rules_asked:
            return
        at = simulation.asks(rule)
        if at is not None:
            yield EvaluateRule(simulation=simulation.name, rule=rule.name, at=at)
