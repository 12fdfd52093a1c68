"""Checks, remedies and retries are sound once they are made."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.model.numerics import Checks, Remedy, Retry


def unchecked(value: Any) -> Any:
    """Pass a value as users do who check no types."""
    return value


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: Checks(bounds={"t": (2.0, 1.0)}), "Checks.bounds['t']"),
        (lambda: Checks(bounds=unchecked({"t": (1.0,)})), "Checks.bounds['t']"),
        (lambda: Checks(bounds={"t": (float("nan"), 1.0)}), "Checks.bounds['t']"),
        (lambda: Checks(function=unchecked(3)), "Checks.function"),
        (lambda: Retry(params={"a": {1}}), "Retry.params"),
        (lambda: Retry(params={"a": (1, 2)}), "Retry.params"),
        (lambda: Retry(back=0), "Retry.back"),
        (lambda: Remedy(change=lambda _: None, tries=0), "Remedy.tries"),
    ],
)
def test_what_could_not_be_kept_is_refused(make: Any, place: str) -> None:
    """Where it is written, with a remedy."""
    with pytest.raises(InvalidInputError) as told:
        make()
    assert [fault.place for fault in told.value.faults] == [place]


def test_what_can_be_kept_is_made() -> None:
    """Open bounds, nothing at all, plain parameters."""
    assert Checks(bounds={"t": (float("-inf"), 1.0)}, function=print).function is print
    assert Checks().bounds == {}
    assert Retry(params={"a": [1, {"b": None}]}, back=2).back == 2
    assert Remedy(change=lambda _: None).tries == 3
