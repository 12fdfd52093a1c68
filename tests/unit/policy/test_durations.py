"""How long a segment will take, from a guess and from what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from climorch.policy.durations import (
    GUESS,
    NOISE,
    Duration,
    Shown,
    assumed,
    expected,
    speedup,
    t_quantile,
)
from climorch.policy.learning import Learned, learn


def learned(*seconds: float) -> Learned:
    """Learn some durations in order."""
    found: Learned | None = None
    for one in seconds:
        found = learn(found, one)
    assert found is not None
    return found


def shown(*seconds: float, nodes: int = 1) -> Shown:
    """Show some durations on some nodes."""
    return Shown(widths={nodes: learned(*seconds)})


def known(
    nodes: int = 1,
    *,
    guess_s: float | None = None,
    guess_nodes: int = 1,
    own: Shown | None = None,
    others: Sequence[Shown] = (),
) -> Duration:
    """Say what is expected where something is."""
    found = expected(
        nodes, guess_s=guess_s, guess_nodes=guess_nodes, own=own, others=others
    )
    assert found is not None
    return found


def test_nothing_is_expected_of_what_nothing_is_known() -> None:
    """Without a guess and without a sample there is no number."""
    assert expected(1, guess_s=None) is None


def test_a_guess_is_a_median_with_a_wide_interval() -> None:
    """Nineteen of twenty take less than 2.4 times the guess."""
    found = known(guess_s=100.0)

    assert found.samples == 0
    assert found.median_s == pytest.approx(100.0)
    assert found.common == pytest.approx(GUESS)
    assert found.noise == pytest.approx(NOISE)
    assert found.p95_s == pytest.approx(244.0, abs=2.0)
    assert found.mean_s == pytest.approx(100 * math.exp(0.02))


def test_what_was_measured_wins_as_it_grows() -> None:
    """A guess of half the truth moves the median less with every segment."""
    medians = [
        known(guess_s=50.0, own=shown(*[100.0] * n)).median_s for n in (1, 2, 5, 20)
    ]

    assert medians == [
        pytest.approx(91.6, abs=0.1),
        pytest.approx(97.2, abs=0.1),
        pytest.approx(99.6, abs=0.1),
        pytest.approx(100.0, abs=0.1),
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 50, 10_000])
@pytest.mark.parametrize("factor", [0.1, 0.5, 3.0])
def test_a_wrong_guess_fades_as_stated(count: int, factor: float) -> None:
    """The bound of the documentation holds for any number of segments."""
    seconds = 100.0 * np.exp(0.1 * np.sin(np.arange(count)))
    own = shown(*seconds)
    found = known(guess_s=100.0 * factor, own=own)
    without = known(own=own)
    bound = 0.9**count * (found.noise / GUESS) ** 2 / min(count, 10)

    assert abs(math.log(found.median_s / without.median_s)) <= (
        abs(math.log(100.0 * factor / without.median_s)) * bound + 1e-12
    )


def test_the_interval_narrows_with_every_sample() -> None:
    """Samples without noise let the 95th percentile fall towards the median."""
    ratios = [
        (found := known(own=shown(*[60.0] * n))).p95_s / found.median_s
        for n in (1, 2, 5, 10, 100)
    ]

    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(2.28, abs=0.01)
    assert ratios[-1] == pytest.approx(1.12, abs=0.01)


def test_on_other_nodes_it_scales_as_amdahl_says_and_is_less_sure() -> None:
    """Twice the nodes: 0.55 of the time; a tenth of the work stays serial."""
    own = shown(*[100.0] * 10, nodes=2)
    same, wider, far = (known(nodes, own=own) for nodes in (2, 4, 8))

    assert same.median_s == pytest.approx(100.0)
    assert wider.median_s == pytest.approx(100 * (0.1 + 0.9 / 4) / (0.1 + 0.9 / 2))
    assert same.common < wider.common < far.common
    assert wider.common == pytest.approx(0.3 * math.log(2), abs=0.01)
    assert speedup(1) == pytest.approx(1.0)


def test_a_guess_holds_for_the_nodes_that_were_asked_for() -> None:
    """On more nodes it is less, and less is known."""
    found = known(4, guess_s=100.0, guess_nodes=2)

    assert found.median_s == pytest.approx(100 * 0.325 / 0.55)
    assert found.common == pytest.approx(math.hypot(0.5, 0.3 * math.log(2)))


def test_measured_widths_count_more_than_scaled_ones() -> None:
    """Ten segments on these nodes outweigh ten on others."""
    widths = {2: learned(*[100.0] * 10), 4: learned(*[90.0] * 10)}
    found = known(4, own=Shown(widths=widths))

    assert found.samples == 20
    assert found.median_s == pytest.approx(90.0, rel=0.04)


def test_other_simulations_serve_until_its_own_segments_do() -> None:
    """They differ among each other, which stays uncertain however many."""
    others = [shown(*[s] * 50) for s in (90.0, 100.0, 111.0)]
    one, three = known(others=others[:1]), known(others=others)
    own = known(others=others, own=shown(*[150.0] * 5))

    assert one.common > three.common > 0.1
    assert three.median_s == pytest.approx(100.0, rel=0.01)
    assert own.median_s == pytest.approx(149.6, abs=0.1)
    assert (three.samples, own.samples) == (150, 155)


def test_a_guess_counts_little_beside_other_simulations() -> None:
    """Fifty segments of another one leave nothing of a guess."""
    found = known(guess_s=1000.0, others=[shown(*[100.0] * 50)])

    assert found.median_s == pytest.approx(100.0, rel=0.01)


@pytest.mark.parametrize(
    ("level", "freedom", "value"),
    [
        (0.95, 2, 2.920),
        (0.95, 5, 2.015),
        (0.95, 10, 1.812),
        (0.95, 30, 1.697),
        (0.95, math.inf, 1.645),
        (0.9, 2, 1.886),
        (0.9, 5, 1.476),
        (0.1, 10, -1.372),
        (0.5, 3, 0.0),
        (0.99, 5, 3.365),
    ],
)
def test_quantiles_of_student(level: float, freedom: float, value: float) -> None:
    """Values of printed tables, within half a percent."""
    assert t_quantile(level, freedom) == pytest.approx(value, rel=0.005, abs=1e-9)


def test_a_quantile_far_out_is_right_to_three_percent() -> None:
    """With two degrees of freedom, at 0.99, where the series is at its worst."""
    assert t_quantile(0.99, 2) == pytest.approx(6.965, rel=0.03)


def test_small_samples_widen_both_kinds_of_spread() -> None:
    """The factor is that of Student's quantile to the normal one."""
    found = Duration(median_s=1.0, common=0.3, noise=0.4, freedom=5, samples=1)

    assert found.widening(0.95) == pytest.approx(2.015 / 1.645, rel=0.005)
    assert found.quantile_s(0.5) == 1.0
    assert found.p95_s == pytest.approx(math.exp(0.5 * 2.015), rel=0.005)


def test_what_does_not_depend_on_nodes_is_assumed_and_then_learned() -> None:
    """Half a minute with a wide interval, then what it took, here or elsewhere."""
    before = assumed(30.0, own=None)
    elsewhere = assumed(30.0, own=None, others=[learned(*[10.0] * 20)])
    here = assumed(30.0, own=learned(*[10.0] * 20))

    assert before.samples == 0
    assert before.median_s == pytest.approx(30.0)
    assert elsewhere.median_s == pytest.approx(10.0, rel=0.03)
    assert here.median_s == pytest.approx(10.0, rel=0.01)
    assert before.common > elsewhere.common > here.common
