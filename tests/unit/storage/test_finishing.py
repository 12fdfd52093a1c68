"""What a dead driver left without a manifest: finished where nothing is missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    InFlight,
)
from climorch.storage.draft import DRAFT
from climorch.storage.results import ResultStore
from tests.unit.storage.checkpoint_cases import (
    CHUNKS,
    flip,
    names,
    ocean,
    open_store,
    request,
    save,
    stage_output,
    write,
)
from tests.unit.storage.result_cases import Rig, output

LAST = CHUNKS[-1]


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


def finished(root: Path) -> list[Checkpoint | None]:
    """What the next driver makes of each folder that is left."""
    successor = open_store(root, 2)
    return [successor.complete(path) for path in successor.fence()]


def begun(store: CheckpointStore, asked: CheckpointRequest, **how: Any) -> InFlight:
    """Begin and write, and then nothing more: the driver is dead."""
    in_flight = store.begin(asked)
    write(in_flight, asked, **how)
    return in_flight


def test_a_folder_with_every_receipt_is_committed_as_its_driver_would_have(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Equal to the checkpoint of a driver that lived, file by file."""
    begun(store, request(exports=True))
    calm = save(open_store(tmp_path / "calm"), request(exports=True))

    (checkpoint,) = finished(tmp_path)

    assert checkpoint is not None
    assert checkpoint.manifest.same_content(calm.manifest)
    assert (checkpoint.manifest.epoch, checkpoint.manifest.attempt) == (1, 1)
    reader = CheckpointStore(tmp_path, "cmip")
    assert reader.list("m01", "earth") == [checkpoint]
    assert reader.verify(checkpoint).good
    assert not (checkpoint.path / "receipts").exists()


def test_links_to_the_checkpoint_before_are_told_in_the_manifest(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """The guard of retention must know what is shared."""
    first = save(store, request())
    begun(store, request(2, shift=1, previous=first))

    (checkpoint,) = finished(tmp_path)

    assert checkpoint is not None
    linked = {key for key, e in checkpoint.manifest.entries.items() if e.linked}
    assert linked == {CHUNKS[0], *CHUNKS[3:]}


@pytest.mark.parametrize(
    "what", ["a receipt", "a chunk", "the draft", "a fixed file", "more than asked"]
)
def test_a_folder_that_lacks_anything_is_only_salvaged(
    tmp_path: Path, store: CheckpointStore, what: str
) -> None:
    """Nothing is committed; what is good is used by the next attempt."""
    missing = LAST if what == "a receipt" else None
    folder = begun(store, request(), choose=lambda key: key != missing).directory
    match what:
        case "a chunk":
            flip(folder / LAST)
        case "the draft":
            flip(folder / DRAFT)
        case "a fixed file":
            (folder / "state.zarr/ocean/clock/c").unlink()
        case "more than asked":
            (folder / "state.zarr/ocean/more").write_bytes(b"?")

    assert finished(tmp_path) == [None]

    successor = CheckpointStore(tmp_path, "cmip", 2)
    assert successor.list("m01", "earth") == []
    again = successor.begin(request(attempt=2))
    salvaged = {r.key for r in write(again, request()) if r.salvaged}
    lost = {LAST} if what in ("a receipt", "a chunk") else set()
    assert salvaged == set(CHUNKS) - lost


def test_an_attempt_that_was_given_up_is_never_committed(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Its driver had a reason, such as a state that blew up; its chunks are used."""
    store.abandon(begun(store, request()))

    assert finished(tmp_path) == [None]
    again = CheckpointStore(tmp_path, "cmip", 2).begin(request(attempt=2))
    assert all(r.salvaged for r in write(again, request()))


def test_a_folder_under_another_name_is_not_taken_for_that(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """What the draft says and where it lies must agree."""
    folder = begun(store, request()).directory
    folder.rename(folder.with_name("earth-2.1"))

    assert finished(tmp_path) == [None]


@pytest.mark.parametrize(("allowed", "good"), [(0, False), (1, True), (None, True)])
def test_a_state_that_blew_up_is_not_finished(
    tmp_path: Path, store: CheckpointStore, allowed: int | None, good: bool
) -> None:
    """More NaN than the attempt began with, where the stage is checked: no commit."""
    state = ocean()
    values = state["T"].to_numpy().copy()
    values[2, 3] = np.nan
    state = state.assign(T=(("lat", "lon"), values)).chunk({"lat": 2})
    limits = {} if allowed is None else {"state.zarr/ocean/T": allowed}
    asked = dataclasses.replace(
        request(), states={"ocean": state}, segments={"ocean": 2}, finite=limits
    )
    begun(store, asked)

    assert [c is not None for c in finished(tmp_path)] == [good]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_outputs_are_part_of_it_wherever_the_driver_died(
    tmp_path: Path, store: CheckpointStore, moved: int
) -> None:
    """Staged or moved in already: the checkpoint has the outputs of all segments."""
    rig = Rig(tmp_path)
    state = ocean()[["T"]]
    asked = dataclasses.replace(
        request(),
        simulation="m01",
        set="ocean",
        states={"ocean": state},
        segments={"ocean": 2},
        outputs={"ocean": (0, 1)},
    )
    in_flight = begun(rig.checkpoints, asked)
    for segment in (0, 1):
        staged, receipts = rig.written(segment, output(2 * segment))
        if segment < moved:
            rig.checkpoints.add_outputs(in_flight, "ocean", segment, staged, receipts)

    (checkpoint,) = finished(tmp_path)

    assert checkpoint is not None
    assert checkpoint.manifest.outputs == {"ocean": (0, 1)}
    chunks = [k for k, e in checkpoint.manifest.entries.items() if e.raw_xxh3]
    assert sum(key.startswith("outputs/") for key in chunks) == 4
    ResultStore(tmp_path, "cmip", 2).publish(checkpoint)
    assert rig.read()["tas"].to_numpy()[:, 0].tolist() == [0.0, 10.0, 20.0, 30.0]


@pytest.mark.parametrize("missing", ["the output", "a chunk of it", "its metadata"])
def test_without_a_whole_output_it_is_not_finished(
    tmp_path: Path, store: CheckpointStore, missing: str
) -> None:
    """A result with a hole would never be filled again."""
    asked = dataclasses.replace(request(), outputs={"ocean": (0,)})
    begun(store, asked)
    if missing != "the output":
        staged, _ = stage_output(store, 0)
        stage = staged.parent / "ocean"
        stage.mkdir()
        staged = staged.rename(stage / "0")
        if missing == "a chunk of it":
            (staged / "sst/c/1/0").unlink(missing_ok=True)
        else:
            (staged / "zarr.json").chmod(0o644)
            (staged / "zarr.json").write_text("{}")

    assert finished(tmp_path) == [None]


def test_staged_outputs_of_nobody_are_deleted_afterwards(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Only once it is clear that no checkpoint needs them."""
    begun(store, request(), choose=lambda key: key != LAST)
    stage_output(store, 0)
    successor = open_store(tmp_path, 2)
    (salvage,) = successor.layout.salvages(2)
    (salvage / ".tmp-1").touch()
    assert names(salvage / "m01") == ["earth-1.1", "outputs-earth.1"]
    successor.tidy()
    assert names(salvage / "m01") == ["earth-1.1"]
    assert names(salvage) == ["m01"]
