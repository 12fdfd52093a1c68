"""Where archives lie: a folder, or a bucket behind an object store.

Decides how bytes get there and back. Ignores what they mean. A folder goes through
the durable layer, like all else on a disk; a bucket through fsspec. Both show a file
once it is whole, never before.
"""

from __future__ import annotations

import errno
import io
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

import fsspec

from climorch.errors import BackendError, Fault, InvalidInputError
from climorch.storage import durable

__all__ = ["AwayError", "Bucket", "Depot", "Folder", "open_depot"]

COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which an object has to be asked back before it can be read."""

_BLOCK_BYTES = 16 * 2**20
_RECALLED_DAYS = 7
# An unfinished file and the driver that began it; older ones did not say.
_BEGUN = re.compile(rf"{re.escape(durable.TEMPORARY_PREFIX)}(?:(\d{{1,19}})-)?")


class AwayError(BackendError):
    """An archive is on a medium from which it comes back in hours."""


class Depot(Protocol):
    """Keeps files by posix paths."""

    def put(
        self, path: str, write: Callable[[IO[bytes]], None], *, epoch: int = 0
    ) -> None:
        """Let ``write`` fill a file that is there once it returned, or not at all.

        What lies there is replaced: so no two drivers may write to one path.

        Parameters
        ----------
        path : str
            Where.
        write : callable
            Fills it.
        epoch : int
            Of the driver: what newer ones have begun is left alone.
        """

    def length(self, path: str) -> int | None:
        """Return the bytes of a file; None: there is none."""

    def open(self, path: str) -> IO[bytes]:
        """Open a file to read and seek; `AwayError` if it cannot be read now."""

    def send_away(self, path: str) -> None:
        """Move a file to the cheap and slow medium, if there is one."""

    def ask_back(self, path: str) -> bool:
        """Return whether a file can be read; else ask for it."""

    def url(self, path: str) -> str:
        """Return the address of a file."""


class _Appending:
    def __init__(self, append: Callable[[bytes], None]) -> None:
        self.write = append


class Folder:
    """A folder on some file system.

    Parameters
    ----------
    home : Path
        Absolute; made where it is missing.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    def put(self, path: str, write: Callable[[Any], None], *, epoch: int = 0) -> None:
        """Write beside, flush, rename, flush the folder."""
        target = self._home / path
        with durable.translated("write an archive", target):
            durable.make_directories(target.parent)
            # Of drivers that were killed: one uploads at a time, and one that is
            # superseded and writes on finds its file gone.
            for name in os.listdir(target.parent):
                if (begun := _BEGUN.match(name)) and int(begun[1] or 0) <= epoch:
                    durable.remove_file(target.parent / name)
            name = f"{durable.TEMPORARY_PREFIX}{epoch}-{uuid.uuid4().hex}"
            temporary = target.parent / name
            try:
                with durable.appending(temporary) as append:
                    write(_Appending(append))
                durable.rename_durably(temporary, target)
            except BaseException:
                with suppress(OSError):
                    durable.remove_file(temporary)
                raise

    def length(self, path: str) -> int | None:
        """Return the bytes of a file."""
        with durable.translated("look at an archive", self._home / path):
            try:
                return (self._home / path).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open(self, path: str) -> IO[bytes]:
        """Open a file."""
        try:
            return (self._home / path).open("rb")
        except OSError as error:
            message = f"cannot read the archive '{self.url(path)}': {error}"
            raise BackendError(message, path=path, errno=error.errno) from error

    def send_away(self, path: str) -> None:
        """Do nothing: whether a folder is on tape is its file system's affair."""

    def ask_back(self, path: str) -> bool:
        """Return True: reading brings it back, however long that takes."""
        return True

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return (self._home / path).as_uri()


