from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import xarray as xr

from climorch.errors import (
    ConflictError,
    CorruptDataError,
    InvalidInputError,
)
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import (
    CHUNKS,
    land,
    names,
    ocean,
    open_store,
    replace_file,
    request,
    restore,
    save,
    stage_output,
    write,
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


def test_checkpoint_lies_where_the_layout_says(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """A checkpoint is named by date and boundary, and has trees and a manifest."""
    checkpoint = save(store, request(exports=True))
    path = tmp_path / "cmip" / "checkpoints" / "m01" / "earth" / "1851-01-01-1"
    assert checkpoint.path == path
    assert checkpoint.boundary == 1
    assert checkpoint.path == store.final_path("m01", "earth", 1, request().model_time)
    assert names(path) == ["MANIFEST.json", "exports.zarr", "state.zarr"]
    assert names(path / "state.zarr") == ["land", "ocean", "zarr.json"]
    manifest = checkpoint.manifest
    assert sorted(manifest.chunks()) == [
        "exports.zarr/ocean/T/c/0/0",
        "exports.zarr/ocean/T/c/1/0",
        "exports.zarr/ocean/mask/c/0",
        "exports.zarr/ocean/mask/c/1",
        *CHUNKS,
    ]
    assert (manifest.exports, manifest.segments) == (
        ("ocean",),
        {"ocean": 2, "land": 1},
    )
    assert (manifest.model_time, manifest.calendar) == ("1851-01-01T00:00:00", "noleap")
    assert (manifest.epoch, manifest.attempt, manifest.params_digest) == (1, 1, "p")


def test_every_file_is_listed_and_read_only(store: CheckpointStore) -> None:
    """The manifest has exactly the files that are there, and none can be written to."""
    checkpoint = save(store, request())
    found = {
        str(path.relative_to(checkpoint.path))
        for path in checkpoint.path.rglob("*")
        if path.is_file()
    }
    assert found == {*checkpoint.manifest.entries, "MANIFEST.json"}
    assert {(checkpoint.path / key).stat().st_mode & 0o777 for key in found} == {0o444}
    assert store.verify(checkpoint).good


def test_plain_xarray_opens_it_without_climorch(store: CheckpointStore) -> None:
    """A process without climorch opens group and tree, without a warning."""
    checkpoint = save(store, request(exports=True))
    script = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np, xarray as xr
path = sys.argv[1]
tree = xr.open_datatree(path + "/state.zarr", engine="zarr").load()
ocean = xr.open_zarr(path + "/state.zarr/ocean").load()
exports = xr.open_datatree(path + "/exports.zarr", engine="zarr").load()
assert sorted(tree.children) == ["land", "ocean"]
assert tree["ocean"].to_dataset().identical(ocean)
assert ocean["T"].dtype == "f4" and ocean["mask"].dtype == bool
assert ocean["T"].values.ravel().tolist() == list(range(12))
assert ocean["mask"].values.tolist() == [True, True, False]
assert int(ocean["clock"]) == 3 and "clock" in ocean.coords
assert float(exports["ocean/T"][0, 0]) == 100
snow = tree["land/snow"].values
assert snow[0] == 1.5 and np.isnan(snow[1]) and np.signbit(snow[2])
assert tree["land/name"].values.tolist() == ["a", "bc", "d"]
assert not [name for name in sys.modules if name.startswith("climorch")]
print("read")
"""
    # The interpreter's own paths, without those that a test run adds.
    done = subprocess.run(
        [sys.executable, "-c", script, str(checkpoint.path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkpoint.path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )
    assert (done.stdout, done.stderr) == ("read\n", "")


def test_restore_gives_the_states_back_exactly(store: CheckpointStore) -> None:
    """States and exports come back identical through their manifest."""
    checkpoint = save(store, request(exports=True))
    trees = restore(store, checkpoint)
    assert trees["state"]["ocean"].identical(ocean().load())
    assert trees["state"]["land"].identical(land().load())
    assert trees["exports"]["ocean"].identical(ocean(100).load())


def test_set_without_chunked_fields_is_a_checkpoint(store: CheckpointStore) -> None:
    """A state that is all in memory needs no receipts."""
    states = {"clock": xr.Dataset({"n": ((), 5)})}
    asked = dataclasses.replace(request(), states=states, segments={"clock": 1})
    in_flight = store.begin(asked)
    assert in_flight.jobs == {}
    checkpoint = store.commit(in_flight, [])
    assert int(store.opened(checkpoint)["state"]["clock"]["n"]) == 5


def test_missing_extra_and_double_chunks_are_refused(store: CheckpointStore) -> None:
    """A commit needs exactly one receipt for each chunk."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    stranger = msgspec.structs.replace(receipts[0], key="state.zarr/ocean/T/c/7/7")
    for given, problem in (
        (receipts[1:], "1 chunks were never written (state.zarr/ocean/T/c/0/0)"),
        (
            [*receipts, stranger],
            "1 chunks were not asked for (state.zarr/ocean/T/c/7/7)",
        ),
        ([*receipts, receipts[0]], "1 chunks were written twice"),
    ):
        with pytest.raises(CorruptDataError) as caught:
            store.commit(in_flight, given)
        assert problem in str(caught.value)
    assert store.list("m01", "earth") == []
    assert store.commit(in_flight, receipts).boundary == 1


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("lost chunk", "1 chunks are missing (state.zarr/ocean/T/c/0/0)"),
        ("damaged chunk", "expected"),
        ("foreign file", "1 files were not asked for (state.zarr/foreign)"),
        ("lost metadata", "1 files are missing (state.zarr/ocean/T/zarr.json)"),
        ("changed metadata", "1 files changed since they were written"),
    ],
)
def test_files_are_looked_at_before_the_commit(
    store: CheckpointStore, what: str, problem: str
) -> None:
    """What was damaged between receipt and commit is not committed."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    root = in_flight.directory
    if what == "lost chunk":
        (root / "state.zarr/ocean/T/c/0/0").unlink()
    elif what == "damaged chunk":
        replace_file(root / "state.zarr/ocean/T/c/0/0", b"short")
    elif what == "foreign file":
        (root / "state.zarr/foreign").write_bytes(b"")
    elif what == "lost metadata":
        (root / "state.zarr/ocean/T/zarr.json").unlink()
    else:
        replace_file(root / "state.zarr/ocean/zarr.json", b"{}")
    with pytest.raises(CorruptDataError) as caught:
        store.commit(in_flight, receipts)
    assert problem in str(caught.value)


def test_leftovers_of_killed_writers_are_swept(store: CheckpointStore) -> None:
    """Unfinished files are no part of a checkpoint."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    (in_flight.directory / "state.zarr/ocean/T/c/0/.tmp-0").write_bytes(b"half")
    checkpoint = store.commit(in_flight, receipts)
    assert store.verify(checkpoint).good


