"""The checkpoints of a campaign: begun, committed, found again and deleted.

Decides the order of the protocol. A checkpoint exists from one rename on, fully
or not at all, and a driver that was superseded cannot make that rename.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from climorch.errors import NotAllowedError
from climorch.storage import durable
from climorch.storage.begin import begin
from climorch.storage.commit import commit, take_outputs
from climorch.storage.fencing import give_up, refuse_if_fenced, take_over, tidy
from climorch.storage.finding import committed, load, opened
from climorch.storage.finishing import finish
from climorch.storage.inflight import Checkpoint, CheckpointRequest, InFlight
from climorch.storage.jobs import ChunkReceipt
from climorch.storage.layout import Layout
from climorch.storage.names import check_names
from climorch.storage.removal import empty_trash, set_aside, throw_away
from climorch.storage.repair import Donor
from climorch.storage.scrub import Scrubbed, scrub
from climorch.storage.template import TemplateCache
from climorch.storage.verify import (
    Pace,
    VerifyReport,
    at_once,
    physically_independent,
    verify,
)

if TYPE_CHECKING:
    import cftime
    import xarray as xr

__all__ = [
    "TRASH_KEPT_S",
    "Checkpoint",
    "CheckpointRequest",
    "CheckpointStore",
    "InFlight",
    "Scrubbed",
    "VerifyReport",
    "physically_independent",
]

TRASH_KEPT_S = 24 * 3600
"""How long what was deleted stays for those who read it, in seconds."""


class CheckpointStore:
    """Checkpoints below ``<root>/<campaign>``.

    Every method raises `BackendError` where the file system fails: what was committed
    stays. Every one that writes raises `ConflictError` where there is a newer driver.

    Parameters
    ----------
    root : path
        Folder of all campaigns.
    campaign : str
        Which one.
    epoch : int, optional
        Number of this driver, which fences first; without it the store only reads.

    Raises
    ------
    InvalidInputError
        If the campaign's name is not safe in a path.
    """

    def __init__(
        self, root: str | os.PathLike[str], campaign: str, epoch: int | None = None
    ) -> None:
        check_names("checkpoints cannot be opened", ("campaign", campaign))
        self.campaign = campaign
        self.layout = Layout(Path(root).absolute() / campaign)
        self._epoch = epoch
        self._templates = TemplateCache()
        self.donor: Donor | None = None

    @property
    def epoch(self) -> int:
        """Number of this driver; a store for reading has none: `NotAllowedError`."""
        if self._epoch is None:
            message = (
                f"checkpoints of '{self.campaign}' were opened for reading; open them "
                "with the epoch that the journal gave to this driver"
            )
            raise NotAllowedError(message, campaign=self.campaign)
        return self._epoch

    # -- taking over --------------------------------------------------------------

    def fence(self) -> list[Path]:
        """Take the campaign over: no older driver can commit from here on.

        Everything that they left in flight is renamed; their next write, or the
        rename that would commit, finds its directory gone. Again: does nothing.
        Returned are folders of broken attempts; `complete` finishes those it can.
        """
        return take_over(self.layout, self.epoch)

    def complete(self, path: Path) -> Checkpoint | None:
        """Finish a folder that `fence` gave; None where it is not whole.

        Its chunks are still taken by the next attempt.
        """
        refuse_if_fenced(self.layout, self.epoch)
        return finish(self.layout, self.epoch, path)

    def tidy(self) -> None:
        """Delete what `fence` found and `complete` had no use for, but chunks."""
        tidy(self.layout, self.epoch)

    # -- writing ------------------------------------------------------------------

    def final_path(
        self, simulation: str, set: str, boundary: int, model_time: cftime.datetime
    ) -> Path:
        """Return the path that a checkpoint has once it is committed."""
        return self.layout.final(simulation, set, boundary, model_time.isoformat())

    def begin(self, request: CheckpointRequest) -> InFlight:
        """Make every directory and everything but the chunks of fields.

        The workers then do each of its jobs with `chunks.write_chunks`.

        Raises
        ------
        InvalidInputError
            If a name is not safe or a dataset cannot be stored.
        """
        request.check()
        refuse_if_fenced(self.layout, self.epoch)
        return begin(self.layout, self.epoch, self._templates, request)

    def add_outputs(
        self,
        in_flight: InFlight,
        stage: str,
        segment: int,
        staged: str | os.PathLike[str],
        receipts: Iterable[ChunkReceipt],
    ) -> list[ChunkReceipt]:
        """Take staged diagnostics of a segment into a checkpoint.

        Parameters
        ----------
        in_flight : InFlight
            The checkpoint.
        stage, segment : str, int
            Whose diagnostics.
        staged : path
            Their directory, on the same file system; it is moved.
        receipts : iterable of ChunkReceipt
            Of its chunks, relative to it.

        Returns
        -------
        list of ChunkReceipt
            The same, relative to the checkpoint; pass them to `commit`.

        Raises
        ------
        InvalidInputError
            If the stage's name is not safe.
        ConflictError
            If one of the directories is gone, or this segment is there already.
        """
        check_names("diagnostics cannot be taken over", ("stage", stage))
        return take_outputs(in_flight, stage, segment, Path(staged), receipts)

    def commit(
        self, in_flight: InFlight, receipts: Iterable[ChunkReceipt]
    ) -> Checkpoint:
        """Make an in-flight checkpoint exist, by one rename.

        Parameters
        ----------
        in_flight : InFlight
            From `begin`.
        receipts : iterable of ChunkReceipt
            Exactly one for each expected chunk.

        Returns
        -------
        Checkpoint
            Found from now on after any crash.

        Raises
        ------
        CorruptDataError
            If anything is missing, too much or not what was written.
        ConflictError
            If another checkpoint of this boundary is there.
        """
        return commit(self.layout, self.epoch, in_flight, receipts)

    def abandon(self, in_flight: InFlight, *, keep: bool = True) -> None:
        """Give an in-flight checkpoint up; nobody can write into it any more.

        Parameters
        ----------
        in_flight : InFlight
            From `begin`; one that is gone already is fine.
        keep : bool
            Whether its chunks are kept for the next attempt at this boundary, or
            deleted to make space.
        """
        directory, whose = in_flight.directory, in_flight.request.simulation
        if keep:
            give_up(self.layout, self.epoch, directory, whose)
        else:
            with durable.translated("delete", directory):
                durable.remove_tree(directory)

    def list(self, simulation: str, set: str) -> list[Checkpoint]:
        """Find the checkpoints of a set that have a good manifest, newest first."""
        return [*committed(self.layout, simulation, set)]

    def newest(self, simulation: str, set: str) -> Checkpoint | None:
        """Find the newest committed checkpoint of a set that has a good manifest."""
        return next(committed(self.layout, simulation, set), None)

    def load(self, simulation: str, set: str, boundary: int) -> Checkpoint:
        """Return one checkpoint that should be there.

        Its manifest is checked; its chunks are checked as they are read.

        Raises
        ------
        CorruptDataError
            If it is missing or its manifest is damaged: use an older one.
        """
        return load(self.layout, simulation, set, boundary)

    def opened(self, checkpoint: Checkpoint) -> dict[str, dict[str, xr.Dataset]]:
        """Open all of a checkpoint but the values of its fields.

        Returns
        -------
        dict of tree to dict of stage to Dataset
            With exact types. Fields only describe themselves (`chunks.read_chunk`
            reads them); everything else is checked and loaded.

        Raises
        ------
        CorruptDataError
            If a file is missing or not what was written.
        """
        return opened(checkpoint)

    def verify(self, checkpoint: Checkpoint) -> VerifyReport:
        """Read every file of a checkpoint; report all that is not as committed."""
        return verify(checkpoint.path, checkpoint.manifest)

    def scrub(
        self, simulation: str, set: str, boundary: int, *, pace: Pace = at_once
    ) -> Scrubbed:
        """Read a checkpoint, and repair what has another copy; see `scrub.scrub`."""
        refuse_if_fenced(self.layout, self.epoch)
        at = self.layout, self.epoch, simulation, set, boundary
        return scrub(*at, pace, self.donor)

    # -- removing -----------------------------------------------------------------

    def delete(
        self, simulation: str, set: str, boundary: int, *, now_s: float | None = None
    ) -> bool:
        """Move a checkpoint to the trash, where readers go on; False: there is none.

        Parameters
        ----------
        simulation, set, boundary
            Which one.
        now_s : float, optional
            Seconds since 1970 (UTC); the computer's clock where it is not given.
        """
        stamp_s = int(time.time() if now_s is None else now_s)
        return throw_away(self.layout, self.epoch, simulation, set, boundary, stamp_s)

    def purge_trash(self, now_s: float, *, older_than_s: float = TRASH_KEPT_S) -> int:
        """Delete what has been in the trash for long enough; return how many.

        Parameters
        ----------
        now_s : float
            Seconds since 1970 (UTC).
        older_than_s : float
            How long it is kept, in seconds; 0 frees all space at once.
        """
        refuse_if_fenced(self.layout, self.epoch)
        return empty_trash(self.layout, now_s, older_than_s)

    def set_aside(self, simulation: str, set: str, boundary: int) -> None:
        """Keep a damaged checkpoint as evidence, out of use; a missing one is fine."""
        path = self.layout.boundaries(simulation, set).get(boundary)
        if path is not None:
            set_aside(self.layout, self.epoch, path)
