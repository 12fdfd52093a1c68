"""How far a forecast can be trusted, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from climorch.forecast.activities import Slippage
from climorch.forecast.costing import Change, Costing

__all__ = ["FEW", "Basis", "Trust", "trusted"]

FEW = 10
"""Finished segments of a configuration below which it is a pilot."""


class Basis(Enum):
    """Which case a bottom-up forecast is in."""

    PROVEN = "proven: 10 or more finished segments of every configuration"
    PILOT = "pilot: less than 10 finished segments of some configuration; use the range"
    GUESS = "guess: nothing of some configuration was ever run; run a pilot first"
    EMPTY = "empty: nothing is left to do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a forecast rests on.

    Attributes
    ----------
    basis : Basis
        Which case it is in.
    segments : int
        Finished ones of the configuration that has fewest; 0: a guess.
    weakest : str
        That configuration, ``workflow/stage``.
    noise_cv : float
        Standard deviation over mean of single segments.
    trend_per_month : float
        By which share they got longer each month, lately.
    changes : tuple of Change
        Costs that have changed for good.
    slippage : Slippage
        How late planned activities were submitted.
    failures, outages : int
        Nodes that went alone, and many that went together, so far.
    """

    basis: Basis
    segments: int
    weakest: str
    noise_cv: float
    trend_per_month: float
    changes: tuple[Change, ...]
    slippage: Slippage
    failures: int
    outages: int

    def __str__(self) -> str:
        weak = f" ({self.weakest}: {self.segments})" if self.weakest else ""
        slips = self.slippage
        late = f"{slips.days:+.0f} days" + ("" if slips.seen else " assumed")
        return (
            f"{self.basis.value}{weak}; noise {self.noise_cv:.0%}, trend "
            f"{self.trend_per_month:+.1%} a month, {len(self.changes)} changes, "
            f"slippage {late} ({slips.seen} seen), {self.failures} failures, "
            f"{self.outages} outages"
        )


def trusted(
    costing: Costing,
    needed: Iterable[tuple[str, str]],
    *,
    slips: Slippage,
    failures: int,
    outages: int,
) -> Trust:
    """Say which case a forecast is in.

    Parameters
    ----------
    costing : Costing
        What is known of costs.
    needed : iterable of (str, str)
        Configurations of which something is left to do.
    slips : Slippage
        Of the plan.
    failures, outages : int
        Seen so far.
    """
    counts = {place: costing.pieces.get(place, 0) for place in needed}
    weakest = min(counts, key=lambda place: counts[place], default=None)
    fewest = counts[weakest] if weakest is not None else 0
    if weakest is None:
        basis = Basis.EMPTY
    elif fewest >= FEW:
        basis = Basis.PROVEN
    else:
        basis = Basis.PILOT if fewest else Basis.GUESS
    return Trust(
        basis=basis,
        segments=fewest,
        weakest="/".join(weakest) if weakest else "",
        noise_cv=costing.noise_cv,
        trend_per_month=costing.trend_per_month,
        changes=costing.changes,
        slippage=slips,
        failures=failures,
        outages=outages,
    )
