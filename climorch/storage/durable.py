"""The few operations by which anything becomes durable.

Decides in which order bytes, names and directories reach the disk. Ignores what
they mean. Everything that the library makes durable as files goes through here,
and from here through one `files.Files`, so that one place can be watched, recorded
or made to fail. A test sees to it that nothing in the package goes another way.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from climorch.errors import BackendError, ConflictError
from climorch.storage import files

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "TEMPORARY_PREFIX",
    "appending",
    "fsync_directory",
    "fsync_tree",
    "link_new",
    "link_or_none",
    "make_directories",
    "make_directory",
    "make_new_directory",
    "make_new_file",
    "remove_directory",
    "remove_file",
    "remove_tree",
    "rename",
    "rename_durably",
    "translated",
    "write_durably",
]

TEMPORARY_PREFIX = ".tmp-"
"""Names that start so are unfinished files; anybody may delete them."""

_FLUSHES_AT_ONCE = 8

# "This file cannot be linked here", as opposed to "the disk is ill".
_NO_LINK = frozenset({errno.ENOENT, errno.EXDEV, errno.EPERM, errno.EMLINK})


@contextmanager
def translated(action: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn operating system errors into errors of this library.

    Parameters
    ----------
    action : str
        What is being done, for the message: ``"write chunk"``.
    path : path
        Where.

    Raises
    ------
    ConflictError
        If a directory is gone: another driver has taken the campaign over.
    BackendError
        For every other error of the file system (full, broken, read-only).
    """
    try:
        yield
    except FileNotFoundError as error:
        message = (
            f"cannot {action} at '{path}': its directory is gone, so this attempt "
            "was abandoned or fenced off by a newer driver; stop this attempt"
        )
        raise ConflictError(message, path=str(path), action=action) from error
    except OSError as error:
        message = (
            f"cannot {action} at '{path}': {error.strerror or error}; check free "
            "space, quota and health of the file system, then try again"
        )
        raise BackendError(
            message, path=str(path), action=action, errno=error.errno
        ) from error


def fsync_directory(path: str | os.PathLike[str]) -> None:
    """Flush the names in a directory (not what they point at).

    Parameters
    ----------
    path : path
        An existing directory.

    Raises
    ------
    OSError
        If it is no directory or cannot be flushed.
    """
    files.current().sync_directory(os.fspath(path))


def fsync_tree(root: str | os.PathLike[str]) -> None:
    """Flush every directory of a tree, children before parents.

    Files are not flushed: `write_durably` has done that already.

    Parameters
    ----------
    root : path
        An existing directory.

    Raises
    ------
    OSError
        If a directory cannot be read or flushed.
    """

    def fail(error: OSError) -> None:
        raise error

    levels: dict[int, list[str]] = {}
    for directory, _, _ in os.walk(root, onerror=fail):
        levels.setdefault(directory.count(os.sep), []).append(directory)
    # Side by side within a level: the file system joins flushes that are under way,
    # which on a busy disk makes a hundred of them 5 to 20 times as fast.
    with ThreadPoolExecutor(_FLUSHES_AT_ONCE) as executor:
        for _, directories in sorted(levels.items(), reverse=True):
            for _ in executor.map(fsync_directory, directories):
                pass


def make_new_directory(path: str | os.PathLike[str]) -> None:
    """Make one directory; `FileExistsError` if it is there, parents are not made."""
    files.current().make_directory(os.fspath(path))


def make_directory(path: str | os.PathLike[str]) -> None:
    """Make one directory whose parent exists; an existing one is fine.

    Parameters
    ----------
    path : path
        The directory.

    Raises
    ------
    FileNotFoundError
        If its parent does not exist: parents are never made here, because a
        parent that has gone away means that this writer was fenced off.
    """
    with suppress(FileExistsError):
        make_new_directory(path)


