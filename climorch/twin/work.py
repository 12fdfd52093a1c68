"""What one set does on its lease: restores, segments, a checkpoint.

The mirror of the engine's runner: answers the commands of a set with facts in
virtual time. What is under way stands still when a node of the lease dies, and
nobody hears of it unless the orchestrator lets the attempt go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.costs import Overheads
from climorch.twin.ledger import Ledger
from climorch.twin.storage import SharedStorage, Transfer

if TYPE_CHECKING:
    import simpy

__all__ = ["Lab", "Price", "SetWork"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a segment takes.

    Attributes
    ----------
    seconds : float
        On its lease as it is.
    base_s : float
        On as many of these nodes as its stage asks for.
    base : int
        Nodes that its stage asks for.
    """

    seconds: float
    base_s: float
    base: int


@dataclass(slots=True, kw_only=True)
class Lab:
    """What all sets of a run share.

    Attributes
    ----------
    env : simpy.Environment
        The kernel.
    storage : SharedStorage
        What they write to.
    overheads : Overheads
        What starts and checkpoints cost.
    ledger : Ledger
        The books.
    post : callable
        Takes a fact that has arrived.
    price : callable
        ``price(simulation, stage, segment)`` on the lease as it is now.
    nodes : callable
        Nodes of a lease that are up.
    """

    env: simpy.Environment
    storage: SharedStorage
    overheads: Overheads
    ledger: Ledger
    post: Callable[[e.Fact], None]
    price: Callable[[str, str, int], Price]
    nodes: Callable[[str], int]


@dataclass(slots=True)
class _Segment:
    """A segment under way, computing since ``since_s``."""

    number: int
    price: Price
    since_s: float
    timeout: simpy.Timeout | None = None
    vain_s: float = 0.0


