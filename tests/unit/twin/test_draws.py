"""Random numbers are found by what they are for."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.twin.draws import Draws, Purpose, SegmentNoise, lognormal_sigma


def test_a_generator_is_the_same_whoever_asked_before() -> None:
    """The numbers of a place do not depend on what else was drawn."""
    one, other = Draws(7), Draws(7)
    other.generator(Purpose.FAILURE, 3).random(100)

    first = one.generator(Purpose.FAILURE, 4).random(5)
    second = other.generator(Purpose.FAILURE, 4).random(5)

    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(
    ("purpose", "place"),
    [
        (Purpose.FAILURE, (5,)),
        (Purpose.OUTAGE, (4,)),
        (Purpose.FAILURE, ("4",)),
        (Purpose.FAILURE, ()),
    ],
)
def test_every_purpose_and_place_draws_its_own(
    purpose: Purpose, place: tuple[int | str, ...]
) -> None:
    """Another purpose, number or name gives other numbers."""
    draws = Draws(7)

    first = draws.generator(Purpose.FAILURE, 4).random(5)

    assert first.tolist() != draws.generator(purpose, *place).random(5).tolist()


def test_another_seed_draws_other_numbers() -> None:
    """The seed of the run reaches every generator."""
    first = Draws(1).generator(Purpose.SPEED).random(5)

    assert first.tolist() != Draws(2).generator(Purpose.SPEED).random(5).tolist()


def test_a_segment_keeps_its_noise_in_whatever_order_it_is_asked() -> None:
    """A retry and another policy meet the same factor."""
    one, other = SegmentNoise(Draws(3), 0.1), SegmentNoise(Draws(3), 0.1)

    up = [one.factor("s", "a", k) for k in (0, 1, 300, 2)]
    down = [other.factor("s", "a", k) for k in (2, 300, 1, 0)]

    assert up == [down[3], down[2], down[1], down[0]]
    assert len(set(up)) == 4


def test_stages_and_simulations_have_noise_of_their_own() -> None:
    """Nobody shares a factor."""
    noise = SegmentNoise(Draws(3), 0.1)

    assert len({noise.factor(s, g, 0) for s in "st" for g in "ab"}) == 4


def test_noise_has_mean_one_and_the_spread_that_was_asked_for() -> None:
    """Mean and deviation of 20,000 factors are right within four errors."""
    noise = SegmentNoise(Draws(5), 0.2)

    factors = np.array([noise.factor("s", "a", k) for k in range(20_000)])

    assert abs(factors.mean() - 1) < 4 * 0.2 / np.sqrt(20_000)
    # The error of a deviation is about the deviation over sqrt(2 n).
    assert factors.std() == pytest.approx(0.2, abs=4 * 0.2 / np.sqrt(40_000) * 1.5)


def test_without_noise_the_factor_is_exactly_one() -> None:
    """Oracles that are exact stay exact."""
    assert SegmentNoise(Draws(5), 0.0).factor("s", "a", 9) == 1.0


def test_sigma_follows_from_the_spread() -> None:
    """The known values of sqrt(log(1 + cv^2))."""
    assert lognormal_sigma(0.0) == 0.0
    assert lognormal_sigma(0.1) == pytest.approx(0.09975134)
    assert lognormal_sigma(1.0) == pytest.approx(0.83255461)
