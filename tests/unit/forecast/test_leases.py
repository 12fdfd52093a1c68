"""How a lease is divided, whoever keeps the books."""

from __future__ import annotations

import pytest

from climorch.forecast.leases import LeaseBook, Use
from climorch.forecast.parts import Part


def test_a_lease_is_divided_by_what_stages_ask_for() -> None:
    """Of four nodes one segment uses one, another two; the last one is idle."""
    lease: LeaseBook[Use] = LeaseBook(nodes=4, since_s=0.0, held=4)
    lease.begin("a", Use(base=1))
    lease.begin("b", Use(base=2))

    assert lease.settle(10.0) == 10.0
    assert [use.spent for use in lease.running.values()] == [10.0, 20.0]
    assert lease.end("a").spent == 10.0
    assert lease.bases == 2


def test_where_phases_overlap_nothing_is_idle() -> None:
    """More is asked for than there is: each gets its share."""
    lease: LeaseBook[Use] = LeaseBook(nodes=2, since_s=0.0, held=2)
    lease.begin("a", Use(base=2))
    lease.begin("b", Use(base=2))

    assert lease.settle(10.0) == 0.0
    assert lease.running["a"].spent == 10.0


@pytest.mark.parametrize(
    ("restoring", "writing", "runs", "rest"),
    [
        (0, 0, False, Part.IDLE),
        (1, 1, True, Part.RESTORE),
        (0, 1, False, Part.DRAIN),
        (0, 1, True, Part.IDLE),
    ],
)
def test_the_rest_of_a_lease_has_a_name(
    restoring: int, writing: int, runs: bool, rest: Part
) -> None:
    """States on their way, nothing but a checkpoint, or waiting."""
    lease: LeaseBook[Use] = LeaseBook(
        nodes=1, since_s=0.0, restoring=restoring, writing=writing
    )
    if runs:
        lease.begin("a", Use(base=1))

    assert lease.rest is rest


def test_a_lease_without_segments_is_all_rest() -> None:
    """And one without nodes costs nothing."""
    lease: LeaseBook[Use] = LeaseBook(nodes=2, since_s=0.0, held=3)
    assert lease.settle(2.0) == 6.0
    lease.held = 0
    lease.begin("a", Use(base=1))
    assert lease.settle(4.0) == 0.0
