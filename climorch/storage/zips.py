"""Zip files of plain stores: written as a stream, read as untrusted input.

Members are stored and not compressed, since chunks are compressed already: so nothing
in such a file is larger than the file, and a member that claims to be is refused. What
is read has to be exactly what a list says, name by name and byte by byte.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Protocol

import xxhash

from climorch.errors import CorruptDataError
from climorch.storage.names import is_safe_key

__all__ = ["Sink", "ZipReader", "write_zip"]

# The oldest that zip knows: equal content gives equal bytes, whenever it is written.
_DATE = (1980, 1, 1, 0, 0, 0)


class Sink(Protocol):
    """Where a stream of bytes goes."""

    def write(self, data: bytes, /) -> object:
        """Take some more."""


class _Counting:
    """A file that zip can write to: not to be sought in, counted and hashed."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.length = 0
        self.hash = xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        self._sink.write(data)
        self.hash.update(data)
        self.length += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the sink flushes itself."""


def write_zip(sink: Sink, members: Iterable[tuple[str, bytes]]) -> tuple[int, str]:
    """Write members one behind the other.

    Parameters
    ----------
    sink : Sink
        Gets the bytes in order.
    members : iterable of (str, bytes)
        Posix path and content of each; taken one at a time.

    Returns
    -------
    length, xxh3 : int, str
        Of the whole; XXH3-128 in hex. Equal members give equal bytes.
    """
    target = _Counting(sink)
    # No seek and no tell: zip then writes lengths behind each member.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for key, content in members:
            info = zipfile.ZipInfo(key, _DATE)
            info.external_attr = 0o444 << 16
            archive.writestr(info, content)
    return target.length, target.hash.hexdigest()


class ZipReader:
    """A zip file from somewhere else, of which nothing is taken on trust.

    Parameters
    ----------
    file : binary file
        Open, can be sought in.
    length : int
        Its length in bytes, by whoever keeps it.
    place : str
        Where it is, for messages.

    Raises
    ------
    CorruptDataError
        If it is no zip file; if a member is compressed, encrypted, has an unsafe name
        or one that is there twice; if all members claim more than the file has.
    OSError
        If the file cannot be read, here as in `read`.
    """

    def __init__(self, file: IO[bytes], length: int, place: str) -> None:
        self._place = place
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            if isinstance(error.__context__, OSError):
                # Says nothing about the file.
                raise error.__context__ from error
            raise self._corrupt(f"is no zip file that can be read ({error})") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        claimed = 0
        for info in self._zip.infolist():
            problem = _problem(info)
            if problem is None and info.filename in self._members:
                problem = "is there twice"
            if problem is not None:
                raise self._corrupt(f"member {info.filename[:200]!r} {problem}")
            self._members[info.filename] = info
            claimed += info.file_size
        if claimed > length:
            raise self._corrupt(
                f"its members claim {claimed} bytes, and it has {length}: they overlap"
            )

    @property
    def lengths(self) -> Mapping[str, int]:
        """Bytes of each member by its name."""
        return {name: info.file_size for name, info in self._members.items()}

    def read(self, key: str, most_bytes: int) -> bytes:
        """Return the content of a member, compared with its CRC-32.

        Parameters
        ----------
        key : str
            Its name.
        most_bytes : int
            More than that is refused before it is read.

        Raises
        ------
        CorruptDataError
            If there is none, or it is too long or damaged.
        """
        info = self._members.get(key)
        if info is None:
            raise self._corrupt(f"has no member {key!r}")
        if info.file_size > most_bytes:
            problem = f"has {info.file_size} bytes, expected at most {most_bytes}"
            raise self._corrupt(f"member {key!r} {problem}")
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
            raise self._corrupt(f"member {key!r} is damaged ({error})") from error

    def refuse_others(self, expected: Iterable[str]) -> None:
        """Refuse names that nobody expects.

        Parameters
        ----------
        expected : iterable of str
            All that may be there.

        Raises
        ------
        CorruptDataError
            With some of those that are too much.
        """
        others = sorted(self._members.keys() - set(expected))
        if others:
            shown = ", ".join(repr(name[:200]) for name in others[:5])
            raise self._corrupt(f"has {len(others)} unlisted members: {shown}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def _corrupt(self, problem: str) -> CorruptDataError:
        message = f"archive '{self._place}': {problem}; keep it and use another copy"
        return CorruptDataError(message, place=self._place, problem=problem)


def _problem(info: zipfile.ZipInfo) -> str | None:
    if not is_safe_key(info.filename):
        return "has a name that is not safe in a path"
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return "is compressed, which our archives are not"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.header_offset < 0:
        # A file would answer as if the disk were to blame.
        return "begins before the file"
    return None
