from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from climorch.errors import (
    CorruptDataError,
    InvalidInputError,
    NotFoundError,
)
from climorch.storage import durable
from climorch.storage.results import newest_before
from tests.unit.storage.result_cases import Rig, dates, output, tas


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


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
        "standard_name": "time",
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
    time = rig.read()["time"]
    assert time.values.tolist() == days.tolist()
    assert time.attrs["units_metadata"] == "leap_seconds: none"


def test_how_an_output_describes_its_time_is_kept(rig: Rig) -> None:
    """What is added to it never replaces what it says itself."""
    said = {"long_name": "middle of the month", "standard_name": "forecast_period"}
    described = output(0)
    described["time"].attrs = said
    rig.publish(1, {0: described}, done=1)
    assert rig.read()["time"].attrs == {**said, "axis": "T"}


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


@pytest.mark.parametrize(("attempt", "stays"), [(1, False), (2, False), (3, True)])
def test_what_is_staged_too_late_goes_at_once(
    rig: Rig, attempt: int, stays: bool
) -> None:
    """An attempt may end while one of its outputs is being staged, in any order."""
    for ended in (2, 1):
        rig.results.drop("m01", "ocean", ended)

    late = rig.results.stage(
        simulation="m01",
        set="ocean",
        attempt=attempt,
        stage="ocean",
        segment=0,
        output=output(0),
    )

    assert late.directory.exists() is stays


def test_writers_do_not_keep_what_is_dropped(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that still writes finds its folder gone, before anything is removed."""
    directory, _ = rig.written(1, output(2))
    remove = durable.remove_tree

    def while_written(path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            (directory / ".tmp-late").touch()
        remove(path)

    monkeypatch.setattr(durable, "remove_tree", while_written)
    rig.results.drop("m01", "ocean", 1)

    assert list(rig.results.staging("m01", "ocean", 1).parent.iterdir()) == []


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


def test_the_last_time_before_a_segment_is_found(tmp_path: Path) -> None:
    """That of the newest segment before it that has an output; none: nothing."""
    rig = Rig(tmp_path)
    assert newest_before(rig.results, "m01", "ocean", 1) is None
    rig.publish(1, {0: output(0), 1: output(2)}, done=3)
    found = [newest_before(rig.results, "m01", "ocean", k) for k in range(5)]
    assert found[0] is None
    last = [f["time"].to_numpy().tolist() for f in found[1:] if f is not None]
    assert last == [dates(1, 1), dates(3, 1), dates(3, 1), dates(3, 1)]
