"""What a campaign ended with, and what it cost: to compare with a calm one.

Reads only what lies on the disk, so that it tells nothing of what a driver believes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import xarray as xr

from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["differing", "leftovers", "outcome", "recovery_s", "roll_backs_s"]

Timed = Sequence[tuple[c.Record, float]]


def outcome(campaign: Path) -> dict[str, xr.Dataset]:
    """Load all results and the last states of every set.

    Parameters
    ----------
    campaign : Path
        Its folder.

    Returns
    -------
    dict of str to Dataset
        By simulation and stage.
    """
    found: dict[str, xr.Dataset] = {}
    for path in sorted((campaign / "results").glob("*/*")):
        found["/".join(path.parts[-2:])] = xr.open_zarr(path).load()
    for folder in sorted((campaign / "checkpoints").glob("*/*")):
        last = max(folder.iterdir(), key=lambda p: int(p.name.rpartition("-")[2]))
        for stage in sorted((last / "state.zarr").iterdir()):
            if stage.is_dir():
                key = "/".join((*stage.parts[-5:-2], stage.name))
                found[key] = xr.open_zarr(stage).load()
    return found


def differing(
    one: Mapping[str, xr.Dataset], other: Mapping[str, xr.Dataset]
) -> list[str]:
    """Return the names of what is not equal bit by bit, or is in one of both only."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not one[name].identical(other[name])
    )


def leftovers(campaign: Path) -> Iterator[str]:
    """Yield what a campaign that has ended should have taken away.

    Parameters
    ----------
    campaign : Path
        Its folder.
    """
    # By epoch and simulation, whose folders stay; what was given up is one deeper.
    inflight = campaign / "inflight"
    for path in [*inflight.glob("*/[!_]*/*"), *inflight.glob("*/_*/*/*")]:
        yield f"in flight: {path.relative_to(campaign)}"
    for path in sorted(campaign.rglob(".*")):
        if path.is_file() and "trash" not in path.parts:
            yield f"temporary: {path.relative_to(campaign)}"


def roll_backs_s(timed: Timed, *, since_s: float) -> list[float]:
    """Return the seconds of compute that each roll-back since then has cost."""
    return [
        record.lost_s
        for record, at_s in timed
        if isinstance(record, c.RolledBack) and at_s >= since_s
    ]


def recovery_s(timed: Timed, *, died_s: float, but: Iterable[str] = ()) -> float:
    """Compute when all simulations that computed have finished a segment again.

    Parameters
    ----------
    timed : sequence of (Record, float)
        The journal, each with its time in seconds since 1970.
    died_s : float
        When the fault struck.
    but : iterable of str
        Simulations that are not looked at.

    Returns
    -------
    float
        Seconds; 0 if nothing was disturbed.
    """
    busy: set[tuple[str, str]] = set()
    lacking: set[str] = set()
    back_s: dict[str, float] = {}
    for record, at_s in timed:
        match record:
            case c.StartSegment() if at_s < died_s:
                busy.add((record.simulation, record.stage))
            case e.SegmentFinished() if at_s < died_s:
                busy.discard((record.simulation, record.stage))
            case c.RolledBack() if at_s >= died_s:
                # What it finished before this counts no more.
                lacking.add(record.simulation)
                back_s.pop(record.simulation, None)
            case e.SegmentFinished():
                if record.simulation in lacking | {name for name, _ in busy}:
                    back_s.setdefault(record.simulation, at_s - died_s)
            case _:
                pass
    return max((s for n, s in back_s.items() if n not in set(but)), default=0.0)
