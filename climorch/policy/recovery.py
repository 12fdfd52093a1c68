"""What to do after a failure: how often to try again, after how long.

Every cause has a budget of its own: a node that dies says nothing about the
model, and an error in the model does not get better on another node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from climorch.errors import Fault, InvalidInputError
from climorch.model.events import Cause
from climorch.model.kinds import require_kinds
from climorch.policy.quarantine import Quarantine

__all__ = ["DEFAULT_BUDGETS", "Budget", "RecoveryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often and how soon.

    Attributes
    ----------
    retries : int
        Attempts after the first, without progress in between.
    first_delay_s, longest_delay_s : float
        Wait before the first retry, doubled for each, up to the longest.
    """

    retries: int
    first_delay_s: float = 0.0
    longest_delay_s: float = 300.0

    def __post_init__(self) -> None:
        require_kinds(self)

    def delay_s(self, failures: int) -> float:
        """Compute the wait before a retry.

        Parameters
        ----------
        failures : int
            Failures since the last progress, >= 1.

        Returns
        -------
        float
            Seconds.
        """
        doubled = self.first_delay_s * 2.0 ** min(failures - 1, 60)
        return min(doubled, self.longest_delay_s)


DEFAULT_BUDGETS: Mapping[Cause, Budget] = {
    Cause.NODE_LOST: Budget(retries=1000, first_delay_s=0.1, longest_delay_s=60.0),
    Cause.NOT_DURABLE: Budget(retries=1000, first_delay_s=0.1, longest_delay_s=60.0),
    Cause.MEMORY: Budget(retries=2, first_delay_s=5.0),
    Cause.MODEL: Budget(retries=1, first_delay_s=0.0),
    # A server that does not answer: hours of patience, and no hurry.
    Cause.TRANSIENT: Budget(retries=20, first_delay_s=1.0),
    Cause.NUMERICAL: Budget(retries=0),
    Cause.HANG: Budget(retries=3, first_delay_s=1.0),
    # Checkpoints that failed count too, one a minute while all goes on computing;
    # nobody's simulation is to fail for good because a file system is ill for days.
    Cause.STORAGE: Budget(retries=10_000, first_delay_s=1.0),
    Cause.CORRUPT: Budget(retries=1000, first_delay_s=0.0),
    Cause.WALLTIME: Budget(retries=1000, first_delay_s=0.0),
    Cause.POISON: Budget(retries=0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPolicy:
    """Retry budgets, and when a loss is too large for Dask to heal.

    Attributes
    ----------
    budgets : mapping of Cause to Budget
        One for each cause.
    abandon_at : float
        Share of a lease that, once lost, makes the attempt start anew from
        the newest checkpoint: recomputing what was lost then costs as much,
        since halos make its dependency cone as wide as the field.
    quarantine : Quarantine
        When a node, or a simulation that hangs or kills nodes, is set apart.
    """

    budgets: Mapping[Cause, Budget] = field(default_factory=lambda: DEFAULT_BUDGETS)
    abandon_at: float = 0.25
    quarantine: Quarantine = field(default_factory=Quarantine)

    def __post_init__(self) -> None:
        require_kinds(self)
        having = set(self.budgets)
        without = [cause.value for cause in Cause if cause not in having]
        if without:
            fault = Fault(
                place="RecoveryPolicy.budgets",
                problem=f"has no budget for {', '.join(without)}",
                remedy="give one for each cause, as in {**DEFAULT_BUDGETS, "
                "Cause.MODEL: Budget(retries=3)}",
            )
            raise InvalidInputError(
                "this RecoveryPolicy cannot be made", faults=[fault]
            )

    def gives_up(self, cause: Cause, failures: int) -> bool:
        """Tell whether the budget of a cause is used up.

        Parameters
        ----------
        cause : Cause
            What failed.
        failures : int
            How often since the last progress.

        Returns
        -------
        bool
            True: the simulation fails.
        """
        return failures > self.budgets[cause].retries

    def delay_s(self, cause: Cause, failures: int) -> float:
        """Compute the wait before the next try.

        Parameters
        ----------
        cause : Cause
            What failed.
        failures : int
            How often since the last progress, >= 1.

        Returns
        -------
        float
            Seconds.
        """
        return self.budgets[cause].delay_s(failures)

    def abandons(self, *, lost: int, lease: int) -> bool:
        """Tell whether an attempt starts anew after a loss of nodes.

        Parameters
        ----------
        lost, lease : int
            Nodes lost, of how many that were held.

        Returns
        -------
        bool
            False: Dask computes again what the lost ones held.
        """
        return lost >= self.abandon_at * lease