class _Remote(io.RawIOBase):
    """A file of fsspec, of which nothing but `OSError` is raised."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go somewhere else in the file."""
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        """Read some of the file."""
        try:
            data = self._file.read(len(buffer))
        except OSError:
            raise
        # What aiohttp raises where a transfer breaks off has no common class but this.
        except Exception as error:
            raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close it."""
        self._file.close()
        super().close()


class Bucket:
    """A prefix in an object store that speaks S3.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    options : mapping
        For ``s3fs.S3FileSystem``: endpoint, key, secret.
    storage_class : str
        Where objects are moved once they are verified, such as ``"GLACIER"``; empty:
        they stay where they were written.

    Raises
    ------
    InvalidInputError
        If s3fs is not installed.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any], storage_class: str = ""
    ) -> None:
        try:
            # An object may change under a listing that was kept.
            self._fs, home = fsspec.core.url_to_fs(
                url, use_listings_cache=False, **options
            )
        except ImportError as error:
            fault = Fault(
                place="Archive.url",
                problem=f"{url!r} needs s3fs, which is not installed",
                remedy="install climorch[s3]",
            )
            raise InvalidInputError("no such archive", faults=[fault]) from error
        self._home = str(home).rstrip("/")
        self._class = storage_class

    def put(
        self, path: str, write: Callable[[IO[bytes]], None], *, epoch: int = 0
    ) -> None:
        """Upload in parts; the object appears when all are there."""
        with self._told("write", path):
            file = self._fs.open(
                self._key(path), "wb", block_size=_BLOCK_BYTES, autocommit=False
            )
            try:
                write(file)
                file.close()
                file.commit()
            except BaseException:
                # Closed without a commit: parts that were sent are given up.
                file.closed = True
                with suppress(Exception):
                    file.discard()
                raise

    def length(self, path: str) -> int | None:
        """Return the bytes of an object."""
        with self._told("look at", path):
            try:
                return int(self._fs.info(self._key(path), refresh=True)["size"])
            except FileNotFoundError:
                return None

    def open(self, path: str) -> IO[bytes]:
        """Open an object; parts of it are read ahead."""
        with self._told("read", path):
            if self._head(path)[0]:
                raise AwayError(
                    f"archive '{self.url(path)}' has to be asked back first",
                    path=path,
                )
            return io.BufferedReader(_Remote(self._fs.open(self._key(path), "rb")))

    def send_away(self, path: str) -> None:
        """Change the storage class of an object."""
        if self._class:
            key = self._key(path)
            with self._told("change the storage class of", path):
                self._fs.copy(
                    key, key, StorageClass=self._class, MetadataDirective="COPY"
                )

    def ask_back(self, path: str) -> bool:
        """Return whether an object can be read; else ask for it, once."""
        with self._told("ask for", path):
            away, asked = self._head(path)
            if not away:
                return True
            if not asked:
                bucket, _, key = self._key(path).partition("/")
                self._fs.call_s3(
                    "restore_object",
                    Bucket=bucket,
                    Key=key,
                    RestoreRequest={"Days": _RECALLED_DAYS},
                )
            return not self._head(path)[0]

    def url(self, path: str) -> str:
        """Return the address of an object."""
        return f"s3://{self._key(path)}"

    def _head(self, path: str) -> tuple[bool, bool]:
        """Tell whether an object is away, and whether it was asked for."""
        bucket, _, key = self._key(path).partition("/")
        head = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        restore = head.get("Restore") or ""
        away = head.get("StorageClass") in COLD and 'request="false"' not in restore
        return away, bool(restore)

    def _key(self, path: str) -> str:
        return f"{self._home}/{path}"

    @contextmanager
    def _told(self, action: str, path: str) -> Iterator[None]:
        try:
            yield
        except BackendError:
            raise
        # What botocore and aiohttp raise has no common class but this.
        except Exception as error:
            message = (
                f"cannot {action} the archive '{self.url(path)}': "
                f"{type(error).__name__}: {error}; check address, keys and network"
            )
            raise BackendError(message, path=path, action=action) from error


def open_depot(
    url: str, options: Mapping[str, Any] | None = None, storage_class: str = ""
) -> Depot:
    """Open the place that a URL names.

    Parameters
    ----------
    url : str
        ``file:///folder`` or ``s3://bucket/prefix``.
    options : mapping or None
        For fsspec; a folder has none.
    storage_class : str
        As for `Bucket`.

    Returns
    -------
    Depot
        Nothing is written yet.

    Raises
    ------
    InvalidInputError
        If it is another kind of URL, or s3fs is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return Folder(Path(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        return Bucket(url, options or {}, storage_class)
    fault = Fault(
        place="Archive.url",
        problem=f"got {url!r}",
        remedy="use 'file:///absolute/folder' or 's3://bucket/prefix'",
    )
    raise InvalidInputError("no such archive", faults=[fault])
