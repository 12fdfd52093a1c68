"""The bytes of one chunk, exactly those that Zarr reads and writes.

Decides what a `Codec` means: little-endian, Blosc (LZ4 or Zstandard after a byte
shuffle) or nothing, CRC-32C; the same as `climorch.storage.encoding` tells Zarr.
Ignores files.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import google_crc32c
import numpy as np
import numpy.typing as npt
import xxhash
from numcodecs import blosc

from climorch.errors import CorruptDataError, InvalidInputError
from climorch.model.codec import LZ4, Codec

__all__ = [
    "CRC_BYTES",
    "Array",
    "Bytes",
    "Encoded",
    "as_bytes",
    "damage",
    "decode_chunk",
    "decode_payload",
    "encode",
    "encode_chunk",
    "little_endian",
    "raw_hash",
]

# Blosc makes a lock of all processes when it first encodes. Made in a node that is
# killed later, its semaphore would be left to Python's tracker, which complains at the
# end of the campaign; made here, nodes inherit it from whom they are forked.
blosc.get_mutex()

Array: TypeAlias = npt.NDArray[Any]

Bytes: TypeAlias = npt.NDArray[np.uint8]
"""Bytes that are cut and passed on without a copy.

Not a memoryview, which google_crc32c (1.9) refuses.
"""

CRC_BYTES = 4
"""Length of the CRC-32C at the end of each chunk."""

# Bytes 4 to 7 of it are the size of the decompressed data.
_BLOSC_HEADER_BYTES = 16


class Encoded(NamedTuple):
    """A chunk's content in two parts, so that they need not be joined.

    Attributes
    ----------
    payload : bytes
        Compressed values.
    crc32c : int
        Of the payload.
    """

    payload: bytes
    crc32c: int

    @property
    def trailer(self) -> bytes:
        """The CRC as it ends the file."""
        return struct.pack("<I", self.crc32c)


def encode_chunk(array: npt.ArrayLike, chunk_shape: Sequence[int]) -> bytes:
    """Encode a block as Zarr would.

    Parameters
    ----------
    array : array_like of bool, integer, float or complex
        The block, of any byte order; a length may be 0.
    chunk_shape : sequence of int
        Shape that it is padded to with zeros; nowhere smaller than the block.

    Returns
    -------
    bytes
        Content of the chunk's file.

    Raises
    ------
    InvalidInputError
        If the block does not fit.
    """
    block = little_endian(array)
    if not _fits(block.shape, chunk_shape):
        message = (
            f"block of shape {block.shape} does not fit into chunks of "
            f"{tuple(chunk_shape)}; pass the array's own chunk shape"
        )
        raise InvalidInputError(message, shape=block.shape)
    encoded = encode(block, tuple(chunk_shape))
    return encoded.payload + encoded.trailer


def decode_chunk(
    data: bytes | memoryview,
    dtype: npt.DTypeLike,
    chunk_shape: Sequence[int],
    shape: Sequence[int],
    codec: Codec = LZ4,
) -> Array:
    """Decode the content of a chunk's file.

    Parameters
    ----------
    data : bytes-like
        Content of the file.
    dtype : data type
        Of the array.
    chunk_shape, shape : sequence of int
        Of the chunk grid, and of this block without padding.
    codec : Codec
        Of the array.

    Returns
    -------
    ndarray, shape `shape`
        The values, in C order.

    Raises
    ------
    CorruptDataError
        If the data are damaged or of another size.
    """
    view = as_bytes(data)
    problem = damage(view)
    if problem is not None:
        message = f"chunk {problem}; use another copy"
        raise CorruptDataError(message, problem=problem)
    payload = view[:-CRC_BYTES]
    return decode_payload(payload, np.dtype(dtype), chunk_shape, shape, codec)


def as_bytes(data: bytes | memoryview) -> Bytes:
    """View bytes as an array, without a copy.

    Parameters
    ----------
    data : bytes-like
        The bytes.

    Returns
    -------
    ndarray of uint8
        One-dimensional.
    """
    return np.frombuffer(data, np.uint8)


def little_endian(array: npt.ArrayLike) -> Array:
    """Return an array as the files have it: little-endian and in C order.

    Parameters
    ----------
    array : array_like
        Not copied where it is so already.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    # Not ascontiguousarray, which makes a scalar one-dimensional.
    block = np.asarray(array)
    return np.require(block, block.dtype.newbyteorder("<"), ["C_CONTIGUOUS"])


