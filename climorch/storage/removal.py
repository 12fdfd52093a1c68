"""How a checkpoint goes: to the trash for a while, or aside as evidence."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from climorch.storage import durable
from climorch.storage.layout import Layout
from climorch.storage.passage import take_away

__all__ = ["empty_trash", "set_aside", "throw_away"]


def throw_away(
    layout: Layout,
    epoch: int,
    simulation: str,
    set_name: str,
    boundary: int,
    stamp_s: int,
) -> bool:
    """Move a checkpoint to the trash; see `CheckpointStore.delete`."""
    path = layout.boundaries(simulation, set_name).get(boundary)
    if path is None:
        return False
    with durable.translated("delete checkpoint", path):
        durable.make_directories(layout.trash)
        unique = uuid.uuid4().hex[:12]
        take_away(layout, epoch, path, layout.trash / f"{stamp_s}-{unique}-{path.name}")
    return True


def empty_trash(layout: Layout, now_s: float, older_than_s: float) -> int:
    """Delete what is old; see `CheckpointStore.purge_trash`."""
    old = [n for n, stamp_s in layout.thrown_away() if stamp_s + older_than_s <= now_s]
    for name in old:
        with durable.translated("empty the trash", layout.trash / name):
            durable.remove_tree(layout.trash / name)
    return len(old)


def set_aside(layout: Layout, epoch: int, path: Path) -> None:
    """Move a damaged checkpoint out of the way and keep it as evidence.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    epoch : int
        Of this driver.
    path : Path
        The checkpoint; a missing one is fine.

    Raises
    ------
    ConflictError
        If this driver was superseded.
    BackendError
        If the file system fails.
    """
    names = (path.parent.parent.name, path.parent.name, path.name)
    with durable.translated("set aside", path):
        durable.make_directories(layout.damaged)
        number = len(os.listdir(layout.damaged))
        target = layout.damaged / f"{'~'.join(names)}~{number}"
        if path.exists():
            take_away(layout, epoch, path, target)
