from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from climorch.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    InvalidInputError,
)
from climorch.model.codec import Codec
from climorch.storage import codec, durable, files
from climorch.storage.chunks import (
    ChunkJob,
    ChunkReceipt,
    LinkSource,
    read_chunk,
    write_chunks,
)

Array = npt.NDArray[Any]
DTYPES = ["bool", "i1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]


def values(dtype: str, shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape))
    return (np.arange(count) % 7 - 3).astype(dtype).reshape(shape)


def folder(path: Path) -> Path:
    (path / "receipts").mkdir(parents=True)
    return path


def job(key: str, array: Array, *sources: LinkSource) -> ChunkJob:
    dtype = array.dtype.newbyteorder("<").str
    return ChunkJob(
        key=key,
        dtype=dtype,
        shape=array.shape,
        chunk_shape=tuple(max(1, n) for n in array.shape),
        sources=sources,
    )


def source(path: Path, receipt: ChunkReceipt, *, trusted: bool = True) -> LinkSource:
    return LinkSource(
        path=str(path / receipt.key),
        raw_xxh3=receipt.raw_xxh3,
        length=receipt.length,
        crc32c=receipt.crc32c,
        inode=receipt.inode,
        mtime_ns=receipt.mtime_ns,
        trusted=trusted,
    )


def write_one(path: Path, array: Array, *sources: LinkSource) -> ChunkReceipt:
    (receipt,) = write_chunks(
        path, [job("k", array, *sources)], [array], writer="w", params_digest="p"
    )
    return receipt


def test_receipt_tells_what_was_written(tmp_path: Path) -> None:
    """A receipt has the raw hash, sizes and identity of the file."""
    root = folder(tmp_path / "a")
    receipt = write_one(root, np.arange(4, dtype="<i4"))
    status = (root / "k").stat()
    assert receipt == ChunkReceipt(
        key="k",
        raw_xxh3="5211a8db825216270898ce701a11e56c",
        length=status.st_size,
        crc32c=int.from_bytes((root / "k").read_bytes()[-4:], "little"),
        inode=status.st_ino,
        mtime_ns=status.st_mtime_ns,
        raw_bytes=16,
    )
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_receipts_are_kept_beside_the_chunks(tmp_path: Path) -> None:
    """Each finished chunk is a line of its writer's file, with form and parameters."""
    root = folder(tmp_path / "a")
    write_one(root, np.arange(4, dtype="<i4"))
    write_one(root, np.arange(4, dtype="<i4"))
    lines = (root / "receipts" / "w.jsonl").read_text().splitlines()
    assert [msgspec.json.decode(ln)["form"] for ln in lines] == ["<i4:4:4", "<i4:4:4"]
    assert msgspec.json.decode(lines[0])["params_digest"] == "p"


def test_equal_hash_is_linked(tmp_path: Path) -> None:
    """A chunk whose values are unchanged is a link to the old file."""
    old, new = folder(tmp_path / "a"), folder(tmp_path / "b")
    array = np.arange(4.0)
    first = write_one(old, array)
    second = write_one(new, array, source(old, first))
    assert second.linked
    assert not second.salvaged
    assert second.inode == first.inode == (new / "k").stat().st_ino


def test_other_hash_is_written(tmp_path: Path) -> None:
    """A chunk whose values changed is written."""
    old, new = folder(tmp_path / "a"), folder(tmp_path / "b")
    first = write_one(old, np.arange(4.0))
    second = write_one(new, np.arange(4.0) + 1, source(old, first))
    assert not second.linked
    assert second.inode != first.inode


@pytest.mark.parametrize("what", ["touched", "gone", "other inode"])
def test_source_that_is_not_as_verified_is_not_linked(
    tmp_path: Path, what: str
) -> None:
    """A file whose inode, size or mtime changed since its verification is not used."""
    old, new = folder(tmp_path / "a"), folder(tmp_path / "b")
    array = np.arange(4.0)
    known = source(old, write_one(old, array))
    if what == "touched":
        os.utime(old / "k", ns=(1, 1))
    elif what == "gone":
        (old / "k").unlink()
    else:
        known = msgspec.structs.replace(known, inode=known.inode + 1)
    receipt = write_one(new, array, known)
    assert not receipt.linked
    assert (new / "k").stat().st_nlink == 1
    np.testing.assert_array_equal(
        read_chunk(new / "k", receipt, "f8", (4,), (4,)), array
    )


def test_source_of_a_broken_attempt_is_read_first(tmp_path: Path) -> None:
    """A file of a broken attempt is linked if whole, and not if damaged."""
    old, new = folder(tmp_path / "a"), folder(tmp_path / "b")
    array = np.arange(4.0)
    known = source(old, write_one(old, array), trusted=False)
    receipt = write_one(new, array, known)
    assert receipt.linked
    assert receipt.salvaged
    (old / "k").chmod(0o644)
    with (old / "k").open("r+b") as file:
        file.seek(20)
        file.write(b"\xff")
    # The same file under both names.
    (new / "k").unlink()
    assert not write_one(new, array, known).linked


