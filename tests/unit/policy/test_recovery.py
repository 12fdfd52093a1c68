"""How often and how soon something is tried again."""

from __future__ import annotations

import pytest

from climorch.model.events import Cause
from climorch.policy.recovery import DEFAULT_BUDGETS, Budget, RecoveryPolicy


def test_every_cause_has_a_budget() -> None:
    """No failure meets a policy that does not know it."""
    assert DEFAULT_BUDGETS.keys() == set(Cause)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (10_000, 10.0)]
)
def test_the_wait_doubles_up_to_a_limit(failures: int, seconds: float) -> None:
    """Each failure doubles the wait, and no number of them breaks it."""
    budget = Budget(retries=3, first_delay_s=2.0, longest_delay_s=10.0)

    assert budget.delay_s(failures) == seconds


@pytest.mark.parametrize(
    ("cause", "failures", "gives_up"),
    [
        (Cause.NUMERICAL, 1, True),
        (Cause.MODEL, 1, False),
        (Cause.MODEL, 2, True),
        (Cause.TRANSIENT, 20, False),
        (Cause.TRANSIENT, 21, True),
        (Cause.MEMORY, 2, False),
        (Cause.MEMORY, 3, True),
        (Cause.NODE_LOST, 1000, False),
        (Cause.NODE_LOST, 1001, True),
    ],
)
def test_a_budget_counts_its_own_cause(
    cause: Cause, failures: int, gives_up: bool
) -> None:
    """What a model does wrong is tried again less often than what a node does."""
    assert RecoveryPolicy().gives_up(cause, failures) is gives_up


def test_a_policy_asks_the_budget_of_the_cause() -> None:
    """Waits differ by cause."""
    policy = RecoveryPolicy()

    assert policy.delay_s(Cause.MEMORY, 2) == 10.0
    assert policy.delay_s(Cause.MODEL, 2) == 0.0


@pytest.mark.parametrize(
    ("lost", "lease", "abandons"),
    [(1, 5, False), (1, 4, True), (2, 8, True), (1, 8, False), (1, 1, True)],
)
def test_a_quarter_of_the_lease_is_too_much_for_dask(
    lost: int, lease: int, abandons: bool
) -> None:
    """An attempt survives the loss of less than a quarter of its nodes."""
    assert RecoveryPolicy().abandons(lost=lost, lease=lease) is abandons
