"""How one chunked array lies on disk: its grid, block shapes and chunk keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import msgspec
import numpy as np

from climorch.errors import InvalidInputError
from climorch.model.codec import LZ4, Codec

__all__ = ["MAX_CHUNK_BYTES", "ArraySpec"]

MAX_CHUNK_BYTES = 2**31 - 1 - 16
"""Largest raw chunk that Blosc can compress."""

_DIMENSIONS_MAX = 32


class ArraySpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One array whose chunks are written by the workers.

    Attributes
    ----------
    name : str
        Variable; also its directory below the group.
    dims : tuple of str
        Names of the dimensions.
    dtype : str
        NumPy type string, little-endian: ``"<f4"``, ``"|b1"``.
    shape : tuple of int
        Of the whole array; a length may be 0.
    chunk_shape : tuple of int
        Of the Zarr chunk grid, each >= 1. Chunks at the upper edges are padded
        to it in their files.
    codec : Codec
        How its chunks are compressed.
    keep_bits : int or None
        Bits of the mantissa to which its values were rounded before they came
        here; None: they were not. Only told.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    codec: Codec = LZ4
    keep_bits: int | None = None

    def __post_init__(self) -> None:
        dtype = np.dtype(self.dtype)
        if dtype.kind not in "biufc" or dtype.byteorder == ">" or dtype.str == "<f16":
            raise self._bad("dtype", "a little-endian numeric or bool type")
        if not len(self.dims) == len(self.shape) == len(self.chunk_shape):
            raise self._bad("shape", "as many lengths as dimensions")
        if len(self.dims) > _DIMENSIONS_MAX or min(self.shape, default=0) < 0:
            raise self._bad("shape", "at most 32 lengths >= 0")
        nbytes = math.prod(self.chunk_shape) * dtype.itemsize
        if min(self.chunk_shape, default=1) < 1 or nbytes > MAX_CHUNK_BYTES:
            raise self._bad("chunk_shape", f"1 to {MAX_CHUNK_BYTES} bytes per chunk")

    def _bad(self, field: str, expected: str) -> InvalidInputError:
        message = (
            f"array '{self.name}': {field} is {getattr(self, field)!r}, expected "
            f"{expected}; check what describes the array"
        )
        return InvalidInputError(message, array=self.name, field=field)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Number of chunks along each dimension, at least 1.

        A dimension of length 0 has one empty block, as in Dask. Its file holds
        padding only, which Zarr never reads; so no array is a special case.
        """
        return tuple(
            max(1, -(-length // chunk))
            for length, chunk in zip(self.shape, self.chunk_shape, strict=True)
        )

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Every chunk's position in the grid, last dimension fastest.

        Yields
        ------
        tuple of int
            One number per dimension; ``()`` for a scalar.
        """
        return itertools.product(*map(range, self.blocks))

    def block_shape(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one chunk without padding.

        Parameters
        ----------
        index : tuple of int
            Position in the grid.

        Returns
        -------
        tuple of int
            Smaller than `chunk_shape` at the upper edges.
        """
        return tuple(
            min(chunk, length - chunk * position)
            for length, chunk, position in zip(
                self.shape, self.chunk_shape, index, strict=True
            )
        )

    def key(self, index: tuple[int, ...]) -> str:
        """Path of one chunk below the array's group.

        Parameters
        ----------
        index : tuple of int
            Position in the grid.

        Returns
        -------
        str
            ``"T/c/0/1"``; ``"clock/c"`` for a scalar.
        """
        return "/".join((self.name, "c", *map(str, index)))
