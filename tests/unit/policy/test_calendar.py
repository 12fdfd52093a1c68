"""Units of model time."""

from __future__ import annotations

import cftime
import pytest

from climorch.policy.calendar import TIME_UNITS, frequency_faults, unit_number


def seconds(calendar: str, *date: int) -> int:
    """A date as plans have it."""
    made = cftime.datetime(*date, calendar=calendar)
    return int(cftime.date2num(made, TIME_UNITS, calendar))


@pytest.mark.parametrize("every", ["1YS", "YS", "10YS", "3MS", "5D", "12h"])
def test_frequencies_of_model_time_are_known(every: str) -> None:
    """Years, months, days and hours, once or several."""
    assert frequency_faults("x", every) == []


@pytest.mark.parametrize("every", ["", "0YS", "1Y", "-1YS", "1.5D", "1YS "])
def test_other_frequencies_are_faults(every: str) -> None:
    """The fault names its place and what would do."""
    (fault,) = frequency_faults("Rule.every", every)

    assert str(fault) == (
        f"Rule.every: got {every!r}; use a frequency such as '1YS', '3MS', '10D' or "
        "'12h'"
    )


@pytest.mark.parametrize(
    ("every", "date", "number"),
    [
        ("1YS", (1850, 1, 1), 1850),
        ("1YS", (1850, 12, 30), 1850),
        ("10YS", (1859, 12, 30), 185),
        ("10YS", (1860, 1, 1), 186),
        ("1MS", (1, 2, 1), 13),
        ("3MS", (1, 4, 30), 5),
        ("1D", (1, 1, 3), 2),
        ("12h", (1, 1, 1, 12), 1),
    ],
)
def test_a_date_lies_in_one_unit(
    every: str, date: tuple[int, ...], number: int
) -> None:
    """Counted from the year 0, or from the first day of the year 1."""
    assert unit_number(seconds("360_day", *date), "360_day", every) == number
