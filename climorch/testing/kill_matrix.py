"""Kinds of death by moments of death, each compared with an undisturbed campaign.

One cell runs a small campaign in processes of its own, kills or stops some of them
at one moment, runs it to its end and looks at what it ended with.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from climorch.engine.session import read_records
from climorch.errors import InternalError
from climorch.testing import kill_campaign
from climorch.testing.aftermath import differing, outcome, recovery_s, roll_backs_s
from climorch.testing.faults import Script, committed_twice, records_of, until
from climorch.testing.injector import STEPS, ArmedFault, Injection, armed

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = [
    "DELETIONS",
    "KINDS",
    "Cell",
    "Kind",
    "Reference",
    "Seen",
    "cells",
    "make_reference",
    "try_cell",
]

DELETIONS = ("deleting", "deleted")
"""Steps that come late in a campaign, and seldom: it must have more segments."""

LONGEST_S = 300.0
NODES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way to die.

    Attributes
    ----------
    signal : str
        ``"kill"`` or ``"stop"``.
    victim : str
        ``"driver"`` or ``"worker"``.
    workers : int
        How many of them.
    """

    signal: Literal["kill", "stop"]
    victim: Literal["driver", "worker"]
    workers: int = 1


KINDS: dict[str, Kind] = {
    "one worker killed": Kind(signal="kill", victim="worker"),
    "three of four workers killed": Kind(signal="kill", victim="worker", workers=3),
    "one worker stopped": Kind(signal="stop", victim="worker"),
    "driver and scheduler killed": Kind(signal="kill", victim="driver"),
}
"""Name to what happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One death.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    step : str or None
        One of `STEPS`; None: at a random moment.
    call : int
        At which passage of the step, or after how many rows of the journal.
    """

    kind: str
    step: str | None
    call: int

    def __str__(self) -> str:
        moment = f"row {self.call}" if self.step is None else f"{self.step} {self.call}"
        return f"{self.kind} at {moment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the undisturbed campaign ended with.

    Attributes
    ----------
    size : dict of str to float
        Arguments of the campaign, but its root.
    data : dict of str to Dataset
        Results and last states, by simulation and stage.
    rows : int
        Of its journal.
    seconds : float
        How long it took.
    """

    size: dict[str, float]
    data: dict[str, xr.Dataset]
    rows: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a cell has shown.

    Attributes
    ----------
    cell : Cell
        Which.
    problems : list of str
        All that is not as it must be; none if all is well.
    recovery_s : float
        From the death until every simulation that computed then has finished a
        segment again.
    lost_s : float
        Seconds of compute that were rolled back.
    """

    cell: Cell
    problems: list[str] = field(default_factory=list)
    recovery_s: float = 0.0
    lost_s: float = 0.0


