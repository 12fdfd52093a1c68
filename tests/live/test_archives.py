"""Campaigns with an archive: a folder, and a bucket behind a real S3 server."""

from __future__ import annotations

import io
import json
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
import xxhash

from climorch import Campaign, NotFoundError, Policies, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.rules import Archive, ByteBudget
from climorch.storage.archive import Archived, ArchiveStore
from climorch.storage.depot import AwayError, open_depot
from climorch.storage.manifest import read_manifest
from climorch.storage.results import ResultStore
from climorch.testing.faults import Script, committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.bucket import S3
from tests.live.cases import ended, here, kinds, policies, records, same
from tests.unit.storage.checkpoint_cases import open_store, request, save

SCRIPT = Path(__file__).with_name("campaign_script.py")
NO_DELAY = 1e12


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """Start a server for the tests of this file."""
    server = S3()
    yield server
    server.end()


def archived(where: Archive, *, keep: int = 10) -> Policies:
    """Checkpoint often, and archive the end of each phase."""
    return replace(policies(keep=keep), archive=where)


def campaign_of(
    root: Path, rules: Policies, *names: str, segments: int = 3, work_s: float = 0.0
) -> Campaign:
    """Make the script of a user."""
    campaign = Campaign("c", root=root, policies=rules)
    wf = box_workflow(segments=segments, work_s=work_s)
    for name in names or ("s",):
        campaign.submit(wf, scenario=Scenario(name))
    return campaign


def lose_disk(campaign: Campaign, name: str = "s") -> None:
    """Let all checkpoints of a simulation be gone."""
    shutil.rmtree(campaign.root / "c" / "checkpoints" / name)


def rungs(campaign: Campaign, name: str = "s") -> list[tuple[int, str]]:
    """From where its states came, each time."""
    found = kinds(records(campaign), e.SetRestored)
    return [(f.boundary, f.rung) for f in found if f.simulation == name]


def url_of(kind: str, tmp_path: Path) -> str:
    """Return the address of an archive of this test alone."""
    folder = tmp_path / "tape"
    return folder.as_uri() if kind == "file" else f"s3://tape/{tmp_path.name}"


@pytest.mark.live
@pytest.mark.parametrize(
    "kind", [pytest.param("file", marks=pytest.mark.benchmark), "s3"]
)
def test_a_campaign_outlives_the_loss_of_its_disk(
    tmp_path: Path, s3: S3, kind: str
) -> None:
    """What a later end needs comes from the archive; the result is the same."""
    options = s3.options if kind == "s3" else {}
    where = Archive(url=url_of(kind, tmp_path), options=options, bytes_per_s=NO_DELAY)
    root = tmp_path / "disk"
    first = campaign_of(root, archived(where))
    assert first.run(here()).finished
    (put,) = kinds(records(first), e.CheckpointArchived)
    results = kinds(records(first), e.ResultsArchived)
    table = first.storage().to_pandas()

    assert (put.boundary, put.seconds > 0) == (3, True)
    assert sorted(f.stage for f in results if f.bytes) == ["air", "sea"]
    assert table.loc["archive", "s"]["items"] == 3
    assert table.loc["archive", "s"]["physical_bytes"] == put.bytes + sum(
        f.bytes for f in results
    )
    fs, path = fsspec.core.url_to_fs(put.url, **options)
    assert fs.info(path)["size"] == put.bytes

    lose_disk(first)
    again = campaign_of(root, archived(where), segments=5)
    assert again.run(here()).finished
    assert rungs(again) == [(0, "init"), (3, "archive")]
    restored = kinds(records(again), e.SetRestored)[-1]
    assert restored.bytes_read > 0
    assert restored.seconds > 0
    assert same(ended(again, "s"), reference_run("s", segments=5))
    assert again.results("s", "sea").sizes["time"] == 5
    assert committed_twice(records(again)) == []


