"""One cell of the fault matrix: a campaign is struck, ends, and is looked at.

Runs a small campaign in processes of its own, lets a fault strike at one moment, runs
it to its end and compares what it ended with, what that cost and what was left behind
with what must be. Linux only; some faults need to be root.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from climorch.engine.session import read_records
from climorch.errors import InternalError
from climorch.model import events as e
from climorch.sites.local import LocalSite
from climorch.testing import fault_campaign as campaign
from climorch.testing.aftermath import (
    differing,
    leftovers,
    outcome,
    recovery_s,
    roll_backs_s,
)
from climorch.testing.fault_cells import MOMENTS_OF_CELLS, ROWS, Cell
from climorch.testing.fault_rows import Row, Scene
from climorch.testing.fault_stage import SEGMENTS, Stage
from climorch.testing.faults import Script, committed_twice, until, until_record
from climorch.testing.injector import ArmedFault, armed
from climorch.testing.moments import VICTIM

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Reference", "Seen", "reference_of", "try_cell"]

LONGEST_S = 240.0

# Dask keeps one folder for all that ever runs here, with two locks.
_OF_DASK = {"dask-scratch-space"}
# A driver that is killed cannot take away the socket of Python's fork server.
_OF_THE_KILLED = {"pymp-"}
# Pools that Dask and Zarr keep as long as the process lives.
_POOLS = ("Dask-Offload", "zarr_io", "asyncio_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the undisturbed campaign ended with.

    Attributes
    ----------
    data : dict of str to Dataset
        Results and last states, by simulation and stage.
    seconds : float
        How long it took.
    """

    data: dict[str, xr.Dataset]
    seconds: float


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a cell has shown.

    Attributes
    ----------
    cell : str
        Its name.
    problems : list of str
        All that is not as it must be; none if all is well.
    recovery_s : float
        From the fault until every simulation that computed then has finished a
        segment again.
    lost_s : float
        Compute that the dearest roll-back has cost, in seconds.
    most_lost_s : float
        What it may cost: interval, drain and one segment of both stages, as measured.
    seconds : float
        How long the cell took.
    """

    cell: str
    problems: list[str] = field(default_factory=list)
    recovery_s: float = 0.0
    lost_s: float = 0.0
    most_lost_s: float = 0.0
    seconds: float = 0.0


def reference_of(folder: Path) -> Reference:
    """Run the campaign undisturbed, on nodes within this process.

    Parameters
    ----------
    folder : Path
        Empty.

    Raises
    ------
    InternalError
        If it does not end well.
    """
    begin = time.monotonic()
    calm = campaign.campaign_of(
        folder, strategy="EverySegments", segments=SEGMENTS, work_s=0.0
    )
    status = calm.run(LocalSite(nodes=campaign.NODES, in_process=True))
    if not status.finished:
        raise InternalError(f"the undisturbed campaign did not finish: {status}")
    return Reference(
        data=outcome(folder / campaign.NAME), seconds=time.monotonic() - begin
    )


def try_cell(
    folder: Path, cell: Cell, reference: Reference, *, preload: str = ""
) -> Seen:
    """Let a fault strike and tell what came of it.

    Parameters
    ----------
    folder : Path
        Empty.
    cell : Cell
        Which, when, under which strategy.
    reference : Reference
        Of an undisturbed campaign.
    preload : str
        Python file that every node loads as well, to plant a bug; empty: none.
    """
    begin = time.monotonic()
    row, seen = ROWS[cell.fault], Seen(cell=str(cell))
    stage = Stage(folder, cell.strategy, row, preload=preload)
    step = MOMENTS_OF_CELLS[cell.moment][0]
    fault = ArmedFault(step=step, deed=row.deed, lasting=row.lasting, call=cell.call)
    with (
        armed(folder / "fault", fault) as injection,
        stage.world(injection) as (storage, network),
        stage.script(injection, storage=storage, network=network) as job,
    ):
        scene = Scene(
            root=stage.root,
            campaign=campaign.NAME,
            job=job,
            injection=injection,
            storage=storage,
            network=network,
        )
        struck_s = _strike(stage, cell, scene)
        _end(stage, job, seen)
    if row.driver_dies or row.fails:
        _again(stage, seen)
    _judge(stage, struck_s, reference, seen, strategy=cell.strategy)
    seen.seconds = time.monotonic() - begin
    return seen


def _strike(stage: Stage, cell: Cell, scene: Scene) -> float:
    """Wait for the moment and let the fault strike; return when that began."""
    injection, job, first_s = scene.injection, scene.job, 0.0
    if cell.moment == "during restore":
        # Something has to be restored: a node goes, once there is a checkpoint.
        until_record(
            stage.root,
            campaign.NAME,
            e.CheckpointCommitted,
            where=lambda record: record.simulation == VICTIM,
            timeout_s=LONGEST_S,
        )
        first_s = time.time()
        scene.kill(1)
    until(lambda: injection.fired or not job.alive, what=str(cell), timeout_s=LONGEST_S)
    if not injection.fired:
        return 0.0
    if stage.row.strike is not None:
        try:
            stage.row.strike(scene)
        finally:
            injection.let_go()
    return first_s or injection.fired_s


def _end(stage: Stage, job: Script, seen: Seen) -> None:
    """Wait for the end of the script that was struck."""
    status, printed = job.finish(timeout_s=LONGEST_S)
    row = stage.row
    good = status != 0 if row.driver_dies or row.fails else status == 0
    if not good:
        seen.problems.append(f"exit status {status}: {printed[-2000:]}")
    if row.driver_dies and not row.strike:
        raise InternalError("a driver that dies is struck")
    _none_left(job, seen)


def _none_left(job: Script, seen: Seen) -> None:
    try:
        until(lambda: not job.orphans(), what="no process is left", timeout_s=15.0)
    except TimeoutError:
        seen.problems.append(f"processes are left: {_lines(job.orphans())}")


def _lines(pids: Sequence[int]) -> list[str]:
    found = []
    for pid in pids:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        found.append(line.replace(b"\0", b" ").decode()[:200])
    return found


def _again(stage: Stage, seen: Seen) -> None:
    """Run the script again until it is let in, as a supervisor does."""
    with armed(stage.folder / "again", None) as calm:
        end_s = time.monotonic() + LONGEST_S
        while True:
            with stage.script(calm, elsewhere=stage.row.elsewhere) as job:
                status, printed = job.finish(timeout_s=LONGEST_S)
                _none_left(job, seen)
            refused = status == 1 and "ConflictError" in printed
            if not (stage.row.elsewhere and refused and time.monotonic() < end_s):
                break
            time.sleep(5.0)
    if status:
        seen.problems.append(f"run again, exit status {status}: {printed[-2000:]}")


def _judge(
    stage: Stage, struck_s: float, reference: Reference, seen: Seen, *, strategy: str
) -> None:
    """Compare with the undisturbed campaign, and with what may be lost."""
    if not struck_s:
        seen.problems.append("the moment never came")
    wrong = differing(reference.data, outcome(stage.campaign))
    if wrong:
        seen.problems.append(f"not equal bit by bit: {wrong}")
    timed = read_records(stage.root, campaign.NAME)
    records = [record for record, _ in timed]
    twice = committed_twice(records)
    if twice:
        seen.problems.append(f"committed twice: {twice}")
    seen.problems += _not_shown(stage.row, records)
    seen.problems += leftovers(stage.campaign)
    seen.problems += _left_outside(stage)
    seen.recovery_s = recovery_s(timed, died_s=struck_s)
    seen.lost_s = max(roll_backs_s(timed, since_s=struck_s), default=0.0)
    seen.most_lost_s = _most_lost_s(records, strategy) + stage.row.detect_s
    if seen.lost_s > seen.most_lost_s:
        seen.problems.append(
            f"lost {seen.lost_s:.2f} s of compute, at most {seen.most_lost_s:.2f} s"
        )
    if seen.recovery_s > 300:
        seen.problems.append(f"recovery took {seen.recovery_s:.0f} s")


def _not_shown(row: Row, records: Sequence[Any]) -> Iterator[str]:
    """Yield what the journal would tell if the fault had struck."""
    lost = sum(isinstance(record, e.NodeLost) for record in records)
    if lost < row.lost:
        yield f"{lost} lost nodes in the journal, expected {row.lost}"
    if row.cause:
        causes = {record.cause.name for record in records if hasattr(record, "cause")}
        if row.cause not in causes:
            yield f"causes in the journal: {sorted(causes)}, expected {row.cause}"


def _left_outside(stage: Stage) -> Iterator[str]:
    """Yield what is left outside the campaign's folder."""
    forgiven = _OF_DASK | (_OF_THE_KILLED if stage.row.driver_dies else set())
    for path in (stage.shm, stage.tmp):
        for left in sorted(path.rglob("*")):
            place = left.relative_to(path)
            if not any(str(place).startswith(name) for name in forgiven):
                yield f"left: {left.relative_to(stage.folder)}"
    if not stage.row.driver_dies:
        for thread in json.loads((stage.root / campaign.LEFT).read_text()):
            if not thread.startswith(_POOLS):
                yield f"thread left: {thread}"


def _most_lost_s(records: Sequence[Any], strategy: str) -> float:
    """Return interval, drain and one segment, of both stages, as they were here."""
    segments = [r.seconds for r in records if isinstance(r, e.SegmentFinished)]
    drains = [r.seconds for r in records if isinstance(r, e.CheckpointCommitted)]
    both_s = 2 * max(segments, default=0.0)
    interval = campaign.STRATEGIES[strategy]
    return (
        interval.seconds + (interval.segments + 1) * both_s + max(drains, default=0.0)
    )