def cells(
    rng: np.random.Generator,
    *,
    moments: int,
    rows: int,
    steps: Sequence[str] = tuple(STEPS),
    kinds: Sequence[str] = tuple(KINDS),
) -> list[Cell]:
    """Choose the deaths.

    Parameters
    ----------
    rng : numpy.random.Generator
        Chooses random moments and passages of steps.
    moments : int
        Random moments of each kind.
    rows : int
        Rows of an undisturbed journal.
    steps, kinds : sequence of str
        Which.

    Returns
    -------
    list of Cell
        Kinds in turn.
    """
    found: list[Cell] = []
    for kind in kinds:
        drawn = rng.integers(rows // 20, rows * 9 // 10, moments).tolist()
        found += [Cell(kind=kind, step=None, call=row) for row in sorted(drawn)]
        for step in steps:
            call = int(rng.integers(1, 4))
            # How many there are depends on which boundaries are checkpointed.
            found.append(
                Cell(kind=kind, step=step, call=1 if step in DELETIONS else call)
            )
    return found


def make_reference(
    folder: Path, *, members: int = 2, segments: int = 4, work_s: float = 0.05
) -> Reference:
    """Run the campaign undisturbed.

    Parameters
    ----------
    folder : Path
        Empty.
    members, segments, work_s
        As in `climorch.testing.kill_campaign.campaign_of`.

    Raises
    ------
    InternalError
        If it does not end well.
    """
    size = {"members": members, "segments": segments, "work_s": work_s}
    begin = time.monotonic()
    with armed(folder / "fault", None) as calm, _job(folder, size, calm) as job:
        status, printed = job.finish(timeout_s=LONGEST_S)
    if status:
        raise InternalError(f"the undisturbed campaign failed: {printed[-2000:]}")
    return Reference(
        size=size,
        data=outcome(folder / kill_campaign.NAME),
        rows=len(records_of(folder, kill_campaign.NAME)),
        seconds=time.monotonic() - begin,
    )


def try_cell(folder: Path, cell: Cell, reference: Reference) -> Seen:
    """Let a campaign die in this way and tell what came of it.

    Parameters
    ----------
    folder : Path
        Empty.
    cell : Cell
        How and when.
    reference : Reference
        Of the same size.
    """
    seen, kind = Seen(cell=cell), KINDS[cell.kind]
    fault = None
    if cell.step is not None:
        fault = ArmedFault(
            step=cell.step,
            signal=kind.signal,
            victim=kind.victim,
            workers=kind.workers,
            call=cell.call,
        )
    with (
        armed(folder / "fault", fault) as injection,
        _job(folder, reference.size, injection) as job,
    ):
        died_s = _die(folder, cell, injection, job)
        if kind.victim == "driver":
            job.finish(timeout_s=LONGEST_S)
            until(lambda: not job.orphans(), what="every process is gone")
            with (
                armed(folder / "again", None) as calm,
                _job(folder, reference.size, calm) as again,
            ):
                _end(again, seen)
        else:
            _end(job, seen)
    _judge(folder, died_s, reference, seen)
    return seen


def _job(folder: Path, size: dict[str, float], injection: Injection) -> Script:
    path = Path(kill_campaign.__file__)
    given = json.dumps({"root": str(folder), "nodes": NODES, **size})
    place = {"PYTHONPATH": str(path.parents[2])}
    return Script(path, given, environment={**place, **injection.environment})


def _die(folder: Path, cell: Cell, injection: Injection, job: Script) -> float:
    """Wait for the moment; return when it was, 0 if it never came."""
    if cell.step is not None:
        until(
            lambda: injection.fired or not job.alive,
            what=str(cell),
            timeout_s=LONGEST_S,
        )
        return injection.fired_s if injection.fired else 0.0
    kind = KINDS[cell.kind]

    def there() -> list[int] | None:
        if not job.alive:
            return []
        if len(records_of(folder, kill_campaign.NAME)) < cell.call:
            return None
        pids = [job.pid] if kind.victim == "driver" else [*injection.workers().values()]
        return pids[: kind.workers] if len(pids) >= kind.workers else None

    victims = until(there, what=str(cell), timeout_s=LONGEST_S)
    died_s = time.time()
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if kind.signal == "kill" else signal.SIGSTOP)
    return died_s if victims else 0.0


def _end(job: Script, seen: Seen) -> None:
    status, printed = job.finish(timeout_s=LONGEST_S)
    if status:
        seen.problems.append(f"exit status {status}: {printed[-2000:]}")
    try:
        until(lambda: not job.orphans(), what="no process is left", timeout_s=10.0)
    except TimeoutError:
        seen.problems.append(f"processes are left: {job.orphans()}")


def _judge(folder: Path, died_s: float, reference: Reference, seen: Seen) -> None:
    """Compare with the undisturbed campaign, bit by bit."""
    if not died_s:
        seen.problems.append("the moment never came")
    wrong = differing(reference.data, outcome(folder / kill_campaign.NAME))
    if wrong:
        seen.problems.append(f"not equal bit by bit: {wrong}")
    timed = read_records(folder, kill_campaign.NAME)
    twice = committed_twice(record for record, _ in timed)
    if twice:
        seen.problems.append(f"committed twice: {twice}")
    seen.lost_s = sum(roll_backs_s(timed, since_s=died_s))
    seen.recovery_s = recovery_s(timed, died_s=died_s)