@pytest.mark.live
def test_a_recall_of_hours_blocks_no_other_rung_and_nobody_else(
    tmp_path: Path, s3: S3
) -> None:
    """One goes on from its start and another from its disk; then it comes back."""
    url = url_of("s3", tmp_path)
    cold = Archive(
        url=url,
        options=s3.options,
        bytes_per_s=NO_DELAY,
        storage_class="GLACIER",
        poll_s=0.2,
    )
    root = tmp_path / "disk"
    first = campaign_of(root, archived(cold), "s", "t", segments=4)
    assert first.run(here(2)).finished
    lose_disk(first, "s")
    s3.slow_recalls()
    again = campaign_of(root, archived(cold), "s", "t", segments=8, work_s=0.3)
    assert again.run(here(2)).finished

    found = records(again)
    (delayed,) = kinds(found, e.RecallDelayed)
    (back,) = kinds(found, e.CheckpointRecalled)
    started = [r for r in kinds(found, c.StartAttempt) if r.boundary == 0]
    assert (delayed.simulation, back.boundary) == ("s", 4)
    # Neither of the two waited for it.
    assert found.index(started[-1]) < found.index(back)
    other = [r for r in kinds(found, e.SetRestored) if r.simulation == "t"][-1]
    assert found.index(other) < found.index(back)
    assert rungs(again, "t") == [(0, "init"), (4, "checkpoint")]
    assert rungs(again, "s")[:2] == [(0, "init"), (0, "init")]
    assert (4, "archive") in rungs(again, "s")
    for name in ("s", "t"):
        assert same(ended(again, name), reference_run(name, segments=8))


@pytest.mark.live
def test_every_rung_below_the_newest_is_taken_in_its_turn(tmp_path: Path) -> None:
    """A bad chunk from the archive; without it, the one before; at last the start."""
    where = Archive(url=url_of("file", tmp_path), bytes_per_s=NO_DELAY)
    root = tmp_path / "disk"
    first = campaign_of(root, archived(where))
    assert first.run(here()).finished

    harm(first.checkpoints("s")[0])
    second = campaign_of(root, archived(where), segments=4)
    assert second.run(here()).finished
    assert rungs(second)[1:] == [(3, "repaired")]
    (failed,) = kinds(records(second), e.RestoreFailed)
    assert [Path(name).parts[0] for name in failed.repaired] == ["state.zarr"]
    assert not failed.damaged

    harm(second.checkpoints("s")[0])
    without = replace(archived(where), archive=None)
    third = campaign_of(root, without, segments=5)
    assert third.run(here()).finished
    assert rungs(third)[2:] == [(3, "older")]
    assert same(ended(third, "s"), reference_run("s", segments=5))

    for path in third.checkpoints("s"):
        harm(path)
    last = campaign_of(root, without, segments=6)
    assert last.run(here()).finished
    assert rungs(last)[-1] == (0, "init")
    assert same(ended(last, "s"), reference_run("s", segments=6))


def harm(path: Path) -> None:
    """Damage a chunk of the state that only one stage has."""
    key = next(k for k in read_manifest(path).chunks() if "/air/heat/" in k)
    chunk = path / key
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 0x10
    # A file of its own: links of others stay good.
    chunk.unlink()
    chunk.write_bytes(bytes(data))


@pytest.mark.live
@pytest.mark.benchmark
def test_a_driver_killed_in_an_upload_is_followed_by_one_that_archives(
    tmp_path: Path,
) -> None:
    """Nothing half done is taken for an archive, and nothing is left behind."""
    root, url = tmp_path / "disk", url_of("file", tmp_path)
    given = {"root": str(root), "nodes_here": True, "simulations": "s", "segments": 3}
    slow = {"archive": url, "bytes_per_s": 2000.0}
    environment = {"PYTHONPATH": str(SCRIPT.parents[2])}
    with Script(SCRIPT, json.dumps(given | slow), environment=environment) as killed:
        until_record(root, "c", c.ArchiveCheckpoint)
        tape = tmp_path / "tape"
        until(lambda: list(tape.rglob(".tmp-*")), what="an upload has begun")
        killed.send(signal.SIGKILL)
        assert killed.finish()[0] == -signal.SIGKILL
    assert list(tape.rglob("*.zip")) == []

    where = Archive(url=url, bytes_per_s=NO_DELAY)
    again = campaign_of(root, archived(where))
    assert again.run(here()).finished
    (put,) = kinds(records(again), e.CheckpointArchived)
    assert sorted(p.name for p in tape.rglob("*") if p.is_file()) == [
        "2003-01-01-3.d2.zip",
        "air.d2.zip",
        "sea.d2.zip",
    ]
    assert put.boundary == 3


