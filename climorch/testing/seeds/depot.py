"""An archive in a virtual world: slow, away now and then, and forgetful if asked to be.

One upload at a time, as the engine has it; what was there when a driver died stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from climorch.core.remedying import given_up
from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Fact
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants import courses as holds
from climorch.testing.seeds.features import Depot
from climorch.testing.seeds.values import Values
from climorch.twin.world import Carrying

__all__ = ["Archived", "DepotWorld"]

Place = tuple[str, str, int]
URL = "file:///archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A checkpoint in the archive: who wrote it, and the number of each stage."""

    attempt: int
    states: dict[str, int]


class Around(Protocol):
    """What an archive needs of the world."""

    @property
    def now_s(self) -> float:
        """Driver's clock, seconds."""

    @property
    def state(self) -> CampaignState:
        """The orchestrator's; only read."""

    def schedule(self, delay_s: float, do: Callable[[], None]) -> None:
        """Let something be done after a delay, unless the driver dies before."""


class DepotWorld:
    """Carries out what is decided about the archive.

    Parameters
    ----------
    depot : Depot
        What it is like.
    disk : FakeDisk
        Which checkpoints there are.
    values : Values
        What is in them.
    around : Around
        The world.
    tell : callable
        Takes what the driver hears.
    unreadable : callable
        Tells of each object that is asked back whether it cannot be read.
    bad : callable
        Tells whether a checkpoint on the disk went bad.

    Attributes
    ----------
    content : dict
        What it has.
    calm : bool
        Whether it can be reached at any time from now on.
    waited : int
        Transfers that had to wait for it.
    """

    def __init__(
        self,
        depot: Depot,
        disk: FakeDisk,
        values: Values,
        around: Around,
        *,
        tell: Callable[[Fact], None],
        unreadable: Callable[[], bool],
        bad: Callable[[Place], bool],
    ) -> None:
        self.content: dict[Place, Archived] = {}
        self.calm = False
        self.waited = 0
        self._depot = depot
        self._disk = disk
        self._values = values
        self._around = around
        self._tell = tell
        self._unreadable = unreadable
        self._bad = bad
        # When the upload before will be over.
        self._free_s = 0.0

    def begin(self, now_s: float) -> Carrying:
        """Serve another driver: nothing is on the way any more."""
        self._free_s = now_s
        return {
            c.ArchiveCheckpoint: self._archive,
            c.ArchiveResults: self._archive,
            c.RecallCheckpoint: self._recall,
        }

    def _ends_s(self, since_s: float) -> float:
        """Say when a transfer is over that may begin at a time."""
        takes_s = self._depot.takes_s
        for away_s, back_s in () if self.calm else sorted(self._depot.away):
            if since_s < back_s and since_s + takes_s > away_s:
                # Broken off, and tried again.
                since_s = back_s
                self.waited += 1
        return since_s + takes_s

    def _archive(self, command: c.ArchiveCheckpoint | c.ArchiveResults) -> None:
        now_s = self._around.now_s
        self._free_s = self._ends_s(max(self._free_s, now_s))
        done = partial(self._arrived, command)
        self._around.schedule(self._free_s - now_s, done)

    def _arrived(self, command: c.ArchiveCheckpoint | c.ArchiveResults) -> None:
        if isinstance(command, c.ArchiveResults):
            self._tell(
                e.ResultsArchived(
                    simulation=command.simulation, stage=command.stage, bytes=1, url=URL
                )
            )
            return
        own = command.simulation, command.set
        place = (*own, command.boundary)
        stored = self._disk.of(*own).get(command.boundary)
        assert stored is not None, (command, "went while it was archived")
        if stored.damaged or self._bad(place):
            self._tell(
                e.ArchivingFailed(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    message="made to",
                )
            )
            return
        states = dict(self._values.stored[place])
        s = self._around.state.simulations[command.simulation].sets[command.set]
        if not given_up(s.blown, stored.attempt, command.boundary):
            courses = self._values.courses
            holds.what_is_archived_is_of_its_course(courses, place, states)
        self.content[place] = Archived(attempt=stored.attempt, states=states)
        self._tell(
            e.CheckpointArchived(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                bytes=1,
                xxh3="",
                url=URL,
                folder=f"{command.boundary}",
            )
        )

    def _recall(self, command: c.RecallCheckpoint) -> None:
        now_s = self._around.now_s
        waited, asked_s = self.waited, self._ends_s(now_s) - now_s
        delayed = e.RecallDelayed(
            simulation=command.simulation, set=command.set, boundary=command.boundary
        )
        if self.waited > waited:
            # It cannot be reached, which is told at once.
            self._around.schedule(1.0, partial(self._tell, delayed))
        elif self._depot.tape_s:
            self._around.schedule(asked_s, partial(self._tell, delayed))
        there_s = asked_s + self._depot.tape_s
        self._around.schedule(there_s, partial(self._back, command))

    def _back(self, command: c.RecallCheckpoint) -> None:
        place = command.simulation, command.set, command.boundary
        found = self.content[place]
        if self._unreadable():
            self._tell(
                e.RecallFailed(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    message="made to",
                )
            )
            return
        stored = self._disk.of(command.simulation, command.set)
        known = stored.get(command.boundary)
        if known is None or known.damaged or self._bad(place):
            stored.pop(command.boundary, None)
            self._disk.commit(
                e.CheckpointCommitted(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    attempt=found.attempt,
                    seconds=0.0,
                    independent=True,
                )
            )
            self._values.stored[place] = dict(found.states)
        self._tell(
            e.CheckpointRecalled(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=found.attempt,
                bytes=1,
            )
        )
