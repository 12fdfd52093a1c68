"""A driver that was superseded in an upload ends it, and what is newer stays."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from climorch.errors import ConflictError
from climorch.storage.depot import Depot, open_depot
from climorch.storage.results import ResultStore
from climorch.testing.faults import until
from tests.live.bucket import S3
from tests.live.fire import is_stopped
from tests.live.uploading import upload

SCRIPT = Path(__file__).with_name("uploading.py")
ROOT = SCRIPT.parents[2]

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """Start a server for the tests of this file."""
    server = S3()
    yield server
    server.end()


def results_of(root: Path, word: str) -> str:
    """Let a stage have results that say a word; return the root."""
    folder = ResultStore(root, "cmip").path("m01", "ocean")
    folder.mkdir(parents=True)
    for name in ("a", "b", "zarr.json"):
        (folder / name).write_text(f"{name} is {word}")
    return str(root)


def words(depot: Depot, path: str) -> set[str]:
    """Return what an archive says; whole, or it cannot be read."""
    with depot.open(path) as file:
        data = io.BytesIO(file.read())
    with zipfile.ZipFile(data) as opened:
        assert opened.testzip() is None
        assert len(opened.namelist()) == 3
        return {opened.read(name).decode().split()[-1] for name in opened.namelist()}


class Late:
    """A driver in a process of its own, stopped in the middle of its upload."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps({**given, "stops": True})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        until(self._halts, what="it is stopped, or ended")
        if self._process.poll() is not None:
            pytest.fail(self._process.communicate()[1])

    def _halts(self) -> bool:
        return self._process.poll() is not None or is_stopped(self._process.pid)

    def goes_on(self) -> tuple[int, str, str]:
        """Let it end; return its exit code and what it said."""
        self._process.send_signal(signal.SIGCONT)
        said, told = self._process.communicate(timeout=60)
        return self._process.returncode, said.strip(), told


def race(
    tmp_path: Path, where: dict[str, Any], *, epochs: tuple[int, int]
) -> tuple[tuple[int, str, str], str]:
    """Stop one driver in its upload, let another one upload, and let the first go on.

    Returns
    -------
    tuple
        What became of the first; the address of what the second has put.
    """
    before, now = (
        {**where, "epoch": epoch, "root": results_of(tmp_path / word, word)}
        for epoch, word in zip(epochs, ("old", "new"), strict=True)
    )
    late = Late(before)
    try:
        put = upload(now)
    finally:
        ended = late.goes_on()
    return ended, put.url


@pytest.mark.benchmark
def test_a_bucket_keeps_what_the_newer_driver_put(tmp_path: Path, s3: S3) -> None:
    """What the other one ends late lies beside it, under a name that nobody has."""
    url = f"s3://tape/{tmp_path.name}"
    where = {"url": url, "options": s3.options}
    (code, late, told), put = race(tmp_path, where, epochs=(1, 2))

    assert (code, told) == (0, "")
    path = "cmip/results/m01/ocean"
    depot = open_depot(url, s3.options)
    assert put == depot.url(f"{path}.d2.zip")
    assert late == depot.url(f"{path}.d1.zip")
    assert words(depot, f"{path}.d2.zip") == {"new"}
    assert words(depot, f"{path}.d1.zip") == {"old"}


@pytest.mark.benchmark
def test_under_one_name_the_late_one_would_win(tmp_path: Path, s3: S3) -> None:
    """So that the test above says something: a bucket takes whatever comes last."""
    url = f"s3://tape/{tmp_path.name}"
    where = {"url": url, "options": s3.options}
    (code, late, _), put = race(tmp_path, where, epochs=(0, 0))

    assert (code, late) == (0, put)
    depot = open_depot(url, s3.options)
    assert words(depot, "cmip/results/m01/ocean.zip") == {"old"}


def test_a_folder_keeps_what_the_newer_driver_put(tmp_path: Path) -> None:
    """The late one finds that its unfinished file is gone, and leaves nothing."""
    tape = tmp_path / "tape"
    where = {"url": tape.as_uri(), "options": None}
    (code, _, told), url = race(tmp_path, where, epochs=(1, 2))

    assert code == 1
    assert ConflictError.__name__ in told
    assert url == (tape / "cmip/results/m01/ocean.d2.zip").as_uri()
    assert [p.name for p in tape.rglob("*") if p.is_file()] == ["ocean.d2.zip"]
    depot = open_depot(tape.as_uri())
    assert words(depot, "cmip/results/m01/ocean.d2.zip") == {"new"}


def test_an_older_driver_that_begins_late_does_not_end_a_newer_upload(
    tmp_path: Path,
) -> None:
    """It leaves what newer ones have begun alone, and clears up after the older."""
    tape = tmp_path / "tape"
    depot = open_depot(tape.as_uri())
    begun: list[Path] = []

    def older(file: IO[bytes]) -> None:
        file.write(b"old")

    def newer(file: IO[bytes]) -> None:
        file.write(b"new")
        begun.extend(tape.rglob(".tmp-*"))
        depot.put("x/a.d1.zip", older, epoch=1)

    (tape / "x").mkdir(parents=True)
    (tape / "x" / ".tmp-0123456789abcdef").write_bytes(b"of another version")
    (tape / "x" / ".tmp-1-0123").write_bytes(b"of a driver that was killed")
    depot.put("x/a.d2.zip", newer, epoch=2)

    assert len(begun) == 1
    found = {p.name: p.read_bytes() for p in (tape / "x").iterdir()}
    assert found == {"a.d1.zip": b"old", "a.d2.zip": b"new"}
