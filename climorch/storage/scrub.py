"""A checkpoint read again, to find what became bad before it is needed.

Decides what is done about it: repaired from another copy; else, if a restore would
read it, the checkpoint is set aside so that nothing is restored or linked from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from climorch.errors import CorruptDataError
from climorch.storage.finding import committed, load
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import MANIFEST, OUTPUTS
from climorch.storage.removal import set_aside
from climorch.storage.repair import Donor, repair
from climorch.storage.verify import Pace, verify

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
    pace: Pace,
    donor: Donor | None = None,
) -> Scrubbed:
    """Read a checkpoint to find rot early; repair what has another copy.

    One that stays bad is set aside, but not for diagnostics. One that is gone is good.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    epoch : int
        Of this driver.
    simulation, set_name, boundary
        Which one.
    pace, donor : callable
        As in `climorch.storage.verify.verify` and `climorch.storage.repair.repair`.

    Returns
    -------
    Scrubbed
        What was found, and done.

    Raises
    ------
    ConflictError
        If this driver was superseded.
    BackendError
        If the file system fails, which says nothing about the checkpoint.
    """
    path = layout.boundaries(simulation, set_name).get(boundary)
    if path is None:
        return Scrubbed()
    repaired: list[str] = []
    bad: list[tuple[str, str]] = []
    try:
        checkpoint = load(layout, simulation, set_name, boundary)
    except CorruptDataError as error:
        bad.append((MANIFEST, str(error.facts["problem"])))
    else:
        for key, problem in verify(path, checkpoint.manifest, pace=pace).bad:
            if _repaired(layout, epoch, checkpoint, key, donor):
                repaired.append(key)
            else:
                bad.append((key, problem))
    # Deleted meanwhile: then all of it is missing, and nothing is bad.
    if not path.is_dir():
        return Scrubbed()
    # Outputs are published by then: no restore reads them.
    damaged = any(not key.startswith(f"{OUTPUTS}/") for key, _ in bad)
    if damaged:
        set_aside(layout, epoch, path)
    return Scrubbed(repaired=tuple(repaired), bad=tuple(bad), damaged=damaged)


def _repaired(
    layout: Layout, epoch: int, checkpoint: Checkpoint, key: str, donor: Donor | None
) -> bool:
    """Repair a file from another copy of it, if there is one."""
    manifest = checkpoint.manifest
    if key not in manifest.entries or not checkpoint.path.is_dir():
        return False
    others = [
        other
        for other in committed(layout, manifest.simulation, manifest.set)
        if other.boundary != manifest.boundary
    ]
    return repair(layout, epoch, checkpoint, key, others, donor)
