"""Rules as they are journaled, and where what they add begins."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from climorch.model.plan import SetPlan

__all__ = ["Branch", "RulePlan", "RuleTime"]


class RuleTime(Enum):
    """When a rule is asked."""

    STAGE = "stage"
    """Once its stage is committed to its end; again if the end was moved since."""
    COMMIT = "commit"
    """Each time more of its stage is committed."""
    SIMULATION = "simulation"
    """Once all stages are committed to their ends; again likewise."""
    UNTIL = "until"
    """Where its stage may end early, once that is committed; see `RulePlan.every`."""


class RulePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the workflow.

    Attributes
    ----------
    name : str
        Its name.
    when : str
        The stage that it looks at.
    on : RuleTime
        When it is asked.
    most : int
        How often it may ask for something, of one simulation, and over how many
        generations of simulations that come from each other by it.
    every : int
        Segments, or their parts, after which a stage may end early: at the first
        common boundary from there on.
    window_s : float
        Model time whose metrics are kept for it, in seconds.
    """

    name: str
    when: str
    on: RuleTime = RuleTime.STAGE
    most: int = 1000
    every: int = 1
    window_s: float = 0.0

    def asks_at(self, plan: SetPlan, boundary: int) -> bool:
        """Whether its stage may end early at a common boundary of its set.

        Parameters
        ----------
        plan : SetPlan
            Of the set.
        boundary : int
            Which.
        """
        counts = plan.counts[self.when]
        return (
            0 < boundary < plan.last
            and counts[boundary] // self.every > counts[boundary - 1] // self.every
        )


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """Where a simulation starts from: states of another one.

    Attributes
    ----------
    simulation : str
        The parent.
    rule : str
        Rule of the parent that asked for it.
    boundaries : dict of str to int
        Set of the parent to the boundary whose checkpoint it starts from.
    generation : int
        How many simulations before it came from each other by the same rule.
    """

    simulation: str
    rule: str
    boundaries: dict[str, int] = {}
    generation: int = 1
