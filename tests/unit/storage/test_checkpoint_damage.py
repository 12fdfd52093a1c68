from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from climorch.errors import (
    CorruptDataError,
)
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import (
    flip,
    open_store,
    replace_file,
    request,
    save,
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flip": flip,
    "cut": lambda path: replace_file(path, path.read_bytes()[:-1]),
    "empty": lambda path: replace_file(path, b""),
    "missing": lambda path: path.unlink(),
    "zeroed": lambda path: replace_file(path, bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_file_is_found(store: CheckpointStore, damage: str) -> None:
    """Each file in turn, damaged in each way, is named by a verification."""
    checkpoint = save(store, request())
    for key in [*checkpoint.manifest.entries, "MANIFEST.json"]:
        path = checkpoint.path / key
        whole = path.read_bytes()
        DAMAGES[damage](path)
        assert [bad for bad, _ in store.verify(checkpoint).bad] == [key]
        path.unlink(missing_ok=True)
        path.write_bytes(whole)
    assert store.verify(checkpoint).good


def test_every_swapped_file_is_found(store: CheckpointStore) -> None:
    """Each chunk in turn, replaced by another intact chunk, is found."""
    checkpoint = save(store, request())
    chunks = [key for key, e in checkpoint.manifest.entries.items() if e.raw_xxh3]
    fixed = [key for key, e in checkpoint.manifest.entries.items() if e.file_xxh3]
    for group in (chunks, fixed):
        for key, other in zip(group, [*group[1:], group[0]], strict=True):
            whole = (checkpoint.path / key).read_bytes()
            replace_file(checkpoint.path / key, (checkpoint.path / other).read_bytes())
            assert [bad for bad, _ in store.verify(checkpoint).bad] == [key]
            replace_file(checkpoint.path / key, whole)


def test_foreign_files_and_manifests_are_found(store: CheckpointStore) -> None:
    """What does not belong into a checkpoint is named."""
    checkpoint = save(store, request(1))
    other = save(store, request(2))
    (checkpoint.path / "state.zarr" / "foreign").write_bytes(b"")
    report = store.verify(checkpoint)
    assert report.bad == (("state.zarr/foreign", "is not in the manifest"),)
    assert not report.good
    manifest = (other.path / "MANIFEST.json").read_bytes()
    replace_file(checkpoint.path / "MANIFEST.json", manifest)
    bad = store.verify(checkpoint).bad
    assert bad == (("MANIFEST.json", "is not the one that was committed"),)
    with pytest.raises(CorruptDataError, match="says that it is"):
        store.load("m01", "earth", 1)


def test_damaged_metadata_are_not_opened(store: CheckpointStore) -> None:
    """Coordinates and metadata are checked before they are believed."""
    checkpoint = save(store, request())
    flip(checkpoint.path / "state.zarr/ocean/lat/c/0")
    with pytest.raises(
        CorruptDataError, match=r"lat/c/0.*keep it and use another copy"
    ):
        store.opened(checkpoint)


def test_damaged_checkpoints_are_left_out(
    store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The newest checkpoint with a good manifest is found, the others are warned of."""
    first = save(store, request(1))
    for boundary in (9, 10):
        flip(save(store, request(boundary)).path / "MANIFEST.json")
    assert [c.boundary for c in store.list("m01", "earth")] == [1]
    newest = store.newest("m01", "earth")
    assert newest == first == store.load("m01", "earth", 1)
    assert "1860-01-01-10 left_out=" in caplog.text
    (store.layout.committed("m01", "earth") / "notes.txt").write_text("not one")
    store.set_aside("m01", "earth", 10)
    store.set_aside("m01", "earth", 10)
    with pytest.raises(CorruptDataError, match=r"checkpoint 10 .* is missing; use an"):
        store.load("m01", "earth", 10)
    (store.layout.final("m01", "earth", 11, "1861-01-01T00:00:00")).mkdir()
    with pytest.raises(CorruptDataError, match=r"checkpoint 11 .* has no manifest"):
        store.load("m01", "earth", 11)


def test_nothing_committed_is_nothing_found(store: CheckpointStore) -> None:
    """A set without checkpoints has no newest one."""
    assert store.list("m01", "earth") == []
    assert store.newest("m01", "earth") is None
    assert not store.delete("m01", "earth", 1)
    assert store.purge_trash(0) == 0
