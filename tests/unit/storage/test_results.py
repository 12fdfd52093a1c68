from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch.errors import (
    BackendError,
    CorruptDataError,
    InvalidInputError,
    NotFoundError,
)
from climorch.storage import durable
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
)
from climorch.storage.chunks import ChunkReceipt, write_chunks
from climorch.storage.results import ResultStore, StagedOutput
from tests.unit.storage.checkpoint_cases import blocks_of, write


def dates(first: int, count: int) -> list[cftime.datetime]:
    """Mid-month dates from month ``first`` of 2000 on, without leap days."""
    return [
        cftime.DatetimeNoLeap(2000 + month // 12, month % 12 + 1, 16)
        for month in range(first, first + count)
    ]


def output(first: int, count: int = 2, *, chunk: int | None = None) -> xr.Dataset:
    """Months ``first`` and on of a field, of a host variable and of constants."""
    months = np.arange(first, first + count)
    values = np.add.outer(months * 10.0, np.arange(3.0)).astype("f4")
    field = xr.DataArray(
        values,
        dims=("time", "lat"),
        attrs={"units": "K", "standard_name": "air_temperature"},
    ).chunk({"time": chunk or count, "lat": 2})
    return xr.Dataset(
        {
            "tas": field,
            "steps": ("time", months * 100),
            "area": ("lat", np.array([1.0, 2.0, 1.0])),
            "grid": "regular",
        },
        coords={
            "time": ("time", dates(first, count), {"axis": "T"}),
            "lat": ("lat", [-60.0, 0.0, 60.0], {"units": "degrees_north"}),
        },
        attrs={"title": "a stage"},
    )


class Rig:
    """A campaign whose only stage, ``ocean``, writes outputs."""

    def __init__(self, root: Path) -> None:
        self.checkpoints = CheckpointStore(root, "cmip", 1)
        self.checkpoints.fence()
        self.results = ResultStore(root, "cmip", 1)
        self.path = self.results.path("m01", "ocean")

    def stage(self, segment: int, dataset: xr.Dataset) -> StagedOutput:
        """Make room for an output."""
        return self.results.stage(
            simulation="m01",
            set="ocean",
            attempt=1,
            stage="ocean",
            segment=segment,
            output=dataset,
        )

    def written(self, segment: int, dataset: xr.Dataset) -> tuple[Path, Any]:
        """Make room for an output and write it."""
        staged = self.stage(segment, dataset)
        blocks = {(name, index): v for name, index, v in blocks_of(dataset)}
        receipts = write_chunks(
            staged.directory,
            list(staged.jobs.values()),
            [blocks[where] for where in staged.jobs],
            writer="node-0",
            params_digest="",
        )
        return staged.directory, receipts

    def commit(
        self, boundary: int, outputs: Mapping[int, xr.Dataset], *, done: int
    ) -> Checkpoint:
        """Commit a checkpoint that carries the outputs of some segments."""
        state = xr.Dataset({"T": ("lat", np.arange(3.0) + boundary)}).chunk(lat=3)
        asked = CheckpointRequest(
            simulation="m01",
            set="ocean",
            boundary=boundary,
            model_time=cftime.DatetimeNoLeap(2000 + boundary, 1, 1),
            attempt=1,
            params_digest="p",
            states={"ocean": state},
            exports={},
            segments={"ocean": done},
            previous=None,
            full=True,
        )
        in_flight = self.checkpoints.begin(asked)
        receipts: list[ChunkReceipt] = write(in_flight, asked)
        for segment, dataset in outputs.items():
            directory, made = self.written(segment, dataset)
            receipts += self.checkpoints.add_outputs(
                in_flight, "ocean", segment, directory, made
            )
        return self.checkpoints.commit(in_flight, receipts)

    def publish(
        self, boundary: int, outputs: Mapping[int, xr.Dataset], *, done: int
    ) -> Checkpoint:
        """Commit and publish."""
        checkpoint = self.commit(boundary, outputs, done=done)
        self.results.publish(checkpoint)
        return checkpoint

    def read(self) -> xr.Dataset:
        """Read with plain xarray."""
        data: xr.Dataset = xr.open_zarr(self.path).load()
        return data


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def tas(*months: int) -> list[list[float]]:
    """What the field must hold in these months."""
    return [[10.0 * m, 10.0 * m + 1, 10.0 * m + 2] for m in months]


def test_results_grow_with_each_checkpoint(rig: Rig) -> None:
    """After each publish plain xarray reads all segments committed so far."""
    rig.publish(1, {0: output(0), 1: output(2)}, done=2)
    first = rig.read()
    assert first["tas"].values.tolist() == tas(0, 1, 2, 3)
    rig.publish(2, {2: output(4)}, done=3)
    rig.publish(3, {3: output(6), 4: output(8)}, done=5)
    last = rig.read()
    assert last["tas"].values.tolist() == tas(*range(10))
    assert last["tas"].dtype == np.dtype("f4")
    assert last["steps"].values.tolist() == [100 * m for m in range(10)]
    assert last["area"].values.tolist() == [1.0, 2.0, 1.0]
    assert last["lat"].values.tolist() == [-60.0, 0.0, 60.0]
    assert last["grid"].item() == "regular"
    assert last["time"].values.tolist() == dates(0, 10)


def test_a_reader_that_has_it_open_is_not_disturbed(rig: Rig) -> None:
    """A dataset that was opened before a publish goes on reading what it saw."""
    rig.publish(1, {0: output(0)}, done=1)
    before = xr.open_zarr(rig.path)
    rig.publish(2, {1: output(2)}, done=2)
    assert before["tas"].load().values.tolist() == tas(0, 1)
    assert rig.read().sizes["time"] == 4


READER = """
import sys
import xarray as xr
data = xr.open_zarr(sys.argv[1])
assert not any(name.split(".")[0] == "climorch" for name in sys.modules)
print(data["tas"].load().values.tolist(), data["time"].dt.calendar)
"""


def test_results_are_read_without_this_library(rig: Rig, tmp_path: Path) -> None:
    """A process that never imports climorch reads what is published."""
    rig.publish(1, {0: output(0), 1: output(2)}, done=2)
    told = subprocess.run(
        [sys.executable, "-c", READER, str(rig.path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert told.stdout == f"{tas(0, 1, 2, 3)} noleap\n"


def test_time_and_attributes_follow_the_conventions(rig: Rig) -> None:
    """Time has fixed units and the model's calendar, attributes come as given."""
    rig.publish(1, {0: output(0)}, done=1)
    raw = xr.open_zarr(rig.path, decode_times=False)
    assert raw["time"].attrs == {
        "axis": "T",
        "units": "days since 1850-01-01",
        "calendar": "noleap",
    }
    assert raw["time"].dtype == np.dtype("f8")
    assert raw["time"].values.tolist() == [54765.0, 54796.0]
    assert raw["tas"].attrs == {"units": "K", "standard_name": "air_temperature"}
    assert raw["lat"].attrs == {"units": "degrees_north"}
    assert raw.attrs["Conventions"] == "CF-1.11"
    assert raw.attrs["title"] == "a stage"


def test_the_conventions_that_an_output_names_are_kept(rig: Rig) -> None:
    """An output that names its conventions keeps that name."""
    rig.publish(1, {0: output(0).assign_attrs(Conventions="CF-1.8")}, done=1)
    assert rig.read().attrs["Conventions"] == "CF-1.8"


def test_dates_of_the_standard_calendar_need_no_cftime(rig: Rig) -> None:
    """Outputs may be dated by numpy's dates as well."""
    days = np.array(["2000-01-16", "2000-02-16"], "M8[ns]")
    rig.publish(1, {0: output(0).assign_coords(time=days)}, done=1)
    assert rig.read()["time"].values.tolist() == days.tolist()


def test_publishing_again_changes_nothing(rig: Rig) -> None:
    """A checkpoint that is published twice, or late, leaves the same files."""
    first = rig.publish(1, {0: output(0)}, done=1)
    second = rig.publish(2, {1: output(2)}, done=2)
    before = {
        p.relative_to(rig.path): p.read_bytes()
        for p in rig.path.rglob("*")
        if p.is_file()
    }
    for checkpoint in (first, second, first):
        rig.results.publish(checkpoint)
    after = {
        p.relative_to(rig.path): p.read_bytes()
        for p in rig.path.rglob("*")
        if p.is_file()
    }
    assert after == before
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2, 3)


def test_segments_without_output_leave_no_gap(rig: Rig) -> None:
    """Segments that return no output take no place along time."""
    rig.publish(1, {}, done=1)
    assert not rig.results.exists("m01", "ocean")
    rig.publish(2, {2: output(0)}, done=3)
    rig.publish(3, {}, done=5)
    rig.publish(4, {5: output(2)}, done=6)
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2, 3)
    about = xr.open_zarr(rig.path).attrs["climorch"]
    assert json.loads(about) == {
        "chunk": 2,
        "lengths": [[0, 2], [2, 1], [0, 2], [2, 1]],
        "segments": 6,
    }


def test_a_checkpoint_without_news_is_passed_over(rig: Rig) -> None:
    """An older checkpoint without outputs leaves the results as they are."""
    old = rig.commit(1, {}, done=1)
    rig.publish(2, {0: output(0), 1: output(2)}, done=2)
    before = (rig.path / "zarr.json").stat().st_ino
    rig.results.publish(old)
    assert (rig.path / "zarr.json").stat().st_ino == before


def test_the_last_segment_may_be_shorter(rig: Rig) -> None:
    """A last segment that does not fill its chunk is read to its own length."""
    rig.publish(1, {0: output(0), 1: output(2)}, done=2)
    rig.publish(2, {2: output(4, 1)}, done=3)
    data = rig.read()
    assert data["tas"].values.tolist() == tas(0, 1, 2, 3, 4)
    assert data["steps"].values.tolist() == [0, 100, 200, 300, 400]
    assert data["time"].values.tolist() == dates(0, 5)


def test_nothing_continues_a_short_segment(rig: Rig) -> None:
    """An output that would begin within a chunk is refused, what is seen stays."""
    rig.publish(1, {0: output(0), 1: output(2, 1)}, done=2)
    late = rig.commit(2, {2: output(3)}, done=3)
    with pytest.raises(CorruptDataError, match="has 2 times at 3, which does not"):
        rig.results.publish(late)
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2)


def test_another_length_than_published_is_refused(rig: Rig) -> None:
    """A segment that is published again with another length is refused."""
    rig.publish(1, {0: output(0), 1: output(2)}, done=2)
    other = rig.commit(2, {1: output(2, 4)}, done=2)
    with pytest.raises(CorruptDataError, match="has 4 times at 2"):
        rig.results.publish(other)
    assert rig.read()["tas"].values.tolist() == tas(0, 1, 2, 3)


def test_chunks_may_divide_a_segment(rig: Rig) -> None:
    """With chunks shorter than a segment, lengths may be any multiple of them."""
    rig.publish(1, {0: output(0, 4, chunk=2)}, done=1)
    rig.publish(2, {1: output(4, 2, chunk=2), 2: output(6, 3, chunk=2)}, done=3)
    assert rig.results.chunk_length("m01", "ocean") == 2
    data = xr.open_zarr(rig.path)
    assert data["tas"].encoding["chunks"] == (2, 2)
    assert data["tas"].load().values.tolist() == tas(*range(9))
    assert data["steps"].load().values.tolist() == [100 * m for m in range(9)]
    assert data["time"].values.tolist() == dates(0, 9)


def test_an_output_in_memory_alone_is_one_chunk_a_segment(rig: Rig) -> None:
    """Without a chunked variable the chunks are as long as the first segment."""
    small = output(0, 3)[["steps"]], output(3, 3)[["steps"]]
    rig.publish(1, {0: small[0]}, done=1)
    rig.publish(2, {1: small[1]}, done=2)
    assert rig.results.chunk_length("m01", "ocean") == 3
    assert rig.read()["steps"].values.tolist() == [0, 100, 200, 300, 400, 500]


def test_time_alone_is_an_output(rig: Rig) -> None:
    """An output of nothing but dates is published."""
    rig.publish(1, {0: output(0)[["time"]]}, done=1)
    assert rig.read()["time"].values.tolist() == dates(0, 2)


def test_time_need_not_be_the_first_dimension(rig: Rig) -> None:
    """Chunks are brought to their place along whichever dimension is time."""
    for k in range(2):
        turned = output(2 * k, 2, chunk=1).transpose("lat", "time")
        rig.publish(k + 1, {k: turned}, done=k + 1)
    data = rig.read()
    assert data["tas"].dims == ("lat", "time")
    assert data["tas"].values.T.tolist() == tas(0, 1, 2, 3)


def test_the_root_is_what_switches(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its last rename a publish is not seen; tried again it completes."""
    rig.publish(1, {0: output(0)}, done=1)
    checkpoint = rig.commit(2, {1: output(2)}, done=2)
    real = durable.write_durably

    def full(path: Path, *args: Any) -> None:
        if path == rig.path / "zarr.json":
            raise OSError(28, "No space left on device")
        real(path, *args)

    monkeypatch.setattr(durable, "write_durably", full)
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


def test_what_is_no_number_in_time_is_refused(rig: Rig) -> None:
    """Every variable of text along time is named in one error."""
    text = xr.Variable("time", np.array(["a", "b"]))
    with pytest.raises(InvalidInputError) as caught:
        rig.stage(0, output(0).assign(one=text, two=text))
    assert [fault.place for fault in caught.value.faults] == [
        "Advance.output, variable 'one'",
        "Advance.output, variable 'two'",
    ]
    assert caught.value.faults[0].problem == "varies in time and has type <U1"


def test_staging_again_begins_anew(rig: Rig) -> None:
    """A segment that is staged a second time leaves nothing of the first."""
    directory, _ = rig.written(0, output(0))
    (directory / "left").touch()
    again = rig.stage(0, output(0))
    assert again.directory == directory
    assert sorted(p.name for p in directory.iterdir()) == [
        "area",
        "grid",
        "lat",
        "receipts",
        "steps",
        "tas",
        "time",
        "zarr.json",
    ]
    assert sorted(again.jobs) == [("tas", (0, 0)), ("tas", (0, 1))]


def test_staging_leaves_the_output_as_it_was(rig: Rig) -> None:
    """The dataset that a step returned is not written into."""
    mine = output(0)
    rig.stage(0, mine)
    assert mine.attrs == {"title": "a stage"}
    assert mine["time"].encoding == {}


def test_what_was_not_committed_can_be_dropped(rig: Rig) -> None:
    """Dropping an attempt removes all that it staged, and only that; again is fine."""
    rig.publish(1, {0: output(0)}, done=1)
    directory, _ = rig.written(1, output(2))
    for _ in range(2):
        rig.results.drop("m01", "ocean", 1)
    assert not directory.exists()
    assert rig.read()["tas"].values.tolist() == tas(0, 1)


def test_nothing_published_is_not_found(rig: Rig) -> None:
    """Results that are not there are an error that says when they come."""
    assert rig.results.chunk_length("m01", "ocean") is None
    with pytest.raises(NotFoundError, match="they follow its first checkpoint"):
        rig.results.open("m01", "ocean")


def test_results_open_lazily(rig: Rig) -> None:
    """What is published opens as a lazy dataset in the chunks of the store."""
    rig.publish(1, {0: output(0), 1: output(2)}, done=2)
    data = rig.results.open("m01", "ocean")
    assert data["tas"].chunks == ((2, 2), (2, 1))
    assert json.loads((rig.path / "zarr.json").read_bytes())["consolidated_metadata"]
