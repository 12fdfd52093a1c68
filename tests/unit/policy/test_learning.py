"""What a stream of durations leaves behind."""

from __future__ import annotations

import math
from statistics import fmean, pvariance

import numpy as np
import pytest

from climorch.policy.learning import Learned, learn


def learned(*seconds: float) -> Learned:
    """Learn some durations in order."""
    found: Learned | None = None
    for one in seconds:
        found = learn(found, one)
    assert found is not None
    return found


def test_up_to_ten_durations_all_weigh_the_same() -> None:
    """Mean and variance of the logarithms are the plain ones."""
    seconds = (10.0, 20.0, 12.0, 15.0, 11.0)
    logs = [math.log(s) for s in seconds]
    found = learned(*seconds)

    assert found.count == 5
    assert found.centre == pytest.approx(fmean(logs))
    assert found.variance == pytest.approx(pvariance(logs))
    assert found.effective == 5.0


def test_later_the_newest_tenth_is_the_newest() -> None:
    """A drift is followed: after ten segments 65 % of a step have been seen."""
    found = learned(*[10.0] * 30, *[20.0] * 10)

    assert (found.centre - math.log(10)) / math.log(2) == pytest.approx(1 - 0.9**10)
    assert learned(*[10.0] * 30, *[20.0] * 60).centre == pytest.approx(
        math.log(20), abs=0.002
    )


@pytest.mark.parametrize(
    ("count", "effective"), [(1, 1.0), (10, 10.0), (11, 10.989), (1000, 19.0)]
)
def test_samples_count_by_their_weights(count: int, effective: float) -> None:
    """As many equal ones would tell as much: one over the sum of squares."""
    weights = np.zeros(count)
    for at in range(count):
        newest = max(1 / (at + 1), 0.1)
        weights[:at] *= 1 - newest
        weights[at] = newest
    found = Learned(count=count, centre=0.0, variance=0.0).effective

    assert found == pytest.approx(1 / float(weights @ weights))
    assert found == pytest.approx(effective, abs=1e-3)


def test_a_duration_of_nothing_counts_as_a_millisecond() -> None:
    """A clock that did not move gives no logarithm of zero."""
    assert learned(0.0) == Learned(count=1, centre=math.log(1e-3), variance=0.0)
