"""The journal on a full disk, and under kill -9."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from climorch.core.ports import Row
from climorch.errors import BackendError
from climorch.storage.journal import SqliteJournal
from tests.unit.storage.journal_cases import open_journal


class SmallDisk(Protocol):
    """A folder on a disk that can be full."""

    folder: Path
    reason: str

    def fill(self) -> None:
        """Leave no space."""

    def ballast_is_gone(self) -> None:
        """Have the space of the ballast, and no more."""

    def free(self) -> None:
        """Give the space back."""


class Tmpfs:
    """A file system of its own, of two megabytes; needs root."""

    reason = "SQLITE_FULL"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Write until there is no space."""
        found = os.statvfs(self.folder)
        self._filler.write_bytes(bytes(found.f_bavail * found.f_frsize))

    def ballast_is_gone(self) -> None:
        """Do nothing: here the space is shared."""

    def free(self) -> None:
        """Remove what was written."""
        self._filler.unlink()


class Limited:
    """A limit to the size of files, which anybody may set."""

    reason = "SQLITE_IOERR_WRITE"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Let no file grow above what a small journal has."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, self._limits[1]))

    def ballast_is_gone(self) -> None:
        """Let each file grow by what the ballast had."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**17 + 100_000, self._limits[1]))

    def free(self) -> None:
        """Take the limit back."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


def mounted(folder: Path) -> bool:
    """Try to mount a small file system in memory."""
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(params=["own file system", "limit"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """Make a disk that can be full, the best that this user may."""
    with ExitStack() as cleanup:
        if request.param == "own file system" and mounted(tmp_path):
            cleanup.callback(subprocess.run, ["umount", str(tmp_path)], check=True)
            yield Tmpfs(tmp_path)
        else:
            limited = Limited(tmp_path)
            cleanup.callback(limited.free)
            yield limited


def fill_up(journal: SqliteJournal) -> BackendError:
    """Append until it fails; return how."""
    while True:
        try:
            journal.append([Row(kind="Fact", payload=bytes(20_000), now_s=1.0)])
        except BackendError as error:
            return error


def test_a_full_disk_loses_nothing(small_disk: SmallDisk) -> None:
    """On a full disk appends fail and leave nothing; with space they go on."""
    path = small_disk.folder / "j.sqlite"
    journal = open_journal(path)
    small_disk.fill()

    error = fill_up(journal)

    assert error.facts["reason"] == small_disk.reason
    kept = journal.last_serial
    assert [row.serial for row in journal.read()] == list(range(1, kept + 1))
    assert fill_up(journal).facts["reason"] == small_disk.reason
    kept = journal.last_serial
    assert SqliteJournal.open_readonly(path).verify().rows == kept
    small_disk.free()
    assert journal.append([Row(kind="Fact", payload=bytes(60_000), now_s=2.0)]) == (
        kept + 1
    )
    assert journal.verify().good
    journal.close()
    assert SqliteJournal.open_readonly(path).last_serial == kept + 1


def test_the_ballast_lets_the_journal_go_on(small_disk: SmallDisk) -> None:
    """On a full disk the space of the ballast is there for the journal alone."""
    journal = open_journal(small_disk.folder / "j.sqlite", ballast_bytes=100_000)
    small_disk.fill()
    fill_up(journal)

    assert journal.give_up_ballast()
    small_disk.ballast_is_gone()
    kept = journal.last_serial
    rows = [Row(kind="Stopped", payload=bytes(500), now_s=3.0)] * 40
    assert journal.append(rows) == kept + 40
    assert journal.verify().good
    small_disk.free()
    assert journal.restore_ballast()
    journal.close()


# One process that imports the library forks drivers: an import for each of them
# would take longer than what they do.
KILLS = """
import os, signal, sys
from pathlib import Path
from climorch.core.ports import Row
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process

path = Path(sys.argv[1])

def drive(pipe):
    journal = SqliteJournal.open(
        path, campaign="c", owner=this_process(), now_s=1.0, ballast_bytes=0
    )
    size = 1
    while True:
        rows = [Row(kind="Fact", payload=bytes(300), now_s=1.0)] * size
        last = journal.append(rows)
        os.write(pipe, last.to_bytes(8, "little"))
        size = size % 40 + 13

serials = []
for kill in range(20):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            drive(writing)
        finally:
            os._exit(1)
    os.close(writing)
    acknowledged = 0
    for _ in range(3 + 7 * kill % 29):
        acknowledged = int.from_bytes(os.read(reading, 8), "little")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while answer := os.read(reading, 8):
        acknowledged = int.from_bytes(answer, "little")
    os.close(reading)
    reader = SqliteJournal.open_readonly(path)
    report = reader.verify()
    assert report.good, report
    assert acknowledged > 0
    assert report.last_serial >= acknowledged, (report, acknowledged)
    # Transactions are whole: none has less than 13 rows, but each driver's first.
    assert report.last_serial - acknowledged in (0, *range(13, 53)), report
    assert report.epoch == kill + 1
    serials.append(report.last_serial)
assert serials == sorted(serials)
print(len(serials), "kills,", "serials rise:", serials[-1] > serials[0])
"""


def test_killed_drivers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After each of 20 kill -9 while appending the journal is whole."""
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "j.sqlite")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": ""},
    )

    assert done.stderr == ""
    assert done.stdout == "20 kills, serials rise: True\n"
