from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from climorch.errors import BackendError, CorruptDataError
from climorch.storage import manifest as module
from climorch.storage.arrays import ArraySpec
from climorch.storage.manifest import (
    Entry,
    Manifest,
    decode_manifest,
    encode_manifest,
    read_manifest,
)
from climorch.storage.names import is_safe_key

SPEC = ArraySpec(name="T", dims=("x",), dtype="<f4", shape=(3,), chunk_shape=(2,))
CHUNK = Entry(length=9, crc32c=1, inode=2, mtime_ns=3, raw_xxh3="0" * 32)
FILE = Entry(length=9, crc32c=1, inode=2, mtime_ns=3, file_xxh3="f" * 32)
GOOD = Manifest(
    campaign="cmip",
    simulation="m01",
    set="earth",
    boundary=12,
    model_time="1850-01-01T00:00:00",
    calendar="noleap",
    params_digest="p",
    epoch=3,
    attempt=1,
    entries={
        "state.zarr/ocean/T/c/0": CHUNK,
        "state.zarr/ocean/T/c/1": CHUNK,
        "state.zarr/zarr.json": FILE,
    },
    arrays={"state": {"ocean": (SPEC,)}},
    hints={"state": {"ocean": {"time": "cftime"}}},
    exports=(),
    outputs={"ocean": (4, 5)},
    segments={"ocean": 6},
)


def altered(**changes: Any) -> bytes:
    """A manifest with a good hash and something else wrong."""
    plain = msgspec.to_builtins(GOOD)
    body = msgspec.json.encode({**plain, **changes})
    digest = xxhash.xxh3_128_hexdigest(body)
    return msgspec.json.encode({"xxh3": digest, "manifest": msgspec.Raw(body)})


def test_manifest_comes_back_as_it_was() -> None:
    """Encoding and decoding give an equal manifest, and equal ones equal bytes."""
    data = encode_manifest(GOOD)
    assert decode_manifest(data, "x") == GOOD
    reordered = msgspec.structs.replace(
        GOOD, entries=dict(reversed(GOOD.entries.items()))
    )
    assert encode_manifest(reordered) == data
    assert GOOD.folder == "1850-01-01-12"
    assert GOOD.chunks() == {
        "state.zarr/ocean/T/c/0": (SPEC, (0,)),
        "state.zarr/ocean/T/c/1": (SPEC, (1,)),
    }


def test_every_flipped_bit_is_found() -> None:
    """No bit of a manifest can change unnoticed."""
    data = encode_manifest(GOOD)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x04
        with pytest.raises(CorruptDataError, match="manifest 'x'"):
            decode_manifest(bytes(changed), "x")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"xxh3":"0","manifest":{}}', b"\xff"]
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    """Foreign content is damage, not a crash."""
    with pytest.raises(CorruptDataError, match="keep it and use another"):
        decode_manifest(data, "x")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": 2}, "has format 2, this version reads 1"),
        ({"format": None}, "cannot be decoded"),
        ({"boundary": -1}, "cannot be decoded"),
        ({"simulation": "../x"}, "holds the name '../x'"),
        ({"segments": {"a/b": 1}}, "holds the name 'a/b'"),
        ({"model_time": "../x"}, "holds the model time '../x'"),
        ({"arrays": {"other": {}}}, "holds the trees"),
        ({"entries": {"../x": {}}}, "cannot be decoded"),
    ],
)
def test_wrong_fields_are_refused(changes: dict[str, Any], problem: str) -> None:
    """A manifest whose hash is right is still not believed."""
    with pytest.raises(CorruptDataError) as caught:
        decode_manifest(altered(**changes), "x")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "key",
    ["/etc/x", "a/../b", "..", ".", "a//b", "a/", "", "a\\b", "a\nb", "a" * 1025],
)
def test_keys_that_leave_the_checkpoint_are_refused(key: str) -> None:
    """No key is absolute, climbs up, or has empty parts."""
    assert not is_safe_key(key)
    entries = {**msgspec.to_builtins(GOOD.entries), key: msgspec.to_builtins(FILE)}
    with pytest.raises(CorruptDataError, match="which is not safe"):
        decode_manifest(altered(entries=entries), "x")


