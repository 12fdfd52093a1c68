"""What a campaign ended with, and what it cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.causes import Cause
from climorch.testing.aftermath import differing, leftovers, recovery_s, roll_backs_s


def started(name: str, segment: int, at_s: float) -> tuple[c.Record, float]:
    """Let a segment begin."""
    record = c.StartSegment(simulation=name, stage="a", segment=segment, attempt=1)
    return record, at_s


def finished(name: str, segment: int, at_s: float) -> tuple[c.Record, float]:
    """Let a segment end."""
    record = e.SegmentFinished(
        simulation=name, stage="a", segment=segment, attempt=1, seconds=1.0
    )
    return record, at_s


def rolled_back(name: str, lost_s: float, at_s: float) -> tuple[c.Record, float]:
    """Let computed work be lost."""
    record = c.RolledBack(
        simulation=name,
        set="a",
        attempt=1,
        boundary=0,
        segments=1,
        lost_s=lost_s,
        cause=Cause.NODE_LOST,
    )
    return record, at_s


def test_recovery_ends_with_the_first_segment_after_the_last_roll_back() -> None:
    """Of the slowest simulation; what was finished before a roll-back counts not."""
    timed = [
        started("s", 0, 1.0),
        started("t", 0, 1.0),
        finished("t", 0, 2.0),
        finished("s", 0, 10.5),
        rolled_back("s", 3.0, 11.0),
        finished("t", 1, 12.0),
        finished("s", 0, 14.0),
        finished("s", 1, 20.0),
    ]

    assert recovery_s(timed, died_s=10.0) == 4.0
    assert recovery_s(timed, died_s=10.0, but=["s"]) == 0.0
    assert recovery_s(timed[:3], died_s=10.0) == 0.0


def test_only_what_was_lost_since_the_fault_counts() -> None:
    """Each roll-back by itself."""
    timed = [rolled_back("s", 9.0, 1.0), rolled_back("s", 2.0, 5.0)]

    assert roll_backs_s(timed, since_s=5.0) == [2.0]
    assert roll_backs_s(timed, since_s=0.0) == [9.0, 2.0]


def test_one_bit_is_a_difference_and_so_is_what_is_missing() -> None:
    """Values, attributes and names are compared."""
    one = {"a": xr.Dataset({"x": ("y", [1.0, 2.0])}), "b": xr.Dataset()}
    near = np.nextafter(2.0, 3.0)

    assert differing(one, dict(one)) == []
    assert differing(one, {"a": one["a"]}) == ["b"]
    other = {**one, "a": xr.Dataset({"x": ("y", [1.0, near])})}
    assert differing(one, other) == ["a"]
    assert differing(one, {**one, "b": xr.Dataset(attrs={"n": 1})}) == ["b"]


def test_files_in_flight_and_temporary_ones_are_left_over(tmp_path: Path) -> None:
    """Empty folders, and the trash that a day empties, are not."""
    for name in ("inflight/1/s/air-4.1/state.zarr", "trash/1", "results/s/air"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "inflight/1/_leaving-trash").mkdir()
    (tmp_path / "inflight/1/_salvage-1/s").mkdir(parents=True)
    assert list(leftovers(tmp_path)) == ["in flight: inflight/1/s/air-4.1"]
    (tmp_path / "inflight/1/s/air-4.1/state.zarr/zarr.json").touch()
    (tmp_path / "inflight/1/_salvage-1/s/air-2.1~0a").mkdir()
    (tmp_path / "trash/1/.x").touch()
    (tmp_path / "results/s/air/.zarr.json.tmp").touch()

    assert list(leftovers(tmp_path)) == [
        "in flight: inflight/1/s/air-4.1",
        "in flight: inflight/1/_salvage-1/s/air-2.1~0a",
        "temporary: results/s/air/.zarr.json.tmp",
    ]
