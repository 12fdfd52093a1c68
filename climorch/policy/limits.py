"""What stands above every checkpoint strategy: a cap on overhead, one on exposure.

Decides what becomes of a strategy's word at a boundary, and says which cap binds.
Where the two caps disagree, exposure wins: lost work is dearer than a slow dump,
and a set that may not be checkpointed at all would be at risk for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from climorch.errors import InvalidInputError
from climorch.model.pace import Pace
from climorch.model.ranges import range_faults

__all__ = ["MEMORY_S", "Binds", "Limits", "Ruling", "faded", "judge"]

MEMORY_S = 3600.0
"""Over how long overhead is taken, in seconds: what a checkpoint cost so long ago
counts by 1/e."""

Binds = Literal["", "overhead", "exposure"]
"""Which cap has changed what a strategy wanted."""

# Of the exposure cap: where the newest checkpoint turns out bad, two intervals are
# lost, and what runs on until a failure is dealt with. 28 of 60 min.
_SHARE = 28 / 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps that hold whatever the strategy.

    Attributes
    ----------
    most_overhead : float
        Share of the time that checkpoints may cost, > 0; ``inf``: no cap. Over
        the last hour or so, so that a few in a row do no harm.
    most_exposure_s : float
        Compute that may be lost even if the newest checkpoint turns out bad,
        in seconds, > 0; ``inf``: no cap.

    Raises
    ------
    InvalidInputError
        If one is not above zero.
    """

    most_overhead: float = 0.02
    most_exposure_s: float = 3600.0

    def __post_init__(self) -> None:
        faults = range_faults(
            self,
            [
                ("most_overhead", self.most_overhead > 0, "> 0"),
                ("most_exposure_s", self.most_exposure_s > 0, "> 0"),
            ],
            remedy="give a larger number; inf switches the cap off",
        )
        if faults:
            raise InvalidInputError("these limits cannot be kept", faults=faults)

    @property
    def longest_s(self) -> float:
        """Longest time from one checkpoint to the next, in seconds."""
        return self.most_exposure_s * _SHARE

    def least_s(self, cost_s: float) -> float:
        """Return the time between checkpoints at which overhead is at its cap.

        Parameters
        ----------
        cost_s : float
            Time lost to one, in seconds.

        Returns
        -------
        float
            Seconds; 0 where there is no cap.
        """
        return cost_s / self.most_overhead


class Ruling(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is to be done at a boundary.

    Attributes
    ----------
    due : bool
        Whether a checkpoint is taken there.
    why : str
        Reason in words; empty: nobody wanted one.
    binds : str
        ``"overhead"``: one was wanted and is put off; ``"exposure"``: one is
        taken that was not wanted, or costs more than the cap on overhead;
        empty: no cap has changed anything.
    """

    due: bool
    why: str = ""
    binds: Binds = ""


NOTHING = Ruling(due=False)


def faded(spent_s: float, age_s: float) -> float:
    """Return how much of what checkpoints have cost still counts.

    Parameters
    ----------
    spent_s, age_s : float
        Time lost to them, and how long ago that was; seconds.

    Returns
    -------
    float
        Seconds.
    """
    return spent_s * math.exp(-max(age_s, 0.0) / MEMORY_S)


def judge(wanted: str | None, pace: Pace, limits: Limits) -> Ruling:
    """Rule on what a strategy wants at a boundary.

    Parameters
    ----------
    wanted : str or None
        What it said.
    pace : Pace
        What it was told.
    limits : Limits
        The caps.

    Returns
    -------
    Ruling
        With the cap that binds, if one does.
    """
    beyond = pace.since_s + pace.next_s > limits.longest_s
    if wanted is None and not beyond:
        # At most boundaries this is all.
        return NOTHING
    over = _over(pace, limits)
    if wanted is not None and not over:
        return Ruling(due=True, why=wanted)
    if beyond:
        why = (
            f"exposure cap: {pace.since_s:.0f} s since the last one, the next boundary "
            f"in {pace.next_s:.0f} s, at most {limits.longest_s:.0f} s between two"
        )
        if wanted is not None:
            why = f"{wanted}; {why}"
        return Ruling(
            due=True, why=f"{why}; but {over}" if over else why, binds="exposure"
        )
    return Ruling(due=False, why=f"{wanted}; put off: {over}", binds="overhead")


def _over(pace: Pace, limits: Limits) -> str:
    """Say how a checkpoint now would exceed the cap on overhead; empty: it does not."""
    cost_s = pace.cost_s or 0.0
    if pace.since_s >= limits.least_s(cost_s):
        return ""
    spent_s = pace.spent_s + cost_s
    if not math.isfinite(limits.most_overhead) or (
        spent_s <= limits.most_overhead * MEMORY_S
    ):
        return ""
    return (
        f"overhead cap of {limits.most_overhead:.3g}: one costs {cost_s:.3g} s, "
        f"{pace.spent_s:.3g} s were spent in the last hour"
    )
