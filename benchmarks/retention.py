"""100 simulations under one byte budget, with real checkpoints on a real disk.

The orchestrator decides; checkpoints are begun, written, linked, committed and deleted
by the same code as in a campaign, in an order that a seed draws: commits and deletions
of different simulations overtake each other. What the models compute is made up. Some
checkpoints are pinned at random. After each event the bytes of all chunks, each file
once, are compared with the budget; every so often with what a walk over the disk says.

The bar: never above the larger of the budget and what has to stay (pins, ends, outputs,
the two newest good ones, the newest of another copy), by more than the checkpoints in
flight and those whose deletion is under way; the budget bites; what is left is good.
With ``--quick`` 20 simulations.

    uv run python benchmarks/retention.py [--quick]
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cftime
import numpy as np
import xarray as xr

from benchmarks.bench import RESULTS, Array, Figures, report
from climorch.core.keeping import kept_checkpoints
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.scenario import Scenario
from climorch.policy.budgeting import ByteBudget
from climorch.policy.checkpointing import EverySegments
from climorch.policy.limits import Limits
from climorch.policy.retention import KeepLast, indispensable
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    InFlight,
)
from climorch.storage.chunks import write_chunks
from climorch.storage.jobs import ChunkReceipt
from climorch.storage.sizing import freed_by, physical_bytes

SET = "model"
DAY_S = 86_400
VARIABLES, STATIC, SLOW, SLOW_EVERY = 10, 4, 2, 4
PIN = 0.05
WALK_EVERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is done.

    Attributes
    ----------
    simulations, segments : int
        How many, and boundaries of each; not all have a checkpoint.
    cells : int
        Values of a field.
    share : float
        Budget over what a checkpoint at every boundary would take, about.
    """

    simulations: int = 100
    segments: int = 14
    cells: int = 2048
    share: float = 0.33

    @property
    def budget_bytes(self) -> int:
        """The budget: noise does not compress, so sizes are known."""
        changing = VARIABLES - STATIC - SLOW
        # Every eighth in full; slow fields change with every fourth.
        fields = VARIABLES / 8 + (changing + SLOW / SLOW_EVERY) * 7 / 8
        whole = self.simulations * self.segments * fields * self.cells * 4
        return int(self.share * whole)


@dataclass
class Disk:
    """What is written, committed and deleted, and what all of it takes."""

    store: CheckpointStore
    cells: int
    rng: np.random.Generator
    there: dict[str, dict[int, Checkpoint]] = field(default_factory=dict)
    writing: dict[str, tuple[InFlight, list[ChunkReceipt]]] = field(
        default_factory=dict
    )
    fields: dict[str, dict[str, Array]] = field(default_factory=dict)

    def begin(self, command: c.BeginCheckpoint) -> None:
        """Write all chunks of a checkpoint; it is not committed yet."""
        name, boundary = command.simulation, command.boundary
        state = self._state(name, boundary)
        own = self.there.setdefault(name, {})
        in_flight = self.store.begin(
            CheckpointRequest(
                simulation=name,
                set=SET,
                boundary=boundary,
                model_time=cftime.DatetimeNoLeap(1, 1, 1 + boundary),
                attempt=command.attempt,
                params_digest="p",
                states={
                    SET: xr.Dataset({k: ("x", v) for k, v in state.items()}).chunk()
                },
                segments={SET: boundary},
                previous=own[max(own)] if own else None,
                full=command.full,
            )
        )
        jobs = [in_flight.jobs["state", SET, k, (0,)] for k in state]
        receipts = write_chunks(
            in_flight.directory,
            jobs,
            list(state.values()),
            writer="node-0",
            params_digest="p",
        )
        self.writing[name] = in_flight, receipts

    def commit(self, name: str) -> list[ChunkReceipt]:
        """Commit what is written."""
        in_flight, receipts = self.writing.pop(name)
        checkpoint = self.store.commit(in_flight, receipts)
        self.there[name][checkpoint.boundary] = checkpoint
        return receipts

    def delete(self, command: c.DeleteCheckpoint) -> int:
        """Delete as the driver does; return what that freed."""
        own = self.there[command.simulation]
        freed = freed_by(own[command.boundary], own.values())
        self.store.delete(command.simulation, SET, command.boundary)
        self.store.purge_trash(time.time(), older_than_s=0 if command.at_once else 1e9)
        del own[command.boundary]
        return freed

    def bytes_of(self, name: str) -> int:
        """Return what the committed checkpoints of a simulation take."""
        return physical_bytes(self.there.get(name, {}).values())

    def in_flight_bytes(self) -> int:
        """Return what the checkpoints that are not committed brought."""
        written = (r for _, found in self.writing.values() for r in found)
        return sum(r.length for r in written if not r.linked)

    def walked_bytes(self) -> int:
        """Return the bytes of all chunks on the disk, each file once."""
        found: dict[int, int] = {}
        for directory, _, names in os.walk(self.store.layout.campaign):
            for name in names if f"{os.sep}c" in directory else ():
                if name.isdecimal():
                    status = os.stat(os.path.join(directory, name))
                    found[status.st_ino] = status.st_size
        return sum(found.values())

    def _state(self, name: str, boundary: int) -> dict[str, Array]:
        fields = self.fields.setdefault(name, {})
        for number in range(VARIABLES):
            slow = number < STATIC + SLOW and boundary % SLOW_EVERY
            if f"v{number}" not in fields or not (number < STATIC or slow):
                # Noise in every bit: it does not compress.
                bits = self.rng.integers(0, 2**32, self.cells, np.uint32)
                bits &= np.uint32(0xBFFFFFFF)
                fields[f"v{number}"] = bits.view(np.float32)
        return dict(fields)


