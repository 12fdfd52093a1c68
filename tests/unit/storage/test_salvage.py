from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from climorch.errors import (
    ConflictError,
)
from climorch.storage import durable
from climorch.storage.checkpoints import CheckpointStore, physically_independent
from tests.unit.storage.checkpoint_cases import (
    CHUNKS,
    open_store,
    replace_file,
    request,
    save,
    write,
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


def test_unchanged_chunks_are_links(store: CheckpointStore) -> None:
    """Chunks with the same values are the same file, all others are written."""
    first = save(store, request(1))
    second = save(store, request(2, shift=1, previous=first))
    shared = {
        key
        for key in CHUNKS
        if (first.path / key).stat().st_ino == (second.path / key).stat().st_ino
    }
    linked = {key for key, entry in second.manifest.entries.items() if entry.linked}
    assert shared == linked == {key for key in CHUNKS if "/T/" not in key}
    assert not physically_independent(first, second)
    assert store.verify(first).good
    assert store.verify(second).good


def test_full_checkpoint_shares_nothing(store: CheckpointStore) -> None:
    """A full checkpoint is physically independent of the one before."""
    first = save(store, request(1))
    second = save(store, request(2, previous=first, full=True))
    assert physically_independent(first, second)
    (second.path / CHUNKS[0]).unlink()
    assert not physically_independent(first, second)
    assert not physically_independent(second, first)


def test_changed_shape_is_never_linked(store: CheckpointStore) -> None:
    """Equal bytes in an array of another shape are written anew."""
    first = save(store, request(1))
    bad = {
        tree: {
            stage: tuple(
                msgspec.structs.replace(s, dims=("x",) * len(s.dims)) for s in a
            )
            for stage, a in stages.items()
        }
        for tree, stages in first.manifest.arrays.items()
    }
    manifest = msgspec.structs.replace(first.manifest, arrays=bad)
    other = dataclasses.replace(first, manifest=manifest)
    second = save(store, request(2, previous=other))
    assert physically_independent(first, second)


def test_retry_writes_only_the_rest(store: CheckpointStore) -> None:
    """Chunks of a broken attempt are linked; only what was missing is written."""
    asked = request(attempt=1)
    in_flight = store.begin(asked)
    half = write(in_flight, asked, choose=lambda key: "/ocean/T/" in key)
    store.abandon(in_flight)
    again = request(attempt=2)
    retry = store.begin(again)
    receipts = write(retry, again)
    assert {r.key for r in receipts if r.salvaged} == {r.key for r in half}
    assert sum(r.raw_bytes for r in receipts if not r.linked) == 8 * 3 + 3
    checkpoint = store.commit(retry, receipts)
    assert store.verify(checkpoint).good
    # They share nothing with any checkpoint, so they do not count as linked.
    assert not any(entry.linked for entry in checkpoint.manifest.entries.values())


def test_chunks_of_a_dead_driver_are_reused(tmp_path: Path) -> None:
    """What a killed driver's workers wrote is used by its successors."""
    asked = request()
    for epoch in (1, 2):
        dead = open_store(tmp_path, epoch)
        write(dead.begin(asked), asked, choose=lambda key: "/mask/" in key)
    store = open_store(tmp_path, 3)
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    assert sorted(r.key for r in receipts if r.salvaged) == CHUNKS[3:]
    store.commit(in_flight, receipts)
    # What was left for this boundary is of no use any more.
    assert list(store.layout.left(3)) == []


def test_attempts_of_others_and_later_ones_are_left_alone(
    store: CheckpointStore,
) -> None:
    """A commit removes what is left for its own set up to its boundary only."""
    for asked in (request(1), request(5), dataclasses.replace(request(1), set="moon")):
        store.abandon(store.begin(asked))
    asked = request(2)
    in_flight = store.begin(asked)
    store.commit(in_flight, write(in_flight, asked))
    left = [(folder.set, folder.boundary) for folder in store.layout.left(1)]
    assert left == [("earth", 5), ("moon", 1)]


def test_abandoned_attempt_cannot_be_committed(store: CheckpointStore) -> None:
    """A commit that comes too late finds its folder gone."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    store.abandon(in_flight)
    with pytest.raises(ConflictError, match="its directory is gone"):
        store.commit(in_flight, receipts)


@pytest.mark.parametrize("why", ["params", "boundary", "linked", "damaged", "garbage"])
def test_chunks_that_may_not_be_reused_are_written(
    store: CheckpointStore, why: str
) -> None:
    """Other parameters or boundaries, shared and damaged files are not taken over."""
    first = save(store, request(1))
    broken = request(
        5 if why == "boundary" else 2,
        digest="q" if why == "params" else "p",
        previous=first if why == "linked" else None,
    )
    in_flight = store.begin(broken)
    write(in_flight, broken)
    if why == "damaged":
        for key in CHUNKS:
            replace_file(in_flight.directory / key, b"x" * 40)
    if why == "garbage":
        notes = in_flight.directory / "receipts" / "node-0.jsonl"
        notes.write_bytes(b'{"key":1}\n\xff\n' + notes.read_bytes()[:20])
    store.abandon(in_flight)
    asked = request(2, attempt=2, full=True)
    retry = store.begin(asked)
    assert not any(receipt.linked for receipt in write(retry, asked))


def test_key_of_a_receipt_is_not_believed(store: CheckpointStore) -> None:
    """A receipt that names a file outside its folder is ignored."""
    asked = request()
    in_flight = store.begin(asked)
    write(in_flight, asked)
    notes = in_flight.directory / "receipts" / "node-0.jsonl"
    notes.write_text(notes.read_text().replace("state.zarr/", "../../state.zarr/"))
    store.abandon(in_flight)
    assert not any(job.sources for job in store.begin(asked).jobs.values())


def test_salvage_without_receipts_is_empty(store: CheckpointStore) -> None:
    """An attempt that died before its first receipt leaves nothing to reuse."""
    in_flight = store.begin(request())
    durable.remove_tree(in_flight.directory / "receipts")
    store.abandon(in_flight)
    assert not any(job.sources for job in store.begin(request()).jobs.values())


def test_abandoned_to_make_space_is_gone(store: CheckpointStore) -> None:
    """Giving up without keeping frees the space; giving up twice is fine."""
    in_flight = store.begin(request())
    store.abandon(in_flight, keep=False)
    store.abandon(in_flight, keep=False)
    store.abandon(in_flight)
    assert not in_flight.directory.exists()
    assert list(store.layout.left(1)) == []


def test_same_attempt_may_begin_again(store: CheckpointStore) -> None:
    """Beginning a checkpoint again sets the first try aside."""
    asked = request()
    first = store.begin(asked)
    write(first, asked)
    second = store.begin(asked)
    assert second.directory == first.directory
    assert all(receipt.salvaged for receipt in write(second, asked))
