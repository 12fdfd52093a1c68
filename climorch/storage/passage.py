"""Ways that a driver which was superseded can no longer take.

Whatever replaces or takes away something that others see is made beside the
driver's own in-flight folder first, or goes through it. A newer driver renames
that folder, so an older one that was paused in between finds nothing any more:
the rename itself fails, there is no moment between a check and the deed.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from climorch.storage import durable
from climorch.storage.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["bring_home", "link_through", "take_away", "write_through"]


def take_away(layout: Layout, epoch: int, path: Path, destination: Path) -> None:
    """Move a directory out of sight, by way of the driver's own folder.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    epoch : int
        Of this driver.
    path : Path
        What to move.
    destination : Path
        Its new name, in a directory that exists: the trash or the damaged ones.

    Raises
    ------
    OSError
        ENOENT: it is gone, or this driver was superseded.
    """
    way = layout.leaving(epoch, destination.parent)
    durable.make_directory(way)
    # Else a power cut between the two renames would lose what is to be kept.
    durable.fsync_directory(way.parent)
    durable.rename_durably(path, way / destination.name)
    durable.rename_durably(way / destination.name, destination)


def bring_home(layout: Layout, salvage: Path) -> None:
    """End the moves that a dead driver had begun; again: does nothing.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    salvage : Path
        What that driver had in flight, renamed already: nothing is added any more.
    """
    for home in (layout.trash, layout.damaged):
        way = salvage / layout.leaving(0, home).name
        if not way.is_dir():
            continue
        durable.make_directories(home)
        for name in sorted(os.listdir(way)):
            durable.rename_durably(way / name, home / name)
        durable.remove_directory(way)


def write_through(
    way: Path, path: str | os.PathLike[str], data: Buffer | Sequence[Buffer]
) -> None:
    """Write a file as `durable.write_durably` does, made in the driver's own folder.

    Parameters
    ----------
    way : Path
        In-flight folder of this driver, on the same file system.
    path : path
        The file; an existing one is replaced.
    data : bytes-like, or list or tuple of bytes-like
        What to write.

    Raises
    ------
    OSError
        ENOENT: a directory is gone, or this driver was superseded.
    """
    temporary = way / f"{durable.TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    durable.write_durably(temporary, data)
    _place(temporary, path)


def link_through(
    way: Path, source: str | os.PathLike[str], path: str | os.PathLike[str]
) -> bool:
    """Link a file as `durable.link_or_none` does, by way of the driver's own folder.

    Parameters
    ----------
    way : Path
        In-flight folder of this driver, on the same file system.
    source, path : path
        An existing file, and its new name; an existing one is replaced.

    Returns
    -------
    bool
        False where it cannot be linked: write a copy instead.

    Raises
    ------
    OSError
        ENOENT: this driver was superseded.
    """
    temporary = way / f"{durable.TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    if not durable.link_or_none(source, temporary):
        return False
    _place(temporary, path)
    return True


def _place(temporary: Path, path: str | os.PathLike[str]) -> None:
    try:
        durable.rename(temporary, path)
    finally:
        # Of two names of one file the kernel keeps both, and calls it a success.
        durable.remove_file(temporary)
