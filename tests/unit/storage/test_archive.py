"""Checkpoints and results that go to a folder elsewhere, and come back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
import zarr

from climorch.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    InvalidInputError,
)
from climorch.storage.archive import ArchiveStore
from climorch.storage.checkpoints import Checkpoint, CheckpointStore
from climorch.storage.depot import Folder, open_depot
from climorch.storage.results import ResultStore
from climorch.storage.zips import write_zip
from tests.unit.storage.checkpoint_cases import (
    flip,
    names,
    open_store,
    replace_file,
    request,
    restore,
    save,
)

Members = list[tuple[str, bytes]]

LIST = "MANIFEST.json"
CHUNK = "state.zarr/ocean/T/c/1/0"


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveStore:
    """An archive in a folder of its own."""
    return ArchiveStore(open_depot((tmp_path / "tape").as_uri()), "cmip")


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """Checkpoints of a campaign."""
    return open_store(tmp_path / "disk")


def place_of(checkpoint: Checkpoint) -> tuple[str, str, str]:
    """Where a checkpoint is, as an archive is asked."""
    return "m01", "earth", checkpoint.manifest.folder


def zip_of(tmp_path: Path, checkpoint: Checkpoint) -> Path:
    """Its file in the archive."""
    name = f"{checkpoint.manifest.folder}.zip"
    return tmp_path / "tape" / "cmip" / "checkpoints" / "m01" / "earth" / name


def altered(path: Path, change: Callable[[str, bytes], Members]) -> None:
    """Write an archive anew with other members."""
    with zipfile.ZipFile(path) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    file = io.BytesIO()
    write_zip(file, [new for name, data in members for new in change(name, data)])
    replace_file(path, file.getvalue())


def test_a_checkpoint_comes_back_as_it_was(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """Value for value, with files of its own, as one that was committed."""
    first = save(store, request(1))
    second = save(store, request(2, shift=1.0, previous=first, exports=True))
    before = restore(store, second)
    told = archive.put_checkpoint(second)
    path = zip_of(tmp_path, second)
    store.set_aside("m01", "earth", 2)
    store.set_aside("m01", "earth", 1)

    assert (told.bytes, told.url) == (path.stat().st_size, path.as_uri())
    assert archive.ask_back(*place_of(second))
    found = archive.fetch(store.layout, 1, place_of(second))
    assert found.path == second.path
    assert store.verify(found).good
    assert found.manifest.same_content(second.manifest)
    assert not any(entry.linked for entry in found.manifest.entries.values())
    after = restore(store, store.load("m01", "earth", 2))
    for tree, stages in before.items():
        for stage, dataset in stages.items():
            xr.testing.assert_identical(after[tree][stage], dataset)
    # Again: it is there.
    assert archive.fetch(store.layout, 1, place_of(second)).path == second.path


def test_an_archive_opens_without_us(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """With plain xarray and Zarr, as a zip file of a store."""
    checkpoint = save(store, request(1, shift=3.0))
    archive.put_checkpoint(checkpoint)
    with zarr.storage.ZipStore(zip_of(tmp_path, checkpoint), mode="r") as opened:
        ocean = xr.open_zarr(opened, group="state.zarr/ocean").load()

    expected = restore(store, checkpoint)["state"]["ocean"]
    xr.testing.assert_equal(ocean, expected)


def test_archiving_again_gives_the_same_file(
    store: CheckpointStore, archive: ArchiveStore
) -> None:
    """A driver that died before it was journaled does it once more."""
    checkpoint = save(store, request(1))

    assert archive.put_checkpoint(checkpoint) == archive.put_checkpoint(checkpoint)


def test_a_damaged_checkpoint_is_not_archived(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """It is compared with its manifest on the way, and nothing is left behind."""
    checkpoint = save(store, request(1))
    flip(checkpoint.path / CHUNK)

    with pytest.raises(CorruptDataError, match="T/c/1/0"):
        archive.put_checkpoint(checkpoint)
    assert names(zip_of(tmp_path, checkpoint).parent) == []


def test_an_upload_that_came_to_harm_is_noticed(
    tmp_path: Path,
    store: CheckpointStore,
    archive: ArchiveStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is read back; what came to be another file is no archive."""
    checkpoint = save(store, request(1))
    put = Folder.put

    def harmed(
        self: Folder, path: str, write: Callable[[object], None], **more: int
    ) -> None:
        put(self, path, write, **more)
        flip(zip_of(tmp_path, checkpoint))

    monkeypatch.setattr(Folder, "put", harmed)
    with pytest.raises(BackendError, match="came back of"):
        archive.put_checkpoint(checkpoint)


