"""Bottom-up and top-down made one: what is planned, and what use has been so far.

Each counts by what it has been worth. A series that nobody could judge counts nothing,
so that a short history never overrules a plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from climorch.forecast.series import Case, Outlook

__all__ = ["Reconciled", "reconcile"]

# Logarithms: no plan is better known than this, whatever its draws say; ours.
SURE = 0.06
# P10 to P90 of a normal distribution, in standard deviations.
WIDTH = 2.563
# How much each case of a series may count.
WORTH = {Case.STEADY: 1.0, Case.UNEVEN: 0.5, Case.ERRATIC: 0.0, Case.SHORT: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """By how much a bottom-up forecast was moved.

    Attributes
    ----------
    factor : float
        What all of its amounts are multiplied with.
    weight : float
        Of the top-down forecast, in [0, 1].
    note : str
        The same in words; empty: there was nothing to reconcile with.
    """

    factor: float = 1.0
    weight: float = 0.0
    note: str = ""


def reconcile(totals: Sequence[float], outlook: Outlook | None) -> Reconciled:
    """Say how far a plan is to be moved towards what use has been.

    Parameters
    ----------
    totals : sequence of float
        Draws of the bottom-up total of the months of ``outlook``, in its unit.
    outlook : Outlook or None
        The top-down forecast of the same months.

    Returns
    -------
    Reconciled
        Weighted by the inverse of variances of logarithms, and by the case.
    """
    if outlook is None:
        return Reconciled()
    middle = float(np.median(totals)) if len(totals) else 0.0
    if middle <= 0 or outlook.total <= 0:
        return Reconciled(note="Nothing planned, or nothing used: not reconciled.")
    p10, p90 = np.quantile(totals, (0.1, 0.9))
    plan_sd = math.hypot(SURE, math.log(max(p90, 1e-9) / max(p10, 1e-9)) / WIDTH)
    low, high = outlook.total_p10, outlook.total_p90
    use_sd = math.log(high / low) / WIDTH if low > 0 else math.inf
    precision = 1 / max(use_sd, SURE) ** 2
    weight = WORTH[outlook.case] * precision / (precision + 1 / plan_sd**2)
    moved = (outlook.total / middle) ** weight
    word = outlook.case.value.partition(":")[0]
    return Reconciled(
        factor=moved,
        weight=weight,
        note=f"Use so far says {outlook.total:,.0f} {outlook.unit} ({word}), plans say "
        f"{middle:,.0f}; use counts {weight:.0%}.",
    )