class SetWork:
    """The attempts of one set, one at a time.

    Parameters
    ----------
    lab : Lab
        What all sets share.
    simulation, name : str
        Whose set, and which.
    """

    __slots__ = (
        "_checkpoint",
        "_lab",
        "_name",
        "_ready_s",
        "_redo_base_s",
        "_running",
        "_simulation",
        "_start",
        "_timeout",
        "_transfer",
        "_writing",
        "attempt",
        "frozen",
    )

    def __init__(self, lab: Lab, simulation: str, name: str) -> None:
        self._lab = lab
        self._simulation = simulation
        self._name = name
        self.attempt = 0
        self.frozen = False
        self._start: c.StartAttempt | None = None
        self._timeout: simpy.Timeout | None = None
        self._transfer: Transfer | None = None
        self._checkpoint: c.BeginCheckpoint | None = None
        self._writing: Transfer | None = None
        self._running: dict[str, _Segment] = {}
        self._ready_s = 0.0
        self._redo_base_s = 0.0

    @property
    def alive(self) -> bool:
        """Whether an attempt is under way."""
        return self.attempt > 0

    def start(self, command: c.StartAttempt) -> None:
        """Bring the states of a boundary to the lease."""
        self.attempt = command.attempt
        self._start = command
        self._ready_s = self._redo_base_s = 0.0
        self._lab.ledger.restoring(self._simulation, +1, self._lab.env.now)
        self._bring(command)

    def segment(self, command: c.StartSegment) -> None:
        """Compute a segment, once the cut of a checkpoint is made."""
        lab = self._lab
        price = lab.price(self._simulation, command.stage, command.segment)
        now_s = lab.env.now
        stall_s = max(self._ready_s - now_s, 0.0)
        lab.ledger.started(self._simulation, command.stage, price.base, stall_s, now_s)
        running = _Segment(command.segment, price, now_s + stall_s)
        self._running[command.stage] = running
        if not self.frozen:
            self._compute(command.stage, running, stall_s)

    def checkpoint(self, command: c.BeginCheckpoint) -> None:
        """Cut here and write behind."""
        lab = self._lab
        self._checkpoint = command
        self._ready_s = max(self._ready_s, lab.env.now + lab.overheads.stall_s)
        self._redo_base_s = 0.0
        lab.ledger.writing(self._simulation, +1, lab.env.now)
        if not self.frozen:
            self._write(command)

    def cut(self, stall_s: float) -> None:
        """Cut here without writing: a loss costs what was computed since."""
        self._ready_s = max(self._ready_s, self._lab.env.now + stall_s)
        self._redo_base_s = 0.0

    def abandon(self) -> None:
        """Let all that is under way come to nothing."""
        self._stop()
        self._drop_start()
        self._drop_checkpoint()
        now_s = self._lab.env.now
        for stage in self._running:
            self._lab.ledger.broken_off(self._simulation, stage, now_s)
        self._running.clear()
        self.attempt = 0
        self.frozen = False

    def freeze(self) -> None:
        """Stand still: a node of the lease died, and nobody knows it yet."""
        if self.alive:
            self._stop()
            self.frozen = True

    def mend(self) -> None:
        """Go on with what is left of the lease, as Dask does by itself.

        States that were not durable are lost, and with them their checkpoint;
        all since the last cut is computed again, since halos make the cone of
        what was lost as wide as the field.
        """
        self.frozen = False
        lab = self._lab
        if self._start is not None:
            self._bring(self._start)
            return
        command = self._checkpoint
        if command is not None:
            self._drop_checkpoint()
            lab.post(
                e.CheckpointFailed(
                    simulation=self._simulation,
                    set=self._name,
                    boundary=command.boundary,
                    attempt=command.attempt,
                    cause=e.Cause.NOT_DURABLE,
                    message="a node died before its states were written",
                )
            )
            return
        now_s = lab.env.now
        for stage, running in self._running.items():
            price = lab.price(self._simulation, stage, running.number)
            redo_s = self._redo_base_s * price.seconds / price.base_s
            vain_s = max(now_s - running.since_s, 0.0)
            running.price, running.vain_s = price, vain_s + redo_s
            lab.ledger.began_again(
                self._simulation, stage, vain_s=vain_s, redo_s=redo_s, now_s=now_s
            )
            self._compute(stage, running, redo_s)

    def _bring(self, command: c.StartAttempt) -> None:
        lab = self._lab
        again = command.boundary > 0
        seconds = lab.overheads.restore_s if again else lab.overheads.init_s

        def restored() -> None:
            self._drop_start()
            lab.post(
                e.SetRestored(
                    simulation=self._simulation,
                    set=self._name,
                    attempt=command.attempt,
                    boundary=command.boundary,
                    rung="checkpoint" if again else "init",
                )
            )

        def read(_: object) -> None:
            self._transfer = lab.storage.begin(seconds, restored)

        self._timeout = lab.env.timeout(lab.overheads.restart_s)
        self._timeout.callbacks.append(read)

    def _compute(self, stage: str, running: _Segment, wait_s: float) -> None:
        def finished(_: object) -> None:
            self._finished(stage, running)

        running.timeout = self._lab.env.timeout(wait_s + running.price.seconds)
        running.timeout.callbacks.append(finished)

    def _finished(self, stage: str, running: _Segment) -> None:
        lab, price = self._lab, running.price
        del self._running[stage]
        self._redo_base_s += price.base_s
        lab.ledger.finished(
            self._simulation,
            self._name,
            stage,
            running.number,
            compute_s=price.seconds,
            base_s=price.base_s,
            now_s=lab.env.now,
        )
        lab.post(
            e.SegmentFinished(
                simulation=self._simulation,
                stage=stage,
                segment=running.number,
                attempt=self.attempt,
                seconds=running.vain_s + price.seconds,
                nodes=lab.nodes(self._simulation),
            )
        )

    def _write(self, command: c.BeginCheckpoint) -> None:
        lab, begin_s = self._lab, self._lab.env.now

        def written() -> None:
            self._drop_checkpoint()
            lab.post(
                e.CheckpointCommitted(
                    simulation=self._simulation,
                    set=self._name,
                    boundary=command.boundary,
                    attempt=command.attempt,
                    seconds=lab.env.now - begin_s,
                    cost_s=lab.overheads.stall_s,
                    independent=command.full,
                )
            )

        self._writing = lab.storage.begin(lab.overheads.checkpoint_s, written)

    def _stop(self) -> None:
        """Take back every alarm that is set."""
        for transfer in (self._transfer, self._writing):
            if transfer is not None:
                self._lab.storage.cancel(transfer)
        self._transfer = self._writing = None
        timeouts = [running.timeout for running in self._running.values()]
        for timeout in (self._timeout, *timeouts):
            if timeout is not None and timeout.callbacks:
                timeout.callbacks.clear()
        self._timeout = None

    def _drop_start(self) -> None:
        if self._start is not None:
            self._start = self._transfer = self._timeout = None
            self._lab.ledger.restoring(self._simulation, -1, self._lab.env.now)

    def _drop_checkpoint(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint = self._writing = None
            self._lab.ledger.writing(self._simulation, -1, self._lab.env.now)
