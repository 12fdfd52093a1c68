"""A checkpoint read again, to find what became bad before it is needed.

Decides what is done about it: repaired from another copy; else, if a restore would
read it, the checkpoint is set aside so that nothing is restored or linked from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from climorch.errors import CorruptDataError
from climorch.storage.finding import committed, load
from climorch.storage.layout import Layout
from climorch.storage.manifest import MANIFEST, OUTPUTS
from climorch.storage.removal import set_aside
from climorch.storage.repair import repair
from climorch.storage.verify import verify

__all__ = ["Scrubbed", "scrub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What a reading found.

    Attributes
    ----------
    repaired : tuple of str
        Files that were bad and are good again.
    bad : tuple of (str, str)
        Files that are bad, and in what way.
    damaged : bool
        Whether the checkpoint cannot be restored from any more. It was set aside.
    """

    repaired: tuple[str, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()
    damaged: bool = False

    @property
    def good(self) -> bool:
        """Whether all was as committed."""
        return not (self.repaired or self.bad)


def scrub(
    layout: Layout,
    epoch: int,
    simulation: str,
    set_name: str,
    boundary: int,
    pace: Callable[[int], None],
) -> Scrubbed:
    """Read a checkpoint, and repair it; see `CheckpointStore.scrub`."""
    path = layout.boundaries(simulation, set_name).get(boundary)
    if path is None:
        return Scrubbed()
    repaired: list[str] = []
    try:
        checkpoint = load(layout, simulation, set_name, boundary)
    except CorruptDataError as error:
        bad = [(MANIFEST, str(error.facts["problem"]))]
    else:
        bad = []
        found = verify(path, checkpoint.manifest, pace=pace).bad
        others = [
            other
            for other in (committed(layout, simulation, set_name) if found else ())
            if other.boundary != boundary
        ]
        for key, problem in found:
            # Deleted meanwhile: then all of it is missing, and nothing is bad.
            if not path.is_dir():
                return Scrubbed()
            known = key in checkpoint.manifest.entries
            if known and repair(layout, epoch, checkpoint, key, others):
                repaired.append(key)
            else:
                bad.append((key, problem))
    if not path.is_dir():
        return Scrubbed()
    # Outputs are published by then: no restore reads them.
    damaged = any(not key.startswith(f"{OUTPUTS}/") for key, _ in bad)
    if damaged:
        set_aside(layout, epoch, path)
    return Scrubbed(repaired=tuple(repaired), bad=tuple(bad), damaged=damaged)