def test_manifest_does_not_list_itself() -> None:
    """A manifest that claims to hold its own hash is refused."""
    entries = {**msgspec.to_builtins(GOOD.entries), "MANIFEST.json": {}}
    entries["MANIFEST.json"] = msgspec.to_builtins(FILE)
    with pytest.raises(CorruptDataError, match=r"'MANIFEST\.json', which is not safe"):
        decode_manifest(altered(entries=entries), "x")


def test_every_chunk_needs_an_entry() -> None:
    """An array is not believed to have chunks that are not listed."""
    entries = {**msgspec.to_builtins(GOOD.entries)}
    del entries["state.zarr/ocean/T/c/1"]
    entries["other"] = msgspec.to_builtins(FILE)
    with pytest.raises(CorruptDataError, match=r"nothing about the chunk 'state.*c/1'"):
        decode_manifest(altered(entries=entries), "x")
    entries["state.zarr/ocean/T/c/1"] = msgspec.to_builtins(FILE)
    with pytest.raises(CorruptDataError, match=r"nothing about the chunk 'state.*c/1'"):
        decode_manifest(altered(entries=entries), "x")


def test_giant_arrays_are_not_counted_out() -> None:
    """A shape that claims a trillion chunks is refused before they are listed."""
    spec = {**msgspec.to_builtins(SPEC), "shape": [10**12]}
    with pytest.raises(CorruptDataError, match="holds 3 files for 500000000000 chunks"):
        decode_manifest(altered(arrays={"state": {"ocean": [spec]}}), "x")


@pytest.mark.parametrize(
    "hashes",
    [{}, {"raw_xxh3": "0" * 32, "file_xxh3": "0" * 32}, {"raw_xxh3": "0" * 31 + "x"}],
)
def test_entry_has_exactly_one_hash(hashes: dict[str, Any]) -> None:
    """A file is a chunk with a raw hash or has a hash of its own."""
    with pytest.raises(ValueError, match="exactly one hash"):
        Entry(length=1, crc32c=1, inode=1, mtime_ns=1, **hashes)


def test_content_is_compared_without_its_history() -> None:
    """Who wrote a checkpoint, and into which file, is not part of its content."""
    moved = {
        key: msgspec.structs.replace(entry, inode=99, mtime_ns=7, linked=True)
        for key, entry in GOOD.entries.items()
    }
    assert GOOD.same_content(
        msgspec.structs.replace(GOOD, epoch=9, attempt=4, entries=moved)
    )
    assert not GOOD.same_content(msgspec.structs.replace(GOOD, params_digest="q"))
    assert not GOOD.same_content(msgspec.structs.replace(GOOD, entries={}))


def test_manifest_file_is_read_and_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing manifest, a damaged one and an ill disk are told apart."""
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
    (tmp_path / "MANIFEST.json").write_bytes(encode_manifest(GOOD))
    assert read_manifest(tmp_path) == GOOD
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(CorruptDataError, match="has more than 10 bytes"):
        read_manifest(tmp_path)
    (tmp_path / "MANIFEST.json").unlink()
    (tmp_path / "MANIFEST.json").mkdir()
    with pytest.raises(BackendError, match="cannot read at"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("place", [b'"xxh3":"', b'"campaign":"'])
def test_text_that_is_no_text_is_damage(place: bytes) -> None:
    """One byte that UTF-8 does not know, such as a bit that flipped has made."""
    good = encode_manifest(GOOD)
    at = good.index(place) + len(place)
    with pytest.raises(CorruptDataError):
        decode_manifest(good[:at] + b"\x80" + good[at + 1 :], "x")
