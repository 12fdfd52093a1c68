"""What is found in blocks, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from climorch.engine.checking import (
    Findings,
    NotFiniteError,
    OutOfBoundsError,
    look_over,
    refuse_metrics,
    refuse_unsound,
)
from climorch.model.numerics import Checks

ARRAY = "state.zarr/ocean/temp"
KEYS = [f"{ARRAY}/c/0", f"{ARRAY}/c/1"]
CHECKS = {"state.zarr/ocean": Checks(bounds={"temp": (-2.0, 40.0)})}


def found(*blocks: Any, checks: Any = CHECKS) -> Findings:
    """What is found in blocks of the temperature."""
    return look_over(KEYS[: len(blocks)], [np.array(b) for b in blocks], checks)


def test_values_within_bounds_and_other_variables_are_passed() -> None:
    """Both bounds are allowed; NaN is another question; strings have no bounds."""
    assert found([-2.0, 40.0], [np.nan, 1.0]).outside == {}
    assert found(["a"]).outside == {}
    assert found([]).outside == {}
    other = {"state.zarr/ocean": Checks(bounds={"salt": (0.0, 1.0)})}
    assert found([99.0], checks=other).outside == {}
    assert found([99.0], checks={}).outside == {}


def test_what_is_out_of_bounds_is_counted_over_all_blocks_and_nodes() -> None:
    """With the extremes, which say how far off it is."""
    here, there = found([-5.0, 0.0], [41.0, 1e3]), found([1e4])
    here.add(there)
    assert here.outside == {ARRAY: (4, -5.0, 1e4)}
    with pytest.raises(OutOfBoundsError) as told:
        refuse_unsound({}, CHECKS, here)
    assert str(told.value) == (
        "stage 'ocean', variable 'temp': 4 values are out of bounds, -5 to 10000, "
        "expected -2 to 40"
    )


def test_nan_and_infinity_are_counted_and_refused_first() -> None:
    """More of them than when the attempt began."""
    sum_ = found([np.nan, np.inf], [1.0], checks={})
    assert sum_.not_finite == {ARRAY: 2}
    refuse_unsound({ARRAY: 2}, {}, sum_)
    with pytest.raises(NotFiniteError, match="2 values are NaN or infinite, 1 when"):
        refuse_unsound({ARRAY: 1}, CHECKS, sum_)
    sum_.add(found([np.nan], checks={}))
    assert sum_.not_finite == {ARRAY: 3}


def test_what_a_users_function_says_is_told() -> None:
    """Called with each block; the first few words are enough."""
    seen: list[tuple[str, float]] = []

    def check(variable: str, block: Any) -> str | None:
        seen.append((variable, float(block[0])))
        return "too salty" if block[0] > 1 else None

    checks = {"state.zarr/ocean": Checks(function=check)}
    sum_ = found([0.0], [2.0], checks=checks)
    assert seen == [("temp", 0.0), ("temp", 2.0)]
    assert sum_.wrong == ["ocean/temp: too salty"]
    with pytest.raises(OutOfBoundsError, match=r"^ocean/temp: too salty$"):
        refuse_unsound({}, checks, sum_)
    keys = [f"{ARRAY}/c/{i}" for i in range(9)]
    many = look_over(keys, [np.array([2.0])] * 9, checks)
    assert len(many.wrong) == 3
    sum_.add(many)
    assert len(sum_.wrong) == 4
    refuse_unsound({}, checks, found([0.0], checks=checks))


@pytest.mark.parametrize(
    ("value", "refused"), [(0.0, False), (0.1, False), (0.2, True), (np.nan, True)]
)
def test_metrics_are_checked_after_each_segment(value: float, refused: bool) -> None:
    """Those that have bounds; NaN is within none."""
    checks = Checks(bounds={"drift": (-0.1, 0.1)})
    metrics = {"drift": value, "other": np.nan}
    if not refused:
        refuse_metrics("ocean", 3, checks, metrics)
        return
    with pytest.raises(OutOfBoundsError, match="stage 'ocean', segment 3, metric"):
        refuse_metrics("ocean", 3, checks, metrics)
    refuse_metrics("ocean", 3, None, metrics)
