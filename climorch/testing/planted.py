"""Faults of durability that are put into the library, to see that they are found.

The test of the tests of `climorch.testing.power_loss`: each leaves out, or moves, one
thing that a power cut makes matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from climorch.storage import commit, durable, files, inbox, journal, removal, results
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import MANIFEST, Manifest, encode_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["PLANTED", "Planted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault of the library.

    Attributes
    ----------
    scenario : str
        The one of `climorch.testing.power_scenarios` in which it matters.
    deaf : tuple of str
        What the library never asks for; see `RecordingFiles`.
    patch : callable
        Makes a context manager that puts the fault in.
    since : str
        Note after which it can show.
    every : int
        Which moments from there on are enough to see it.
    """

    scenario: str
    since: str = ""
    every: int = 20
    deaf: tuple[str, ...] = ()
    patch: Callable[[], AbstractContextManager[object]] = nullcontext


def _nothing(*args: object) -> None:
    """Do nothing, where something should be flushed."""


@contextmanager
def _within(owner: Any, function: str, **changed: Any) -> Iterator[None]:
    """Change operations of the durable layer, but only inside one function."""
    original = getattr(owner, function)

    def faulty(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            for name, replacement in changed.items():
                stack.enter_context(mock.patch.object(durable, name, replacement))
            return original(*args, **kwargs)

    with mock.patch.object(owner, function, faulty):
        yield


def _in_place(
    path: str | os.PathLike[str], data: Buffer | Sequence[Buffer]
) -> os.stat_result:
    """Write a file under its own name, flushed as it should be."""
    durable.remove_file(path)
    disk = files.current()
    descriptor = disk.create(os.fspath(path), 0o444)
    try:
        for part in data if isinstance(data, list | tuple) else (data,):
            disk.write(descriptor, memoryview(part).cast("B"))
        disk.sync_data(descriptor)
        return os.fstat(descriptor)
    finally:
        disk.close(descriptor)


def _unflushed_directories(path: str | os.PathLike[str]) -> None:
    """Make a directory and its parents."""
    target = Path(path)
    for directory in (*reversed(target.parents), target):
        if not directory.is_dir():
            durable.make_directory(directory)


@contextmanager
def _manifest_last() -> Iterator[None]:
    """Rename first, then write the manifest."""
    promote = commit.promote

    def late(
        layout: Layout, epoch: int, directory: Path, manifest: Manifest
    ) -> Checkpoint:
        checkpoint = promote(layout, epoch, directory, manifest)
        durable.write_durably(checkpoint.path / MANIFEST, encode_manifest(manifest))
        durable.fsync_directory(checkpoint.path)
        return checkpoint

    with (
        mock.patch.object(commit, "seal", _nothing),
        mock.patch.object(commit, "promote", late),
    ):
        yield


_COMMITS, _WISHES = "first commits and results", "wishes"

PLANTED: dict[str, Planted] = {
    "directories are never flushed": Planted(
        scenario=_COMMITS, deaf=("sync_directory",), since="committed 1"
    ),
    "files get their name before they are flushed": Planted(
        scenario=_COMMITS, deaf=("sync_data",), since="committed 1"
    ),
    "the manifest is written after the commit": Planted(
        scenario=_COMMITS, patch=_manifest_last, every=1000
    ),
    "what is in a checkpoint has no flushed names": Planted(
        scenario=_COMMITS,
        patch=lambda: _within(commit, "promote", fsync_tree=_nothing),
        since="committed 1",
    ),
    "the folder of checkpoints has no flushed name": Planted(
        scenario=_COMMITS,
        patch=lambda: _within(
            commit, "promote", make_directories=_unflushed_directories
        ),
        since="committed 1",
    ),
    "results are switched before their chunks are there": Planted(
        scenario=_COMMITS,
        patch=lambda: _within(results.ResultStore, "_publish", fsync_tree=_nothing),
        since="committed 1",
        every=5,
    ),
    "results are changed in place": Planted(
        scenario=_COMMITS,
        patch=lambda: mock.patch.object(
            results, "write_through", lambda way, path, data: _in_place(path, data)
        ),
        since="committed 2",
        every=2,
    ),
    "a deletion is not flushed": Planted(
        scenario="retention",
        patch=lambda: _within(removal, "take_away", rename_durably=durable.rename),
        since="deleted 1",
    ),
    "new folders are not flushed": Planted(
        scenario=_WISHES,
        patch=lambda: mock.patch.object(
            durable, "make_directories", _unflushed_directories
        ),
    ),
    "a wish is given in place": Planted(
        scenario=_WISHES,
        patch=lambda: _within(inbox, "put", write_durably=_in_place),
        every=1,
    ),
    "a wish is not flushed": Planted(
        scenario=_WISHES,
        patch=lambda: _within(inbox, "put", fsync_directory=_nothing),
    ),
    "a new journal is not flushed": Planted(
        scenario="a new journal",
        patch=lambda: _within(journal, "create", fsync_directory=_nothing),
    ),
    "an archive gets its name before it is flushed": Planted(
        scenario="archive", deaf=("sync_data",), since="archived 1"
    ),
}
"""By what is wrong."""
