from __future__ import annotations

from pathlib import Path

import pytest

from climorch.errors import BackendError, ConflictError
from climorch.storage import durable, files, passage, repair, verify
from climorch.storage.checkpoints import (
    CheckpointStore,
    Scrubbed,
    physically_independent,
)
from climorch.storage.manifest import MANIFEST, read_manifest
from tests.unit.storage.checkpoint_cases import (
    flip,
    names,
    open_store,
    replace_file,
    request,
    save,
    write,
)

MASK = "state.zarr/ocean/mask/c/0"
TEMPERATURE = "state.zarr/ocean/T/c/0/0"


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


def chain(store: CheckpointStore) -> list[Path]:
    """Three checkpoints: the second written in full, the third linked to it."""
    first = save(store, request(1))
    second = save(store, request(2, shift=1, previous=first, full=True))
    third = save(store, request(3, shift=2, previous=second))
    return [first.path, second.path, third.path]


def test_a_full_checkpoint_shares_no_file_with_any_other(
    store: CheckpointStore,
) -> None:
    """By inode: the full one is of its own, the next one is linked to it."""
    first, second, third = chain(store)
    inodes = [
        {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
        for folder in (first, second, third)
    ]

    assert inodes[0].isdisjoint(inodes[1])
    assert (second / MASK).stat().st_ino == (third / MASK).stat().st_ino
    loaded = [store.load("m01", "earth", k) for k in (1, 2, 3)]
    assert physically_independent(loaded[0], loaded[1])
    assert not physically_independent(loaded[1], loaded[2])


def test_a_good_checkpoint_is_left_alone(store: CheckpointStore) -> None:
    """Nothing is found, nothing is changed, and every byte is accounted for."""
    _, path, _ = chain(store)
    read: list[int] = []

    found = store.scrub("m01", "earth", 2, pace=read.append)

    assert (found, found.good) == (Scrubbed(), True)
    entries = store.load("m01", "earth", 2).manifest.entries
    assert sum(read) == sum(entry.length for entry in entries.values())
    assert path.is_dir()
    assert store.scrub("m01", "earth", 7).good


@pytest.mark.parametrize("how", ["flip", "missing", "cut"])
def test_a_bad_chunk_is_taken_from_an_independent_copy(
    store: CheckpointStore, how: str
) -> None:
    """It is repaired in every checkpoint that shared it, and they share it again."""
    first, second, third = chain(store)
    if how == "flip":
        flip(third / MASK)
    elif how == "cut":
        replace_file(third / MASK, (third / MASK).read_bytes()[:-3])
    else:
        (third / MASK).unlink()

    found = store.scrub("m01", "earth", 3)

    assert found == Scrubbed(repaired=(MASK,))
    assert not found.good
    assert all(store.verify(store.load("m01", "earth", k)).good for k in (1, 2, 3))
    assert (third / MASK).stat().st_ino != (first / MASK).stat().st_ino
    shared = (second / MASK).stat().st_ino == (third / MASK).stat().st_ino
    # One that lost its name is known by no inode: it gets a file of its own.
    assert shared == (how != "missing")


def test_a_file_that_is_no_chunk_is_repaired_as_well(store: CheckpointStore) -> None:
    """Metadata of equal content lie in every checkpoint."""
    _, _, third = chain(store)
    flip(third / "state.zarr/ocean/mask/zarr.json")

    found = store.scrub("m01", "earth", 3)

    assert found.repaired == ("state.zarr/ocean/mask/zarr.json",)
    assert store.verify(store.load("m01", "earth", 3)).good


def test_without_another_copy_it_is_set_aside(store: CheckpointStore) -> None:
    """What only one checkpoint has cannot be repaired; it is kept as evidence."""
    _, _, third = chain(store)
    flip(third / TEMPERATURE)

    found = store.scrub("m01", "earth", 3)

    assert [key for key, _ in found.bad] == [TEMPERATURE]
    assert (found.repaired, found.damaged) == ((), True)
    assert not third.exists()
    assert names(store.layout.damaged) == ["m01~earth~1853-01-01-3~0"]
    newest = store.newest("m01", "earth")
    assert newest is not None
    assert newest.boundary == 2


def test_a_copy_that_is_bad_itself_repairs_nothing(store: CheckpointStore) -> None:
    """A copy is read before it is taken."""
    first, _, third = chain(store)
    flip(first / MASK)
    flip(third / MASK)

    found = store.scrub("m01", "earth", 3)

    assert [key for key, _ in found.bad] == [MASK]
    assert found.damaged


def test_a_damaged_manifest_cannot_be_repaired(store: CheckpointStore) -> None:
    """No other checkpoint has the same."""
    _, _, third = chain(store)
    flip(third / MANIFEST)

    found = store.scrub("m01", "earth", 3)

    assert [key for key, _ in found.bad] == [MANIFEST]
    assert found.damaged


def test_a_file_too_many_is_damage(store: CheckpointStore) -> None:
    """A checkpoint holds what its manifest says, and no more."""
    _, _, third = chain(store)
    (third / "state.zarr" / "stray").write_bytes(b"")

    found = store.scrub("m01", "earth", 3)

    assert found.bad == (("state.zarr/stray", "is not in the manifest"),)


def test_bad_diagnostics_do_not_cost_a_checkpoint(store: CheckpointStore) -> None:
    """No restore reads them: they are told, and the checkpoint stays."""
    asked = request(1)
    in_flight = store.begin(asked)
    group = in_flight.directory / "outputs" / "ocean" / "0"
    durable.make_directories(group)
    durable.write_durably(group / "zarr.json", b"{}")
    checkpoint = store.commit(in_flight, write(in_flight, asked))
    flip(checkpoint.path / "outputs/ocean/0/zarr.json")

    found = store.scrub("m01", "earth", 1)

    assert [key for key, _ in found.bad] == ["outputs/ocean/0/zarr.json"]
    assert not found.damaged
    assert checkpoint.path.is_dir()


def test_one_that_is_deleted_meanwhile_is_not_bad(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its files are missing then, which is no damage."""
    chain(store)

    def delete(read_bytes: int) -> None:
        store.delete("m01", "earth", 1, now_s=0.0)

    assert store.scrub("m01", "earth", 1, pace=delete).good

    def late(path: Path) -> object:
        found = read_manifest(path)
        store.delete("m01", "earth", 2, now_s=0.0)
        raise FileNotFoundError(str(found.boundary))

    monkeypatch.setattr(verify, "read_manifest", late)
    assert store.scrub("m01", "earth", 2).good


def test_a_superseded_driver_repairs_nothing(
    store: CheckpointStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it was paused in the middle: the new file has no way there."""
    _, _, third = chain(store)
    flip(third / MASK)
    bad = (third / MASK).read_bytes()
    write_through = passage.write_through

    def paused(way: Path, path: Path, data: bytes) -> None:
        open_store(tmp_path, 2)
        write_through(way, path, data)

    monkeypatch.setattr(repair, "write_through", paused)
    with pytest.raises(ConflictError):
        store.scrub("m01", "earth", 3)
    assert (third / MASK).read_bytes() == bad
    with pytest.raises(ConflictError, match="taken over"):
        store.scrub("m01", "earth", 3)


def test_where_links_cannot_be_made_each_gets_a_copy(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints that shared a bad file are all repaired all the same."""
    _, second, third = chain(store)
    flip(third / MASK)
    monkeypatch.setattr(repair, "link_through", lambda *arguments: False)

    assert store.scrub("m01", "earth", 3).repaired == (MASK,)
    assert (second / MASK).read_bytes() == (third / MASK).read_bytes()
    assert (second / MASK).stat().st_ino != (third / MASK).stat().st_ino


def test_a_disk_that_fails_says_nothing_about_a_checkpoint(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error is not damage: nothing is set aside."""
    _, _, third = chain(store)

    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "read_once", fail)
    with pytest.raises(BackendError):
        store.scrub("m01", "earth", 3)
    assert third.is_dir()
