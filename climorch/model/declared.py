"""Facts about what is to be computed: submitted, changed, asked for by rules."""

from __future__ import annotations

import msgspec

from climorch.model.plan import Branch, Provenance, SimulationPlan
from climorch.model.scenario import Scenario

__all__ = [
    "RuleEvaluated",
    "RuleFailed",
    "SimulationChanged",
    "SimulationSubmitted",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class SimulationSubmitted(_Fact, frozen=True, kw_only=True):
    """A simulation exists from now on."""

    simulation: str
    scenario: Scenario
    plan: SimulationPlan
    provenance: dict[str, Provenance] = {}
    branch: Branch | None = None


class SimulationChanged(_Fact, frozen=True, kw_only=True):
    """Another end, resources, priority or project: submitted again, or by a rule.

    Attributes
    ----------
    simulation : str
        Which.
    scenario, plan
        What it is from now on.
    declared : SimulationPlan or None
        What the script says that it is, where that is another thing than what it
        has become by rules.
    """

    simulation: str
    scenario: Scenario
    plan: SimulationPlan
    declared: SimulationPlan | None = None


class RuleEvaluated(_Fact, frozen=True, kw_only=True):
    """A rule answered; its edits are part of this fact, applied with it.

    Attributes
    ----------
    simulation, rule, at
        As in ``EvaluateRule``.
    added : tuple of SimulationSubmitted
        New simulations.
    changed : SimulationChanged or None
        What becomes of its own.
    priority : int or None
        Its new priority.
    told : tuple of str
        What it asked for, in words.
    """

    simulation: str
    rule: str
    at: int = 0
    added: tuple[SimulationSubmitted, ...] = ()
    changed: SimulationChanged | None = None
    priority: int | None = None
    told: tuple[str, ...] = ()

    @property
    def consequences(self) -> tuple[SimulationChanged | SimulationSubmitted, ...]:
        """Facts that hold with this one, as if they had come after it, in order."""
        changed = () if self.changed is None else (self.changed,)
        return (*changed, *self.added)


class RuleFailed(_Fact, frozen=True, kw_only=True):
    """A rule raised or asked for something impossible; nothing of it holds.

    Attributes
    ----------
    simulation, rule, at
        As in ``EvaluateRule``.
    message : str
        What is wrong.
    pause : bool
        Whether its simulation is to be paused for it.
    """

    simulation: str
    rule: str
    message: str
    at: int = 0
    pause: bool = False
