"""Where a set waits until it is said whether it ends there."""

from __future__ import annotations

from bisect import bisect_right

from climorch.core.state import SetState, SimulationState
from climorch.model.plan import RuleTime

__all__ = ["gate_of"]


def gate_of(simulation: SimulationState, s: SetState) -> int | None:
    """Return the common boundary that a set may not pass yet; None: there is none.

    The next one at which a stage of it may end early: it is checkpointed there, and
    goes on once the answer is journaled. So its end does not depend on when it was
    checkpointed, nor on how quick the answer was.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    s : SetState
        Which.
    """
    checks = simulation.plan.checks.get(s.name)
    if not checks:
        return None
    if any(
        rule.on is RuleTime.UNTIL and simulation.asks(rule) is not None
        for rule in simulation.plan.rules_of[s.name]
    ):
        return s.committed
    ahead = checks[bisect_right(checks, s.committed) :]
    # What has passed one had its answer, and goes on though the checkpoint there has
    # gone bad since: nobody could meet there any more.
    return next((boundary for boundary in ahead if not s.passed(boundary)), None)
