"""Campaigns that live through trouble of their storage, and what came of it.

One cell runs a small campaign in processes of its own, lets one of `TROUBLES` begin
once results are published, waits until the campaign has computed on for a while and
somebody was told, lets it end, and looks at what the campaign ended with.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xarray as xr

from climorch.engine.session import read_records
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing import trouble_campaign
from climorch.testing.faults import (
    Script,
    committed_twice,
    records_of,
    until,
    until_record,
)
from climorch.testing.models import reference_run
from climorch.testing.preload import environment_of
from climorch.testing.trouble import TROUBLES, Trouble, TroubledStorage
from climorch.testing.trouble_campaign import NAME, SIMULATIONS

__all__ = ["Endured", "differing", "script_of", "try_trouble"]

NODES = 2
SEGMENTS = 14
WORK_S = 0.1
STAGES = ("air", "sea")
MORE = 6
"""Segments that have to be computed while a trouble lasts."""

LONGEST_S = 120.0

TOLD = {
    "checkpoints": {"storage"},
    "journal": {"journal"},
    # Diagnostics are part of a checkpoint until it is committed.
    "results": {"storage", "chore"},
}
"""Place to the kinds of alarms of which one has to tell of it."""


@dataclass(slots=True, kw_only=True)
class Endured:
    """What a cell has shown.

    Attributes
    ----------
    name : str
        Of the trouble.
    problems : list of str
        All that is not as it must be; none if all is well.
    touched : int
        Operations that failed, took long or hung.
    computed : int
        Segments computed while it lasted.
    lasted_s : float
        How long it lasted.
    recovery_s : float
        From its end until every simulation had a newer checkpoint, and the journal
        all rows.
    lost_s : float
        Seconds of compute that were rolled back.
    """

    name: str
    problems: list[str] = field(default_factory=list)
    touched: int = 0
    computed: int = 0
    lasted_s: float = 0.0
    recovery_s: float = 0.0
    lost_s: float = 0.0


def try_trouble(
    folder: Path, name: str, library: Path, *, segments: int = SEGMENTS
) -> Endured:
    """Let a campaign live through one trouble and tell what came of it.

    Parameters
    ----------
    folder : Path
        Empty.
    name : str
        One of `TROUBLES`.
    library : Path
        From `climorch.testing.preload.build`.
    segments : int
        Of each stage.

    Raises
    ------
    TimeoutError
        If what is waited for does not come, such as progress while it lasts.
    NotFoundError
        If the trouble touched nothing.
    """
    trouble, root = TROUBLES[name], folder / "root"
    root.mkdir()
    seen = Endured(name=name)
    storage = TroubledStorage(folder / "control", root / NAME, trouble)
    environment = environment_of(storage, library)
    script = script_of(root, environment, segments=segments, work_s=WORK_S)
    with storage, script as driver:
        until_record(root, NAME, e.ResultsPublished, count=2, timeout_s=LONGEST_S)
        _live_through(root, driver, storage, seen)
        ended_s = time.time()
        status, printed = driver.finish(timeout_s=LONGEST_S)
        if status:
            seen.problems.append(f"exit status {status}: {printed[-2000:]}")
        try:
            until(lambda: not driver.orphans(), what="no process", timeout_s=10.0)
        except TimeoutError:
            seen.problems.append(f"processes are left: {driver.orphans()}")
    seen.touched = storage.touched
    seen.problems += _untold(printed, trouble)
    _judge(root, ended_s, segments, seen)
    return seen


def script_of(
    root: Path, environment: Mapping[str, str], *, segments: int, work_s: float
) -> Script:
    """Return the campaign of a cell, in processes of its own; not begun yet.

    Parameters
    ----------
    root : Path
        Of the campaign.
    environment : mapping of str to str
        What it needs to come upon what its storage has, or has not.
    segments : int
        Of each stage.
    work_s : float
        Seconds that each of its tasks takes, at least.
    """
    path = Path(trouble_campaign.__file__)
    given = {"root": str(root), "nodes": NODES, "segments": segments, "work_s": work_s}
    place = {"PYTHONPATH": str(path.parents[2])}
    return Script(path, json.dumps(given), environment={**place, **environment})


def _live_through(
    root: Path, driver: Script, storage: TroubledStorage, seen: Endured
) -> None:
    """Let the trouble begin, and end once the campaign has shown what it does."""
    begin_s = time.monotonic()
    storage.begin()
    until(
        lambda: storage.touched > 0 or not driver.alive,
        what=f"{seen.name} touches something",
        timeout_s=LONGEST_S,
    )
    begun, before = _computed(driver), _kept(root)
    until(
        lambda: _computed(driver) >= begun + MORE or not driver.alive,
        what=f"{MORE} segments are computed while it lasts",
        timeout_s=LONGEST_S,
    )
    if storage.trouble.kind != "slow":
        until(
            lambda: _told(driver.printed, storage.trouble) or not driver.alive,
            what="somebody is told",
            timeout_s=LONGEST_S,
        )
        seen.problems += _done_meanwhile(before, _kept(root), storage.trouble)
    seen.computed = _computed(driver) - begun
    storage.end()
    seen.lasted_s = time.monotonic() - begin_s


def _computed(driver: Script) -> int:
    return driver.printed.count("segment simulation=")


def _kept(root: Path) -> Counter[str]:
    """Count what is durable: rows, and committed and published boundaries."""
    found = records_of(root, NAME)
    return Counter(
        {
            "rows": len(found),
            "commits": sum(isinstance(r, e.CheckpointCommitted) for r in found),
            "published": sum(isinstance(r, e.ResultsPublished) for r in found),
        }
    )


def _done_meanwhile(
    before: Counter[str], after: Counter[str], trouble: Trouble
) -> Iterator[str]:
    """Say what was done that this trouble does not allow."""
    part = {"journal": "rows", "checkpoints": "commits", "results": "published"}
    # What was beyond its last write when the trouble began.
    under_way = 12 if trouble.place == "journal" else len(SIMULATIONS)
    more = after[part[trouble.place]] - before[part[trouble.place]]
    if more > under_way:
        yield f"{more} more {part[trouble.place]} while it lasted"


def _alarms(printed: str, event: str) -> set[str]:
    """Return the kinds of alarms that were told so."""
    found = re.findall(r"alarm kind=(\S+) event=(\S+)", printed)
    return {kind for kind, what in found if what == event}


def _told(printed: str, trouble: Trouble) -> bool:
    return bool(_alarms(printed, "begins") & TOLD[trouble.place])


def _untold(printed: str, trouble: Trouble) -> Iterator[str]:
    """Say which alarms did not come, or did not end."""
    if trouble.kind != "slow" and not _told(printed, trouble):
        yield "nobody was told"
    if lasting := _alarms(printed, "begins") - _alarms(printed, "ends"):
        yield f"alarms that never ended: {sorted(lasting)}"


def _judge(root: Path, ended_s: float, segments: int, seen: Endured) -> None:
    """Compare with what the model gives, and read the journal."""
    for simulation in SIMULATIONS:
        seen.problems += differing(root / NAME, simulation, segments)
    timed = read_records(root, NAME)
    found = [record for record, _ in timed]
    if twice := committed_twice(found):
        seen.problems.append(f"committed twice: {twice}")
    seen.lost_s = sum(r.lost_s for r in found if isinstance(r, c.RolledBack))
    if any(isinstance(r, c.RolledBack) for r in found):
        seen.problems.append("computed segments were lost")
    finished = Counter(
        (r.simulation, r.stage, r.segment)
        for r in found
        if isinstance(r, e.SegmentFinished)
    )
    if set(finished.values()) != {1} or len(finished) != 2 * segments * len(
        SIMULATIONS
    ):
        seen.problems.append("a segment was not computed just once")
    left = [path for path in (root / NAME / "inflight").rglob("*") if path.is_file()]
    if left:
        seen.problems.append(f"left in flight: {left[:3]}")
    seen.recovery_s = _recovery_s(timed, ended_s)


def differing(campaign: Path, simulation: str, segments: int) -> Iterator[str]:
    """Say which values are not those of an undisturbed run, bit by bit.

    Parameters
    ----------
    campaign : Path
        Its folder.
    simulation : str
        Of it.
    segments : int
        Of each stage.

    Yields
    ------
    str
        What differs.
    """
    newest = max(
        (campaign / "checkpoints" / simulation / "air").iterdir(),
        key=lambda path: int(path.name.rpartition("-")[2]),
    )
    expected = [reference_run(simulation, segments=k + 1) for k in range(segments)]
    for stage in STAGES:
        heat = xr.open_zarr(newest / "state.zarr" / stage)["heat"].to_numpy()
        if heat.tobytes() != expected[-1][stage].tobytes():
            yield f"{simulation}/{stage}: the last state differs"
        results = xr.open_zarr(campaign / "results" / simulation / stage)["heat"]
        if results.sizes["time"] != segments or any(
            value.tobytes() != expected[k][stage].tobytes()
            for k, value in enumerate(results.to_numpy())
        ):
            yield f"{simulation}/{stage}: results differ"


def _recovery_s(timed: Sequence[tuple[c.Record, float]], ended_s: float) -> float:
    """Look when each simulation had committed something again."""
    back_s = {
        r.simulation: at_s - ended_s
        for r, at_s in reversed(timed)
        if isinstance(r, e.CheckpointCommitted) and at_s >= ended_s
    }
    return max(back_s.values(), default=0.0)
