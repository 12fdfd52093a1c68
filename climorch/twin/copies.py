"""Copies in the memory of partner nodes, in virtual time.

The mirror of the engine's copies: who holds what follows from the ring of the
lease when a copy was made, and from who has died since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.partnering import partners
from climorch.twin.lab import Lab
from climorch.twin.storage import Transfer
from climorch.twin.work import SetWork

__all__ = ["PartnerMemory"]


@dataclass(slots=True)
class _Copy:
    """A state that is held twice, or is about to be."""

    boundary: int
    attempt: int
    ring: dict[str, str]
    dead: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether of each block one copy is left."""
        dead = self.dead
        return not any(node in dead and self.ring[node] in dead for node in self.ring)


@dataclass(slots=True)
class _Shelf:
    """What is held of one set."""

    held: _Copy | None = None
    coming: _Copy | None = None
    salvage: c.SalvageCopy | None = None
    transfer: Transfer | None = None


class PartnerMemory:
    """What partners hold of all sets of a run.

    Parameters
    ----------
    lab : Lab
        What all sets share.
    nodes : callable
        ``nodes(simulation)`` of its lease that are up, in order.
    """

    def __init__(self, lab: Lab, nodes: Callable[[str], Sequence[str]]) -> None:
        self._lab = lab
        self._nodes = nodes
        self._shelves: dict[tuple[str, str], _Shelf] = {}

    def copy(self, command: c.BeginCopy, work: SetWork) -> None:
        """Cut here and let partners hold the states."""
        lab, shelf = self._lab, self._shelf(command)
        stall_s, copy_s = lab.overheads.copy_stall_s, lab.overheads.copy_s
        work.cut(stall_s)
        ring = partners(self._nodes(command.simulation))
        coming = shelf.coming = _Copy(command.boundary, command.attempt, ring)

        def arrived(_: object) -> None:
            if shelf.coming is not coming or coming.dead or work.frozen:
                return
            shelf.held, shelf.coming = coming, None
            lab.post(
                e.CopyHeld(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    attempt=command.attempt,
                    seconds=stall_s + copy_s,
                    cost_s=stall_s,
                )
            )

        lab.env.timeout(stall_s + copy_s).callbacks.append(arrived)

    def salvage(self, command: c.SalvageCopy, work: SetWork) -> None:
        """Compute no more, and write what is held, if all of it is there."""
        lab, shelf = self._lab, self._shelf(command)
        work.abandon()
        held, begin_s = shelf.held, lab.env.now
        shelf.coming = None
        if (
            held is None
            or (held.boundary, held.attempt) != (command.boundary, command.attempt)
            or not held.whole
        ):
            self._fail(command)
            return

        def written() -> None:
            self._stop(shelf)
            lab.post(
                e.CheckpointCommitted(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    attempt=command.attempt,
                    seconds=lab.env.now - begin_s,
                    cost_s=lab.overheads.stall_s,
                    bytes_state=lab.overheads.state_bytes,
                    bytes_written=lab.overheads.written_bytes,
                    independent=False,
                )
            )

        shelf.salvage = command
        lab.ledger.writing(command.simulation, +1, lab.env.now)
        shelf.transfer = lab.storage.begin(lab.overheads.checkpoint_s, written)

    def drop(self, simulation: str, name: str) -> None:
        """Hold nothing of a set any more."""
        shelf = self._shelves.pop((simulation, name), None)
        if shelf is not None:
            self._stop(shelf)

    def died(self, simulation: str, node: str) -> None:
        """Let what a node held be gone."""
        for (owner, _), shelf in self._shelves.items():
            if owner != simulation:
                continue
            for copy in (shelf.held, shelf.coming):
                if copy is not None and node in copy.ring:
                    copy.dead.add(node)
            command = shelf.salvage
            if command is not None and not (shelf.held and shelf.held.whole):
                self._stop(shelf)
                self._fail(command)

    def mend(self, simulation: str, name: str) -> None:
        """Break an attempt whose newest cut was not held twice when a node died."""
        shelf = self._shelves.get((simulation, name))
        coming = shelf.coming if shelf is not None else None
        if shelf is None or coming is None:
            return
        shelf.coming = None
        self._lab.post(
            e.CopyFailed(
                simulation=simulation,
                set=name,
                boundary=coming.boundary,
                attempt=coming.attempt,
                message="a node died before its states were copied",
            )
        )
        self._lab.post(
            e.SegmentFailed(
                simulation=simulation,
                # A set has the name of its first stage.
                stage=name,
                segment=0,
                attempt=coming.attempt,
                cause=e.Cause.NOT_DURABLE,
                message="a node died before its states were copied",
            )
        )

    def _shelf(self, command: c.BeginCopy | c.SalvageCopy) -> _Shelf:
        return self._shelves.setdefault((command.simulation, command.set), _Shelf())

    def _stop(self, shelf: _Shelf) -> None:
        """Write no more."""
        if shelf.transfer is not None:
            self._lab.storage.cancel(shelf.transfer)
        if shelf.salvage is not None:
            self._lab.ledger.writing(shelf.salvage.simulation, -1, self._lab.env.now)
        shelf.transfer = shelf.salvage = None

    def _fail(self, command: c.SalvageCopy) -> None:
        self._lab.post(
            e.SalvageFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                message="a node and its partner died",
            )
        )
