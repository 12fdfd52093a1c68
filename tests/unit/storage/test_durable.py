from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from climorch.errors import BackendError, ConflictError
from climorch.storage import durable, files
from climorch.storage.files import OsFiles


def failing(number: int) -> object:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_written_file_is_whole_read_only_and_alone(tmp_path: Path) -> None:
    """A written file has all its parts, cannot be written to, and leaves no other."""
    status = durable.write_durably(tmp_path / "a", [b"one", memoryview(b"two")])
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert status.st_size == 6
    assert status.st_mode & 0o777 == 0o444
    assert status.st_ino == (tmp_path / "a").stat().st_ino
    assert os.listdir(tmp_path) == ["a"]


def test_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    """Writing again replaces the file by another one."""
    first = durable.write_durably(tmp_path / "a", b"old")
    second = durable.write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert first.st_ino != second.st_ino


@pytest.mark.parametrize("call", ["write", "fdatasync", "rename"])
def test_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """When writing fails, the old file is as it was and nothing else is there."""
    durable.write_durably(tmp_path / "a", b"old")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        durable.write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_partial_writes_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that stops early is continued until all bytes are there."""
    whole = os.write

    def short(descriptor: int, data: memoryview) -> int:
        return whole(descriptor, data[:3])

    monkeypatch.setattr(os, "write", short)
    durable.write_durably(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_made_directories_are_told_outermost_first(tmp_path: Path) -> None:
    """Missing parents are made and told, existing ones are not."""
    made = durable.make_directories(tmp_path / "a" / "b")
    assert made == (tmp_path / "a", tmp_path / "a" / "b")
    assert durable.make_directories(tmp_path / "a" / "b") == ()
    durable.make_directory(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        durable.make_directory(tmp_path / "x" / "y")


def test_tree_is_flushed_bottom_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories are flushed before those that hold them."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    seen: list[str] = []
    monkeypatch.setattr(durable, "fsync_directory", lambda p: seen.append(str(p)))
    durable.fsync_tree(tmp_path)
    assert seen == [str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path)]


def test_flush_of_what_is_missing_fails(tmp_path: Path) -> None:
    """Flushing a directory or tree that is not there is an error."""
    with pytest.raises(FileNotFoundError):
        durable.fsync_directory(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        durable.fsync_tree(tmp_path / "b")


def test_rename_flushes_both_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a rename the directories it left and entered are flushed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x").mkdir()
    seen: list[Path] = []
    monkeypatch.setattr(durable, "fsync_directory", seen.append)
    durable.rename_durably(tmp_path / "a" / "x", tmp_path / "b" / "y")
    assert (tmp_path / "b" / "y").is_dir()
    assert seen == [tmp_path / "b", tmp_path / "a"]


def test_link_gives_a_second_name(tmp_path: Path) -> None:
    """A linked file is the same file, also where the name was taken."""
    durable.write_durably(tmp_path / "a", b"a")
    durable.write_durably(tmp_path / "b", b"b")
    assert durable.link_or_none(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "b").stat().st_ino


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.EXDEV, errno.EPERM, errno.EMLINK]
)
def test_link_that_is_not_possible_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where the file system cannot link, the caller is told to write."""
    monkeypatch.setattr(os, "link", failing(number))
    assert not durable.link_or_none(tmp_path / "a", tmp_path / "b")


def test_link_on_an_ill_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error while linking is not taken for a missing feature."""
    monkeypatch.setattr(os, "link", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        durable.link_or_none(tmp_path / "a", tmp_path / "b")


def test_removed_tree_may_be_gone(tmp_path: Path) -> None:
    """Deleting a directory twice is fine."""
    (tmp_path / "a").mkdir()
    durable.remove_tree(tmp_path / "a")
    durable.remove_tree(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_errors_say_what_place_and_remedy() -> None:
    """A missing directory is a conflict, any other error a failure of the backend."""
    with (
        pytest.raises(
            ConflictError, match="cannot write at 'x': its directory is gone"
        ),
        durable.translated("write", "x"),
    ):
        raise FileNotFoundError(errno.ENOENT, "no")
    with (
        pytest.raises(
            BackendError, match=r"cannot write at 'x': .*check free"
        ) as caught,
        durable.translated("write", "x"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.facts == {"path": "x", "action": "write", "errno": errno.ENOSPC}
    with (
        pytest.raises(BackendError, match="cannot write at 'x': odd"),
        durable.translated("write", "x"),
    ):
        raise OSError("odd")


def test_removed_tree_takes_links_and_not_what_they_point_at(tmp_path: Path) -> None:
    """Links to files and to directories go, what they point at stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").write_bytes(b"x")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").symlink_to(tmp_path / "kept" / "x")
    (tmp_path / "a" / "folder").symlink_to(tmp_path / "kept")
    durable.remove_tree(tmp_path / "a")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["kept", "x"]


def test_a_tree_that_cannot_be_listed_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ill disk is an error while a tree is removed, a vanished part is none."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        durable.remove_tree(tmp_path / "a")
    monkeypatch.setattr(os, "scandir", failing(errno.ENOENT))
    durable.remove_tree(tmp_path / "a")
    assert (tmp_path / "a" / "b").is_dir()


def test_appended_lines_follow_those_before(tmp_path: Path) -> None:
    """A file is made where it is missing, and what is appended comes at its end."""
    for lines in ([b"one\n", b"two\n"], [b"three\n"]):
        with durable.appending(tmp_path / "a") as append:
            for line in lines:
                append(line)
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\nthree\n"


def test_new_things_are_not_there_yet(tmp_path: Path) -> None:
    """A new file or directory, or a new name, never takes the place of another."""
    durable.make_new_directory(tmp_path / "a")
    durable.make_new_file(tmp_path / "b", 0o600, reserve_bytes=5000)
    assert (tmp_path / "b").stat().st_size == 5000
    with pytest.raises(FileExistsError):
        durable.make_new_directory(tmp_path / "a")
    with pytest.raises(FileExistsError):
        durable.make_new_file(tmp_path / "b", 0o600)
    with pytest.raises(FileExistsError):
        durable.link_new(tmp_path / "b", tmp_path / "a")


def test_what_is_removed_may_be_gone(tmp_path: Path) -> None:
    """Removing a file or an empty directory twice is fine."""
    durable.make_new_directory(tmp_path / "a")
    durable.write_durably(tmp_path / "b", b"")
    for _ in range(2):
        durable.remove_directory(tmp_path / "a")
        durable.remove_file(tmp_path / "b")
    assert os.listdir(tmp_path) == []


def test_all_operations_can_go_another_way(tmp_path: Path) -> None:
    """Within a block another object takes every operation, and none after it."""

    class Counting(OsFiles):
        made = 0

        def make_directory(self, path: str) -> None:
            self.made += 1
            super().make_directory(path)

    counting = Counting()
    with files.using(counting):
        durable.make_directory(tmp_path / "a")
    durable.make_directory(tmp_path / "b")
    assert counting.made == 1
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
