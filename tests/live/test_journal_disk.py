"""The disk under a running campaign is full, or fails: nothing is lost or repeated."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from climorch import Campaign, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.storage import durable
from climorch.storage.journal_ballast import BALLAST_BYTES
from climorch.testing.faults import Script, records_of, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same
from tests.live.faulty_script import campaign_of
from tests.live.fire import check, files_of, finish_here, script

SEGMENTS = 12
ALARM = "the journal cannot be written"


class Disk(Protocol):
    """A disk under a campaign that can be taken away from its driver."""

    folder: Path

    def take(self, driver: Script) -> None:
        """Let the journal's writes fail, now and until `give_back`."""

    def give_back(self, driver: Script) -> None:
        """Let them succeed."""


class Full:
    """A file system of its own that others fill; needs the right to mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, driver: Script) -> None:
        """Write until there is no space, whatever was freed meanwhile."""
        found = os.statvfs(self.folder)
        others = (self.folder / "others").open("ab", buffering=0)
        # Another writer may be faster, and take some of it.
        with others, suppress(OSError):
            others.write(bytes(found.f_bavail * found.f_frsize))

    def give_back(self, driver: Script) -> None:
        """Remove what others wrote."""
        (self.folder / "others").unlink()


class Failing:
    """Every transaction of the journal ends with an I/O error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def ill(self) -> Path:
        """While this file is there."""
        return self.folder.with_name("ill")

    def take(self, driver: Script) -> None:
        """Let it be there."""
        self.ill.touch()

    def give_back(self, driver: Script) -> None:
        """Remove it."""
        self.ill.unlink()


def mounted(folder: Path) -> bool:
    """Try to mount a file system that has room for the ballast and little else."""
    size = f"size={BALLAST_BYTES + 2**24}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(params=["full", "failing"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Make a disk that can be full, where this user may, or one that fails."""
    folder = tmp_path / "disk"
    with ExitStack() as cleanup:
        folder.mkdir()
        if request.param == "full" and mounted(folder):
            cleanup.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            yield Full(folder)
        else:
            yield Failing(folder)


def started(disk: Disk) -> Script:
    """Run the script on the disk."""
    ill = str(disk.folder.with_name("ill"))
    return script(disk.folder, segments=SEGMENTS, work_s=0.1, keep=2, ill=ill)


def computed(driver: Script) -> int:
    """How many segments its log tells of."""
    return driver.printed.count("segment simulation=")


