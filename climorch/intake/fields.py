"""What a state is made of: chunked fields, small host variables, structure.

*Field* here: a numeric variable that Dask holds in chunks. Everything else
(strings, dates, scalars in memory, coordinates) stays with the driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from climorch.errors import Fault

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "chunked",
    "field_names",
    "is_field",
    "lazy_others",
    "regular_lengths",
    "replaced",
    "structure_faults",
]

NUMERIC = "biufc"


def is_field(variable: xr.DataArray | xr.Variable) -> bool:
    """Whether a variable is numeric and held by Dask."""
    return variable.chunks is not None and variable.dtype.kind in NUMERIC


def field_names(dataset: xr.Dataset) -> list[str]:
    """Names of the fields of a dataset, in its order."""
    return [
        str(name) for name, variable in dataset.variables.items() if is_field(variable)
    ]


def lazy_others(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that Dask holds and that are no fields."""
    return [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.chunks is not None and not is_field(variable)
    ]


def chunked(dataset: xr.Dataset, chunks: Mapping[str, int]) -> xr.Dataset:
    """Give every field the chunks of its stage.

    Parameters
    ----------
    dataset : xarray.Dataset
        In memory or lazy.
    chunks : mapping of str to int
        Chunk length per dimension; a dimension that is not named is whole.

    Returns
    -------
    xarray.Dataset
        The same values; numeric data variables with dimensions are lazy.
    """
    changed = {}
    for name, variable in dataset.variables.items():
        numeric = variable.dtype.kind in NUMERIC and variable.ndim > 0
        if variable.chunks is None and (name in dataset.coords or not numeric):
            continue
        # A length beyond the dimension would be kept as it is by Dask and
        # make equal chunks look different.
        wanted = {
            str(dim): min(chunks.get(str(dim), size) or size, size)
            for dim, size in variable.sizes.items()
        }
        now = variable.chunks
        if now is None or any(
            length != regular_lengths(size, wanted[str(dim)])
            for (dim, size), length in zip(variable.sizes.items(), now, strict=True)
        ):
            changed[name] = (variable.dims, variable.chunk(wanted).data, variable.attrs)
    return dataset.assign(changed) if changed else dataset


def replaced(dataset: xr.Dataset, values: Mapping[str, Any]) -> xr.Dataset:
    """Return a dataset with other values in some variables, all else as it is.

    Parameters
    ----------
    dataset : xarray.Dataset
        Not changed.
    values : mapping of str to array
        Of the same shapes.
    """
    if not values:
        return dataset
    coords = {name: data for name, data in values.items() if name in dataset.coords}
    # Not `assign`: it aligns all variables again, for milliseconds each time.
    new = dataset.copy(
        data={
            # `.data` would load what is opened lazily, here past all checks.
            name: values.get(str(name), variable.variable._data)
            for name, variable in dataset.data_vars.items()
        }
    )
    if not coords:
        return new
    return new.assign_coords(
        {
            name: (dataset.variables[name].dims, data, dataset.variables[name].attrs)
            for name, data in coords.items()
        }
    )


def regular_lengths(size: int, length: int) -> tuple[int, ...]:
    """Return the chunk lengths of a dimension: all equal but a smaller last one."""
    if size == 0:
        return (0,)
    whole, rest = divmod(size, length)
    return (length,) * whole + ((rest,) if rest else ())


def structure_faults(
    before: xr.Dataset, after: xr.Dataset, *, place: str
) -> Iterator[Fault]:
    """Say how the structure of a state changed from one segment to the next.

    Parameters
    ----------
    before, after : xarray.Dataset
        States; compared are variables, dimensions, shapes, types and the
        values of dimension coordinates.
    place : str
        Where.

    Yields
    ------
    Fault
        One for each difference.
    """
    remedy = "return the state with the structure that it came with"
    for name in sorted(map(str, set(before.variables) ^ set(after.variables))):
        lost = name in before.variables
        problem = "is missing" if lost else "was not there before"
        yield Fault(place=f"{place}, variable {name!r}", problem=problem, remedy=remedy)
    for key, old in before.variables.items():
        name = str(key)
        new = after.variables.get(key)
        if new is None:
            continue
        for what, got, expected in (
            ("dims", new.dims, old.dims),
            ("shape", new.shape, old.shape),
            ("dtype", new.dtype, old.dtype),
        ):
            if got != expected:
                yield Fault(
                    place=f"{place}, variable {name!r}",
                    problem=f"{what} {got}, expected {expected}",
                    remedy=remedy,
                )
        is_index = name in before.indexes and name in after.indexes
        if is_index and not before.indexes[name].equals(after.indexes[name]):
            yield Fault(
                place=f"{place}, coordinate {name!r}",
                problem="its values changed",
                remedy=remedy,
            )
