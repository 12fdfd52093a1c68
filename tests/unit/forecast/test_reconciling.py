"""Plans and use so far, made one."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import pytest

from climorch.forecast.reconciling import Reconciled, reconcile
from climorch.forecast.series import Case, Outlook

LEVELS = [(k + 0.5) / 500 for k in range(500)]
TOTALS = [1000.0 * math.exp(0.1 * NormalDist().inv_cdf(level)) for level in LEVELS]


def outlook(total: float, case: Case, *, width: float = 1.1) -> Outlook:
    """Expect a total of one month, P10 to P90 a factor apart from it."""
    return Outlook(
        unit="node h",
        case=case,
        months=("2027-01",),
        expected=(total,),
        p10=(total / width,),
        p50=(total,),
        p90=(total * width,),
        total=total,
        total_p10=total / width,
        total_p50=total,
        total_p90=total * width,
        blocks=20,
    )


@pytest.mark.parametrize("case", [Case.SHORT, Case.ERRATIC])
def test_a_series_that_is_worth_nothing_moves_nothing(case: Case) -> None:
    """Whatever it says."""
    found = reconcile(TOTALS, outlook(5000.0, case))

    assert (found.factor, found.weight) == (1.0, 0.0)
    assert "use counts 0%" in found.note


def test_each_counts_by_what_it_is_sure_of() -> None:
    """A steady series of the same width gets half; a wide one little."""
    steady = reconcile(TOTALS, outlook(2000.0, Case.STEADY, width=1.15))
    wide = reconcile(TOTALS, outlook(2000.0, Case.STEADY, width=3.0))
    uneven = reconcile(TOTALS, outlook(2000.0, Case.UNEVEN, width=1.15))

    # Spreads 0.117 of the plan (0.1 and 0.06) and 0.109 of the series.
    assert steady.weight == pytest.approx(0.53, abs=0.03)
    assert steady.factor == pytest.approx(2.0**steady.weight, rel=0.01)
    assert uneven.weight == pytest.approx(steady.weight / 2)
    assert 0 < wide.weight < 0.03


def test_without_a_series_or_a_plan_nothing_is_moved() -> None:
    """None at all; nothing used; nothing planned; a range down to nothing."""
    assert reconcile(TOTALS, None) == Reconciled()
    nothing = "Nothing planned, or nothing used: not reconciled."
    assert reconcile(TOTALS, outlook(0.0, Case.STEADY)).note == nothing
    assert reconcile([0.0, 0.0], outlook(1.0, Case.STEADY)).note == nothing
    assert reconcile([], outlook(1.0, Case.STEADY)).factor == 1.0
    down = dataclasses.replace(outlook(2000.0, Case.STEADY), total_p10=0.0)
    assert reconcile(TOTALS, down).factor == 1.0
