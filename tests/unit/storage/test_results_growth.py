from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch.errors import (
    BackendError,
    CorruptDataError,
    InvalidInputError,
)
from climorch.storage import durable, passage, results
from tests.unit.storage.result_cases import Rig, output, tas


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_the_root_is_what_switches(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its last rename a publish is not seen; tried again it completes."""
    rig.publish(1, {0: output(0)}, done=1)
    checkpoint = rig.commit(2, {1: output(2)}, done=2)
    real = passage.write_through

    def full(way: Path, path: Path, *args: Any) -> None:
        if path == rig.path / "zarr.json":
            raise OSError(28, "No space left on device")
        real(way, path, *args)

    monkeypatch.setattr(results, "write_through", full)
    with pytest.raises(BackendError, match="cannot publish results at"):
        rig.results.publish(checkpoint)
    assert rig.read()["tas"].values.tolist() == tas(0, 1)
    monkeypatch.undo()
    rig.results.publish(checkpoint)
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2, 3)


@pytest.mark.parametrize("broken_after", [0, 2, 5])
def test_a_first_publish_that_broke_is_completed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, broken_after: int
) -> None:
    """Wherever the first publish breaks, the next one brings what is missing."""
    checkpoint = rig.commit(1, {0: output(0)}, done=1)
    real, left = durable.link_or_none, [broken_after]

    def ill(source: Path, target: Path) -> Any:
        if not left[0]:
            raise OSError(5, "Input/output error")
        left[0] -= 1
        return real(source, target)

    monkeypatch.setattr(durable, "link_or_none", ill)
    with pytest.raises(BackendError, match="Input/output error"):
        rig.results.publish(checkpoint)
    assert not rig.results.exists("m01", "ocean")
    monkeypatch.undo()
    rig.results.publish(checkpoint)
    data = rig.read()
    assert data["tas"].values.tolist() == tas(0, 1)
    assert data["lat"].values.tolist() == [-60.0, 0.0, 60.0]
    assert data["area"].values.tolist() == [1.0, 2.0, 1.0]
    assert data["grid"].item() == "regular"


def test_what_cannot_be_linked_is_copied(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without hard links results are copies."""
    monkeypatch.setattr(durable, "link_or_none", lambda source, target: None)
    checkpoint = rig.publish(1, {0: output(0)}, done=1)
    chunk = rig.path / "tas" / "c" / "0" / "0"
    assert chunk.stat().st_nlink == 1
    rig.results.publish(checkpoint)
    assert rig.read()["tas"].values.tolist() == tas(0, 1)


def test_results_share_the_files_of_the_checkpoint(rig: Rig) -> None:
    """Published chunks take no space while the checkpoint has them too."""
    checkpoint = rig.publish(1, {0: output(0)}, done=1)
    theirs = checkpoint.path / "outputs" / "ocean" / "0" / "tas" / "c" / "0" / "0"
    assert (rig.path / "tas" / "c" / "0" / "0").samefile(theirs)


def test_results_outlive_their_checkpoints(rig: Rig) -> None:
    """Deleting the checkpoints takes nothing from what is published."""
    rig.publish(1, {0: output(0)}, done=1)
    rig.publish(2, {1: output(2)}, done=2)
    for boundary in (1, 2):
        rig.checkpoints.delete("m01", "ocean", boundary)
    durable.remove_tree(rig.results.folder / "trash")
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2, 3)


CHANGED: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "a variable less": (lambda d: d.drop_vars("tas"), "'tas': is missing"),
    "a variable more": (lambda d: d.assign(pr=d["tas"]), "'pr': was not there before"),
    "another type": (
        lambda d: d.assign(tas=d["tas"].astype("f8")),
        "'tas': type is 'float64', was 'float32'",
    ),
    "another shape": (
        lambda d: d.isel(lat=slice(2)),
        "'tas': shape without time is [2], was [3]",
    ),
    "other units": (
        lambda d: d.assign(tas=d["tas"].assign_attrs(units="degC")),
        "'tas': units is 'degC', was 'K'",
    ),
    "another calendar": (
        lambda d: d.convert_calendar("360_day", align_on="date"),
        "'time': calendar is '360_day', was 'noleap'",
    ),
    "other constants": (
        lambda d: d.assign_coords(lat=[-61.0, 0.0, 61.0]),
        "'lat': units is None, was 'degrees_north'; digest of values is",
    ),
}


@pytest.mark.parametrize("change", sorted(CHANGED))
def test_an_output_of_another_structure_does_not_continue(
    rig: Rig, change: str
) -> None:
    """An output that lacks, adds or changes a variable is refused, not mixed in."""
    make, problem = CHANGED[change]
    rig.publish(1, {0: output(0)}, done=1)
    with pytest.raises(InvalidInputError) as refused:
        rig.stage(1, make(output(2)))
    assert problem in str(refused.value)
    # A driver that has not seen the first output learns it from the results.
    anew = Rig(rig.results.folder.parent)
    with pytest.raises(InvalidInputError, match="results cannot grow by this"):
        anew.stage(1, make(output(2)))


@pytest.mark.parametrize("change", ["a variable less", "other units"])
def test_nothing_of_another_structure_is_published(rig: Rig, change: str) -> None:
    """What was committed all the same is refused when it is to be published."""
    make, problem = CHANGED[change]
    late = rig.commit(1, {1: make(output(2))}, done=2)
    anew = Rig(rig.results.folder.parent)
    anew.publish(2, {0: output(0)}, done=1)
    with pytest.raises(CorruptDataError) as caught:
        anew.results.publish(late)
    assert problem in str(caught.value)
    assert anew.read()["tas"].values.tolist() == tas(0, 1)


def test_a_variable_may_be_chunked_in_one_segment_only(rig: Rig) -> None:
    """Whether an output was lazy or in memory makes no difference to its readers."""
    rig.publish(1, {0: output(0)}, done=1)
    rig.publish(2, {1: output(2).load()}, done=2)
    rig.publish(3, {2: output(4)}, done=3)
    data = rig.read()
    assert data["tas"].values.tolist() == tas(*range(6))
    assert data["steps"].values.tolist() == [0, 100, 200, 300, 400, 500]


def test_an_output_that_lost_a_chunk_is_not_published(rig: Rig) -> None:
    """Zarr would show fill values there, so nothing of it is shown."""
    checkpoint = rig.commit(1, {0: output(0)}, done=1)
    # Touched, and still what was committed.
    os.utime(checkpoint.path / "outputs/ocean/0/zarr.json")
    os.utime(checkpoint.path / "outputs/ocean/0/tas/c/0/0")
    (checkpoint.path / "outputs/ocean/0/tas/c/0/1").unlink()

    with pytest.raises(CorruptDataError, match="is missing"):
        rig.results.publish(checkpoint)
    assert not rig.results.exists("m01", "ocean")
