"""What the durable layer asks of a file system, and the real one.

Decides nothing. Every change that shall outlive the process goes through one object
of this kind, so that it can be recorded, and replayed up to any moment of a power
cut, as `climorch.testing.recording` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = [
    "LARGE_BYTES",
    "Files",
    "OsFiles",
    "current",
    "leave_cache",
    "read_once",
    "using",
]

LARGE_BYTES = 2**20
"""Files of this size, in bytes, leave the system's cache."""


class Files(Protocol):
    """Operations that change what is on a disk.

    Every one raises `OSError` as the system does. Descriptors are numbers that
    only the same object understands.
    """

    def make_directory(self, path: str) -> None:
        """Make one directory; its parent exists, itself does not."""

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""

    def create(self, path: str, mode: int) -> int:
        """Make a file that is not there yet; return a descriptor to write to."""

    def append_to(self, path: str, mode: int) -> int:
        """Open a file to write at its end; made where it is missing."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write; return how many bytes were taken."""

    def reserve(self, descriptor: int, size_bytes: int) -> None:
        """Give a new file so much space that later writes need no more."""

    def sync_data(self, descriptor: int) -> None:
        """Return once content and length of a file are on the device."""

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""

    def sync_directory(self, path: str) -> None:
        """Return once the names in a directory are on the device."""

    def rename(self, source: str, destination: str) -> None:
        """Give a file or directory another name; replaces a file."""

    def link(self, source: str, destination: str) -> None:
        """Give a file one more name, which is not there yet."""

    def unlink(self, path: str) -> None:
        """Take a name away from a file."""


class OsFiles:
    """The file system of this machine."""

    def make_directory(self, path: str) -> None:
        """Make one directory, which others than its group may never write into."""
        os.mkdir(path, 0o775)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def create(self, path: str, mode: int) -> int:
        """Make a file that is not there yet."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def append_to(self, path: str, mode: int) -> int:
        """Open a file to write at its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write as much as the system takes at once."""
        return os.write(descriptor, data)

    def reserve(self, descriptor: int, size_bytes: int) -> None:
        """Reserve blocks, not a hole: a sparse file would hold no space."""
        os.posix_fallocate(descriptor, 0, size_bytes)

    def sync_data(self, descriptor: int) -> None:
        """Flush content and length."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def sync_directory(self, path: str) -> None:
        """Flush the names in a directory."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: str, destination: str) -> None:
        """Rename within this file system."""
        os.rename(source, destination)

    def link(self, source: str, destination: str) -> None:
        """Make a hard link."""
        os.link(source, destination)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)


_files: Files = OsFiles()


def current() -> Files:
    """Return what all durable writes of this process go through now."""
    return _files


@contextmanager
def using(files: Files) -> Iterator[None]:
    """Let all durable writes of this process go through something else.

    Of the whole process, not of a thread: for tests and for what records.

    Parameters
    ----------
    files : Files
        What takes the place of the real file system.
    """
    global _files
    before, _files = _files, files
    try:
        yield
    finally:
        _files = before


def read_once(path: str | os.PathLike[str]) -> bytes:
    """Read a file that is not read again soon; a large one leaves the cache.

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
    OSError
        If it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        content = file.readall()
        if len(content) >= LARGE_BYTES:
            leave_cache(file.fileno())
    return content


def leave_cache(descriptor: int) -> None:
    """Give a clean file's pages back; those of the next one cost no new memory."""
    # Elsewhere than on Linux there is no such call, and nothing is lost without.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
