"""Chunks of arrays as files: written, linked, read and checked on the nodes.

Decides when a file may be linked instead of written, and what is compared when
one is read. Ignores which chunks belong together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from climorch.errors import CorruptDataError, InvalidInputError
from climorch.model.codec import LZ4, Codec
from climorch.storage import durable, files
from climorch.storage.codec import (
    CRC_BYTES,
    Array,
    Bytes,
    as_bytes,
    damage,
    decode_chunk,
    decode_payload,
    encode,
    encode_chunk,
    little_endian,
    raw_hash,
)
from climorch.storage.jobs import (
    RECEIPTS,
    Check,
    ChunkJob,
    ChunkReceipt,
    LinkSource,
    ReceiptLine,
)

__all__ = [
    "RECEIPTS",
    "Check",
    "ChunkJob",
    "ChunkReceipt",
    "LinkSource",
    "ReceiptLine",
    "chunk_problem",
    "decode_chunk",
    "encode_chunk",
    "read_checked",
    "read_chunk",
    "read_file",
    "write_chunks",
]

_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def write_chunks(
    directory: str | os.PathLike[str],
    jobs: Sequence[ChunkJob],
    arrays: Sequence[npt.ArrayLike],
    *,
    writer: str,
    params_digest: str,
) -> list[ChunkReceipt]:
    """Write blocks, or link files that hold the same values already.

    Finished chunks are noted in ``receipts/<writer>.jsonl`` for the attempt after
    this one. Flushed once, at the end: a lost note costs one more write, no more.

    Parameters
    ----------
    directory : path
        The one being written. Directories are never made here: a missing one
        means that this attempt is over.
    jobs : sequence of ChunkJob
        What to write.
    arrays : sequence of array_like
        Block of each job. Nobody may write into them meanwhile.
    writer : str
        Name of this writer, unlike that of all others at work here.
    params_digest : str
        Of the parameters that the values were computed with.

    Returns
    -------
    list of ChunkReceipt
        In the order of the jobs.

    Raises
    ------
    InvalidInputError
        If a block has not the type or shape of its job, or changed meanwhile.
    ConflictError
        If a directory is gone.
    BackendError
        If the file system fails.
    """
    _check_writer(writer)
    notes = os.path.join(directory, RECEIPTS, f"{writer}.jsonl")
    receipts = []
    with (
        durable.translated("write chunks", directory),
        durable.appending(notes) as append,
    ):
        for job, array in zip(jobs, arrays, strict=True):
            receipt = _write(os.path.join(directory, job.key), job, array)
            line = ReceiptLine(
                **msgspec.structs.asdict(receipt),
                form=job.form,
                params_digest=params_digest,
            )
            append(msgspec.json.encode(line) + b"\n")
            receipts.append(receipt)
    return receipts


def read_chunk(
    path: str | os.PathLike[str],
    entry: Check,
    dtype: npt.DTypeLike,
    chunk_shape: Sequence[int],
    shape: Sequence[int],
    codec: Codec = LZ4,
) -> Array:
    """Read a block and compare it with what was written.

    Parameters
    ----------
    path : path
        The chunk's file.
    entry : Check
        Length, CRC and hash that it has to have.
    dtype : data type
        Of the array.
    chunk_shape, shape : sequence of int
        Of the chunk grid, and of this block without padding.
    codec : Codec
        Of the array.

    Returns
    -------
    ndarray, shape `shape`
        The values, in C order, not writeable.

    Raises
    ------
    CorruptDataError
        If the file is missing or not what was written.
    BackendError
        If the file system fails.
    """
    view = read_checked(path, entry)
    try:
        block = decode_payload(
            view[:-CRC_BYTES], np.dtype(dtype), chunk_shape, shape, codec
        )
    except CorruptDataError as error:
        raise _corrupt(path, str(error)) from error
    if entry.raw_xxh3 is not None and raw_hash(block) != entry.raw_xxh3:
        raise _corrupt(path, f"values do not have the hash {entry.raw_xxh3}")
    block.flags.writeable = False
    return block


def read_checked(path: str | os.PathLike[str], entry: Check) -> Bytes:
    """Read a chunk's file and compare length and CRC, without decoding it.

    Parameters
    ----------
    path : path
        The chunk's file.
    entry : Check
        Length and CRC that it has to have.

    Returns
    -------
    ndarray of uint8
        The whole content.

    Raises
    ------
    CorruptDataError
        If the file is missing or not what was written.
    BackendError
        If the file system fails.
    """
    view = as_bytes(read_file(path))
    problem = chunk_problem(view, entry)
    if problem is not None:
        raise _corrupt(path, problem)
    return view


def chunk_problem(content: Bytes, entry: Check) -> str | None:
    """Say in what a chunk's content is not what it has to be.

    Parameters
    ----------
    content : ndarray of uint8
        Of its file.
    entry : Check
        Length and CRC that it has to have.

    Returns
    -------
    str or None
        None: it is what was written.
    """
    if len(content) != entry.length:
        return f"has {len(content)} bytes, expected {entry.length}"
    return damage(content, entry.crc32c)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read a file that was stored here.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    CorruptDataError
        If there is no such file.
    BackendError
        If the file system fails.
    """
    with durable.translated("read", path):
        try:
            return files.read_once(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise _corrupt(path, "is missing") from error


def _check_writer(writer: str) -> None:
    if not _WRITER.fullmatch(writer):
        message = (
            f"writer {writer!r}: not a file name; use 1 to 100 letters, digits, "
            "'.', '_' or '-', first a letter or digit"
        )
        raise InvalidInputError(message, writer=writer)


def _corrupt(path: str | os.PathLike[str], problem: str) -> CorruptDataError:
    message = f"file '{path}': {problem}; keep it as evidence and use another copy"
    return CorruptDataError(message, path=str(path), problem=problem)


def _write(path: str, job: ChunkJob, array: npt.ArrayLike) -> ChunkReceipt:
    block = little_endian(array)
    if block.dtype.str != job.dtype or block.shape != job.shape:
        message = (
            f"chunk '{job.key}': block is {block.dtype.str} {block.shape}, expected "
            f"{job.dtype} {job.shape}; let the step return what it declares"
        )
        raise InvalidInputError(message, key=job.key)
    raw_xxh3 = raw_hash(block)
    for source in job.sources:
        if source.raw_xxh3 == raw_xxh3 and _link(source, path):
            return ChunkReceipt(
                key=job.key,
                raw_xxh3=raw_xxh3,
                length=source.length,
                crc32c=source.crc32c,
                inode=source.inode,
                mtime_ns=source.mtime_ns,
                raw_bytes=block.nbytes,
                linked=True,
                salvaged=not source.trusted,
            )
    encoded = encode(block, job.chunk_shape, job.codec)
    # Costs 3 % of the encoding and finds what writes into a state in the background.
    if raw_hash(block) != raw_xxh3:
        message = (
            f"chunk '{job.key}': its values changed while they were written; let "
            "the step return new arrays instead of writing into old ones"
        )
        raise InvalidInputError(message, key=job.key)
    status = durable.write_durably(path, [encoded.payload, encoded.trailer])
    return ChunkReceipt(
        key=job.key,
        raw_xxh3=raw_xxh3,
        length=status.st_size,
        crc32c=encoded.crc32c,
        inode=status.st_ino,
        mtime_ns=status.st_mtime_ns,
        raw_bytes=block.nbytes,
    )


class _Expected(NamedTuple):
    length: int
    crc32c: int
    raw_xxh3: str | None = None


def _link(source: LinkSource, path: str) -> bool:
    """Link a source if it still is what it was; else leave nothing behind."""
    if not source.trusted:
        try:
            read_checked(source.path, _Expected(source.length, source.crc32c))
        except CorruptDataError:
            return False
    if not durable.link_or_none(source.path, path):
        return False
    # Looked at under its new name: the old one may change at any time.
    status = os.stat(path)
    if (status.st_ino, status.st_size, status.st_mtime_ns) == (
        source.inode,
        source.length,
        source.mtime_ns,
    ):
        return True
    durable.remove_file(path)
    return False
