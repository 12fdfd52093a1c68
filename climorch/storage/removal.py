"""How a checkpoint goes: to the trash for a while, or aside as evidence."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from climorch.storage import durable
from climorch.storage.layout import Layout

__all__ = ["empty_trash", "set_aside", "throw_away"]


def throw_away(
    layout: Layout, simulation: str, set_name: str, boundary: int, stamp_s: int
) -> bool:
    """Move a checkpoint to the trash; see `CheckpointStore.delete`."""
    path = layout.boundaries(simulation, set_name).get(boundary)
    if path is None:
        return False
    with durable.translated("delete checkpoint", path):
        durable.move_to_trash(path, layout.trash, stamp_s=stamp_s)
    return True


def empty_trash(layout: Layout, now_s: float, older_than_s: float) -> int:
    """Delete what is old; see `CheckpointStore.purge_trash`."""
    old = [n for n, stamp_s in layout.thrown_away() if stamp_s + older_than_s <= now_s]
    for name in old:
        with durable.translated("empty the trash", layout.trash / name):
            durable.remove_tree(layout.trash / name)
    return len(old)


def set_aside(layout: Layout, path: Path) -> None:
    """Move a damaged checkpoint out of the way and keep it as evidence.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    path : Path
        The checkpoint; a missing one is fine.

    Raises
    ------
    BackendError
        If the file system fails.
    """
    target = layout.damaged / path.parent.parent.name / path.parent.name
    with durable.translated("set aside", path):
        durable.make_directories(target)
        number = len(os.listdir(target))
        with suppress(FileNotFoundError):
            durable.rename_durably(path, target / f"{path.name}~{number}")
