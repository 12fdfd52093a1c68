"""Variables that are stored by a codec of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import google_crc32c
import msgspec
import numpy as np
import pytest
import xarray as xr

from climorch.errors import CorruptDataError, InvalidInputError
from climorch.model.codec import LZ4, Codec, Storing
from climorch.storage.arrays import ArraySpec
from climorch.storage.codec import Encoded, decode_chunk, encode
from climorch.storage.jobs import ChunkJob
from climorch.storage.manifest import read_manifest
from climorch.storage.template import TemplateCache
from climorch.storage.verify import verify
from tests.unit.storage.checkpoint_cases import (
    flip,
    ocean,
    open_store,
    request,
    restore,
    save,
)

CODECS = [Codec("lz4", 9), Codec("zstd"), Codec("zstd", 9), Codec("none")]


def stored(**codecs: Codec) -> dict[str, dict[str, Storing]]:
    """Say something about variables of the ocean."""
    return {"ocean": {name: Storing(codec=codec) for name, codec in codecs.items()}}


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_stored_comes_back_and_is_opened_without_us(
    tmp_path: Path, codec: Codec
) -> None:
    """Bit for bit, in both ways; the manifest says how it is stored."""
    store = open_store(tmp_path)
    asked = replace(request(exports=True), storing=stored(T=codec))

    saved = save(store, asked)

    manifest = read_manifest(saved.path)
    found = {s.name: s.codec for s in manifest.arrays["state"]["ocean"]}
    assert found == {"T": codec, "mask": LZ4}
    assert manifest.arrays["exports"]["ocean"][0].codec == codec
    assert restore(store, saved)["state"]["ocean"].identical(ocean().compute())
    plain = xr.open_zarr(saved.path / "state.zarr" / "ocean", chunks=None)
    assert np.array_equal(plain["T"].to_numpy(), ocean()["T"].to_numpy())
    assert verify(saved.path).good


def test_a_damaged_chunk_is_found_whatever_its_codec(tmp_path: Path) -> None:
    """By its CRC, of raw values too."""
    store = open_store(tmp_path)
    saved = save(store, replace(request(), storing=stored(T=Codec("none"))))

    flip(saved.path / "state.zarr/ocean/T/c/0/0")

    ((key, problem),) = verify(saved.path).bad
    assert key == "state.zarr/ocean/T/c/0/0"
    assert "CRC-32C" in problem


def test_only_chunks_of_the_same_codec_are_linked(tmp_path: Path) -> None:
    """What changes its codec is written anew, the rest is not."""
    store = open_store(tmp_path)
    first = save(store, request(1))

    second = save(
        store, replace(request(2, previous=first), storing=stored(T=Codec("zstd", 5)))
    )
    third = save(
        store, replace(request(3, previous=second), storing=stored(T=Codec("zstd", 5)))
    )

    linked = [
        {key for key, entry in saved.manifest.entries.items() if entry.linked}
        for saved in (second, third)
    ]
    assert not [key for key in linked[0] if "/T/c/" in key]
    assert [key for key in linked[0] if "/mask/c/" in key]
    assert len([key for key in linked[1] if "/T/c/" in key]) == 2


def test_a_template_is_not_taken_for_one_of_another_codec() -> None:
    """The cache knows how variables are stored."""
    cache = TemplateCache()

    def codecs(storing: Mapping[str, Storing]) -> list[Codec]:
        return [spec.codec for spec in cache.render(ocean(), storing=storing).arrays]

    assert codecs({}) == [LZ4, LZ4]
    assert codecs({"T": Storing(codec=Codec("zstd"))}) == [Codec("zstd"), LZ4]
    assert codecs({}) == [LZ4, LZ4]


def test_a_manifest_without_codecs_means_the_default() -> None:
    """As all were before; and where nothing was said, nothing is told."""
    spec = ArraySpec(name="T", dims=("x",), dtype="<f4", shape=(2,), chunk_shape=(2,))
    told = msgspec.json.encode(spec)

    assert b"codec" not in told
    assert b"keep_bits" not in told
    assert msgspec.json.decode(told, type=ArraySpec).codec == LZ4
    rounded = msgspec.structs.replace(spec, codec=Codec("zstd", 2), keep_bits=7)
    assert msgspec.json.decode(msgspec.json.encode(rounded), type=ArraySpec) == rounded


def test_what_was_written_by_another_codec_is_another_form() -> None:
    """So no chunk of a broken attempt is taken over in its place."""
    job = ChunkJob(key="k", dtype="<f4", shape=(2,), chunk_shape=(3,))

    assert job.form == "<f4:3:2"
    zstd = msgspec.structs.replace(job, codec=Codec("zstd", 3))
    assert zstd.form == "<f4:3:2:zstd:3"


@pytest.mark.parametrize(
    ("codec", "payload", "problem"),
    [
        (LZ4, b"short", "has 5 bytes, too few"),
        (Codec("none"), bytes(24), "holds 24 bytes of values, expected 32"),
    ],
)
def test_a_payload_of_another_size_is_refused(
    codec: Codec, payload: bytes, problem: str
) -> None:
    """Its CRC is good: something else was written there."""
    data = Encoded(payload, google_crc32c.value(payload))
    with pytest.raises(CorruptDataError, match=problem):
        decode_chunk(data.payload + data.trailer, "f8", (4,), (4,), codec)


def test_zstd_is_smaller_and_none_is_raw() -> None:
    """Of a smooth field."""
    block = np.sin(np.arange(10_000) / 1000)

    sizes = [len(encode(block, block.shape, codec).payload) for codec in (LZ4, *CODECS)]

    assert sizes[-1] == block.nbytes
    assert sizes[3] < sizes[0] < block.nbytes


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({"name": "lzma"}, ["Codec.name"]),
        ({"name": "zstd", "level": 0}, ["Codec.level"]),
        ({"name": "x", "level": 23}, ["Codec.name", "Codec.level"]),
        ({"level": "high"}, ["Codec.level"]),
    ],
)
def test_a_codec_that_does_not_exist_is_refused(
    given: dict[str, Any], places: list[str]
) -> None:
    """With every fault."""
    with pytest.raises(InvalidInputError) as raised:
        Codec(**given)
    assert [fault.place for fault in raised.value.faults] == places
