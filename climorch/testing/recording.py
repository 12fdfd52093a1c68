"""A file system that writes down what it is asked for.

Decides what one operation changes: names, bytes, or what is flushed. Files and
directories are numbered, so that a record says what happened whatever they are
called later. `climorch.testing.power_loss` replays records.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from climorch.errors import NotFoundError
from climorch.storage.files import Files, OsFiles

__all__ = ["ROOT", "Flushed", "Names", "Note", "Operation", "RecordingFiles", "Written"]

ROOT = 0
"""Number of the folder that is watched."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names that change together, or not at all.

    Attributes
    ----------
    changes : tuple of (int, str, int or None)
        Directory, name in it, and what that means from now on; None: nothing.
    what : str
        In words.
    directory : bool
        Whether a directory was made.
    settled : bool
        Whether it is durable by itself: it was there before anybody watched.
    """

    changes: tuple[tuple[int, str, int | None], ...]
    what: str
    directory: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes of a file.

    Attributes
    ----------
    file, offset : int
        Which, and where they begin.
    data : bytes
        The bytes.
    settled : bool
        As in `Names`.
    """

    file: int
    offset: int
    data: bytes
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Flushed:
    """A file's bytes, or a directory's names, are on the device.

    Attributes
    ----------
    node : int
        Which file or directory.
    """

    node: int


@dataclass(frozen=True, slots=True)
class Note:
    """Somebody was told that something is durable.

    Attributes
    ----------
    text : str
        What.
    """

    text: str


Operation: TypeAlias = Names | Written | Flushed | Note


