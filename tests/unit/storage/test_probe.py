"""What a file system is like, and what follows."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import BackendError
from climorch.storage import probe as module
from climorch.storage.arrays import MAX_CHUNK_BYTES
from climorch.storage.probe import MIB, Measured, advise, probe

GOOD = Measured(
    write_bytes_per_s=500 * MIB,
    fsync_s=0.001,
    rename_s=0.0001,
    create_s=0.0001,
    hard_links=True,
    locks=True,
    free_bytes=10**12,
    kind="ext4",
)


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        ({"locks": False}, "it has no locks that work"),
        ({"free_bytes": 2**30}, "1.0 GiB are free"),
        ({"hard_links": False}, "it has no hard links"),
        (
            {"create_s": 0.05},
            "each file costs 51 ms beside its data: choose chunks of 256 MiB",
        ),
        ({"write_bytes_per_s": 20.0 * MIB}, "it takes 20 MiB/s"),
        ({"kind": "lustre", "striping": True}, "it is Lustre"),
    ],
)
def test_each_weakness_has_its_advice(change: dict[str, Any], beginning: str) -> None:
    """And no other; a good one needs none."""
    assert list(advise(GOOD)) == []
    (told,) = advise(replace(GOOD, **change))
    assert told.startswith(beginning)


@pytest.mark.parametrize(
    ("create_s", "rate", "chunk"),
    [
        # Never smaller than what is good anyway.
        (0.0, 100.0 * MIB, 4 * MIB),
        (0.0, 1e-9, 4 * MIB),
        # Nine times the data that it could write meanwhile, a power of two.
        (0.0089, 100.0 * MIB, 16 * MIB),
        # Never more than a chunk may be.
        (10.0, 500.0 * MIB, MAX_CHUNK_BYTES),
    ],
)
def test_chunks_are_so_large_that_files_cost_little(
    create_s: float, rate: float, chunk: int
) -> None:
    """At most a tenth of the time."""
    found = replace(GOOD, create_s=create_s, write_bytes_per_s=rate)
    assert found.chunk_bytes == chunk


def test_a_folder_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    """What this machine has is found."""
    found = probe(tmp_path, size_bytes=MIB, files=3)
    assert list(tmp_path.iterdir()) == []
    assert found.path == str(tmp_path)
    assert found.measured.write_bytes_per_s > 0
    assert found.measured.file_s > 0
    assert found.measured.hard_links
    assert found.measured.locks
    assert found.measured.kind
    assert found.measured.free_bytes > 0


def test_what_a_file_system_lacks_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hard links, no locks, no list of mounts."""

    def refuse(*args: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr("fcntl.lockf", refuse)
    monkeypatch.setattr(module, "_kind", lambda folder: "")
    found = probe(tmp_path, size_bytes=1, files=1)
    assert not found.measured.hard_links
    assert not found.measured.locks
    assert len(found.advice) >= 2


def test_locks_that_let_everybody_in_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a mount that only pretends to have them."""
    monkeypatch.setattr("fcntl.lockf", lambda *args: None)
    assert not probe(tmp_path, size_bytes=1, files=1).measured.locks


@pytest.mark.parametrize("folder", ["nowhere", "full"])
def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Nothing is left of what was begun."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if folder == "full":
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(Path, "hardlink_to", full)
    with pytest.raises(BackendError, match="cannot be measured"):
        probe(tmp_path / folder, size_bytes=1, files=1)
    assert not list(tmp_path.glob("*/*"))
