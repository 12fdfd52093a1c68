"""Failures, outages and absences: moments, order, faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.twin.hazards import Absence, Failures, Outages

HOUR_S = 3600.0
COUNT = 20_000


@pytest.mark.parametrize(
    ("shape", "cv"),
    # Standard deviation over mean of a Weibull distribution.
    [(1.0, 1.0), (0.7, 1.4624), (2.0, 0.5227)],
)
def test_lives_have_the_mean_and_the_spread_of_their_distribution(
    shape: float, cv: float
) -> None:
    """Weibull lives have the mean asked for, whatever the shape."""
    failures = Failures(mtbf_s=1000.0, shape=shape)
    rng = np.random.default_rng(1)

    lives = np.array([failures.life_s(rng) for _ in range(COUNT)])

    error = cv / np.sqrt(COUNT)
    assert lives.mean() == pytest.approx(1000.0, rel=4 * error)
    assert lives.std() / lives.mean() == pytest.approx(cv, rel=0.06)


def test_repairs_have_the_median_and_the_mean_of_their_distribution() -> None:
    """Lognormal repairs: median as given, mean by exp(sigma^2 / 2)."""
    failures = Failures(mtbf_s=1.0, repair_median_s=4 * HOUR_S, repair_sigma=0.8)
    rng = np.random.default_rng(2)

    repairs = np.array([failures.repair_s(rng) for _ in range(COUNT)])

    assert np.median(repairs) == pytest.approx(4 * HOUR_S, rel=0.04)
    assert failures.mttr_s == pytest.approx(19_830.6, abs=0.1)
    assert repairs.mean() == pytest.approx(failures.mttr_s, rel=0.04)


def test_availability_is_the_share_of_time_up() -> None:
    """MTBF over MTBF and MTTR."""
    failures = Failures(mtbf_s=900.0, repair_median_s=100.0, repair_sigma=0.0)

    assert failures.availability == pytest.approx(0.9)


def test_periodic_outages_come_by_the_clock() -> None:
    """From start to start it is exactly the period."""
    outages = Outages(every_s=100.0, lasts_s=10.0, periodic=True)

    spans = itertools.islice(outages.spans(np.random.default_rng(1)), 3)

    assert list(spans) == [(100.0, 110.0), (200.0, 210.0), (300.0, 310.0)]


def test_other_outages_have_their_mean_gap_and_never_meet() -> None:
    """Exponential gaps from the end of one to the start of the next."""
    outages = Outages(every_s=100.0, lasts_s=10.0, sigma=0.5)
    spans = list(itertools.islice(outages.spans(np.random.default_rng(1)), COUNT))

    gaps = np.array([b[0] - a[1] for a, b in itertools.pairwise(spans)])
    lasts = np.array([stop - start for start, stop in spans])

    assert gaps.min() > 0
    assert gaps.mean() == pytest.approx(100.0, rel=4 / np.sqrt(COUNT))
    assert np.median(lasts) == pytest.approx(10.0, rel=0.03)


@pytest.mark.parametrize(
    ("make", "faults"),
    [
        (lambda: Failures(mtbf_s=0.0), ["Failures.mtbf_s"]),
        (
            lambda: Failures(mtbf_s=1.0, shape=-1.0, repair_sigma=float("nan")),
            ["Failures.shape", "Failures.repair_sigma"],
        ),
        (lambda: Outages(every_s=10.0, lasts_s=0.0), ["Outages.lasts_s"]),
        (
            lambda: Outages(every_s=10.0, lasts_s=10.0, periodic=True),
            ["Outages.periodic"],
        ),
        (
            lambda: Outages(every_s=10.0, lasts_s=1.0, sigma=0.1, periodic=True),
            ["Outages.periodic"],
        ),
        (lambda: Absence(start_s=5.0, stop_s=5.0), ["Absence.stop_s"]),
        (
            lambda: Absence(start_s=-1.0, stop_s=5.0, nodes=("a",), count=2),
            ["Absence.start_s", "Absence.nodes"],
        ),
        (lambda: Absence(start_s=0.0, stop_s=5.0, count=-1), ["Absence.count"]),
        (
            lambda: Absence(start_s=0.0, stop_s=4e7, notice_s=1.0),
            ["Absence.notice_s"],
        ),
    ],
)
def test_all_faults_of_a_hazard_are_told_at_once(
    make: Callable[[], object], faults: list[str]
) -> None:
    """A hazard that cannot be is refused with every fault and its place."""
    with pytest.raises(InvalidInputError) as error:
        make()

    assert [fault.place for fault in error.value.faults] == faults
