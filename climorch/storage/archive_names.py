"""Where in a depot the archives of a campaign are: each driver has names of its own.

Which of them counts is what the journal says, where only the newest driver can write:
one that was superseded in an upload ends it beside that of the newer one, and nobody
hears of it.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ArchiveNames", "Place"]

Place = tuple[str, str, str]
"""Simulation, set and name of a checkpoint's folder."""


class ArchiveNames:
    """Paths in the depot of one campaign.

    Parameters
    ----------
    campaign : str
        Whose.
    epoch : int
        Of this driver; 0: of none, names carry no number.
    known : mapping of (str, str, str) to str, or None
        Addresses of checkpoints that the journal has, by place.
    """

    def __init__(
        self, campaign: str, epoch: int, known: Mapping[Place, str] | None
    ) -> None:
        self.campaign = campaign
        self.epoch = epoch
        # A depot may have moved since: of an address only the name counts.
        self._names = {
            place: url.rpartition("/")[2] for place, url in (known or {}).items()
        }

    def checkpoint(self, place: Place) -> str:
        """Return where a checkpoint is; one that nobody knows: where it will be."""
        return self._path(place, self._names.get(place) or self._own(place[2]))

    def own(self, place: Place) -> str:
        """Return where this driver puts a checkpoint."""
        return self._path(place, self._own(place[2]))

    def results(self, simulation: str, stage: str) -> str:
        """Return where this driver puts the results of a stage."""
        return f"{self.campaign}/results/{simulation}/{self._own(stage)}"

    def note(self, place: Place) -> None:
        """Note that this driver has put a checkpoint, and that it is good."""
        self._names[place] = self._own(place[2])

    def _path(self, place: Place, name: str) -> str:
        simulation, set_name, _ = place
        return f"{self.campaign}/checkpoints/{simulation}/{set_name}/{name}"

    def _own(self, what: str) -> str:
        return f"{what}.d{self.epoch}.zip" if self.epoch else f"{what}.zip"
