"""The disk of a fake world: which checkpoints it holds and what they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from climorch.core.sets import is_new
from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Fact

__all__ = ["FakeDisk", "Stored"]


@dataclass(slots=True, kw_only=True)
class Stored:
    """A checkpoint on the disk.

    Attributes
    ----------
    chain : int
        Checkpoints with the same number share files.
    damaged : bool
        Whether a restore will fail.
    """

    attempt: int
    chain: int
    independent: bool
    damaged: bool = False


class FakeDisk:
    """Checkpoints by (simulation, set) and boundary."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[int, Stored]] = {}
        self._chains = 0

    def of(self, simulation: str, name: str) -> dict[int, Stored]:
        """Return the checkpoints of a set; may be changed."""
        return self.files.setdefault((simulation, name), {})

    def commit(self, fact: e.CheckpointCommitted) -> None:
        """Put a checkpoint there, unless a good one is there already."""
        stored = self.of(fact.simulation, fact.set)
        known = stored.get(fact.boundary)
        if known is not None and not known.damaged:
            return
        good = [boundary for boundary, x in stored.items() if not x.damaged]
        if fact.independent or not good:
            self._chains += 1
            chain = self._chains
        else:
            chain = stored[max(good)].chain
        stored[fact.boundary] = Stored(
            attempt=fact.attempt, chain=chain, independent=fact.independent
        )

    def delete(self, fact: e.CheckpointDeleted) -> None:
        """Take a checkpoint away, if it is there and no other one."""
        stored = self.of(fact.simulation, fact.set)
        known = stored.get(fact.boundary)
        if known is not None and not 0 < fact.attempt < known.attempt:
            del stored[fact.boundary]

    def remember(self, records: Iterable[c.Record]) -> None:
        """Put on the disk what a journal says is there."""
        for record in records:
            match record:
                case e.CheckpointCommitted():
                    self.commit(record)
                case e.CheckpointDeleted():
                    self.delete(record)
                case e.RestoreFailed(damaged=True) | e.CheckpointScrubbed(damaged=True):
                    stored = self.of(record.simulation, record.set)
                    if record.boundary in stored:
                        stored[record.boundary].damaged = True
                case _:
                    pass

    def found(self, state: CampaignState) -> tuple[Fact, ...]:
        """Compare the disk with what a new driver believes, as it does first."""
        facts: list[Fact] = []
        for simulation, s in state.sets():
            stored = {
                boundary: x
                for boundary, x in self.of(simulation.name, s.name).items()
                if not x.damaged
            }
            facts += [
                e.CheckpointCommitted(
                    simulation=simulation.name,
                    set=s.name,
                    boundary=boundary,
                    attempt=stored[boundary].attempt,
                    seconds=0.0,
                    independent=stored[boundary].independent,
                )
                for boundary in sorted(stored)
                if is_new(s, boundary, stored[boundary].attempt)
            ]
            facts += [
                e.CheckpointDeleted(
                    simulation=simulation.name, set=s.name, boundary=boundary
                )
                for boundary in sorted(s.commits.keys() - stored.keys())
                if s.commits[boundary].good
            ]
        return tuple(facts)