def test_what_a_killed_driver_left_is_removed(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """Half a file under a name of its own goes with the next upload."""
    checkpoint = save(store, request(1))
    path = zip_of(tmp_path, checkpoint)
    path.parent.mkdir(parents=True)
    (path.parent / ".tmp-0123").write_bytes(b"half")
    archive.put_checkpoint(checkpoint)

    assert names(path.parent) == [path.name]


def test_a_transfer_is_paced_up_and_back(
    store: CheckpointStore, archive: ArchiveStore
) -> None:
    """Each byte is told when it goes and when it is read again."""
    told: list[int] = []
    done = archive.put_checkpoint(save(store, request(1)), pace=told.append)

    assert sum(told) > done.bytes
    assert told[-1] == done.bytes


def only(name: str, data: bytes, key: str, *new: tuple[str, bytes]) -> Members:
    """Replace one member."""
    return list(new) if name == key else [(name, data)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda n, d: only(n, d, LIST), "has no member 'MANIFEST.json'"),
        (lambda n, d: only(n, d, LIST, (n, d[:-9])), "cannot be decoded"),
        (lambda n, d: only(n, d, CHUNK), "has no member"),
        (lambda n, d: only(n, d, CHUNK, (n, d[:-1])), "has .* bytes, expected"),
        (lambda n, d: only(n, d, CHUNK, (n, d + b"x")), "expected at most"),
        (lambda n, d: only(n, d, CHUNK, (n, d[:-9] + b"x" + d[-8:])), "CRC-32C"),
        (
            lambda n, d: only(n, d, "state.zarr/ocean/zarr.json", (n, b"[" + d[1:])),
            "and hash",
        ),
        (lambda n, d: only(n, d, CHUNK, (n, d), ("evil.py", b"")), "unlisted members"),
    ],
    ids=["no-list", "list", "missing", "short", "long", "chunk", "metadata", "extra"],
)
def test_a_damaged_archive_is_refused(
    tmp_path: Path,
    store: CheckpointStore,
    archive: ArchiveStore,
    change: Callable[[str, bytes], Members],
    problem: str,
) -> None:
    """Whatever is not what was committed: no checkpoint comes of it."""
    checkpoint = save(store, request(1))
    archive.put_checkpoint(checkpoint)
    altered(zip_of(tmp_path, checkpoint), change)
    store.set_aside("m01", "earth", 1)

    with pytest.raises(CorruptDataError, match=problem):
        archive.fetch(store.layout, 1, place_of(checkpoint))
    assert store.list("m01", "earth") == []


