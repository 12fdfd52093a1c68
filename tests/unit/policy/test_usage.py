"""How usage fades and grows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.policy.usage import Usage, decayed, grown

WEEK_S = 7 * 86400.0


@pytest.mark.parametrize(
    ("elapsed_s", "left"), [(0.0, 8.0), (10.0, 4.0), (20.0, 2.0), (5.0, 8 / 2**0.5)]
)
def test_usage_halves_in_a_half_life(elapsed_s: float, left: float) -> None:
    """After n half-lives 2^-n of a usage is left."""
    assert decayed(8.0, elapsed_s=elapsed_s, half_life_s=10.0) == pytest.approx(left)


@pytest.mark.parametrize(
    ("elapsed_s", "value"),
    [
        (0.0, 0.0),
        # Half of what it tends to after one half-life, three quarters after two.
        (10.0, 3 * 10 / math.log(2) / 2),
        (20.0, 3 * 10 / math.log(2) * 3 / 4),
        (1e9, 3 * 10 / math.log(2)),
    ],
)
def test_usage_of_a_lease_grows_towards_a_limit(elapsed_s: float, value: float) -> None:
    """Holding nodes for ever counts as holding them for 1.44 half-lives."""
    assert grown(3.0, elapsed_s=elapsed_s, half_life_s=10.0) == pytest.approx(value)


def test_short_leases_lose_no_digits() -> None:
    """A microsecond counts as a microsecond beside a half-life of a week."""
    assert grown(1.0, elapsed_s=1e-6, half_life_s=WEEK_S) == pytest.approx(
        1e-6, rel=1e-11
    )


def test_the_closed_form_is_the_integral() -> None:
    """Adding up faded moments one by one gives the same."""
    steps, elapsed_s, half_life_s = 100_000, 25.0, 10.0
    step_s = elapsed_s / steps
    total = sum(
        3.0 * step_s * 2 ** -((i + 0.5) * step_s / half_life_s) for i in range(steps)
    )

    assert grown(3.0, elapsed_s=elapsed_s, half_life_s=half_life_s) == pytest.approx(
        total, rel=1e-9
    )


def test_a_lease_counts_for_shares_and_for_budgets() -> None:
    """Two nodes for one half-life: 20 node-seconds, faded to 14.4, after 100 to 50."""
    before = Usage(at_s=5.0, nodes=2, node_s=1000.0, decayed_node_s=100.0)
    after = before.at(15.0, half_life_s=10.0, more=3)

    assert (after.at_s, after.nodes, after.node_s) == (15.0, 5, 1020.0)
    assert after.decayed_node_s == pytest.approx(50.0 + 10 / math.log(2))


def test_what_is_in_the_past_changes_nothing() -> None:
    """Asking for an earlier time gives what is known."""
    usage = Usage(at_s=5.0, nodes=2, decayed_node_s=1.0)

    assert usage.at(3.0, half_life_s=10.0) == usage


@given(
    times=st.lists(st.floats(0.0, 5 * WEEK_S), min_size=1, max_size=6).map(sorted),
    nodes=st.integers(0, 300),
    before=st.floats(0.0, 1e9),
)
def test_it_does_not_matter_how_often_one_counts(
    times: list[float], nodes: int, before: float
) -> None:
    """Counting in between gives what counting once at the end gives."""
    once = usage = Usage(at_s=0.0, nodes=nodes, decayed_node_s=before)
    for now_s in times:
        usage = usage.at(now_s, half_life_s=WEEK_S)
    once = once.at(times[-1], half_life_s=WEEK_S)

    assert usage.node_s == pytest.approx(once.node_s)
    assert usage.decayed_node_s == pytest.approx(once.decayed_node_s)
    assert usage.decayed_node_s <= once.node_s + before + 1e-6
