"""Posterior over parameters: what finished siblings say of the others."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.policy.siblings import kinship, learned

LINE = [{"x": float(i)} for i in range(11)]


def test_numbers_are_taken_by_their_order() -> None:
    """Units and logarithms do not matter; names are the same or not."""
    params = [
        {"x": 1e-3, "kind": "a", "same": 1},
        {"x": 10.0, "kind": "b", "same": 1},
        {"x": 1e5, "kind": "a", "same": 1},
    ]

    assert kinship(params) == (
        (True, (0.0, 0.5, 1.0)),
        (False, (0.0, 1.0, 0.0)),
    )


def test_what_cannot_be_compared_is_left_out() -> None:
    """Lists and mappings say nothing of kin; a missing number is a name."""
    params: list[dict[str, object]] = [
        {"list": [1], "flag": True, "n": 1},
        {"list": [2], "flag": False},
    ]

    assert kinship(params) == ((False, (0.0, 1.0)), (False, (0.0, 1.0)))


def test_nothing_is_concluded_from_two() -> None:
    """Two values are no knowledge."""
    assert learned(kinship(LINE), 11, (0, 5), (1.0, 2.0)) is None


def test_neighbours_are_expected_to_be_alike() -> None:
    """Between good ones a good one is expected, far away nothing is known."""
    found = learned(
        kinship(LINE), 11, (0, 1, 2, 7, 8, 9, 10), (2.0, 2.1, 1.9, -2, -2.1, -2, -1.9)
    )

    assert found is not None
    assert found.mean[1] == pytest.approx(2.0, abs=0.3)
    assert found.mean[8] == pytest.approx(-2.0, abs=0.3)
    assert found.above[3] > 0.8
    assert found.above[6] < 0.2
    assert found.sd[4] > found.sd[8]


def test_the_chance_of_a_good_one_is_their_rate_where_parameters_say_nothing() -> None:
    """Noise is not taken for a pattern: the spread of chances stays small."""
    draw = np.random.default_rng(1)
    params = [{"x": float(x)} for x in draw.random(80)]
    values = tuple(float(v) for v in draw.normal(-0.5, 1.0, 40))

    found = learned(kinship(params), 80, tuple(range(40)), values)

    assert found is not None
    # P(N(-0.5, 1) > 0) is 0.31.
    assert np.all(np.abs(found.above[40:] - 0.31) < 0.17)


def test_groups_are_told_apart() -> None:
    """A name that did well is expected to do well again, whatever the number says."""
    params = [{"kind": "ab"[i % 2], "x": float(i // 2)} for i in range(24)]
    values = tuple(1.0 if i % 2 else -1.0 for i in range(12))

    found = learned(kinship(params), 24, tuple(range(12)), values)

    assert found is not None
    assert found.above[13] > 0.9
    assert found.above[12] < 0.1


def test_uncertain_values_count_less() -> None:
    """Noise that is known moves the estimate away from the value."""
    places, values = (0, 1, 2, 3, 4, 5), (1.0, 1.1, 0.9, 1.0, 1.1, 4.0)

    sure = learned(kinship(LINE), 11, places, values)
    unsure = learned(kinship(LINE), 11, places, values, (0, 0, 0, 0, 0, 5.0))

    assert sure is not None
    assert unsure is not None
    assert unsure.mean[6] < sure.mean[6]


def test_equal_values_are_no_certainty() -> None:
    """Three equal values leave room for others."""
    found = learned(kinship(LINE), 11, (0, 1, 2), (1.0, 1.0, 1.0))

    assert found is not None
    assert found.mean == pytest.approx(np.ones(11))
    assert 0.5 < found.above[10] < 0.99


def test_without_parameters_all_are_expected_alike() -> None:
    """Nothing tells simulations apart: one value for all."""
    found = learned((), 6, (0, 1, 2), (1.0, -1.0, 0.3))

    assert found is not None
    assert np.ptp(found.mean) == 0.0
    assert found.mean[0] == pytest.approx(0.1)