def test_an_archive_of_another_checkpoint_is_refused(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """A file that somebody renamed says what it is."""
    checkpoint = save(store, request(1))
    archive.put_checkpoint(checkpoint)
    path = zip_of(tmp_path, checkpoint)
    path.rename(path.with_name("1999-01-01-7.zip"))

    with pytest.raises(CorruptDataError, match="says that it is"):
        archive.fetch(store.layout, 1, ("m01", "earth", "1999-01-01-7"))
    for missing in (archive.ask_back, lambda *p: archive.fetch(store.layout, 1, p)):
        with pytest.raises(CorruptDataError, match="is missing"):
            missing(*place_of(checkpoint))


def test_a_superseded_driver_brings_nothing_back(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """A newer one has taken its folder away."""
    checkpoint = save(store, request(1))
    archive.put_checkpoint(checkpoint)
    store.set_aside("m01", "earth", 1)
    open_store(tmp_path / "disk", epoch=2)

    with pytest.raises(ConflictError):
        archive.fetch(store.layout, 1, place_of(checkpoint))


def test_one_bad_chunk_comes_from_the_archive(
    tmp_path: Path, archive: ArchiveStore
) -> None:
    """A scrub takes the one file that no other checkpoint has."""
    store = open_store(tmp_path / "disk")
    store.donor = archive.file_of
    checkpoint = save(store, request(1))
    archive.put_checkpoint(checkpoint)
    flip(checkpoint.path / CHUNK)

    found = store.scrub("m01", "earth", 1)
    assert (found.repaired, found.damaged) == ((CHUNK,), False)
    assert store.verify(checkpoint).good


def test_an_archive_that_has_nothing_good_costs_the_other_rungs_nothing(
    tmp_path: Path, store: CheckpointStore, archive: ArchiveStore
) -> None:
    """Missing, damaged or not to be read: the checkpoint is just not repaired."""
    checkpoint = save(store, request(1))
    assert archive.file_of(checkpoint.manifest, CHUNK) is None
    archive.put_checkpoint(checkpoint)
    assert archive.file_of(checkpoint.manifest, CHUNK) == (
        (checkpoint.path / CHUNK).read_bytes()
    )
    path = zip_of(tmp_path, checkpoint)
    replace_file(path, path.read_bytes()[:200])
    assert archive.file_of(checkpoint.manifest, CHUNK) is None


def test_a_depot_that_fails_says_nothing_about_archives(
    store: CheckpointStore, archive: ArchiveStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network or a disk that fails in the middle of a file is tried again."""
    checkpoint = save(store, request(1))

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "no")

    monkeypatch.setattr(Folder, "open", lambda self, path: Failing(b"PK"))
    with pytest.raises(BackendError, match="cannot read the archive"):
        archive.put_checkpoint(checkpoint)
    with pytest.raises(BackendError):
        archive.fetch(store.layout, 1, place_of(checkpoint))


def test_results_are_archived_as_they_are(
    tmp_path: Path, archive: ArchiveStore
) -> None:
    """All files of a stage; a stage without any has no archive."""
    results = ResultStore(tmp_path / "disk", "cmip")
    assert archive.put_results(results, "m01", "ocean") is None
    folder = results.path("m01", "ocean")
    years = xr.Dataset({"sst": ("time", [1.0, 2.0])}, coords={"time": [0, 1]})
    years.to_zarr(folder, consolidated=True)
    done = archive.put_results(results, "m01", "ocean")
    assert done is not None
    path = tmp_path / "tape" / "cmip" / "results" / "m01" / "ocean.zip"

    assert done.bytes == path.stat().st_size
    with zarr.storage.ZipStore(path, mode="r") as opened:
        xr.testing.assert_identical(xr.open_zarr(opened).load(), years)


@pytest.mark.parametrize(
    "url", ["file://host/a", "file:a", "/a", "http://a/b", "s3:///a", ""]
)
def test_places_that_are_no_depot_are_refused(url: str) -> None:
    """A folder or a bucket; nothing else is known."""
    with pytest.raises(InvalidInputError, match=r"Archive\.url: got"):
        open_depot(url)


def test_a_bucket_needs_s3fs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says what to install."""

    def missing(url: str, **options: object) -> None:
        raise ImportError(url)

    monkeypatch.setattr("climorch.storage.depot.fsspec.core.url_to_fs", missing)
    with pytest.raises(InvalidInputError, match=r"install climorch\[s3\]"):
        open_depot("s3://bucket/prefix")


def test_a_folder_that_cannot_be_written_is_a_backend_error(
    tmp_path: Path, store: CheckpointStore
) -> None:
    """Say, a file in its place."""
    (tmp_path / "tape").write_bytes(b"")
    archive = ArchiveStore(Folder(tmp_path / "tape"), "cmip")

    with pytest.raises(BackendError, match="write an archive"):
        archive.put_checkpoint(save(store, request(1)))
    assert archive.depot.length("cmip/x.zip") is None
    with pytest.raises(BackendError, match="cannot read the archive"):
        archive.depot.open("cmip/x.zip")
    archive.depot.send_away("cmip/x.zip")
