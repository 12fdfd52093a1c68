from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import (
    BackendError,
)
from climorch.storage import durable
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import (
    ocean,
    open_store,
    request,
    restore,
    save,
    write,
)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return open_store(tmp_path)


OPERATIONS = [
    "make_directory",
    "make_directories",
    "write_durably",
    "fsync_directory",
    "fsync_tree",
    "rename_durably",
    "remove_tree",
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_failing_disk_leaves_the_previous_checkpoint(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, operation: str, number: int
) -> None:
    """Whatever fails: a backend error, the previous one intact, and a retry works."""
    first = save(store, request(1))

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    asked = request(2, attempt=2, shift=1, previous=first)
    with monkeypatch.context() as patched:
        patched.setattr(durable, operation, fail)
        with pytest.raises(BackendError, match=os.strerror(number)):
            save(store, asked)
    assert store.verify(first).good
    assert store.newest("m01", "earth") == first
    second = save(store, asked)
    assert store.newest("m01", "earth") == second
    assert store.verify(second).good


def test_unflushed_commit_is_told_and_found(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename whose flush failed is an error; committing the same again is not."""
    asked = request()
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    whole = durable.rename_durably

    def unflushed(source: Path, destination: Path) -> None:
        whole(source, destination)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "rename_durably", unflushed)
        with pytest.raises(BackendError, match="cannot commit checkpoint"):
            store.commit(in_flight, receipts)
    store.abandon(in_flight)
    found = store.newest("m01", "earth")
    assert save(store, request(attempt=2)) == found


def test_what_could_not_even_be_given_up_goes_with_the_next_commit(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only file system nothing can be renamed; others' folders stay."""
    first = save(store, request(1))
    broken = store.begin(request(2, attempt=2, shift=1, previous=first))
    ahead = store.begin(request(4, attempt=2, shift=1, previous=first))

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(durable, "rename", fail)
        with pytest.raises(BackendError, match="Read-only file system"):
            store.abandon(broken)
    assert broken.directory.exists()
    # What cannot be deleted now is no reason to undo a commit.
    with monkeypatch.context() as patched:
        patched.setattr(durable, "remove_directory", fail)
        patched.setattr(durable, "remove_tree", fail)
        in_flight = store.begin(request(3, attempt=3, shift=1, previous=first))
        with pytest.raises(BackendError):
            store.commit(in_flight, write(in_flight, request(3, attempt=3, shift=1)))
    save(store, request(3, attempt=4, shift=1, previous=first))
    assert not broken.directory.exists()
    assert ahead.directory.exists()


class KilledError(BaseException):
    """The process is dead: not even its clean-up runs."""


class Mortal:
    """Lets the process do so many operations on the disk, and nothing after."""

    def __init__(self, patch: pytest.MonkeyPatch, steps: int) -> None:
        self.left = steps
        for name in durable.__all__:
            value = getattr(durable, name)
            if callable(value) and name != "translated":
                patch.setattr(durable, name, self.counted(value))
        for name in ("mkdir", "rename", "fsync", "fdatasync", "unlink", "link"):
            patch.setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self.left <= 0:
                raise KilledError
            self.left -= 1
            return function(*args, **kwargs)

        return wrapped


def second_by_another_driver(
    root: Path, patch: pytest.MonkeyPatch, steps: int = 10**6
) -> int:
    """Take over, write a second checkpoint and die on the way; steps that it took."""
    with patch.context() as patched:
        mortal = Mortal(patched, steps)
        store = open_store(root, 2)
        previous = store.newest("m01", "earth")
        save(store, request(2, shift=1, previous=previous))
    return steps - mortal.left


def test_killed_between_any_two_steps_is_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill anywhere, the newest checkpoint is whole: the old or the new one."""
    save(open_store(tmp_path / "count"), request(1))
    steps = second_by_another_driver(tmp_path / "count", monkeypatch)
    assert steps > 100
    newest = []
    # Every step around the commit point, and a sample of those before it.
    for step in sorted({*range(0, steps, 17), *range(steps - 10, steps)}):
        root = tmp_path / str(step)
        first = save(open_store(root), request(1))
        with pytest.raises(KilledError):
            second_by_another_driver(root, monkeypatch, step)
        store = open_store(root, 3)
        for path in store.fence():
            store.complete(path)
        found = store.newest("m01", "earth")
        assert found is not None
        assert store.verify(found).good
        state = restore(store, found)["state"]["ocean"]
        assert state.identical(ocean({1: 0.0, 2: 1.0}[found.boundary]).load())
        newest.append(found.boundary)
        # And the next driver goes on from there.
        again = save(store, request(2, shift=1, previous=first))
        assert store.verify(again).good
    assert set(newest) == {1, 2}
    assert newest == sorted(newest)


def test_process_killed_for_real_leaves_the_old_one(tmp_path: Path) -> None:
    """A process that dies with half of the chunks written commits nothing."""
    first = save(open_store(tmp_path), request(1))
    script = """
import os, sys
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import request, write
store = CheckpointStore(sys.argv[1], "cmip", 2)
store.fence()
asked = request(2, shift=1)
write(store.begin(asked), asked, choose=lambda key: "/ocean/" in key)
os._exit(9)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (9, b"")
    store = open_store(tmp_path, 3)
    assert store.newest("m01", "earth") == first
    asked = request(2, shift=1)
    in_flight = store.begin(asked)
    receipts = write(in_flight, asked)
    assert [r.key for r in receipts if not r.linked] == ["state.zarr/land/snow/c/0"]
    assert store.verify(store.commit(in_flight, receipts)).good
