"""Who may write: the newest driver alone, and only attempts that go on.

Decides how older drivers and broken attempts are shut out: their folders get
another name, so whatever they do next finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from climorch.errors import ConflictError
from climorch.storage import durable
from climorch.storage.layout import AttemptFolder, Layout
from climorch.storage.passage import bring_home

__all__ = ["give_up", "left_of", "refuse_if_fenced", "take_over", "tidy"]


def take_over(layout: Layout, epoch: int) -> list[Path]:
    """Rename what older drivers have in flight; see `CheckpointStore.fence`."""
    own = layout.epoch(epoch)
    with durable.translated("fence older drivers", layout.inflight):
        durable.make_directories(layout.inflight)
        refuse_if_fenced(layout, epoch)
        durable.make_directories(own)
        for older in layout.epochs():
            if older == epoch:
                continue
            for salvage in layout.salvages(older):
                durable.rename_durably(salvage, own / salvage.name)
            durable.rename_durably(layout.epoch(older), layout.fenced(older, epoch))
        for salvage in layout.salvages(epoch):
            bring_home(layout, salvage)
    return [left.path for left in layout.left(epoch)]


def tidy(layout: Layout, epoch: int) -> None:
    """Delete what older drivers left and nobody can take from."""
    for salvage in layout.salvages(epoch):
        with durable.translated("delete what is of no use", salvage):
            for path in salvage.glob(f"{durable.TEMPORARY_PREFIX}*"):
                durable.remove_file(path)
    for folder in layout.unusable(epoch):
        with durable.translated("delete what is of no use", folder):
            durable.remove_tree(folder)


def refuse_if_fenced(layout: Layout, epoch: int) -> None:
    """Raise `ConflictError` if there is a newer driver."""
    newest = max(layout.epochs(), default=epoch)
    if newest > epoch:
        message = (
            f"campaign '{layout.campaign.name}' was taken over by driver {newest}; "
            f"this one is {epoch} and has to stop"
        )
        raise ConflictError(message, epoch=epoch, newest=newest)


def give_up(layout: Layout, epoch: int, directory: Path, simulation: str) -> None:
    """Shut the writers of an attempt out and keep its chunks for the next one."""
    target = layout.salvage(epoch, simulation, directory.name)
    with durable.translated("give up attempt", directory):
        if directory.exists():
            durable.make_directory(target.parent.parent)
            durable.make_directory(target.parent)
            with suppress(FileNotFoundError):
                durable.rename_durably(directory, target)


def left_of(
    layout: Layout, epoch: int, simulation: str, set_name: str
) -> Iterator[AttemptFolder]:
    """Find what broken attempts at a set left."""
    for left in layout.left(epoch):
        if (left.simulation, left.set) == (simulation, set_name):
            yield left
