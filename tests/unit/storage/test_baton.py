"""The baton where there are no locks: held by one at a time, never by the dead."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import BackendError
from climorch.storage import baton, durable
from climorch.storage.baton import Baton, folder_of, has_baton, locks_work
from climorch.storage.owner import Owner, this_process

SCRIPT = Path(__file__).with_name("baton_script.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that has a baton."""
    made = tmp_path / "file"
    made.write_text("0")
    folder_of(made).mkdir()
    return made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baton, "PATIENCE_S", 0.0)


def held_by(path: Path, owner: Owner) -> Path:
    """Let a process hold the baton."""
    holder = folder_of(path) / "held" / baton._name_of(owner)
    holder.parent.mkdir(exist_ok=True)
    holder.touch()
    return holder


def test_one_process_or_thread_holds_it_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that one does is lost; one that was killed holds it no longer."""
    monkeypatch.setattr(baton, "PATIENCE_S", 60.0)
    mine, seen = Baton(path), list[int]()
    other = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(path), "40"],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])},
    )

    def count() -> None:
        while other.poll() is None:
            with mine.held("count"):
                number = int(path.read_text())
                seen.append(number)
                path.write_text(str(number + 1))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert other.wait(60) == -signal.SIGKILL
    # One of them has taken it from the killed one, or the next one does.
    with Baton(path).held("look"):
        assert int(path.read_text()) == 40 + len(seen)
    assert len(set(seen)) == len(seen) > 40
    assert list(folder_of(path).glob("held/*")) == []


def test_where_there_is_no_baton_nobody_waits(tmp_path: Path) -> None:
    """And nothing is left on the disk."""
    path = tmp_path / "file"
    assert not has_baton(path)
    with Baton(path).held("one"), Baton(path).held("two"):
        pass
    Baton(path).tidy()
    assert list(tmp_path.iterdir()) == []


ME = this_process()
BUSY = "holds its baton for more than"


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({"pid": 2**31 - 1}, True),
        # Its id belongs to another one now.
        ({"start_ticks": 1}, True),
        ({"boot_id": "the one before"}, True),
        ({}, False),
        # What is there looks dead from here, and may only be slow.
        ({"host": "another", "pid": 2**31 - 1}, False),
        ({"namespace": "another", "pid": 2**31 - 1}, False),
    ],
)
def test_it_is_taken_from_a_process_that_is_known_to_be_dead(
    path: Path, change: dict[str, Any], taken: bool
) -> None:
    """In doubt it is not: then somebody is told who holds it, and what to do."""
    owner = replace(ME, **change)
    holder = held_by(path, owner)
    if taken:
        with Baton(path).held("go on"):
            assert not holder.exists()
        return
    with pytest.raises(BackendError, match=BUSY) as caught, Baton(path).held("go on"):
        raise AssertionError("two at a time")
    assert caught.value.facts["reason"] == "baton"
    assert f"process {owner.pid} on host '{owner.host}'" in str(caught.value)
    assert f"delete {holder}" in str(caught.value)
    # What it waited with is not left behind.
    assert [p.name for p in folder_of(path).iterdir()] == ["held"]
    holder.unlink()
    with Baton(path).held("go on"):
        pass


@pytest.mark.parametrize("name", ["x", "a+b+c+d+e+f", "h+b+0+0+n+t"])
def test_what_is_not_known_to_hold_it_is_left_alone(path: Path, name: str) -> None:
    """It may be of a later version."""
    (folder_of(path) / "held").mkdir()
    (folder_of(path) / "held" / name).touch()
    with pytest.raises(BackendError, match="somebody holds"), Baton(path).held("go on"):
        raise AssertionError("two at a time")


def test_one_that_could_not_be_given_back_is_given_back_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same process, once the storage is well: it need not die for that."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Baton(path).held("one"):
        monkeypatch.setattr(durable, "remove_file", refuse)
    (left,) = folder_of(path).glob("held/*")
    monkeypatch.undo()

    with Baton(path).held("two"):
        assert not left.exists()
    assert baton._kept_back == set()


def test_one_that_may_not_be_taken_from_the_dead_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the folder is somebody else's: nobody waits for ever."""
    held_by(path, replace(ME, start_ticks=1))
    remove = durable.remove_file

    def refuse(path: Path) -> None:
        if Path(path).parent.name == "held":
            raise OSError(errno.EACCES, "Permission denied")
        remove(path)

    monkeypatch.setattr(durable, "remove_file", refuse)
    with pytest.raises(BackendError, match=BUSY), Baton(path).held("go on"):
        raise AssertionError("two at a time")
    assert baton._kept_back == set()


def test_a_storage_that_fails_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was begun is taken back."""

    def refuse(source: Path, destination: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(durable, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"), Baton(path).held("one"):
        raise AssertionError("never begun")
    assert list(folder_of(path).iterdir()) == []


def test_what_processes_left_that_died_while_they_waited_is_removed(path: Path) -> None:
    """Not that of one that may still wait."""
    dead = baton._name_of(replace(ME, start_ticks=1))
    living = baton._name_of(ME)
    for name in (dead, living):
        (folder_of(path) / f"draft-{name}").mkdir()
        (folder_of(path) / f"draft-{name}" / name).touch()

    Baton(path).tidy()

    assert [p.name for p in folder_of(path).iterdir()] == [f"draft-{living}"]


def test_locks_of_this_machine_work(tmp_path: Path) -> None:
    """And to find out leaves none behind."""
    path = tmp_path / "file"
    path.touch()
    assert locks_work(path)
    assert locks_work(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_locks_that_are_refused_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whatever the system calls it."""

    def refuse(*args: object) -> None:
        raise OSError(number, "no")

    (tmp_path / "file").touch()
    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert not locks_work(tmp_path / "file")


def test_locks_that_let_everybody_in_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two is not kept out."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(fcntl, "lockf", lambda *args: None)
    assert not locks_work(tmp_path / "file")


def test_a_kernel_that_cannot_tell_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does not know locks of open files."""

    def unknown(*args: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    (tmp_path / "file").touch()
    monkeypatch.setattr(fcntl, "fcntl", unknown)
    assert locks_work(tmp_path / "file")
