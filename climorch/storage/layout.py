"""Where the checkpoints of a campaign lie, in flight, committed and thrown away."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from climorch.storage import durable
from climorch.storage.jobs import RECEIPTS

__all__ = ["AttemptFolder", "Layout", "output_notes", "staging_folder"]

# No simulation can be called so: names start with a letter or digit.
_SALVAGE = "_salvage-"
_LEAVING = "_leaving-"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFolder:
    """An in-flight folder that an attempt left behind.

    Attributes
    ----------
    path : Path
        Where it is.
    simulation, set : str
        Whose it is.
    boundary, attempt : int
        Common boundary and number of the attempt.
    """

    path: Path
    simulation: str
    set: str
    boundary: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below a campaign.

    Attributes
    ----------
    campaign : Path
        Directory of the campaign, absolute.
    """

    campaign: Path

    @property
    def inflight(self) -> Path:
        """All that is being written, one directory per epoch."""
        return self.campaign / "inflight"

    @property
    def trash(self) -> Path:
        """Deleted checkpoints, until nobody reads them any more."""
        return self.campaign / "trash"

    @property
    def damaged(self) -> Path:
        """Checkpoints that were found damaged, as evidence."""
        return self.campaign / "damaged"

    def runs(self, simulation: str, stage: str) -> Path:
        """Return the directory of the folders in which a stage's program runs."""
        return self.campaign / "runs" / simulation / stage

    def epoch(self, epoch: int) -> Path:
        """Return the directory of what a driver writes."""
        return self.inflight / str(epoch)

    def attempt(
        self, epoch: int, simulation: str, set_name: str, boundary: int, attempt: int
    ) -> Path:
        """Return the folder that an attempt writes into."""
        return self.epoch(epoch) / simulation / f"{set_name}-{boundary}.{attempt}"

    def committed(self, simulation: str, set_name: str) -> Path:
        """Return the directory of a set's committed checkpoints."""
        return self.campaign / "checkpoints" / simulation / set_name

    def final(
        self, simulation: str, set_name: str, boundary: int, model_time: str
    ) -> Path:
        """Return where a checkpoint will be.

        Parameters
        ----------
        simulation, set_name : str
            Whose it is.
        boundary : int
            Common boundary.
        model_time : str
            Its date, ISO 8601.

        Returns
        -------
        Path
            Absolute.
        """
        date = model_time.split("T")[0]
        return self.committed(simulation, set_name) / f"{date}-{boundary}"

    def boundaries(self, simulation: str, set_name: str) -> dict[int, Path]:
        """Return the committed checkpoints of a set, newest first."""
        names = _names(self.committed(simulation, set_name))
        found = {}
        for name in names:
            _, _, number = name.rpartition("-")
            if number.isdecimal():
                found[int(number)] = self.committed(simulation, set_name) / name
        return dict(sorted(found.items(), reverse=True))

    def epochs(self) -> list[int]:
        """Return the epochs that have an in-flight directory, oldest first."""
        return sorted(int(n) for n in _names(self.inflight) if n.isdecimal())

    def salvage(self, epoch: int, simulation: str, folder: str) -> Path:
        """Return a new name, within its epoch, for a folder that is given up."""
        unique = f"{folder}~{uuid.uuid4().hex[:12]}"
        return self.epoch(epoch) / f"{_SALVAGE}{epoch}" / simulation / unique

    def fenced(self, older: int, epoch: int) -> Path:
        """Return the new name for all that an older epoch left."""
        # Another name than that of what the older one had given up itself.
        return self.epoch(epoch) / f"{_SALVAGE}{older}.fenced"

    def leaving(self, epoch: int, home: Path) -> Path:
        """Return where a driver's moves to the trash, for one, pass through."""
        return self.epoch(epoch) / f"{_LEAVING}{home.name}"

    def salvages(self, epoch: int) -> list[Path]:
        """Return the directories within an epoch that hold what others left."""
        directory = self.epoch(epoch)
        return [
            directory / name
            for name in sorted(_names(directory))
            if name.startswith(_SALVAGE)
        ]

    def left(self, epoch: int) -> Iterator[AttemptFolder]:
        """Find what broken attempts left within an epoch.

        Parameters
        ----------
        epoch : int
            The present one.

        Yields
        ------
        AttemptFolder
            In the order of their paths.
        """
        for path in self._salvaged(epoch):
            found = _parse(path)
            if found is not None:
                yield found

    def begun(self, epoch: int, simulation: str) -> Iterator[AttemptFolder]:
        """Find what attempts at a simulation write now, or could not give up.

        Parameters
        ----------
        epoch : int
            The present one.
        simulation : str
            Whose.

        Yields
        ------
        AttemptFolder
            In the order of their paths.
        """
        home = self.epoch(epoch) / simulation
        for name in sorted(_names(home)):
            found = _parse(home / name)
            if found is not None:
                yield found

    def unusable(self, epoch: int) -> list[Path]:
        """Return folders that others left and that no attempt can take from.

        Diagnostics, for example, that were staged and never part of a checkpoint.
        """
        return [path for path in self._salvaged(epoch) if _parse(path) is None]

    def thrown_away(self) -> list[tuple[str, int]]:
        """Return names in the trash with the second at which they came there."""
        stamps = [(name, name.partition("-")[0]) for name in sorted(_names(self.trash))]
        return [(name, int(stamp)) for name, stamp in stamps if stamp.isdecimal()]

    def _salvaged(self, epoch: int) -> Iterator[Path]:
        for salvage in self.salvages(epoch):
            for simulation in sorted(_names(salvage)):
                for folder in sorted(_names(salvage / simulation)):
                    yield salvage / simulation / folder


def staging_folder(set_name: str, attempt: int) -> str:
    """Return the name, beside its checkpoints, of what an attempt has staged."""
    return f"outputs-{set_name}.{attempt}"


def output_notes(directory: Path, stage: str, segment: int) -> Path:
    """Return where an in-flight folder keeps the receipts of an output."""
    # Names have no tilde.
    return directory / RECEIPTS / f"{stage}~{segment:d}"


def _parse(path: Path) -> AttemptFolder | None:
    # "<set>-<boundary>.<attempt>~<unique>"; the set's name may have dots and dashes.
    front, _, attempt = path.name.partition("~")[0].rpartition(".")
    set_name, _, boundary = front.rpartition("-")
    if not (set_name and boundary.isdecimal() and attempt.isdecimal()):
        return None
    return AttemptFolder(
        path=path,
        simulation=path.parent.name,
        set=set_name,
        boundary=int(boundary),
        attempt=int(attempt),
    )


def _names(directory: Path) -> list[str]:
    with durable.translated("list", directory):
        try:
            return os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
