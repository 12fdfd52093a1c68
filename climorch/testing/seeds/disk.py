"""A real journal and real checkpoints, on a recorded disk whose power may go.

What the twin says is written, is written by the library's own storage, with a state
of a few numbers that follow from its place. When the power goes, the disk is laid out
anew with what `climorch.testing.device` says may be left, and the next driver begins
there. Outputs and results are left out: `climorch.testing.power_scenarios` has them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch.core.ports import Row
from climorch.core.state import CampaignState
from climorch.model import events as e
from climorch.model.commands import Record, decode_record, encode_record
from climorch.storage import files
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    InFlight,
)
from climorch.storage.chunks import ChunkReceipt, read_chunk, write_chunks
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import Owner
from climorch.testing.device import Device, losses
from climorch.testing.journal_loss import mixes
from climorch.testing.power_loss import write_tree
from climorch.testing.recording import RecordingFiles

__all__ = ["PowerCut", "RealDisk"]

CAMPAIGN = "c"
CHUNK = 2
Place = tuple[str, str, int]


class PowerCut(Exception):  # noqa: N818
    """The power is gone; not an error."""


class RealDisk:
    """Where one campaign really lies.

    Parameters
    ----------
    folder : Path
        Empty; best in memory.
    seed : int
        Of what is left after a cut.
    deaf : collection of str
        As in `RecordingFiles`: a planted fault.
    """

    def __init__(self, folder: Path, seed: int, *, deaf: Collection[str] = ()) -> None:
        self._folder = folder
        self._deaf = deaf
        self._rng = np.random.default_rng(seed)
        self._disks = 0
        self.cuts = 0
        self._root = folder
        self._armed: tuple[int, bool] | None = None
        self._left: tuple[bytes, bytes] = b"", b""
        self._open = ExitStack()
        self._journal: SqliteJournal
        self._store: CheckpointStore
        self._recorder: RecordingFiles
        self.in_flight: Place | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        self._root = self._folder / f"disk{self._disks}"
        self._disks += 1
        self._root.mkdir()

    # -- drivers --------------------------------------------------------------------

    def begin(self, epoch: int, now_s: float) -> None:
        """Let a driver take over: the journal's lock, and what is in flight."""
        self.close()
        path = self._journal_path()
        self._journal = SqliteJournal.open(
            path,
            campaign=CAMPAIGN,
            owner=Owner(host="fake", boot_id="b", pid=epoch, start_ticks=epoch),
            now_s=now_s,
            alive=lambda owner: False,
            ballast_bytes=0,
        )
        self._open.callback(self._journal.close)
        # Held open: to close a file drops all locks that this process has on it.
        for name in (path, path.with_name(f"{path.name}-wal")):
            descriptor = os.open(name, os.O_RDONLY)
            self._open.callback(os.close, descriptor)
        self._recorder = RecordingFiles(self._root, deaf=self._deaf)
        self._store = CheckpointStore(self._root, CAMPAIGN, epoch)
        with files.using(self._recorder):
            for left in self._store.fence():
                self._store.complete(left)
            self._store.tidy()

    def close(self) -> None:
        """Let the driver be gone."""
        self._open.close()
        self._open = ExitStack()

    def _journal_path(self) -> Path:
        # Beside the disk that is recorded: SQLite writes with code of its own.
        return self._root.with_name(f"{self._root.name}.sqlite")

    def _journal_files(self) -> tuple[bytes, bytes]:
        path = self._journal_path()
        wal = path.with_name(f"{path.name}-wal")
        return path.read_bytes(), wal.read_bytes()

    def append(self, records: Sequence[tuple[Record, float]]) -> None:
        """Journal records; the power may go meanwhile."""
        if not records:
            return
        rows = [
            Row(kind=type(r).__name__, payload=encode_record(r), now_s=now_s)
            for r, now_s in records
        ]
        if not self._due(journal=True):
            self._journal.append(rows)
            return
        path = self._journal_path()
        names = (path, path.with_name(f"{path.name}-wal"))
        handles = [self._open.enter_context(name.open("rb")) for name in names]
        before = handles[0].read(), handles[1].read()
        self._journal.append(rows)
        after = tuple(os.pread(h.fileno(), 2**30, 0) for h in handles)
        states = [*mixes(before[1], after[1], samples=2, rng=self._rng)]
        chosen = states[int(self._rng.integers(len(states)))]
        # The database is changed only once the WAL is flushed.
        self._left = before[0], chosen
        self._cut(len(self._recorder.operations))

    def arm(self, operations: int, *, journal: bool) -> None:
        """Let the power go at the so many-th thing that is made durable."""
        self._armed = operations, journal

    def disarm(self) -> None:
        """Let the power stay from now on."""
        self._armed = None

    def _due(self, *, journal: bool) -> bool:
        if self._armed is None or self._armed[1] is not journal:
            return False
        left = self._armed[0] - 1
        self._armed = left, journal
        return left <= 0

    def _cut(self, operations: int) -> None:
        self._armed = None
        self.cuts += 1
        del self._recorder.operations[operations:]
        raise PowerCut

    def recover(self) -> list[tuple[Record, float]]:
        """Lay out what is left; return what the journal says."""
        device = Device()
        for operation in self._recorder.operations:
            device.take(operation)
        pending = len(device.pending_names), device.pending_files
        possible = [*losses(*pending, most=0, samples=4, rng=self._rng)]
        tree = device.tree(possible[int(self._rng.integers(len(possible)))])
        self.close()
        self._lay_out()
        write_tree(tree, self._root)
        path = self._journal_path()
        path.write_bytes(self._left[0])
        path.with_name(f"{path.name}-wal").write_bytes(self._left[1])
        with closing(SqliteJournal.open_readonly(path)) as reader:
            return [(decode_record(row.payload), row.now_s) for row in reader.read()]

    # -- checkpoints ----------------------------------------------------------------

    def commit(self, fact: e.CheckpointCommitted) -> None:
        """Write and commit one, durably."""
        due = self._due(journal=False)
        begin = len(self._recorder.operations)
        self.in_flight = (fact.simulation, fact.set, fact.boundary)
        with files.using(self._recorder):
            self._store.set_aside(*self.in_flight)
            in_flight = self._begin(fact)
            self._store.commit(in_flight, self._write(in_flight))
        if due:
            self._left = self._journal_files()
            count = len(self._recorder.operations) - begin
            self._cut(begin + int(self._rng.integers(count + 1)))
        self.in_flight = None

    def break_off(self, fact: e.CheckpointCommitted) -> None:
        """Write a part of one, and give it up."""
        with files.using(self._recorder):
            in_flight = self._begin(fact)
            self._write(in_flight, every=2)
            self._store.abandon(in_flight)

    def delete(self, fact: e.CheckpointDeleted) -> None:
        """Delete one."""
        with files.using(self._recorder):
            self._store.delete(fact.simulation, fact.set, fact.boundary, now_s=0.0)

    def restores(self, fact: e.SetRestored) -> bool:
        """Read one; tell whether every value is the one that was written."""
        checkpoint = self._store.load(fact.simulation, fact.set, fact.boundary)
        return self._store.verify(checkpoint).good and self._whole(checkpoint)

    def found(self, state: CampaignState) -> dict[Place, tuple[int, bool]]:
        """Return which checkpoints there are, of which attempt, and whether whole."""
        return {
            (simulation.name, s.name, checkpoint.boundary): (
                checkpoint.manifest.attempt,
                self._store.verify(checkpoint).good and self._whole(checkpoint),
            )
            for simulation, s in state.sets()
            for checkpoint in self._store.list(simulation.name, s.name)
        }

    def _begin(self, fact: e.CheckpointCommitted) -> InFlight:
        place = fact.simulation, fact.set
        return self._store.begin(
            CheckpointRequest(
                simulation=fact.simulation,
                set=fact.set,
                boundary=fact.boundary,
                model_time=cftime.DatetimeNoLeap(2000 + fact.boundary, 1, 1),
                attempt=fact.attempt,
                params_digest="p",
                states={fact.set: state_at(*place, fact.boundary)},
                segments={fact.set: fact.boundary},
                previous=self._store.newest(*place),
                full=fact.independent,
                outputs={},
            )
        )

    def _write(self, in_flight: InFlight, every: int = 1) -> list[ChunkReceipt]:
        request = in_flight.request
        blocks = dict(blocks_of(request.simulation, request.set, request.boundary))
        chosen = list(in_flight.jobs.items())[::every]
        return write_chunks(
            in_flight.directory,
            [job for _, job in chosen],
            [blocks[name, index] for (*_, name, index), _ in chosen],
            writer="node-0",
            params_digest="p",
        )

    def _whole(self, checkpoint: Checkpoint) -> bool:
        """Read every chunk; tell whether all are those of its place."""
        blocks = dict(
            blocks_of(
                checkpoint.manifest.simulation,
                checkpoint.manifest.set,
                checkpoint.boundary,
            )
        )
        for key, (spec, index) in checkpoint.manifest.chunks().items():
            values = read_chunk(
                checkpoint.path / key,
                checkpoint.manifest.entries[key],
                spec.dtype,
                spec.chunk_shape,
                spec.block_shape(index),
            )
            if not np.array_equal(values, blocks[spec.name, index]):
                return False
        return True


def state_at(simulation: str, name: str, boundary: int) -> xr.Dataset:
    """Return the state of a set: what changes, what does not, and a clock."""
    first = zlib.crc32(f"{simulation}.{name}".encode()) % 1000
    t = np.arange(4.0) + first + 10 * boundary
    return xr.Dataset(
        {
            "T": xr.DataArray(t, dims="lat").chunk(lat=CHUNK),
            "mask": xr.DataArray(np.arange(4) > 1, dims="lat").chunk(lat=4),
            "clock": ((), boundary),
        }
    )


def blocks_of(
    simulation: str, name: str, boundary: int
) -> Iterator[tuple[tuple[str, tuple[int, ...]], npt.NDArray[Any]]]:
    """Yield every chunk of the fields of a state."""
    state = state_at(simulation, name, boundary)
    t, mask = state["T"].values, state["mask"].values
    for i in range(0, len(t), CHUNK):
        yield ("T", (i // CHUNK,)), t[i : i + CHUNK]
    yield ("mask", (0,)), mask