def test_chunk_written_again_by_a_second_task_is_fine(store: CheckpointStore) -> None:
    """A task that ran twice replaced a file by its equal."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    write(in_flight, asked, writer="node-1")
    checkpoint = store.commit(in_flight, receipts)
    key = CHUNKS[0]
    assert (
        checkpoint.manifest.entries[key].inode == (checkpoint.path / key).stat().st_ino
    )
    # Their own files are still the source of the next links.
    again = save(store, request(2, previous=checkpoint))
    assert again.manifest.entries[key].linked


def test_same_checkpoint_again_is_the_first_one(store: CheckpointStore) -> None:
    """Redoing a boundary with the same values gives the committed checkpoint."""
    first = save(store, request(attempt=1))
    again = save(store, request(attempt=2))
    assert again == first
    assert [c.boundary for c in store.list("m01", "earth")] == [1]


def test_other_content_at_the_same_boundary_is_a_conflict(
    store: CheckpointStore,
) -> None:
    """A committed checkpoint is never replaced by another one."""
    first = save(store, request(attempt=1))
    with pytest.raises(ConflictError, match="exists with other content"):
        save(store, request(attempt=2, shift=1))
    assert store.verify(first).good


def test_unreadable_checkpoint_gives_way(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """A damaged checkpoint of the same boundary is kept as evidence, not in the way."""
    first = save(store, request(attempt=1))
    (first.path / "MANIFEST.json").unlink()
    second = save(store, request(attempt=2, shift=1))
    assert store.verify(second).good
    evidence = tmp_path / "cmip" / "damaged"
    assert names(evidence) == ["m01~earth~1851-01-01-1~0"]


def test_diagnostics_become_part_of_the_checkpoint(store: CheckpointStore) -> None:
    """Staged diagnostics are moved in, listed, verified and not restored."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    for segment in (1, 0):
        staged, made = stage_output(store, segment)
        moved = store.add_outputs(in_flight, "ocean", segment, staged, made)
        assert [r.key for r in moved] == [f"outputs/ocean/{segment}/sst/c/0/0"]
        assert not staged.exists()
        receipts += moved
    with pytest.raises(ConflictError, match="add each segment once"):
        store.add_outputs(in_flight, "ocean", 1, "gone", [])
    checkpoint = store.commit(in_flight, receipts)
    assert checkpoint.manifest.outputs == {"ocean": (0, 1)}
    assert store.verify(checkpoint).good
    assert sorted(store.opened(checkpoint)) == ["state"]
    replace_file(checkpoint.path / "outputs/ocean/0/sst/c/0/0", b"x" * 40)
    bad = store.verify(checkpoint).bad
    assert [key for key, _ in bad] == ["outputs/ocean/0/sst/c/0/0"]