def make_directories(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Make a directory and its parents, durably.

    Parameters
    ----------
    path : path
        The innermost directory.

    Returns
    -------
    tuple of Path
        What was created, outermost first; empty where all was there.
    """
    target = Path(path)
    missing: list[Path] = []
    while not target.is_dir():
        missing.append(target)
        target = target.parent
    created = tuple(reversed(missing))
    for directory in created:
        make_directory(directory)
        fsync_directory(directory.parent)
    return created


def write_durably(
    path: str | os.PathLike[str], data: Buffer | Sequence[Buffer]
) -> os.stat_result:
    """Write a read-only file that exists fully or not at all.

    The bytes go to a uniquely named file in the same directory, are flushed, and
    take their name by one rename. The *name* is durable only once the directory
    is flushed too, which is left to the caller, who often has many files. Large
    files leave the system's cache, whose memory the model needs.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced. Its directory must exist.
    data : bytes-like, or list or tuple of bytes-like
        What to write; several parts are written one behind the other.

    Returns
    -------
    os.stat_result
        Of the written file.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind.
    """
    target = os.fspath(path)
    temporary = os.path.join(os.path.dirname(target), _unique_name())
    disk = files.current()
    descriptor = disk.create(temporary, 0o444)
    try:
        try:
            parts = data if isinstance(data, list | tuple) else (data,)
            for part in parts:
                _write_fully(descriptor, memoryview(part).cast("B"))
            disk.sync_data(descriptor)
            status = os.fstat(descriptor)
            if status.st_size >= files.LARGE_BYTES:
                files.leave_cache(descriptor)
        finally:
            disk.close(descriptor)
        disk.rename(temporary, target)
    except BaseException:
        with suppress(OSError):
            disk.unlink(temporary)
        raise
    return status


def make_new_file(
    path: str | os.PathLike[str], mode: int, *, reserve_bytes: int = 0
) -> None:
    """Make a file that somebody else fills: a database, or space set aside.

    Parameters
    ----------
    path : path
        The file; not there yet. Where an error is raised, it may be there.
    mode, reserve_bytes : int
        Its permissions, less what the umask takes; the space that it gets, bytes.
    """
    disk = files.current()
    descriptor = disk.create(os.fspath(path), mode)
    try:
        if reserve_bytes:
            disk.reserve(descriptor, reserve_bytes)
    finally:
        disk.close(descriptor)


@contextmanager
def appending(path: str | os.PathLike[str]) -> Iterator[Callable[[bytes], None]]:
    """Append to a file and flush it once, at the end.

    Parameters
    ----------
    path : path
        The file; made where it is missing. Its name is not flushed.

    Yields
    ------
    callable
        Appends the bytes that it is given; they outlive the process at once, and
        a power cut once the block was left without an exception.

    Raises
    ------
    OSError
        If it cannot be opened, written or flushed.
    """
    disk = files.current()
    descriptor = disk.append_to(os.fspath(path), 0o644)
    try:
        yield lambda data: _write_fully(descriptor, memoryview(data))
        disk.sync_data(descriptor)
    finally:
        disk.close(descriptor)


def rename(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> None:
    """Give a file or directory a new name; the caller flushes it."""
    files.current().rename(os.fspath(source), os.fspath(destination))


def rename_durably(
    source: str | os.PathLike[str], destination: str | os.PathLike[str]
) -> None:
    """Give a file or directory a new name and flush both parents.

    Parameters
    ----------
    source, destination : path
        On the same file system; the parent of `destination` must exist.

    Raises
    ------
    OSError
        If the rename or a flush fails. ENOENT: `source` is gone.
    """
    rename(source, destination)
    parents = {Path(source).parent, Path(destination).parent}
    for parent in sorted(parents, reverse=True):
        fsync_directory(parent)


def link_or_none(
    source: str | os.PathLike[str], destination: str | os.PathLike[str]
) -> bool:
    """Give an existing file a second name, where the file system can.

    Parameters
    ----------
    source, destination : path
        An existing file; its new name, which is replaced where it exists.

    Returns
    -------
    bool
        False where there is nothing to link or links are not possible
        (ENOENT, EXDEV, EPERM, EMLINK): write a copy instead.

    Raises
    ------
    OSError
        For any other error.
    """
    try:
        try:
            link_new(source, destination)
        except FileExistsError:
            files.current().unlink(os.fspath(destination))
            link_new(source, destination)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def link_new(
    source: str | os.PathLike[str], destination: str | os.PathLike[str]
) -> None:
    """Give a file one more name; `FileExistsError` if that is taken."""
    files.current().link(os.fspath(source), os.fspath(destination))


def remove_file(path: str | os.PathLike[str]) -> None:
    """Take a name away from a file; a missing one is fine."""
    with suppress(FileNotFoundError):
        files.current().unlink(os.fspath(path))


def remove_directory(path: str | os.PathLike[str]) -> None:
    """Remove an empty directory; a missing one is fine."""
    with suppress(FileNotFoundError):
        files.current().remove_directory(os.fspath(path))


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Delete a directory and all in it for good; a missing one is fine.

    Parameters
    ----------
    path : path
        The directory; links in it are removed, never followed.

    Raises
    ------
    OSError
        If something in it cannot be deleted.
    """

    def fail(error: OSError) -> None:
        # Gone meanwhile: somebody else removes it too.
        if not isinstance(error, FileNotFoundError):
            raise error

    for directory, folders, names in os.walk(path, topdown=False, onerror=fail):
        inner = [os.path.join(directory, name) for name in folders]
        # Links to directories are listed with them, and not walked into.
        links = [name for name in inner if os.path.islink(name)]
        for name in [*(os.path.join(directory, name) for name in names), *links]:
            remove_file(name)
        remove_directory(directory)


def _unique_name() -> str:
    return f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"


def _write_fully(descriptor: int, view: memoryview) -> None:
    # One write() moves at most 2 GiB and may stop early, e.g. near a quota.
    disk = files.current()
    while view:
        view = view[disk.write(descriptor, view) :]
