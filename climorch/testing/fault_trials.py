"""One cell of the fault matrix: a campaign is struck, ends, and is looked at.

Runs a small campaign in processes of its own, lets a fault strike at one moment, runs
it to its end and compares what it ended with, what that cost and what was left behind
with what must be. Linux only; some faults need to be root.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from climorch.engine.session import read_records
from climorch.engine.stacks import relevant, stack_of
from climorch.errors import InternalError
from climorch.model import events as e
from climorch.sites.local import LocalSite
from climorch.storage.tries import TRIES
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
from climorch.testing.misdeeds import struck_s
from climorch.testing.moments import VICTIM

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Reference", "References", "Seen", "reference_of", "try_cell"]

LONGEST_S = 240.0

# Dask keeps one folder for all that ever runs here, with two locks.
_OF_DASK = {"dask-scratch-space"}
# A driver that is killed cannot take away the socket of Python's fork server.
_OF_THE_KILLED = {"pymp-"}
# Pools that Dask and Zarr keep as long as the process lives.
_POOLS = ("Dask-Offload", "zarr_io", "asyncio_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What an undisturbed campaign ended with.

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
    found_s, budget_s : float
        How long a hang lasted until it was journaled, and what it may take before it
        is looked for; 0: nothing hung.
    """

    cell: str
    problems: list[str] = field(default_factory=list)
    recovery_s: float = 0.0
    lost_s: float = 0.0
    most_lost_s: float = 0.0
    seconds: float = 0.0
    found_s: float = 0.0
    budget_s: float = 0.0


