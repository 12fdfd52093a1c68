"""What a partial score says of the final one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from climorch.policy.foretelling import foretell, rank_correlation


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3, 4], [1, 8, 27, 64], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        # By hand: differences of ranks 0, 1, 1, 0; 1 - 6 * 2 / (4 * 15).
        ([1, 2, 3, 4], [10, 30, 20, 40], 0.8),
        # Ties share rank 1.5; Pearson's of (1.5, 1.5, 3) and (1, 2, 3).
        ([5, 5, 7], [1, 2, 3], 0.866025),
    ],
)
def test_rank_correlation_is_spearmans(
    x: list[float], y: list[float], expected: float
) -> None:
    """As computed by hand."""
    found = rank_correlation(np.array(x, float), np.array(y, float))

    assert found == pytest.approx(expected, abs=1e-6)


def test_no_variation_no_correlation() -> None:
    """What does not vary has none."""
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
    assert foretell(0, [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert foretell(0, [1.0, 2.0], [1.0, 2.0]) is None


def test_a_line_is_found() -> None:
    """Slope, offset and scatter by least squares."""
    found = foretell(3, [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 5.0, 6.0])

    assert found is not None
    assert found.slope == pytest.approx(1.8)
    assert found.offset == pytest.approx(0.8)
    # Squares of 0.2, -0.6, 0.6, -0.2 over two degrees of freedom.
    assert found.sd == pytest.approx(math.sqrt(0.4))
    assert found.correlation.mark == 3
    assert found.correlation.samples == 4
    assert found.correlation.rank == pytest.approx(1.0)


def test_siblings_who_know_nothing_change_nothing() -> None:
    """With the spread of all as their word, the line alone speaks."""
    found = foretell(0, [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 5.0, 6.0])

    assert found is not None
    mean, sd = found.final(2.0, mean=found.mean, sd=found.spread)
    assert mean == pytest.approx(4.4)
    assert sd == pytest.approx(found.sd)


def test_siblings_who_know_move_the_line() -> None:
    """Two independent pieces of evidence are surer than one, and lie between."""
    found = foretell(0, [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 5.0, 6.0])

    assert found is not None
    mean, sd = found.final(2.0, mean=3.5, sd=0.5)
    # Precisions 1 / 0.4, 1 / 0.25 and 1 / (17 / 3) less, about 3.5, 4.4 and 3.5.
    assert mean == pytest.approx((2.5 * 4.4 + 4 * 3.5 - 3 / 17 * 3.5) / (6.5 - 3 / 17))
    assert sd == pytest.approx((6.5 - 3 / 17) ** -0.5)


def test_a_perfect_line_is_no_certainty() -> None:
    """A scatter of 0 would make one value outweigh everything."""
    found = foretell(0, [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])

    assert found is not None
    assert found.sd == pytest.approx(0.05)