def _fits(shape: Sequence[int], chunk_shape: Sequence[int]) -> bool:
    return len(shape) == len(chunk_shape) and all(
        length <= chunk for length, chunk in zip(shape, chunk_shape, strict=True)
    )


def raw_hash(block: Array) -> str:
    """Hash a block's values.

    Parameters
    ----------
    block : ndarray
        From `little_endian`.

    Returns
    -------
    str
        XXH3-128 in hex.
    """
    # Seen as bytes without a copy; not every type has a buffer of its own.
    return xxhash.xxh3_128_hexdigest(block.reshape(-1).view(np.uint8).data)


def encode(block: Array, chunk_shape: tuple[int, ...], codec: Codec = LZ4) -> Encoded:
    """Encode a block that fits into its chunk.

    Parameters
    ----------
    block : ndarray
        From `little_endian`.
    chunk_shape : tuple of int
        Shape that it is padded to with zeros.
    codec : Codec
        How it is compressed.

    Returns
    -------
    Encoded
        The chunk's content.
    """
    if block.shape != chunk_shape:
        padded = np.zeros(chunk_shape, block.dtype)
        padded[tuple(map(slice, block.shape))] = block
        block = padded
    raw = block.reshape(-1).view(np.uint8)
    payload: bytes
    if codec.name == "none":
        payload = raw.tobytes()
    else:
        payload = blosc.compress(
            raw,
            codec.name.encode(),
            codec.level,
            blosc.SHUFFLE,
            typesize=block.dtype.itemsize,
        )
    return Encoded(payload, google_crc32c.value(payload))


def damage(view: Bytes, expected: int | None = None) -> str | None:
    """Say what is wrong with the CRC that a chunk ends with, if anything.

    Parameters
    ----------
    view : ndarray of uint8
        The chunk's content.
    expected : int, optional
        The CRC that it should be.

    Returns
    -------
    str or None
        None where all is well.
    """
    if len(view) <= CRC_BYTES:
        return f"has {len(view)} bytes, too few for a chunk"
    (stored,) = struct.unpack("<I", view[-CRC_BYTES:].tobytes())
    if google_crc32c.value(view[:-CRC_BYTES]) != stored:
        return "does not have the CRC-32C that it ends with"
    if expected is not None and stored != expected:
        return f"has the CRC-32C {stored:08x}, expected {expected:08x}"
    return None


def decode_payload(
    payload: Bytes,
    dtype: np.dtype[Any],
    chunk_shape: Sequence[int],
    shape: Sequence[int],
    codec: Codec = LZ4,
) -> Array:
    """Decompress a chunk's values and cut the padding off.

    Parameters
    ----------
    payload : ndarray of uint8
        The chunk's content without its CRC, which has been compared.
    dtype, chunk_shape, shape, codec
        As in `decode_chunk`.

    Returns
    -------
    ndarray, shape `shape`
        The values, in C order.

    Raises
    ------
    CorruptDataError
        If it is of another size.
    """
    chunk = np.empty(tuple(chunk_shape), dtype)
    size = _raw_bytes(payload, codec)
    # Compared first: Blosc would fill a part of a larger array.
    if size != chunk.nbytes:
        message = f"holds {size} bytes of values, expected {chunk.nbytes}"
        raise CorruptDataError(message)
    if codec.name == "none":
        chunk.reshape(-1).view(np.uint8)[:] = payload
    else:
        try:
            blosc.decompress(payload, chunk)
        except (RuntimeError, ValueError) as error:
            message = f"cannot be decompressed ({error})"
            raise CorruptDataError(message) from error
    if chunk.shape == tuple(shape):
        return chunk
    return chunk[tuple(map(slice, shape))].copy()


def _raw_bytes(payload: Bytes, codec: Codec) -> int:
    """Return how many bytes of values a payload says that it holds."""
    if codec.name == "none":
        return len(payload)
    if len(payload) < _BLOSC_HEADER_BYTES:
        message = f"has {len(payload)} bytes, too few for a chunk"
        raise CorruptDataError(message)
    (size,) = struct.unpack("<I", payload[4:8].tobytes())
    return int(size)
