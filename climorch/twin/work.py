"""What one set does on its lease: restores, segments, a checkpoint.

The mirror of the engine's runner: answers the commands of a set with facts in
virtual time. What is under way stands still when a node of the lease dies, and
nobody hears of it unless the orchestrator lets the attempt go on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from climorch.core.state import SetState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.usage import Usage
from climorch.twin.costs import Overheads
from climorch.twin.lab import Lab, Price, Running, Standing
from climorch.twin.storage import Transfer

if TYPE_CHECKING:
    import simpy

__all__ = ["SetWork"]


class Origin(NamedTuple):
    """From where an attempt gets its states, how many bytes, and since when."""

    rung: str
    bytes_read: int
    began_s: float


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
        "_at",
        "_lab",
        "_name",
        "_origin",
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
        self._origin = Origin("", 0, 0.0)
        self._timeout: simpy.Timeout | None = None
        self._transfer: Transfer | None = None
        self._writing: Transfer | None = None
        self._at = Standing()

    @property
    def alive(self) -> bool:
        """Whether an attempt is under way."""
        return self.attempt > 0

    def start(self, command: c.StartAttempt, *, rung: str, bytes_read: int) -> None:
        """Bring the states of a boundary to the lease, and say from where."""
        self.attempt = command.attempt
        self._start = command
        self._origin = Origin(rung, bytes_read, self._lab.env.now)
        self._at = Standing()
        self._lab.ledger.restoring(self._simulation, +1, self._lab.env.now)
        self._bring(command)

    def segment(self, command: c.StartSegment) -> None:
        """Compute a segment, once the cut of a checkpoint is made."""
        lab = self._lab
        now_s = lab.env.now
        price = lab.price(self._simulation, command.stage, command.segment, now_s)
        stall_s = max(self._at.ready_s - now_s, 0.0)
        lab.ledger.started(self._simulation, command.stage, price.base, stall_s, now_s)
        running = Running(
            command.segment, price, begun_s=now_s, since_s=now_s + stall_s
        )
        self._at.running[command.stage] = running
        if not self.frozen:
            self._compute(command.stage, running, stall_s)

    def checkpoint(self, command: c.BeginCheckpoint) -> None:
        """Cut here, unless partners hold the states, and write behind."""
        lab, at = self._lab, self._at
        at.checkpoint = command
        if not command.held:
            self.cut(lab.overheads.stall_s)
        lab.ledger.writing(self._simulation, +1, lab.env.now)
        if not self.frozen:
            self._write(command)

    def cut(self, stall_s: float) -> None:
        """Cut here without writing: a loss costs what was computed since."""
        at = self._at
        at.ready_s = max(at.ready_s, self._lab.env.now + stall_s)
        at.redo_base_s = 0.0

    def abandon(self) -> None:
        """Let all that is under way come to nothing."""
        self._stop(self._at)
        self._drop_start()
        self._drop_checkpoint()
        now_s = self._lab.env.now
        for stage in self._at.running:
            self._lab.ledger.broken_off(self._simulation, stage, now_s)
        self._at.running.clear()
        self.attempt = 0
        self.frozen = False

    def freeze(self) -> None:
        """Stand still: a node of the lease died, and nobody knows it yet."""
        if self.alive:
            self._stop(self._at)
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
        command = self._at.checkpoint
        if command is not None:
            self._drop_checkpoint()
            lab.post(_not_durable(command))
            return
        now_s = lab.env.now
        for stage, running in self._at.running.items():
            price = lab.price(self._simulation, stage, running.number, now_s)
            redo_s = self._at.redo_base_s * price.seconds / price.base_s
            vain_s = max(now_s - running.since_s, 0.0)
            running.price, running.vain_s = price, vain_s + redo_s
            lab.ledger.began_again(
                self._simulation, stage, vain_s=vain_s, redo_s=redo_s, now_s=now_s
            )
            self._compute(stage, running, redo_s)

    def strides(self, s: SetState) -> bool:
        """Tell whether all that is under way is known, and goes on as it was begun."""
        at = self._at
        return (
            self.alive
            and not self.frozen
            and self._start is None
            and at.running.keys() == s.running.keys()
            and (at.checkpoint is None) == (s.checkpoint is None)
            and not any(r.vain_s or not r.price.fits for r in at.running.values())
        )

    def leave(self) -> Standing:
        """Leave what is under way to a stride; nothing ends here until `resume`."""
        at, self._at = self._at, Standing()
        at.written_s = math.inf
        if self._writing is not None:
            left_s = self._lab.storage.left_s(self._writing)
            at.written_s = self._lab.env.now + left_s
        self._stop(at)
        return at

    def resume(self, at: Standing) -> None:
        """Go on with what is under way."""
        self._at = at
        lab, now_s = self._lab, self._lab.env.now
        for stage, running in at.running.items():
            self._await(stage, running, max(running.ends_s - now_s, 0.0))
        if at.checkpoint is not None:
            left_s = max(at.written_s - now_s, 0.0) / lab.storage.factor
            self._write_on(at.checkpoint, left_s)

    def _bring(self, command: c.StartAttempt) -> None:
        lab = self._lab
        again = command.boundary > 0
        seconds = lab.overheads.restore_s if again else lab.overheads.init_s

        def restored() -> None:
            self._drop_start()
            lab.post(_restored(command, self._origin, lab.env.now))

        def read(_: object) -> None:
            self._transfer = lab.storage.begin(seconds, restored)

        self._timeout = lab.env.timeout(lab.overheads.restart_s)
        self._timeout.callbacks.append(read)

    def _compute(self, stage: str, running: Running, wait_s: float) -> None:
        seconds = wait_s + running.price.seconds
        running.ends_s = self._lab.env.now + seconds
        self._await(stage, running, seconds)

    def _await(self, stage: str, running: Running, seconds: float) -> None:
        def finished(_: object) -> None:
            self._finished(stage, running)

        running.timeout = self._lab.env.timeout(seconds)
        running.timeout.callbacks.append(finished)

    def _finished(self, stage: str, running: Running) -> None:
        lab, price = self._lab, running.price
        if not price.fits:
            lab.post(_overfull(self._simulation, stage, running, self.attempt))
            return
        del self._at.running[stage]
        self._at.redo_base_s += price.base_s
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
                paces=dict(price.paces),
                stall_s=0.0 if running.vain_s else running.since_s - running.begun_s,
                vain_s=running.vain_s,
                usage=_measured(price),
            )
        )

    def _write(self, command: c.BeginCheckpoint) -> None:
        self._at.begun_s = self._lab.env.now
        self._write_on(command, self._lab.overheads.checkpoint_s)

    def _write_on(self, command: c.BeginCheckpoint, seconds: float) -> None:
        lab, begun_s = self._lab, self._at.begun_s

        def written() -> None:
            self._drop_checkpoint()
            lab.post(_committed(command, lab.env.now - begun_s, lab.overheads))

        self._writing = lab.storage.begin(seconds, written)

    def _stop(self, at: Standing) -> None:
        """Take back every alarm that is set."""
        for transfer in (self._transfer, self._writing):
            if transfer is not None:
                self._lab.storage.cancel(transfer)
        self._transfer = self._writing = None
        _silence(self._timeout, *(running.timeout for running in at.running.values()))
        self._timeout = None

    def _drop_start(self) -> None:
        if self._start is not None:
            self._start = self._transfer = self._timeout = None
            self._lab.ledger.restoring(self._simulation, -1, self._lab.env.now)

    def _drop_checkpoint(self) -> None:
        if self._at.checkpoint is not None:
            self._at.checkpoint = self._writing = None
            self._lab.ledger.writing(self._simulation, -1, self._lab.env.now)


def _silence(*timeouts: simpy.Timeout | None) -> None:
    for timeout in timeouts:
        if timeout is not None and timeout.callbacks:
            timeout.callbacks.clear()


def _measured(price: Price) -> Usage | None:
    takes = price.memory_bytes
    return Usage(memory_bytes=takes) if takes else None


def _overfull(
    simulation: str, stage: str, running: Running, attempt: int
) -> e.SegmentFailed:
    return e.SegmentFailed(
        simulation=simulation,
        stage=stage,
        segment=running.number,
        attempt=attempt,
        cause=e.Cause.MEMORY,
        message=f"a node has less than {running.price.memory_bytes} bytes",
    )


def _restored(command: c.StartAttempt, origin: Origin, now_s: float) -> e.SetRestored:
    return e.SetRestored(
        simulation=command.simulation,
        set=command.set,
        attempt=command.attempt,
        boundary=command.boundary,
        rung=origin.rung,
        bytes_read=origin.bytes_read,
        seconds=now_s - origin.began_s,
    )


def _committed(
    command: c.BeginCheckpoint, took_s: float, overheads: Overheads
) -> e.CheckpointCommitted:
    return e.CheckpointCommitted(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        attempt=command.attempt,
        seconds=took_s,
        cost_s=overheads.stall_s,
        bytes_state=overheads.state_bytes,
        bytes_written=overheads.written_bytes,
        independent=command.full,
        tried=overheads.tried if command.full else (),
    )


def _not_durable(command: c.BeginCheckpoint) -> e.CheckpointFailed:
    return e.CheckpointFailed(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        attempt=command.attempt,
        cause=e.Cause.NOT_DURABLE,
        message="a node died before its states were written",
    )