@dataclass
class Seen:
    """What was seen of the budget."""

    most_bytes: int = 0
    most_over: float = -math.inf
    committed: int = 0
    deleted: int = 0
    pinned: int = 0
    walks: int = 0
    above: list[str] = field(default_factory=list)


class Campaign:
    """All simulations, driven by the orchestrator, on one disk."""

    def __init__(self, folder: Path, load: Load, budget_bytes: int | None) -> None:
        self.load = load
        self.rng = np.random.default_rng(1)
        self.seen = Seen()
        store = CheckpointStore(folder, "c", 1)
        store.fence()
        self.disk = Disk(store, load.cells, self.rng)
        self.policies = Policies(
            checkpointing=EverySegments(),
            limits=Limits(most_overhead=math.inf, most_exposure_s=math.inf),
            retention=KeepLast(count=10**6),
            budget=None if budget_bytes is None else ByteBudget(size=budget_bytes),
        )
        self.orchestrator = Orchestrator(self.policies)
        self.now_s = 0.0
        self.waiting: list[c.Command] = []
        self.sizes: dict[str, int] = {}

    def run(self) -> None:
        """Run all to their end, in an order that is drawn."""
        plan = SimulationPlan(
            workflow="w",
            stages=(
                StagePlan(
                    name=SET,
                    calendar="noleap",
                    boundaries=tuple(DAY_S * k for k in range(self.load.segments + 1)),
                ),
            ),
        )
        names = [f"s{number:03d}" for number in range(self.load.simulations)]
        self.tell(
            *(e.NodeJoined(node=f"n{name}", cores=1) for name in names),
            *(
                e.SimulationSubmitted(
                    simulation=name, scenario=Scenario(name), plan=plan
                )
                for name in names
            ),
        )
        events = 0
        while self.waiting:
            command = self.waiting.pop(int(self.rng.integers(len(self.waiting))))
            self.tell(*self.done(command))
            events += 1
            self.look(walk=events % WALK_EVERY == 0)
        self.look(walk=True)

    def tell(self, *facts: e.Fact) -> None:
        """Tell facts; what is decided on them waits, but what begins at once."""
        self.now_s += 1.0
        for command in self.orchestrator.handle(facts, self.now_s).commands:
            if isinstance(command, c.BeginCheckpoint):
                self.disk.begin(command)
            if not isinstance(command, c.SetLease | c.AbandonAttempt):
                self.waiting.append(command)

    def done(self, command: c.Command) -> list[e.Fact]:
        """Carry a command out; return what is told of it."""
        match command:
            case c.StartAttempt():
                restored = e.SetRestored(
                    simulation=command.simulation,
                    set=SET,
                    attempt=command.attempt,
                    boundary=command.boundary,
                    rung="init",
                )
                return [restored]
            case c.StartSegment():
                finished = e.SegmentFinished(
                    simulation=command.simulation,
                    stage=SET,
                    segment=command.segment,
                    attempt=command.attempt,
                    seconds=1.0,
                )
                return [finished]
            case c.BeginCheckpoint():
                return self.committed(command)
            case c.PublishResults():
                name, boundary = command.simulation, command.boundary
                return [e.ResultsPublished(simulation=name, set=SET, boundary=boundary)]
            case c.DeleteCheckpoint():
                freed = self.disk.delete(command)
                self.sizes[command.simulation] = self.disk.bytes_of(command.simulation)
                self.seen.deleted += 1
                name, boundary = command.simulation, command.boundary
                gone = e.CheckpointDeleted(
                    simulation=name, set=SET, boundary=boundary, bytes_freed=freed
                )
                return [gone]
            case _:
                sys.exit(f"nobody does {command}")

    def committed(self, command: c.BeginCheckpoint) -> list[e.Fact]:
        """Commit a checkpoint, and pin it now and then."""
        name, boundary = command.simulation, command.boundary
        receipts = self.disk.commit(name)
        self.seen.committed += 1
        self.sizes[name] = self.disk.bytes_of(name)
        facts: list[e.Fact] = [
            e.CheckpointCommitted(
                simulation=name,
                set=SET,
                boundary=boundary,
                attempt=command.attempt,
                seconds=1.0,
                bytes_written=sum(r.length for r in receipts if not r.linked),
                independent=not any(r.linked for r in receipts),
            )
        ]
        if self.rng.random() < PIN:
            self.seen.pinned += 1
            facts.append(e.PinRequested(simulation=name, set=SET, boundary=boundary))
        return facts

    def look(self, *, walk: bool) -> None:
        """Compare what is on the disk with what may be."""
        stored, flying = sum(self.sizes.values()), self.disk.in_flight_bytes()
        if walk:
            self.seen.walks += 1
            if self.disk.walked_bytes() != stored + flying:
                sys.exit("what manifests say is not what is on the disk")
            if self.orchestrator.state.stored_bytes != stored:
                sys.exit("what the journal counts is not what is on the disk")
        budget = self.policies.budget
        limit = self.load.budget_bytes if budget is None else budget.bytes
        over = stored - limit
        self.seen.most_bytes = max(self.seen.most_bytes, stored + flying)
        self.seen.most_over = max(self.seen.most_over, over / limit)
        if over <= 0:
            return
        may_bytes = stored - self.leaving()
        if may_bytes > limit and may_bytes > self.has_to_stay():
            self.seen.above.append(f"{stored} bytes after {self.now_s:.0f} steps")

    def has_to_stay(self) -> int:
        """Return the bytes of all that nobody may delete."""
        total = 0
        for simulation, s in self.orchestrator.state.sets():
            own = self.disk.there.get(simulation.name, {})
            spared = indispensable(kept_checkpoints(simulation, s))
            total += physical_bytes(own[b] for b in spared if b in own)
        return total

    def leaving(self) -> int:
        """Return the bytes of all whose deletion is asked for and not done."""
        total = 0
        for simulation, s in self.orchestrator.state.sets():
            own = self.disk.there.get(simulation.name, {})
            going = {b for b, commit in s.commits.items() if commit.deleting}
            if going & own.keys():
                stay = physical_bytes(x for b, x in own.items() if b not in going)
                total += self.sizes[simulation.name] - stay
        return total


