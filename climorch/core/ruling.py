"""When rules are asked."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.state import Control, SimulationState
from climorch.model.commands import EvaluateRule

__all__ = ["ask_rules"]


def ask_rules(simulation: SimulationState) -> Iterator[EvaluateRule]:
    """Ask each rule for which there is something new, one question at a time.

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
        at = simulation.asks(rule)
        if at is not None and rule.name not in simulation.rules_asked:
            yield EvaluateRule(simulation=simulation.name, rule=rule.name, at=at)
