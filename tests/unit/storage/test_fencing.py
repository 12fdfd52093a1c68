from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
)
from climorch.storage import durable
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.chunks import ChunkReceipt
from climorch.storage.commit import collect_entries, seal
from tests.unit.storage.checkpoint_cases import (
    CHUNKS,
    flip,
    names,
    open_store,
    request,
    save,
    stage_output,
    write,
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


def test_fenced_driver_cannot_commit(tmp_path: Path, store: CheckpointStore) -> None:
    """A driver that was paused while another took over commits and writes nothing."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    successor = open_store(tmp_path, 2)
    with pytest.raises(ConflictError, match="taken over by driver 2; this one is 1"):
        store.commit(in_flight, receipts)
    with pytest.raises(ConflictError, match="has to stop"):
        store.begin(asked)
    with pytest.raises(ConflictError, match="its directory is gone"):
        write(in_flight, asked)
    with pytest.raises(ConflictError, match="taken over by driver 2"):
        store.fence()
    assert successor.list("m01", "earth") == []


def test_takeover_between_manifest_and_rename_is_noticed(
    tmp_path: Path, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the last instant before the rename belongs to the newer driver."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    whole = durable.rename_durably

    def late(source: Path, destination: Path) -> None:
        monkeypatch.setattr(durable, "rename_durably", whole)
        open_store(tmp_path, 2)
        whole(source, destination)

    monkeypatch.setattr(durable, "rename_durably", late)
    with pytest.raises(ConflictError, match="its directory is gone"):
        store.commit(in_flight, receipts)
    assert store.list("m01", "earth") == []


def test_complete_folder_of_a_dead_driver_is_finished(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """A driver killed after its manifest leaves a checkpoint that the next finishes."""
    asked = request()
    in_flight = store.begin(asked)
    write(in_flight, asked)
    other = store.begin(request(2))
    write(other, request(2), choose=lambda key: key != CHUNKS[0])
    sealed(store, in_flight, asked)
    successor = open_store(tmp_path, 2)
    finished = [successor.complete(path) for path in successor.fence()]
    assert [c.boundary if c else None for c in finished] == [1, None]
    assert successor.list("m01", "earth") == [finished[0]]
    checkpoint = successor.load("m01", "earth", 1)
    assert successor.verify(checkpoint).good
    assert checkpoint.manifest.epoch == 1


def sealed(store: CheckpointStore, in_flight: Any, asked: Any) -> None:
    receipts: list[ChunkReceipt] = write(in_flight, asked)
    entries = collect_entries(in_flight, receipts)
    seal(in_flight.directory, in_flight.manifest(store.campaign, 1, entries))


@pytest.mark.parametrize("why", ["damaged chunk", "damaged manifest", "committed"])
def test_folder_that_cannot_be_finished_is_left(
    tmp_path: Path, store: CheckpointStore, why: str
) -> None:
    """A folder that is not as its manifest says is not committed, only salvaged."""
    asked = request()
    in_flight = store.begin(asked)
    sealed(store, in_flight, asked)
    if why == "damaged chunk":
        flip(in_flight.directory / CHUNKS[0])
    elif why == "damaged manifest":
        flip(in_flight.directory / "MANIFEST.json")
    else:
        save(store, request(attempt=2, shift=1))
    successor = open_store(tmp_path, 2)
    assert [successor.complete(path) for path in successor.fence()] == [None]
    retry = successor.begin(request(2))
    assert not any(job.sources for job in retry.jobs.values())
    again = successor.begin(request(attempt=3))
    salvaged = {r.key for r in write(again, asked) if r.salvaged}
    assert salvaged == set(CHUNKS) - ({CHUNKS[0]} if why == "damaged chunk" else set())


def test_what_cannot_be_used_is_deleted_when_fencing(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Diagnostics that a dead driver staged are removed, its chunks are kept."""
    store.begin(request())
    stage_output(store, 0)
    (store.layout.inflight / "notes").write_text("no epoch")
    successor = open_store(tmp_path, 2)
    successor.tidy()
    (salvage,) = successor.layout.salvages(2)
    assert names(salvage / "m01") == ["earth-1.1"]
    assert successor.fence() == [salvage / "m01" / "earth-1.1"]
    (salvage / "m01" / "stray").mkdir()
    assert [left.path.name for left in successor.layout.left(2)] == ["earth-1.1"]


def test_reading_needs_no_epoch_and_writing_does(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """A store that was opened for reading finds checkpoints and writes none."""
    checkpoint = save(store, request())
    reader = CheckpointStore(tmp_path, "cmip")
    assert reader.newest("m01", "earth") == checkpoint
    with pytest.raises(NotAllowedError, match="opened for reading"):
        reader.begin(request())


def test_names_that_leave_the_root_are_refused(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Every name that becomes part of a path is checked, all at once."""
    with pytest.raises(InvalidInputError, match=r"campaign: name '\.\./x'"):
        CheckpointStore(tmp_path, "../x")
    bad = dataclasses.replace(
        request(), simulation="a/b", set="..", segments={"x\0": 1}
    )
    with pytest.raises(InvalidInputError) as caught:
        store.begin(bad)
    assert len(caught.value.faults) == 3