class RecordingFiles:
    """Does what it is asked for, and keeps a record of it.

    Use it with `climorch.storage.files.using`. Any thread may.

    Parameters
    ----------
    root : Path
        The folder to watch; what is in it already counts as durable. What happens
        elsewhere is done and not recorded.
    deaf : collection of str
        Operations that are left out, as if the code under test did not ask for
        them: ``"sync_data"``, ``"sync_directory"``.
    """

    def __init__(self, root: Path, *, deaf: Collection[str] = ()) -> None:
        self.operations: list[Operation] = []
        self._root = os.fspath(root)
        self._deaf = frozenset(deaf)
        self._files: Files = OsFiles()
        self._lock = threading.RLock()
        self._directories: dict[int, dict[str, int]] = {ROOT: {}}
        self._open: dict[int, tuple[int, int]] = {}
        self._empty: set[int] = set()
        self._count = ROOT
        for name in sorted(os.listdir(root)):
            self._node(os.path.join(self._root, name))
        self.beforehand = len(self.operations)
        """How many of the operations say what was there."""

    def note(self, text: str) -> None:
        """Write down that somebody was told so, at this moment."""
        with self._lock:
            self.operations.append(Note(text))

    # -- the port -----------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        """Make a directory."""
        with self._lock:
            self._files.make_directory(path)
            if self._watched(path):
                node = self._new()
                self._directories[node] = {}
                self._name(path, node, "mkdir", directory=True)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._remove(path, self._files.remove_directory, "rmdir")

    def create(self, path: str, mode: int) -> int:
        """Make a file."""
        with self._lock:
            descriptor = self._files.create(path, mode)
            if self._watched(path):
                node = self._new()
                self._open[descriptor] = (node, 0)
                self._empty.add(node)
                self._name(path, node, "create")
        return descriptor

    def append_to(self, path: str, mode: int) -> int:
        """Open a file to write at its end."""
        with self._lock:
            known = os.path.lexists(path)
            node = self._node(path) if known and self._watched(path) else None
            descriptor = self._files.append_to(path, mode)
            if self._watched(path):
                if node is None:
                    node = self._new()
                    self._name(path, node, "create")
                self._open[descriptor] = (node, os.fstat(descriptor).st_size)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write."""
        with self._lock:
            count = self._files.write(descriptor, data)
            if descriptor in self._open:
                node, offset = self._open[descriptor]
                self._empty.discard(node)
                self._open[descriptor] = (node, offset + count)
                self.operations.append(Written(node, offset, bytes(data[:count])))
        return count

    def reserve(self, descriptor: int, size_bytes: int) -> None:
        """Reserve space; what it holds is nothing, so it is not recorded."""
        self._files.reserve(descriptor, size_bytes)

    def sync_data(self, descriptor: int) -> None:
        """Flush a file."""
        with self._lock:
            self._files.sync_data(descriptor)
            if descriptor in self._open and "sync_data" not in self._deaf:
                self.operations.append(Flushed(self._open[descriptor][0]))

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        with self._lock:
            self._open.pop(descriptor, None)
            self._files.close(descriptor)

    def sync_directory(self, path: str) -> None:
        """Flush the names in a directory."""
        with self._lock:
            self._files.sync_directory(path)
            if self._watched(path, itself=True) and "sync_directory" not in self._deaf:
                self.operations.append(Flushed(self._node(path)))

    def rename(self, source: str, destination: str) -> None:
        """Rename."""
        if not (self._watched(source) or self._watched(destination)):
            self._files.rename(source, destination)
            return
        with self._lock:
            node = self._node(source)
            same = os.path.exists(destination) and self._node(destination) == node
            self._files.rename(source, destination)
            if same:
                # Two names of one file: the kernel keeps both.
                return
            (parent, name), (other, new) = self._place(source), self._place(destination)
            del self._directories[parent][name]
            self._directories[other][new] = node
            self.operations.append(
                Names(
                    ((parent, name, None), (other, new, node)),
                    f"rename {self._short(source)} to {self._short(destination)}",
                )
            )

    def link(self, source: str, destination: str) -> None:
        """Give a file one more name."""
        if not (self._watched(source) or self._watched(destination)):
            self._files.link(source, destination)
            return
        with self._lock:
            node = self._node(source)
            self._files.link(source, destination)
            if node in self._empty:
                # A database that was made, written and flushed by somebody else.
                content = Path(source).read_bytes()
                self.operations.append(Written(node, 0, content, settled=True))
            self._name(destination, node, "link")

    def unlink(self, path: str) -> None:
        """Take a name away."""
        self._remove(path, self._files.unlink, "unlink")

    # -- names and numbers --------------------------------------------------------

    def _watched(self, path: str, *, itself: bool = False) -> bool:
        inside = path.startswith(self._root + os.sep)
        return inside or (itself and path == self._root)

    def _new(self) -> int:
        self._count += 1
        return self._count

    def _short(self, path: str) -> str:
        return os.path.relpath(path, self._root)

    def _place(self, path: str) -> tuple[int, str]:
        """Return the directory in which a name is, and the name."""
        directory, name = os.path.split(path)
        return self._node(directory), name

    def _node(self, path: str) -> int:
        """Return the number of what is at a path; what is unknown is taken in."""
        if path == self._root:
            return ROOT
        if not self._watched(path):
            raise NotFoundError(f"{path} is not in {self._root}, which is recorded")
        parent, name = self._place(path)
        known = self._directories[parent].get(name)
        return self._adopt(path, parent, name) if known is None else known

    def _adopt(self, path: str, parent: int, name: str) -> int:
        """Take in what somebody else made and flushed, such as a database."""
        if not os.path.lexists(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        node = self._new()
        self._directories[parent][name] = node
        folder = os.path.isdir(path)
        self.operations.append(
            Names(
                ((parent, name, node),),
                f"found {self._short(path)}",
                directory=folder,
                settled=True,
            )
        )
        if folder:
            self._directories[node] = {}
            for inner in sorted(os.listdir(path)):
                self._node(os.path.join(path, inner))
        else:
            content = Path(path).read_bytes()
            self.operations.append(Written(node, 0, content, settled=True))
        return node

    def _name(
        self, path: str, node: int, verb: str, *, directory: bool = False
    ) -> None:
        parent, name = self._place(path)
        self._directories[parent][name] = node
        what = f"{verb} {self._short(path)}"
        self.operations.append(
            Names(((parent, name, node),), what, directory=directory)
        )

    def _remove(self, path: str, remove: Callable[[str], None], verb: str) -> None:
        with self._lock:
            remove(path)
            if self._watched(path):
                parent, name = self._place(path)
                self._directories[parent].pop(name, None)
                self.operations.append(
                    Names(((parent, name, None),), f"{verb} {self._short(path)}")
                )
