"""Chunks of arrays as files: written, linked, read and checked on the nodes.

Decides when a file may be linked instead of written, and what is compared when
one is read. Ignores which chunks belong together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from climorch.errors import CorruptDataError, InvalidInputError
from climorch.storage import durable
from climorch.storage.codec import (
    CRC_BYTES,
    Array,
    damage,
    decode_chunk,
    decode_payload,
    encode,
    encode_chunk,
    little_endian,
    raw_hash,
)

__all__ = [
    "RECEIPTS",
    "Check",
    "ChunkJob",
    "ChunkReceipt",
    "LinkSource",
    "ReceiptLine",
    "decode_chunk",
    "encode_chunk",
    "read_checked",
    "read_chunk",
    "read_file",
    "write_chunks",
]

RECEIPTS = "receipts"
"""Directory, within the one being written, of what each writer has finished."""

_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class Check(Protocol):
    """What a chunk is compared with; a manifest's entry is one."""

    @property
    def length(self) -> int:
        """Bytes of the file."""

    @property
    def crc32c(self) -> int:
        """CRC-32C of the file without its last four bytes, which repeat it."""

    @property
    def raw_xxh3(self) -> str | None:
        """XXH3-128 of the raw values, in hex; None is not compared."""


class LinkSource(msgspec.Struct, frozen=True, kw_only=True):
    """An existing chunk file that may already hold the wanted values.

    Attributes
    ----------
    path : str
        Absolute path.
    raw_xxh3 : str
        As in `ChunkReceipt`.
    length, crc32c, inode, mtime_ns : int
        The file as it was when it was last verified or written.
    trusted : bool
        True: of a committed, verified checkpoint, linked where inode, length and
        mtime still match. False: of an attempt that broke, read and compared
        first.
    """

    path: str
    raw_xxh3: str
    length: int
    crc32c: int
    inode: int
    mtime_ns: int
    trusted: bool


class ChunkJob(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk to be written.

    Attributes
    ----------
    key : str
        Posix path relative to the directory being written.
    dtype : str
        NumPy type string, little-endian.
    shape : tuple of int
        Of the block, which has to have it exactly.
    chunk_shape : tuple of int
        Of the chunk grid; the block is padded to it.
    sources : tuple of LinkSource
        Files of the same type and shapes that may be linked instead.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    sources: tuple[LinkSource, ...] = ()

    @property
    def form(self) -> str:
        """What has to be equal, beside the hash, for two files to be equal."""
        shapes = ["x".join(map(str, s)) for s in (self.chunk_shape, self.shape)]
        return ":".join((self.dtype, *shapes))


class ChunkReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk that was written or linked.

    Attributes
    ----------
    key : str
        Posix path relative to the directory being written.
    raw_xxh3 : str
        XXH3-128, in hex, of the block's values: not padded, C order,
        little-endian.
    length : int
        Bytes of the file.
    crc32c : int
        CRC-32C of the file without its last four bytes. They repeat it, and the
        CRC over data *and* their CRC is the same number for all intact files.
    inode, mtime_ns : int
        Of the file.
    raw_bytes : int
        Bytes of the block's values.
    linked : bool
        Whether it is a further name of an existing file.
    salvaged : bool
        Whether that file comes from an attempt that broke: it shares nothing
        with a checkpoint.
    """

    key: str
    raw_xxh3: str
    length: int
    crc32c: int
    inode: int
    mtime_ns: int
    raw_bytes: int
    linked: bool = False
    salvaged: bool = False


class ReceiptLine(ChunkReceipt, frozen=True, kw_only=True):
    """A receipt as it is kept beside the chunks.

    Attributes
    ----------
    form : str
        `ChunkJob.form`.
    params_digest : str
        Of the parameters that the values were computed with.
    """

    form: str
    params_digest: str


def write_chunks(
    directory: str | os.PathLike[str],
    jobs: Sequence[ChunkJob],
    arrays: Sequence[npt.ArrayLike],
    *,
    writer: str,
    params_digest: str,
) -> list[ChunkReceipt]:
    """Write blocks, or link files that hold the same values already.

    Each finished chunk is noted in ``receipts/<writer>.jsonl`` so that a later
    attempt can link it if this one breaks. The notes are flushed once, at the
    end: losing one costs writing its chunk again, nothing else.

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
    if not _WRITER.fullmatch(writer):
        message = (
            f"writer {writer!r}: not a file name; use 1 to 100 letters, digits, "
            "'.', '_' or '-', first a letter or digit"
        )
        raise InvalidInputError(message, writer=writer)
    notes = os.path.join(directory, RECEIPTS, f"{writer}.jsonl")
    encoder = msgspec.json.Encoder()
    receipts = []
    with durable.translated("write chunks", directory):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(notes, flags, 0o644)
        try:
            for job, array in zip(jobs, arrays, strict=True):
                receipt = _write(os.path.join(directory, job.key), job, array)
                line = ReceiptLine(
                    **msgspec.structs.asdict(receipt),
                    form=job.form,
                    params_digest=params_digest,
                )
                os.write(descriptor, encoder.encode(line) + b"\n")
                receipts.append(receipt)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return receipts


def read_chunk(
    path: str | os.PathLike[str],
    entry: Check,
    dtype: npt.DTypeLike,
    chunk_shape: Sequence[int],
    shape: Sequence[int],
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
        block = decode_payload(view[:-CRC_BYTES], np.dtype(dtype), chunk_shape, shape)
    except CorruptDataError as error:
        raise _corrupt(path, str(error)) from error
    if entry.raw_xxh3 is not None and raw_hash(block) != entry.raw_xxh3:
        raise _corrupt(path, f"values do not have the hash {entry.raw_xxh3}")
    block.flags.writeable = False
    return block


def read_checked(path: str | os.PathLike[str], entry: Check) -> memoryview:
    """Read a chunk's file and compare length and CRC, without decoding it.

    Parameters
    ----------
    path : path
        The chunk's file.
    entry : Check
        Length and CRC that it has to have.

    Returns
    -------
    memoryview
        The whole content.

    Raises
    ------
    CorruptDataError
        If the file is missing or not what was written.
    BackendError
        If the file system fails.
    """
    view = memoryview(read_file(path))
    if len(view) != entry.length:
        raise _corrupt(path, f"has {len(view)} bytes, expected {entry.length}")
    problem = damage(view, entry.crc32c)
    if problem is not None:
        raise _corrupt(path, problem)
    return view


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
            return Path(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise _corrupt(path, "is missing") from error


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
    encoded = encode(block, job.chunk_shape)
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
    with suppress(FileNotFoundError):
        os.unlink(path)
    return False