def measure(folder: Path, load: Load, budget_bytes: int | None) -> tuple[Figures, Seen]:
    """Run all simulations; return figures and what was seen."""
    begin_s = time.process_time()
    campaign = Campaign(folder, load, budget_bytes)
    campaign.run()
    seen, disk = campaign.seen, campaign.disk
    left = [x for own in disk.there.values() for x in own.values()]
    bad = sum(not disk.store.verify(x).good for x in left)
    figures: Figures = {
        "simulations": load.simulations,
        "checkpoints": seen.committed,
        "deleted": seen.deleted,
        "left": len(left),
        "bad": bad,
        "pinned": seen.pinned,
        "budget_bytes": load.budget_bytes,
        "bytes_at_end": sum(campaign.sizes.values()),
        "bytes_that_have_to_stay": campaign.has_to_stay(),
        "most_bytes_with_in_flight": seen.most_bytes,
        "most_above_budget": seen.most_over,
        "times_above_what_may_be": len(seen.above),
        "walks_over_the_disk": seen.walks,
        "cpu_s": time.process_time() - begin_s,
    }
    return figures, seen


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 simulations")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    load = Load(simulations=20) if quick else Load()
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        figures, seen = measure(Path(folder), load, load.budget_bytes)
    report("retention", figures)
    print("\n".join(f"above: {line}" for line in seen.above[:10]))
    print("bar: never above what may be; deletions happened; what is left is good")
    good = not seen.above and seen.deleted > load.simulations and not figures["bad"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
