"""What workers are asked to write, and what they answer."""

from __future__ import annotations

from typing import Protocol

import msgspec

from climorch.model.codec import LZ4, Codec

__all__ = [
    "RECEIPTS",
    "Check",
    "ChunkJob",
    "ChunkReceipt",
    "LinkSource",
    "ReceiptLine",
]

RECEIPTS = "receipts"
"""Directory, within the one being written, of what each writer has finished."""


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
        Files of the same type, shapes and codec that may be linked instead.
    codec : Codec
        How it is compressed.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    sources: tuple[LinkSource, ...] = ()
    codec: Codec = LZ4

    @property
    def form(self) -> str:
        """What has to be equal, beside the hash, for two files to be equal."""
        shapes = ["x".join(map(str, s)) for s in (self.chunk_shape, self.shape)]
        told = (self.dtype, *shapes)
        if self.codec != LZ4:
            told += (self.codec.name, str(self.codec.level))
        return ":".join(told)


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