def until_refused(driver: Script, disk: Disk) -> None:
    """Wait for results, take the disk away and wait for the alarm."""
    ballast = disk.folder / "c" / "journal.sqlite.ballast"
    until_record(disk.folder, "c", e.ResultsPublished, count=2, timeout_s=60)

    def refused() -> bool:
        disk.take(driver)
        return ALARM in driver.printed and not ballast.exists()

    until(refused, what="the alarm")
    # The last transaction of before, and what had been allowed on it.
    seen = (-1, -1)

    def settled() -> bool:
        nonlocal seen
        disk.take(driver)
        before, seen = seen, (len(records_of(disk.folder, "c")), computed(driver))
        return before[0] == seen[0] and seen[1] > before[1] >= 0

    until(settled, what="no row lands while it computes")


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "disk",
    ["full", pytest.param("failing", marks=pytest.mark.benchmark)],
    indirect=True,
)
def test_while_the_disk_refuses_rows_work_goes_on_provisionally(disk: Disk) -> None:
    """No commit, publication or deletion; exposure shown; later all lands."""
    watcher = campaign_of({"root": str(disk.folder), "segments": SEGMENTS})
    with started(disk) as driver:
        until_refused(driver, disk)
        rows = len(records_of(disk.folder, "c"))
        kept = set(files_of(disk.folder, but="inflight"))
        begun, exposed_s = computed(driver), watcher.status()["s"].exposure_s

        def works() -> bool:
            disk.take(driver)
            return computed(driver) >= begun + 6

        until(works, what="six more segments", timeout_s=240)

        assert len(records_of(disk.folder, "c")) == rows
        assert set(files_of(disk.folder, but="inflight")) == kept
        assert watcher.status()["s"].exposure_s > exposed_s
        assert ALARM in driver.printed
        assert "the ballast file was given up" in driver.printed
        disk.give_back(driver)
        status, printed = driver.finish(timeout_s=120)
        assert status == 0, printed[-3000:]
        assert driver.orphans() == []

    check(watcher, segments=SEGMENTS)
    found = records(watcher)
    # Nothing was lost and nothing computed twice.
    assert kinds(found, c.RolledBack) == []
    segments = [
        (f.simulation, f.stage, f.segment) for f in kinds(found, e.SegmentFinished)
    ]
    assert len(segments) == len(set(segments)) == 4 * SEGMENTS


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "disk",
    [pytest.param(k, marks=pytest.mark.benchmark) for k in ("full", "failing")],
    indirect=True,
)
def test_a_driver_killed_while_the_disk_refuses_rows_is_followed(disk: Disk) -> None:
    """What was provisional is computed again; the bits are the same."""
    with started(disk) as driver:
        until_refused(driver, disk)
        driver.send(signal.SIGKILL)
        driver.finish()
        until(lambda: driver.orphans() == [], what="every process is gone")
        if isinstance(disk, Full):
            disk.give_back(driver)

    check(finish_here(disk.folder, segments=SEGMENTS, keep=2), segments=SEGMENTS)


@pytest.mark.live
@pytest.mark.timeout(240)
@pytest.mark.benchmark
def test_memory_for_records_that_wait_is_bounded(tmp_path: Path) -> None:
    """The driver ends with an error that says why; the next one goes on."""
    root, ill = tmp_path / "root", tmp_path / "ill"
    given: dict[str, Any] = {"work_s": 0.02, "waiting": 30, "ill": str(ill)}
    with script(root, segments=SEGMENTS, **given) as driver:
        until_record(root, "c", e.ResultsPublished, count=2, timeout_s=60)
        ill.touch()
        status, printed = driver.finish()
        assert status == 1
        assert "records wait for the journal" in printed.splitlines()[-1]
        until(lambda: driver.orphans() == [], what="every process is gone")

    check(finish_here(root, segments=SEGMENTS), segments=SEGMENTS)


def test_no_space_for_chunks_drops_what_is_in_flight_and_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trash is emptied, computing goes on, the checkpoint is tried again."""
    full = threading.Event()
    write = durable.write_durably

    def write_durably(path: Any, data: Any) -> Any:
        if full.is_set() and "/inflight/" in str(path) and "/heat/c/" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(durable, "write_durably", write_durably)
    campaign = Campaign("c", root=tmp_path, policies=policies(keep=2))
    campaign.submit(box_workflow(segments=20, work_s=0.02), scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointDeleted, run=run)
    assert len(list((tmp_path / "c" / "trash").iterdir())) > 0
    full.set()
    until_record(tmp_path, "c", e.CheckpointFailed, count=3, run=run)

    assert list((tmp_path / "c" / "trash").iterdir()) == []
    assert list((tmp_path / "c" / "inflight").glob("*/_salvage-*/*/*")) == []
    begun = campaign.status()["s"].computed
    until(lambda: campaign.status()["s"].computed > begun + 2, what="it computes")
    assert campaign.status()["s"].exposure_s > 0
    full.clear()
    assert run.wait(timeout_s=240)

    found = records(campaign)
    failed = kinds(found, e.CheckpointFailed)
    assert {f.cause for f in failed} == {Cause.STORAGE}
    assert kinds(found, c.RolledBack) == []
    assert len(kinds(found, e.SegmentFinished)) == 40
    assert same(ended(campaign, "s"), reference_run("s", segments=20))
