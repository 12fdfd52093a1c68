"""Past use from tables: what is read, what is assumed, what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from climorch.errors import BackendError, InvalidInputError, NotFoundError
from climorch.forecast.history import History
from climorch.forecast.reading import read_usage


def table(*rows: tuple[Any, Any]) -> pd.DataFrame:
    """Make a table of months and amounts."""
    return pd.DataFrame(rows, columns=["month", "used"])


def read(*rows: tuple[Any, Any], **more: Any) -> History:
    """Read such a table in node-hours."""
    return read_usage(table(*rows), **{"unit": "node h", **more})


def faults(*rows: tuple[Any, Any], **more: Any) -> list[str]:
    """Return what is wrong with a table, by place."""
    with pytest.raises(InvalidInputError) as caught:
        read(*rows, **more)
    return [fault.place for fault in caught.value.faults]


def test_months_are_read_from_a_file(tmp_path: Path) -> None:
    """In whatever order they stand there."""
    path = tmp_path / "use.csv"
    path.write_text("month,used\n2026-02,20\n2026-01,10.5\n")

    found = read_usage(path, unit="node-hours", capacity_per_day=5.0)

    assert found.months == ("2026-01", "2026-02")
    assert found.used == (10.5, 20.0)
    assert found.days == (31.0, 28.0)
    assert (found.unit, found.capacity_per_day) == ("node h", 5.0)
    assert found.notes == ()


def test_days_are_added_up_and_broken_months_left_out() -> None:
    """January begins on the 15th, March ends on the 10th: February is whole."""
    days = pd.date_range("2026-01-15", "2026-03-10", freq="D")

    found = read_usage(pd.Series(1.0, index=days), unit="core h")

    assert (found.months, found.used) == (("2026-02",), (28.0,))
    assert found.notes == (
        "2026-01 left out: it is there in part only",
        "2026-03 left out: it is there in part only",
    )


def test_a_series_by_period_is_read_as_months() -> None:
    """As pandas writes them."""
    index = pd.period_range("2025-11", periods=3, freq="M")

    found = read_usage(pd.Series([1, 2, 3], index=index), unit="h")

    assert (found.months, found.unit) == (("2025-11", "2025-12", "2026-01"), "h")


def test_units_are_converted_to_hours_and_that_is_said() -> None:
    """Seconds in one row, hours in another, of the same thing."""
    mixed = table(("2026-01", 7200), ("2026-02", 3)).assign(
        unit=["node s", "node hours"]
    )

    found = read_usage(mixed)

    assert found.used == (2.0, 3.0)
    assert found.notes == ("amounts were converted to hours",)


def test_hours_of_different_things_are_not_added() -> None:
    """Cores and nodes; and a unit that is none."""
    mixed = table(("2026-01", 1), ("2026-02", 2), ("2026-03", 3)).assign(
        unit=["node h", "core h", "furlong"]
    )
    with pytest.raises(InvalidInputError) as caught:
        read_usage(mixed)

    assert [f.place for f in caught.value.faults] == ["row 2, unit", "unit"]
    assert "'core', 'node'" in caught.value.faults[1].problem
    assert faults(("2026-01", 1), unit="") == ["row 0, unit"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """NaN, below zero, text, infinite, no date, a bare number, twice the same."""
    assert faults(
        ("2026-01", math.nan),
        ("2026-02", -1),
        ("2026-03", "many"),
        ("2026-04", math.inf),
        ("soon", 1),
        (202605, 1),
        ("2026-06", True),
        ("2026-07", 1),
        ("2026-07", 1),
    ) == [
        "row 0, used",
        "row 1, used",
        "row 2, used",
        "row 3, used",
        "row 4, month",
        "row 5, month",
        "row 6, used",
        "row 8, month",
    ]


def test_of_very_many_faults_the_first_are_shown() -> None:
    """Twenty, and how many more there are."""
    with pytest.raises(InvalidInputError, match="10 more faults") as caught:
        read(*(("2026-01", -1) for _ in range(30)))

    assert len(caught.value.faults) == 20


def test_months_without_a_row_are_faults_unless_they_are_zero() -> None:
    """A gap is not silently nothing."""
    rows = (("2026-01", 1), ("2026-04", 4))
    assert faults(*rows) == ["table"]
    found = read(*rows, missing_is_zero=True)
    assert found.used == (1.0, 0.0, 0.0, 4.0)
    assert found.notes == ("nothing was used in 2026-02, 2026-03, as said",)
    with pytest.raises(InvalidInputError, match="and more"):
        read(("2025-01", 1), ("2026-04", 4))


def test_times_need_a_time_zone() -> None:
    """Their own, or the one that is said; days are UTC."""
    rows = (("2026-01-01T00:30", 1), ("2026-01-31T23:30", 2))
    assert faults(*rows) == ["row 0, month", "row 1, month"]
    # In Berlin the first one is still in December there.
    berlin = read(*rows, tz="Europe/Berlin")
    assert berlin.months == ("2026-01",)
    offset = read(("2026-01-01T00:30+01:00", 1), ("2026-01-31T23:30+01:00", 2))
    assert offset.used == (2.0,)
    assert "times with an offset were taken to UTC" in offset.notes
    assert faults(("2026-03-29T02:30", 1), tz="Europe/Berlin") == ["row 0, month"]
    with pytest.raises(InvalidInputError, match="no time zone"):
        read(("2026-01", 1), tz="Mars/Olympus")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    """No file, no columns, no rows, no text."""
    with pytest.raises(NotFoundError):
        read_usage(tmp_path / "none.csv")
    with pytest.raises(BackendError):
        read_usage(tmp_path)
    empty, binary = tmp_path / "empty.csv", tmp_path / "binary.csv"
    empty.write_text("")
    binary.write_bytes(b"month,used\n\xff\xfe,1\n")
    for path in (empty, binary):
        with pytest.raises(InvalidInputError):
            read_usage(path)
    with pytest.raises(InvalidInputError) as caught:
        read_usage(pd.DataFrame({"when": []}))
    assert len(caught.value.faults) == 2
    with pytest.raises(InvalidInputError, match="no rows"):
        read()
