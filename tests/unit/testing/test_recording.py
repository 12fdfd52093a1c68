from __future__ import annotations

import os
from pathlib import Path

import pytest

from climorch.errors import NotFoundError
from climorch.storage import durable, files
from climorch.testing.device import Device, Loss
from climorch.testing.power_loss import Effort, Findings, explore, write_tree
from climorch.testing.recording import (
    ROOT,
    Flushed,
    Names,
    Note,
    RecordingFiles,
    Written,
)


def disk_after(recording: RecordingFiles) -> Device:
    device = Device()
    for operation in recording.operations:
        device.take(operation)
    return device


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): (
            None if path.is_dir() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
    }


def test_a_durable_write_is_four_steps(tmp_path: Path) -> None:
    """A file is made, written, flushed and renamed, in this order."""
    recording = RecordingFiles(tmp_path)
    with files.using(recording):
        durable.write_durably(tmp_path / "a", b"one")

    made, written, flushed, renamed = recording.operations
    assert isinstance(made, Names)
    assert made.what.startswith("create .tmp-")
    assert (written, flushed) == (Written(1, 0, b"one"), Flushed(1))
    assert isinstance(renamed, Names)
    assert renamed.changes[1] == (ROOT, "a", 1)


def test_what_was_recorded_gives_the_same_folder(tmp_path: Path) -> None:
    """With nothing lost, a replay gives names, bytes and links as they are."""
    there, again, outside = (tmp_path / n for n in ("there", "again", "outside"))
    (there / "old").mkdir(parents=True)
    (there / "old" / "x").write_bytes(b"x")
    again.mkdir()
    recording = RecordingFiles(there)
    with files.using(recording):
        durable.make_directories(there / "a" / "b")
        durable.make_directories(outside)
        durable.write_durably(outside / "y", b"not watched")
        durable.link_new(outside / "y", outside / "z")
        durable.remove_file(outside / "y")
        with durable.appending(outside / "z2") as append:
            append(b"neither")
        durable.fsync_directory(outside)
        durable.write_durably(there / "a" / "f", [b"one", b"two"])
        durable.link_or_none(there / "a" / "f", there / "a" / "b" / "g")
        # Of two names of one file the kernel keeps both.
        durable.rename(there / "a" / "f", there / "a" / "b" / "g")
        with durable.appending(there / "old" / "x") as append:
            append(b"more")
        with durable.appending(there / "notes") as append:
            append(b"first\n")
        durable.rename_durably(there / "a" / "b", there / "c")
        durable.make_new_file(there / "db", 0o644, reserve_bytes=10)
        durable.remove_file(there / "db")
        durable.make_directory(there / "gone")
        durable.remove_directory(there / "gone")
        # Made by somebody else, and met when it is renamed.
        (there / "foreign").mkdir()
        (there / "foreign" / "z").write_bytes(b"z")
        durable.rename_durably(there / "foreign", there / "home")
        durable.fsync_tree(there)

    write_tree(disk_after(recording).tree(Loss(frozenset())), again)
    assert content(again) == content(there)
    assert (again / "a" / "f").samefile(again / "c" / "g")


def test_a_database_is_taken_in_when_it_gets_its_name(tmp_path: Path) -> None:
    """What others wrote into a file that we made counts as flushed by them."""
    recording = RecordingFiles(tmp_path)
    with files.using(recording):
        durable.make_new_file(tmp_path / "draft", 0o644)
        (tmp_path / "draft").write_bytes(b"rows")
        durable.link_new(tmp_path / "draft", tmp_path / "db")
        durable.fsync_directory(tmp_path)

    tree = disk_after(recording).tree(Loss(frozenset()))
    assert tree == {"draft": (1, b"rows"), "db": (1, b"rows")}


def test_what_is_not_asked_for_is_not_recorded(tmp_path: Path) -> None:
    """A deaf recording is that of code that does not flush."""
    recording = RecordingFiles(tmp_path, deaf=("sync_data", "sync_directory"))
    with files.using(recording):
        durable.write_durably(tmp_path / "a", b"one")
        durable.fsync_directory(tmp_path)
    recording.note("done")

    assert not any(isinstance(o, Flushed) for o in recording.operations)
    assert recording.operations[-1] == Note("done")


def test_what_is_elsewhere_or_missing_is_an_error(tmp_path: Path) -> None:
    """A name must not leave the watched folder; one that is missing is missing."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_bytes(b"")
    recording = RecordingFiles(tmp_path / "in")
    with pytest.raises(NotFoundError, match="not in"):
        recording.link(os.fspath(tmp_path / "out"), os.fspath(tmp_path / "in" / "a"))
    with pytest.raises(FileNotFoundError):
        recording.rename(
            os.fspath(tmp_path / "in" / "a"), os.fspath(tmp_path / "in" / "b")
        )


def test_a_promise_that_does_not_hold_is_told_with_what_was_lost(
    tmp_path: Path,
) -> None:
    """Each state is recovered once, each violation counted, the first are told."""
    there, states = tmp_path / "there", tmp_path / "states"
    there.mkdir()
    states.mkdir()
    recording = RecordingFiles(there)
    with files.using(recording):
        durable.write_durably(there / "a", b"one")
        recording.note("given a")
        durable.fsync_directory(there)

    def recover(folder: Path) -> list[str]:
        return sorted(p.name for p in folder.iterdir() if p.name[0] != ".")

    def judge(names: list[str], notes: object) -> list[str]:
        return ["a is lost"] if notes == ["given a"] and names != ["a"] else []

    def tried(effort: Effort) -> Findings:
        return explore(
            recording.operations, states, recover=recover, judge=judge, effort=effort
        )

    found = tried(Effort())
    assert (found.operations, found.prefixes) == (6, 6)
    assert found.violations > 0
    assert found.examples[0].startswith("a is lost; cut after rename .tmp-")
    assert "names lost ['rename .tmp-" in found.examples[0]
    assert found.states < found.tried
    once = tried(Effort(enough=1))
    assert once.violations == 1
    # Flushed before it is told, it holds; and skipping moments skips no news.
    recording.operations[4:] = recording.operations[:3:-1]
    held = tried(Effort(every=100))
    late = tried(Effort(since="given a"))
    assert (held.violations, held.prefixes) == (0, 2)
    assert late.prefixes == 1
