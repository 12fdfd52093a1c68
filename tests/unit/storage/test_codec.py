from __future__ import annotations

from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from climorch.errors import (
    CorruptDataError,
    InvalidInputError,
)
from climorch.model.codec import LZ4
from climorch.storage import codec
from climorch.storage.arrays import ArraySpec
from climorch.storage.chunks import (
    decode_chunk,
    encode_chunk,
)
from climorch.storage.encoding import codecs_of

Array = npt.NDArray[Any]
DTYPES = ["bool", "i1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]


def values(dtype: str, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    return (np.arange(count) % 7 - 3).astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((), ()), ((4,), (4,)), ((5, 3), (2, 2)), ((1, 2, 3), (2, 3, 4))],
)
def test_zarr_reads_and_writes_the_same_chunks(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], chunks: tuple[int, ...]
) -> None:
    """Chunks written here are read by Zarr, and those of Zarr are read here."""
    wanted = values(dtype, shape)
    spec = ArraySpec(
        name="a",
        dims=tuple("xyz"[: len(shape)]),
        dtype=wanted.dtype.newbyteorder("<").str,
        shape=shape,
        chunk_shape=chunks,
    )
    stored = zarr.create_array(
        tmp_path / "a",
        shape=shape,
        dtype=wanted.dtype,
        chunks=chunks,
        compressors=codecs_of(LZ4),
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    stored[...] = wanted
    for index in spec.indices():
        path = tmp_path / spec.key(index)
        where = tuple(
            slice(i * c, i * c + n)
            for i, c, n in zip(index, chunks, spec.block_shape(index), strict=True)
        )
        data = path.read_bytes()
        block = decode_chunk(data, spec.dtype, chunks, spec.block_shape(index))
        np.testing.assert_array_equal(block, wanted[where], strict=True)
        assert encode_chunk(wanted[where], chunks) == data
    np.testing.assert_array_equal(stored[...], wanted)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([">f8", "<f4", ">i2", "<u8", ">c8", "bool"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.integers(0, 3),
)
def test_every_block_comes_back_bit_by_bit(array: Array, padding: int) -> None:
    """A block of any type, byte order, layout and padding comes back bit by bit."""
    chunk_shape = tuple(max(1, n) + padding for n in array.shape)
    data = encode_chunk(array.copy(order="F"), chunk_shape)
    back = decode_chunk(data, array.dtype.newbyteorder("<"), chunk_shape, array.shape)
    assert back.shape == array.shape
    assert back.tobytes() == codec.little_endian(array).tobytes()


def test_block_larger_than_its_chunk_is_refused() -> None:
    """A block that does not fit into the grid is refused."""
    with pytest.raises(InvalidInputError, match=r"\(3,\) does not fit .* \(2,\)"):
        encode_chunk(np.zeros(3), (2,))
    with pytest.raises(InvalidInputError, match="does not fit"):
        encode_chunk(np.zeros(3), (2, 2))


def test_contiguous_block_is_not_copied() -> None:
    """A contiguous native block is hashed and encoded where it lies."""
    array = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(codec.little_endian(array), array)


def test_damaged_content_is_not_decoded() -> None:
    """Content that is cut, changed or of another size is refused."""
    data = encode_chunk(np.arange(4.0), (4,))
    for bad, problem in (
        (data[:4], "has 4 bytes, too few"),
        (data[:10], "does not have the CRC-32C that it ends with"),
        (data[:-1], "does not have the CRC-32C that it ends with"),
        (b"\0" + data[1:], "does not have the CRC-32C"),
    ):
        with pytest.raises(CorruptDataError, match=problem):
            decode_chunk(bad, "f8", (4,), (4,))
    with pytest.raises(CorruptDataError, match="holds 32 bytes of values, expected 40"):
        decode_chunk(data, "f8", (5,), (5,))


def test_content_that_cannot_be_decompressed_is_refused() -> None:
    """Content with a good CRC that Blosc cannot decompress is refused."""
    encoded = codec.encode(np.arange(4.0), (4,))
    broken = b"\x63" + encoded.payload[1:]
    other = codec.Encoded(broken, google_crc32c.value(broken))
    with pytest.raises(CorruptDataError, match="cannot be decompressed"):
        decode_chunk(other.payload + other.trailer, "f8", (4,), (4,))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dtype": ">f4"}, "dtype is '>f4', expected a little-endian"),
        ({"dtype": "<U3"}, "dtype is '<U3'"),
        ({"dtype": "<f16"}, "dtype is '<f16'"),
        ({"dims": ("x",)}, "expected as many lengths"),
        ({"shape": (-1, 2)}, "expected at most 32 lengths >= 0"),
        ({"chunk_shape": (0, 2)}, "chunk_shape is"),
        ({"chunk_shape": (2**30, 2)}, "chunk_shape is"),
    ],
)
def test_array_that_cannot_be_is_refused(change: dict[str, Any], problem: str) -> None:
    """A description of an array that nobody can write is refused."""
    good = {
        "name": "T",
        "dims": ("x", "y"),
        "dtype": "<f4",
        "shape": (3, 0),
        "chunk_shape": (2, 1),
    }
    spec = ArraySpec(**good)  # type: ignore[arg-type]
    assert (spec.blocks, list(spec.indices())) == ((2, 1), [(0, 0), (1, 0)])
    assert (spec.block_shape((1, 0)), spec.key((1, 0))) == ((1, 0), "T/c/1/0")
    with pytest.raises(InvalidInputError, match="array 'T'") as caught:
        ArraySpec(**{**good, **change})
    assert problem in str(caught.value)