def test_block_unlike_its_job_is_refused(tmp_path: Path) -> None:
    """A block of another type or shape than declared is refused with both."""
    root = folder(tmp_path / "a")
    asked = job("T/c/0", np.zeros(4, "f4"))
    for array in (np.zeros(4), np.zeros(3, "f4")):
        with pytest.raises(
            InvalidInputError, match=r"'T/c/0': block is .* expected <f4"
        ):
            write_chunks(root, [asked], [array], writer="w", params_digest="p")


def test_block_changed_while_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that somebody writes into meanwhile is found out."""
    array = np.arange(4.0)
    whole = codec.encode

    def encode(
        block: Array, chunk_shape: tuple[int, ...], kind: Codec
    ) -> codec.Encoded:
        array[0] = 9
        return whole(block, chunk_shape, kind)

    monkeypatch.setattr("climorch.storage.chunks.encode", encode)
    with pytest.raises(InvalidInputError, match="'k': its values changed while"):
        write_one(folder(tmp_path / "a"), array)


def test_writer_needs_a_safe_name(tmp_path: Path) -> None:
    """A writer's name cannot leave the directory."""
    with pytest.raises(InvalidInputError, match=r"writer '\.\./x': not a file name"):
        write_chunks(tmp_path, [], [], writer="../x", params_digest="p")


def test_missing_directory_means_fenced(tmp_path: Path) -> None:
    """Directories are never made: where one is gone, the attempt is over."""
    with pytest.raises(ConflictError, match="its directory is gone"):
        write_one(tmp_path / "gone", np.zeros(2))
    root = folder(tmp_path / "a")
    asked = job("T/c/0", np.zeros(2))
    with pytest.raises(ConflictError, match="its directory is gone"):
        write_chunks(root, [asked], [np.zeros(2)], writer="w", params_digest="p")


def test_full_disk_is_a_failure_of_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk surfaces as such, and what was finished before is noted."""
    root = folder(tmp_path / "a")
    written: list[Any] = []
    whole = durable.write_durably

    def full(path: Any, data: Any) -> os.stat_result:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        return whole(path, data)

    monkeypatch.setattr(durable, "write_durably", full)
    arrays = [np.zeros(2), np.ones(2)]
    jobs = [job("k0", arrays[0]), job("k1", arrays[1])]
    with pytest.raises(BackendError, match="No space left"):
        write_chunks(root, jobs, arrays, writer="w", params_digest="p")
    lines = (root / "receipts" / "w.jsonl").read_text().splitlines()
    assert [msgspec.json.decode(line)["key"] for line in lines] == ["k0"]


def test_read_block_cannot_be_changed(tmp_path: Path) -> None:
    """A block that was read is not writeable, with and without padding."""
    root = folder(tmp_path / "a")
    array = np.arange(3.0)
    padded = msgspec.structs.replace(job("k", array), chunk_shape=(5,))
    (receipt,) = write_chunks(root, [padded], [array], writer="w", params_digest="p")
    back = read_chunk(root / "k", receipt, "f8", (5,), (3,))
    np.testing.assert_array_equal(back, array)
    assert not back.flags.writeable


def damage_flip(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Any] = {
    "flip": damage_flip,
    "cut": lambda path, other: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path, other: path.write_bytes(b""),
    "missing": lambda path, other: path.unlink(),
    "zeroed": lambda path, other: path.write_bytes(bytes(path.stat().st_size)),
    "swapped": damage_swap,
    "a directory": lambda path, other: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_found_when_read(tmp_path: Path, damage: str) -> None:
    """A chunk that is not what was written is never given out."""
    root = folder(tmp_path / "a")
    arrays = [np.arange(4.0), np.arange(4.0) + 1]
    jobs = [job("k0", arrays[0]), job("k1", arrays[1])]
    receipts = write_chunks(root, jobs, arrays, writer="w", params_digest="p")
    (root / "k0").chmod(0o644)
    DAMAGES[damage](root / "k0", root / "k1")
    with pytest.raises(CorruptDataError, match=r"k0.*use another copy"):
        read_chunk(root / "k0", receipts[0], "f8", (4,), (4,))


def test_wrong_values_with_a_right_crc_are_found(tmp_path: Path) -> None:
    """Values are compared with their hash, size with the array."""
    root = folder(tmp_path / "a")
    receipt = write_one(root, np.arange(4.0))
    other = msgspec.structs.replace(receipt, raw_xxh3="0" * 32)
    with pytest.raises(CorruptDataError, match="do not have the hash 000"):
        read_chunk(root / "k", other, "f8", (4,), (4,))
    with pytest.raises(CorruptDataError, match="holds 32 bytes of values, expected 16"):
        read_chunk(root / "k", receipt, "f4", (4,), (4,))


def test_ill_disk_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error while reading may pass and is not taken for damage."""
    root = folder(tmp_path / "a")
    receipt = write_one(root, np.arange(4.0))

    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "read_once", fail)
    with pytest.raises(BackendError, match="Input/output"):
        read_chunk(root / "k", receipt, "f8", (4,), (4,))
