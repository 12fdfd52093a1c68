"""A dataset without its large arrays: what the driver knows of what a node holds.

Pure: takes datasets apart into an outline and arrays, and puts them together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from climorch.intake.fields import NUMERIC, regular_lengths, replaced

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Field", "Outline", "distinct", "joined", "outlined", "own_fields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """An array that is elsewhere.

    Attributes
    ----------
    dims : tuple of str
        Its dimensions.
    shape : tuple of int
        Their sizes.
    dtype : numpy.dtype
        Its type.
    attrs : dict
        Its attributes.
    coord : bool
        Whether it is a coordinate.
    """

    dims: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attrs: dict[Any, Any]
    coord: bool

    def chunks(self, wanted: Mapping[str, int]) -> tuple[tuple[int, ...], ...]:
        """Return its chunk lengths, as `fields.chunked` would choose them."""
        return tuple(
            regular_lengths(size, min(wanted.get(str(dim), size) or size, size))
            for dim, size in zip(self.dims, self.shape, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A dataset of which some arrays are elsewhere.

    Attributes
    ----------
    rest : xarray.Dataset
        All others.
    fields : dict of name to Field
        Those.
    order : tuple
        Names of all data variables.
    """

    rest: xr.Dataset
    fields: dict[Any, Field]
    order: tuple[Any, ...]

    def filled(self, arrays: Mapping[Any, Any]) -> xr.Dataset:
        """Return the dataset with arrays for its fields, lazy ones or others."""
        variables = {
            name: xr.Variable(field.dims, arrays[name], field.attrs)
            for name, field in self.fields.items()
        }
        dataset = xr.Dataset(
            {
                name: variables.get(name, self.rest.variables.get(name))
                for name in self.order
            },
            coords=self.rest.coords,
            attrs=self.rest.attrs,
        )
        coords = {n: variables[n] for n, f in self.fields.items() if f.coord}
        return dataset.assign_coords(coords) if coords else dataset


def outlined(dataset: xr.Dataset, names: Iterable[Any]) -> Outline:
    """Take arrays out of a dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Not changed.
    names : iterable
        Of the variables that are taken out.
    """
    fields = {
        name: Field(
            dims=variable.dims,
            shape=variable.shape,
            dtype=variable.dtype,
            attrs=dict(variable.attrs),
            coord=name in dataset.coords,
        )
        for name in names
        for variable in [dataset.variables[name]]
    }
    return Outline(
        rest=dataset.drop_vars(list(fields)),
        fields=fields,
        order=tuple(dataset.data_vars),
    )


def own_fields(dataset: xr.Dataset) -> list[Any]:
    """Name what a stage holds in chunks: numbers with dimensions, no coordinates."""
    return [
        name
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in NUMERIC and variable.ndim > 0
    ]


def joined(
    field: Field, counts: Sequence[int], blocks: Sequence[Any]
) -> npt.NDArray[Any]:
    """Put an array together from its blocks.

    Parameters
    ----------
    field : Field
        Of which array.
    counts : sequence of int
        Number of blocks per dimension.
    blocks : sequence of array
        In C order.

    Returns
    -------
    ndarray
        The block itself where there is one only.
    """
    if len(blocks) == 1:
        return np.asarray(blocks[0])
    whole = np.empty(field.shape, field.dtype)
    # Where each block begins follows from the blocks before it.
    ends = [0] * len(counts)
    begins: dict[tuple[int, int], int] = {}
    for index, block in zip(
        itertools.product(*map(range, counts)), blocks, strict=True
    ):
        for axis, i in enumerate(index):
            if (axis, i) not in begins:
                begins[axis, i] = ends[axis]
                ends[axis] += block.shape[axis]
        place = tuple(
            slice(begins[axis, i], begins[axis, i] + block.shape[axis])
            for axis, i in enumerate(index)
        )
        whole[place] = block
    return whole


def distinct(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose arrays are objects of its own.

    Pickle keeps apart what is not the same object: of two datasets that share an
    array, such as an input that became a state, each gets its copy.

    Parameters
    ----------
    dataset : xarray.Dataset
        In memory.

    Returns
    -------
    xarray.Dataset
        The same values, in views.
    """
    return replaced(
        dataset,
        {
            str(name): variable.to_numpy().view()
            for name, variable in dataset.variables.items()
            if name not in dataset.xindexes
        },
    )
