"""What may be asked of a campaign about what it keeps.

Beside the verbs that steer: which checkpoints stay, and what all of it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from climorch.core.state import CampaignState
from climorch.core.upkeep import Policies
from climorch.engine.comparing import compared
from climorch.engine.steering import Steering
from climorch.errors import NotFoundError
from climorch.model import events as e
from climorch.storage.usage import StorageReport, TierUse, storage_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Custody"]


class Custody(Steering):
    """The verbs of a campaign about its checkpoints.

    Attributes
    ----------
    policies : Policies
        The rules of the campaign.
    """

    policies: Policies

    def pin(self, checkpoint: str | PathLike[str]) -> None:
        """Keep a checkpoint whatever retention and budget say, until `unpin`.

        Parameters
        ----------
        checkpoint : path
            One of ``checkpoints(simulation)``.

        Raises
        ------
        NotFoundError
            If the campaign has no such checkpoint.
        BackendError
            If the wish cannot be written.
        """
        simulation, name, boundary = self._place(Path(checkpoint))
        self._give(e.PinRequested(simulation=simulation, set=name, boundary=boundary))

    def unpin(self, checkpoint: str | PathLike[str]) -> None:
        """Let retention and budget decide about a checkpoint again.

        Parameters
        ----------
        checkpoint : path
            As for `pin`.

        Raises
        ------
        NotFoundError, BackendError
            As for `pin`.
        """
        simulation, name, boundary = self._place(Path(checkpoint))
        self._give(e.UnpinRequested(simulation=simulation, set=name, boundary=boundary))

    def storage(self) -> StorageReport:
        """Say what the campaign keeps, and what links and compression save.

        Looks at every file, which takes a while on a large campaign.

        Returns
        -------
        StorageReport
            By tier and simulation.

        Raises
        ------
        BackendError
            If the file system fails.
        """
        state = self._state()
        sets = [(simulation.name, s.name) for simulation, s in state.sets()]
        budget = self.policies.budget
        return StorageReport(
            uses=(
                *storage_of(self._folder.parent, self._folder.name, sets),
                *_in_archive(state),
            ),
            budget_bytes=None if budget is None else budget.bytes,
            counted_bytes=state.stored_bytes,
        )

    def compare(self, stage: str) -> xr.Dataset:
        """Say what the scores of a stage said, of all scenarios at equal model time.

        Parameters
        ----------
        stage : str
            Whose results were judged.

        Returns
        -------
        xarray.Dataset, dims (scenario, metric, model_time)
            ``value``, ``sd`` and ``samples`` of every score, and of its metrics as
            ``score.metric``; NaN where a scenario is not as far, or its score failed.
            ``threshold`` along the metrics; NaN: none.

        Raises
        ------
        NotFoundError
            If no simulation has a score of that stage.
        InvalidInputError
            If their calendars differ.
        """
        return compared(self._state(), stage)

    def _place(self, path: Path) -> tuple[str, str, int]:
        """Tell whose checkpoint a path is."""
        state = self._state()
        found = _parse(state, path)
        home = self._folder / "checkpoints"
        if found is None or home != path.absolute().parent.parent.parent:
            raise NotFoundError(
                f"no checkpoint '{path}' in this campaign; take one of "
                f"checkpoints(simulation)"
            )
        return found


def _in_archive(state: CampaignState) -> Iterator[TierUse]:
    """Tell what the archive has, by the journal: it is not asked."""
    for simulation in state.simulations.values():
        found = [a for s in simulation.sets.values() for a in s.archived.values()]
        found += [a for a in simulation.results_archived.values() if a.bytes]
        size = sum(a.bytes for a in found)
        if found:
            yield TierUse(
                tier="archive",
                simulation=simulation.name,
                items=len(found),
                logical_bytes=0,
                encoded_bytes=size,
                physical_bytes=size,
            )


def _parse(state: CampaignState, path: Path) -> tuple[str, str, int] | None:
    simulation, name = path.parent.parent.name, path.parent.name
    known = state.simulations.get(simulation)
    s = known.sets.get(name) if known else None
    _, _, number = path.name.rpartition("-")
    if s is None or not number.isdecimal() or int(number) not in s.commits:
        return None
    return simulation, name, int(number)
