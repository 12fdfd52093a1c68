"""How outputs and results are described, by the CF conventions 1.11.

Decides what the library says of them: the dates, and which conventions. What a field
is, and where, is the user's to say, and is never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cftime

from climorch.errors import Fault, InvalidInputError
from climorch.storage.growth import TIME

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TIME_UNITS", "described", "for_export"]

TIME_UNITS = "days since 1850-01-01 00:00:00"
"""Of the dates of all results."""

# Calendars of which one has to say whether they have leap seconds (4.4.1).
_SOLAR = ("standard", "proleptic_gregorian", "julian")


def described(output: xr.Dataset) -> xr.Dataset:
    """Describe what is ours of an output; give its dates units that never change.

    Parameters
    ----------
    output : xarray.Dataset
        Of a segment, along time.

    Returns
    -------
    xarray.Dataset
        A copy; what it says of itself is kept.

    Raises
    ------
    InvalidInputError
        If something varies in time that is no number.
    """
    time = output[TIME]
    first = time.to_numpy()[0]
    encoding: dict[str, Any] = {"units": TIME_UNITS, "dtype": "float64"}
    if isinstance(first, cftime.datetime):
        encoding["calendar"] = first.calendar
    faults = [
        Fault(
            place=f"Advance.output, variable {name!r}",
            problem=f"varies in time and has type {variable.dtype}",
            remedy="use numbers, or leave it out",
        )
        for name, variable in output.variables.items()
        if name != TIME and TIME in variable.dims and variable.dtype.kind not in "biufc"
    ]
    if faults:
        raise InvalidInputError("this output cannot be stored", faults=faults)
    attributes = {"standard_name": "time", "axis": "T", **time.attrs}
    if encoding.get("calendar", "standard") in _SOLAR:
        attributes.setdefault("units_metadata", "leap_seconds: none")
    copy = output.assign_coords({TIME: (TIME, time.to_numpy(), attributes)})
    copy[TIME].encoding = encoding
    copy.attrs.setdefault("Conventions", "CF-1.11")
    return copy


def for_export(results: xr.Dataset) -> xr.Dataset:
    """Let results be written to netCDF as the conventions and the usual tools want.

    Parameters
    ----------
    results : xarray.Dataset
        As opened; changed in place, not in what it holds.
    """
    # So that more can be added to the file.
    results.encoding["unlimited_dims"] = {TIME}
    # Else xarray gives them a fill value, which is forbidden (2.5.1).
    for coordinate in results.coords.values():
        coordinate.encoding["_FillValue"] = None
    return results
