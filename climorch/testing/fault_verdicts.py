"""What a cell of the fault matrix has shown, judged by an undisturbed campaign.

Reads only the disk, and compares what lies there with what must be.
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
from climorch.testing.fault_cells import ROWS, Cell
from climorch.testing.fault_rows import Row
from climorch.testing.fault_stage import SEGMENTS, Stage
from climorch.testing.faults import committed_twice
from climorch.testing.moments import VICTIM

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Reference", "References", "Seen", "find", "judge", "reference_of"]

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


def judge(
    stage: Stage, struck_s: float, reference: Reference, seen: Seen, *, strategy: str
) -> None:
    """Compare with the undisturbed campaign, and with what may be lost.

    Parameters
    ----------
    stage : Stage
        Where it ended.
    struck_s : float
        When it was struck, seconds since 1970; 0: never.
    reference : Reference
        What it has to end with.
    seen : Seen
        Gets what was found.
    strategy : str
        Of the campaign.
    """
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
    seen.problems += _not_shown(stage.row, stage.cell.moment, records)
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


def find(stage: Stage, fired_s: float, seen: Seen) -> None:
    """Look when a hang was found.

    Parameters
    ----------
    stage : Stage
        Where it ended.
    fired_s : float
        When it began to hang, seconds since 1970.
    seen : Seen
        Gets what was found.
    """
    seen.budget_s = stage.row.variant.hang_s
    if not seen.budget_s:
        return
    found = [
        at_s
        for record, at_s in read_records(stage.root, campaign.NAME)
        if isinstance(record, e.SegmentFailed)
        and record.cause.name == stage.row.cause
        and at_s >= fired_s
    ]
    seen.found_s = min(found, default=math.inf) - fired_s
    if seen.found_s > 2 * seen.budget_s:
        seen.problems.append(f"found after {seen.found_s:.1f} of {seen.budget_s:g} s")


def _not_shown(row: Row, moment: str, records: Sequence[Any]) -> Iterator[str]:
    """Yield what the journal would tell if the fault had struck."""
    lost = sum(isinstance(record, e.NodeLost) for record in records)
    if lost < row.lost:
        yield f"{lost} lost nodes in the journal, expected {row.lost}"
    if row.cause and moment not in row.unheard:
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
