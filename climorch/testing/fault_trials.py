"""One cell of the fault matrix: a campaign is struck, ends, and is looked at.

Runs a small campaign in processes of its own, lets a fault strike at one moment, runs
it to its end and has it judged by `fault_verdicts`. Linux only; some faults need to be
root.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from climorch.engine.session import read_records
from climorch.engine.stacks import relevant, stack_of
from climorch.errors import InternalError
from climorch.model import events as e
from climorch.testing import fault_campaign as campaign
from climorch.testing.fault_cells import MOMENTS_OF_CELLS, ROWS, Cell
from climorch.testing.fault_rows import Scene
from climorch.testing.fault_stage import Stage
from climorch.testing.fault_verdicts import Reference, Seen, find, judge
from climorch.testing.faults import Script, until, until_record
from climorch.testing.injector import ArmedFault, armed
from climorch.testing.misdeeds import struck_s
from climorch.testing.moments import VICTIM

__all__ = ["try_cell"]

LONGEST_S = 240.0


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
            judge(stage, first_s, reference, seen, strategy=cell.strategy)
            find(stage, fired_s, seen)
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
