"""How tables of a report are written down: long, in words, as a dataset."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["as_dataset", "as_long_csv", "as_markdown"]

# By the end of a column's name. Hours of nodes are hours, to udunits, which knows no
# binary prefixes.
UNITS = (
    ("node_hours_per_model_year", "h year-1"),
    ("_node_hours", "h"),
    ("_core_hours", "h"),
    ("_memory_gib_hours", "1073741824 byte h"),
    ("_tb_months", "Tbyte month"),
    ("_model_years", "year"),
    ("_kwh", "kW h"),
    ("_kg_co2", "kg"),
    ("_bytes_read", "byte"),
    ("_bytes_written", "byte"),
)
MONTH_CHARS = len("2026-11")


def as_long_csv(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return one table in CSV with a row for each value of each table.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Their index says what a row is about.
    """
    rows = [
        (name, _words(key), column, value)
        for name, table in tables.items()
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
        for column, value in row.items()
    ]
    long = pd.DataFrame(rows, columns=["table", "row", "quantity", "value"])
    text = io.StringIO()
    long.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def as_markdown(
    title: str, notes: Iterable[str], tables: Mapping[str, pd.DataFrame]
) -> str:
    """Return tables in Markdown; columns without any value are left out.

    Parameters
    ----------
    title : str
        First heading.
    notes : iterable of str
        Sentences below it.
    tables : mapping of str to DataFrame
        Each becomes a section.
    """
    parts = [f"# {title}", *notes]
    for name, table in tables.items():
        parts += [f"## {name.capitalize()}", _markdown(table)]
    return "\n\n".join(parts) + "\n"


def _markdown(table: pd.DataFrame) -> str:
    rows = table.reset_index().to_dict("records")
    if not rows:
        return "Nothing."
    columns = [name for name in rows[0] if any(_says(row[name]) for row in rows)]
    lines = [
        "| " + " | ".join(str(name).replace("_", " ") for name in columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(_cell(row[c]) for c in columns) + " |" for row in rows),
    ]
    return "\n".join(lines)


def _says(value: Any) -> bool:
    """Tell whether a cell is more than empty, zero or unknown."""
    if isinstance(value, str):
        return bool(value)
    return not (math.isnan(value) or value == 0)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("|", "\\|")
    if math.isnan(value):
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _words(key: Any) -> str:
    return " ".join(key) if isinstance(key, tuple) else str(key)


def as_dataset(
    tables: Mapping[str, pd.DataFrame], attributes: Mapping[str, str]
) -> xr.Dataset:
    """Return all tables in one dataset that follows CF-1.11.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Each becomes variables ``<table>_<column>`` along ``<table>_row``; its index
        becomes coordinates. Months get dates with bounds, too, where all rows are
        of one.
    attributes : mapping of str to str
        Of the dataset.
    """
    dataset = xr.Dataset(attrs={"Conventions": "CF-1.11", **attributes})
    for name, table in tables.items():
        flat, keys = table.reset_index(), list(table.index.names)
        for column in flat.columns:
            variable = _variable(f"{name}_row", str(column), flat)
            if column in keys:
                dataset = dataset.assign_coords({f"{name}_{column}": variable})
            else:
                dataset[f"{name}_{column}"] = variable
        if "month" in keys:
            dataset = _dated(dataset, name)
    return dataset


def _variable(dimension: str, column: str, table: pd.DataFrame) -> xr.Variable:
    attributes = {"long_name": column.replace("_", " ")}
    values = table[column].to_numpy()
    if values.dtype.kind not in "fiu":
        values = np.array([str(value) for value in values], dtype=str)
    elif "unit" not in table:
        found = (unit for end, unit in UNITS if f"_{column}".endswith(end))
        attributes["units"] = next(found, "1")
    return xr.Variable((dimension,), values, attributes)


def _dated(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Add dates, unless a row is of no month, as the total of a forecast is."""
    months = dataset[f"{name}_month"].to_numpy()
    if not all(len(month) == MONTH_CHARS and month[4] == "-" for month in months):
        return dataset
    begins = months.astype("M8[M]")
    edges = np.stack([begins, begins + 1], axis=1).astype("M8[s]")
    time, row = f"{name}_time", f"{name}_row"
    bounds = {
        "standard_name": "time",
        "units_metadata": "leap_seconds: none",
        "bounds": f"{time}_bounds",
    }
    dataset = dataset.assign_coords({time: (row, edges[:, 0], bounds)})
    dataset[time].encoding = {"units": "days since 1970-01-01", "calendar": "standard"}
    dataset[f"{time}_bounds"] = ((row, "bound"), edges)
    return dataset
