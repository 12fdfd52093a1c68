"""Tables written down: cells, labels, units."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from climorch.forecast.rendering import as_dataset, as_long_csv, as_markdown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (1234567.0, "1,234,567"),
        (1234.567, "1,234.57"),
        (0.012345, "0.0123"),
        (math.nan, ""),
        ("a|b", "a\\|b"),
        (3, "3"),
    ],
)
def test_a_cell_is_as_long_as_people_read(value: float | str, cell: str) -> None:
    """Whole numbers whole, large ones with two digits, small ones with three."""
    table = pd.DataFrame({"key": ["x", "y"], "v": [value, 7]}).set_index("key")

    assert f"\n| x | {cell} |\n" in as_markdown("t", [], {"one": table})


def test_rows_with_several_keys_are_named_by_all() -> None:
    """In the order of the index."""
    table = pd.DataFrame({"a": ["x"], "b": ["y"], "v": [1]}).set_index(["a", "b"])

    assert as_long_csv({"t": table}) == "table,row,quantity,value\nt,x y,v,1\n"


def test_units_follow_from_names_unless_a_column_has_them() -> None:
    """Hours, years, bytes; a number without a unit has 1."""
    table = pd.DataFrame(
        {"k": ["x"], "node_hours": [1.0], "idle_node_hours": [1.0], "share": [1.0]}
    ).set_index("k")
    found = as_dataset({"t": table}, {})
    units = {name: v.attrs["units"] for name, v in found.data_vars.items()}
    assert units == {"t_node_hours": "h", "t_idle_node_hours": "h", "t_share": "1"}

    told = pd.DataFrame({"k": ["x"], "value": [1.0], "unit": ["kWh"]}).set_index("k")
    assert "units" not in as_dataset({"t": told}, {})["t_value"].attrs


def test_months_get_dates_where_every_row_is_of_one() -> None:
    """A row for all months together has none, so no row gets one."""
    months = pd.DataFrame({"month": ["2025-12"], "v": [1]}).set_index("month")
    dated = as_dataset({"t": months}, {})
    assert str(dated["t_time"].to_numpy()[0])[:10] == "2025-12-01"
    assert str(dated["t_time_bounds"].to_numpy()[0, 1])[:10] == "2026-01-01"
    total = pd.DataFrame({"month": ["2025-12", "(total)"], "v": [1, 1]})
    assert "t_time" not in as_dataset({"t": total.set_index("month")}, {})