def test_diagnostics_that_are_gone_mean_fenced(store: CheckpointStore) -> None:
    """Staged diagnostics that somebody renamed are not committed."""
    in_flight = store.begin(request())
    with pytest.raises(ConflictError, match="its directory is gone"):
        store.add_outputs(in_flight, "ocean", 0, store.layout.campaign / "gone", [])
    with pytest.raises(InvalidInputError, match="stage: name 'a/b'"):
        store.add_outputs(in_flight, "a/b", 0, "x", [])


def test_deleted_checkpoint_can_still_be_read(store: CheckpointStore) -> None:
    """A reader that is open goes on; the trash is emptied after a day."""
    checkpoint = save(store, request())
    lazy = xr.open_zarr(checkpoint.path / "state.zarr" / "ocean", chunks=None)
    assert store.delete("m01", "earth", 1, now_s=1_700_000_000)
    assert store.list("m01", "earth") == []
    (moved,) = list(store.layout.trash.iterdir())
    assert xr.open_zarr(moved / "state.zarr" / "ocean").load().sizes == lazy.sizes
    (store.layout.trash / "notes").write_text("not ours")
    assert store.purge_trash(1_700_000_000 + 86_399) == 0
    assert store.purge_trash(1_700_000_000 + 86_400) == 1
    assert names(store.layout.trash) == ["notes"]


def test_deleting_is_stamped_with_the_present(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a clock of its own a caller gets the computer's."""
    save(store, request())
    monkeypatch.setattr("time.time", lambda: 1_700_000_123.9)
    store.delete("m01", "earth", 1)
    assert store.layout.thrown_away()[0][1] == 1_700_000_123


def test_trash_can_be_emptied_at_once(store: CheckpointStore) -> None:
    """On a full disk nothing is kept back, and links keep their content."""
    first = save(store, request(1))
    second = save(store, request(2, previous=first))
    store.delete("m01", "earth", 1, now_s=1_700_000_000)
    assert store.purge_trash(1_700_000_000, older_than_s=0) == 1
    assert store.verify(second).good