class References:
    """Undisturbed campaigns, each run once it is needed.

    Parameters
    ----------
    folder : Path
        Empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Reference] = {}

    def of(self, cell: Cell) -> Reference:
        """Return what a cell has to end with."""
        calm = ROWS[cell.fault].variant.calm
        key = str(calm)
        if key not in self._known:
            folder = self._folder / str(len(self._known))
            self._known[key] = reference_of(folder, calm)
        return self._known[key]


def reference_of(folder: Path, calm: campaign.Variant | None = None) -> Reference:
    """Run the campaign undisturbed, on nodes within this process.

    Parameters
    ----------
    folder : Path
        Empty.
    calm : Variant or None
        What it has to be like.

    Raises
    ------
    InternalError
        If it does not end well.
    """
    begin = time.monotonic()
    made = campaign.campaign_of(
        folder,
        strategy="EverySegments",
        segments=SEGMENTS,
        work_s=0.0,
        variant=calm,
    )
    status = made.run(LocalSite(nodes=campaign.NODES, in_process=True))
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
    with Stage(folder, cell, preload=preload) as stage:
        try:
            first_s, fired_s = _act(stage, cell, seen, begin + LONGEST_S)
            if row.driver_dies or row.fails:
                _again(stage, seen)
        except TimeoutError as error:
            # What is left of it tells nothing.
            seen.problems.append(str(error))
        else:
            _judge(stage, first_s, reference, seen, strategy=cell.strategy)
            _find(stage, fired_s, seen)
    seen.seconds = time.monotonic() - begin
    return seen


def _act(stage: Stage, cell: Cell, seen: Seen, until_s: float) -> tuple[float, float]:
    """Run the script and let it be struck; return since when, and when it fired."""
    row, step = stage.row, MOMENTS_OF_CELLS[cell.moment][0]
    fault = ArmedFault(step=step, deed=row.deed, lasting=row.lasting, call=cell.call)
    own = bool(row.variant.misdeed)
    with (
        armed(stage.folder / "fault", None if own else fault) as injection,
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
        try:
            if own:
                first_s = fired_s = _wait_for_misdeed(stage, cell, job, until_s)
            else:
                first_s = _strike(stage, cell, scene, until_s)
                fired_s = injection.fired_s if injection.fired else 0.0
            _end(stage, job, seen, until_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {_stands(stage, job)}") from error
    return first_s, fired_s


def _stands(stage: Stage, job: Script) -> str:
    """Say where a script stands that does not end."""
    records = read_records(stage.root, campaign.NAME)
    newest = [f"{at_s:.1f} {record}"[:200] for record, at_s in records[-5:]]
    stacks = {pid: relevant(stack_of(pid))[:400] for pid in [job.pid, *job.orphans()]}
    return f"newest records {newest}, stacks {stacks}, printed {job.printed[-2000:]}"


def _left_s(until_s: float) -> float:
    return max(until_s - time.monotonic(), 0.0)


def _wait_for_misdeed(stage: Stage, cell: Cell, job: Script, until_s: float) -> float:
    """Wait until a step has misbehaved; return when it did first."""
    marks = stage.marks
    until(
        lambda: struck_s(marks) or not job.alive,
        what=str(cell),
        timeout_s=_left_s(until_s),
    )
    return struck_s(marks)


def _strike(stage: Stage, cell: Cell, scene: Scene, until_s: float) -> float:
    """Wait for the moment and let the fault strike; return when that began."""
    injection, job, first_s = scene.injection, scene.job, 0.0
    if cell.moment == "during restore":
        # Something has to be restored: a node goes, once there is a checkpoint.
        until_record(
            stage.root,
            campaign.NAME,
            e.CheckpointCommitted,
            where=lambda record: record.simulation == VICTIM,
            timeout_s=_left_s(until_s),
        )
        first_s = time.time()
        scene.kill(1)
    until(
        lambda: injection.fired or not job.alive,
        what=f"the moment of {cell}",
        timeout_s=_left_s(until_s),
    )
    if not injection.fired:
        return 0.0
    if stage.row.strike is not None:
        try:
            stage.row.strike(scene)
        finally:
            injection.let_go()
    return first_s or injection.fired_s


def _end(stage: Stage, job: Script, seen: Seen, until_s: float) -> None:
    """Wait for the end of the script that was struck."""
    status, printed = job.finish(timeout_s=_left_s(until_s))
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
            with stage.script(calm, again=True) as job:
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
    ended = outcome(stage.campaign)
    if stage.row.blows_up:
        seen.problems += _untold(ended)
    wrong = differing(reference.data, ended)
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


def _untold(ended: dict[str, xr.Dataset]) -> Iterator[str]:
    """Yield results that do not tell of their tries; take away what tells."""
    for name, data in ended.items():
        told = [data.attrs.pop(TRIES, None), data.attrs.pop("history", None)]
        if name.startswith(f"{VICTIM}/") and name.count("/") == 1 and None in told:
            yield f"results {name} tell of no try"


def _find(stage: Stage, fired_s: float, seen: Seen) -> None:
    """Look when a hang was found."""
    seen.budget_s = stage.row.variant.hang_s
    if not seen.budget_s:
        return
    found = [
        at_s
        for record, at_s in read_records(stage.root, campaign.NAME)
        if isinstance(record, e.SegmentFailed)
        and record.cause is e.Cause.HANG
        and at_s >= fired_s
    ]
    seen.found_s = min(found, default=math.inf) - fired_s
    if seen.found_s > 2 * seen.budget_s:
        seen.problems.append(f"found after {seen.found_s:.1f} of {seen.budget_s:g} s")


def _not_shown(row: Row, records: Sequence[Any]) -> Iterator[str]:
    """Yield what the journal would tell if the fault had struck."""
    lost = sum(isinstance(record, e.NodeLost) for record in records)
    if lost < row.lost:
        yield f"{lost} lost nodes in the journal, expected {row.lost}"
    if row.cause:
        causes = {record.cause.name for record in records if hasattr(record, "cause")}
        if row.cause not in causes:
            yield f"causes in the journal: {sorted(causes)}, expected {row.cause}"
    kinds = {type(record).__name__ for record in records}
    yield from (f"no {kind} in the journal" for kind in row.shows if kind not in kinds)
    yield from (f"{kind} in the journal" for kind in row.spares if kind in kinds)


def _left_outside(stage: Stage) -> Iterator[str]:
    """Yield what is left outside the campaign's folder."""
    forgiven = _OF_DASK | (_OF_THE_KILLED if stage.row.driver_dies else set())
    for path in (stage.shm, stage.tmp):
        for left in sorted(path.rglob("*")):
            place = left.relative_to(path)
            if not any(str(place).startswith(name) for name in forgiven):
                yield f"left: {path.name}/{place}"
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