@pytest.mark.live
def test_pins_and_a_budget_hold_in_a_campaign_that_runs(tmp_path: Path) -> None:
    """A budget of nothing leaves the pinned one and the two that are needed."""
    root = tmp_path / "disk"
    first = campaign_of(root, policies(keep=99))
    assert first.run(here()).finished
    pinned = first.checkpoints("s")[-1]
    first.pin(pinned)
    for wrong in (tmp_path / pinned.name, pinned.with_name("2000-01-01-77")):
        with pytest.raises(NotFoundError, match="take one of"):
            first.pin(wrong)
    tight = replace(policies(keep=99), budget=ByteBudget(size=1))
    again = campaign_of(root, tight, segments=8)
    assert again.run(here()).finished

    kept = [int(p.name.rpartition("-")[2]) for p in again.checkpoints("s")]
    assert kept[-1] == 1
    assert kept[0] == 8
    # Two, the newest of another physical copy, and what is pinned.
    assert len(kept) <= 5
    report = again.storage()
    assert report.budget_bytes == 1
    assert report.counted_bytes == chunks_of(again)
    assert list((root / "c" / "trash").iterdir()) == []
    again.unpin(pinned)
    assert again.run(here()).finished
    assert pinned not in again.checkpoints("s")


def chunks_of(campaign: Campaign) -> int:
    """Bytes of the chunks of all checkpoints, each file once."""
    files = {}
    for path in campaign.checkpoints("s"):
        for key, entry in read_manifest(path).entries.items():
            if entry.raw_xxh3 is not None:
                files[(path / key).stat().st_ino] = entry.length
    return sum(files.values())


@pytest.mark.live
def test_a_bucket_keeps_what_it_is_given_or_nothing(tmp_path: Path, s3: S3) -> None:
    """Whole, in parts, asked back from the cold; never the half of an upload."""
    store = open_store(tmp_path)
    checkpoint = save(store, request(1))
    depot = open_depot(f"s3://tape/{tmp_path.name}", s3.options, "GLACIER")
    archive = ArchiveStore(depot, "cmip")
    path = archive.checkpoint_path(checkpoint.manifest)

    class BrokeOffError(Exception):
        pass

    def breaks_off(file: Any) -> None:
        file.write(b"half")
        raise BrokeOffError

    with pytest.raises(Exception, match="BrokeOffError"):
        depot.put(path, breaks_off)
    assert depot.length(path) is None
    assert archive.file_of(checkpoint.manifest, "MANIFEST.json") is None
    done = archive.put_checkpoint(checkpoint)
    assert depot.length(path) == done.bytes
    with pytest.raises(AwayError, match="asked back first"):
        depot.open(path)
    key = "state.zarr/land/snow/c/0"
    assert archive.file_of(checkpoint.manifest, key) is None
    place = ("m01", "earth", checkpoint.manifest.folder)
    until(lambda: archive.ask_back(*place), what="it is back")
    assert archive.file_of(checkpoint.manifest, key) == (
        (checkpoint.path / key).read_bytes()
    )
    store.set_aside("m01", "earth", 1)
    assert store.verify(archive.fetch(store.layout, 1, place)).good


@pytest.mark.live
@pytest.mark.parametrize(
    ("epochs", "stays"), [((1, 2), "new"), ((0, 0), "old")], ids=["fenced", "not"]
)
def test_a_late_upload_never_replaces_that_of_a_newer_driver(
    tmp_path: Path, s3: S3, epochs: tuple[int, int], stays: str
) -> None:
    """Each has names of its own; under one name the last to end would win."""
    depot = open_depot(f"s3://tape/{tmp_path.name}", s3.options)
    begun, go_on = threading.Event(), threading.Event()

    def hold(count: int) -> None:
        begun.set()
        assert go_on.wait(20)

    def put(epoch: int, word: str, pace: Callable[[int], None]) -> Archived | None:
        results = ResultStore(tmp_path / word, "cmip")
        folder = results.path("m01", "ocean")
        folder.mkdir(parents=True)
        (folder / "zarr.json").write_text(word)
        archive = ArchiveStore(depot, "cmip", epoch=epoch)
        return archive.put_results(results, "m01", "ocean", pace=pace)

    with ThreadPoolExecutor(1) as other:
        late = other.submit(put, epochs[0], "old", hold)
        assert begun.wait(20)
        done = put(epochs[1], "new", lambda count: None)
        go_on.set()
        assert late.result(20) is not None

    assert done is not None
    path = done.url.removeprefix(f"{depot.url('')}")
    with depot.open(path) as file, zipfile.ZipFile(io.BytesIO(file.read())) as found:
        assert found.read("zarr.json").decode() == stays
    # What the journal says of it holds for the newer one alone.
    with depot.open(path) as file:
        whole = xxhash.xxh3_128(file.read()).hexdigest() == done.xxh3
    assert whole is (stays == "new")
