"""Each trouble touches what it is about, nothing else, and only while it lasts."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import BackendError, InvalidInputError, NotFoundError
from climorch.storage import durable
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import Owner
from climorch.testing.faults import until
from climorch.testing.trouble import (
    KINDS,
    PLACES,
    TROUBLES,
    Trouble,
    TroubledStorage,
    place_of,
)
from climorch.testing.troubled_files import in_trouble
from tests.unit.testing.trouble_cases import REFUSED, prepared, storage_of


def test_there_is_every_kind_in_every_place() -> None:
    """By a name that says both."""
    assert len(TROUBLES) == 18
    assert TROUBLES["hanging storage of journal"] == Trouble(
        kind="hanging", place="journal"
    )
    assert {(t.kind, t.place) for t in TROUBLES.values()} == {
        (kind, place) for kind in KINDS for place in PLACES
    }


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/r/c/checkpoints/s/box/2001-01-01-1/MANIFEST.json", "checkpoints"),
        ("/r/c/checkpoints", "checkpoints"),
        ("/r/c/inflight/1/s/box-1.1/state.zarr/box/heat/c/0", "checkpoints"),
        ("/r/c/inflight/1/s/outputs-box.1/box/0/heat/c/0", "results"),
        ("/r/c/checkpoints/s/box/2001-01-01-1/outputs/box/0/heat", "results"),
        ("/r/c/checkpoints/s/box/2001-01-01-1/outputs", "results"),
        ("/r/c/results/s/box/zarr.json", "results"),
        ("/r/c/trash/1-x", "checkpoints"),
        ("/r/c/damaged/x", "checkpoints"),
        ("/r/c/journal.sqlite-wal", "journal"),
        ("/r/c/journal.sqlite.ballast", "journal"),
        ("/r/c/inbox/x.json", None),
        ("/r/c/inflights", None),
        ("/r/c", None),
        ("/r/campaign/journal.sqlite", None),
    ],
)
def test_a_path_belongs_to_one_place(path: str, place: str | None) -> None:
    """By the first folder below the campaign; diagnostics are results everywhere."""
    assert place_of(path, "/r/c") == place


def attempted(folder: Path) -> dict[str, str]:
    """Try the durable layer there, in this process."""
    tries: dict[str, Any] = {
        "write": lambda: durable.write_durably(folder / "new", b"data"),
        "reserve": lambda: durable.make_new_file(folder / "b", 0o644, reserve_bytes=9),
        "mkdir": lambda: durable.make_directory(folder / "folder"),
        "link": lambda: durable.link_new(folder / "old", folder / "link"),
        "append": lambda: _append(folder / "log"),
        "flush names": lambda: durable.fsync_directory(folder),
        "rename": lambda: durable.rename(folder / "old", folder / "older"),
        "unlink": lambda: durable.remove_file(folder / "gone"),
        "rmdir": lambda: durable.remove_directory(folder / "empty"),
    }
    found = {}
    for name, work in tries.items():
        try:
            work()
            found[name] = ""
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
    return found


def _append(path: Path) -> None:
    with durable.appending(path) as append:
        append(b"line")


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("full", {"write", "reserve", "mkdir", "link", "append"}),
        ("quota", {"write", "reserve", "mkdir", "link", "append"}),
        ("failing", {"write", "reserve", "append", "flush names", "rename"}),
        (
            "read-only",
            {
                "write",
                "reserve",
                "mkdir",
                "link",
                "append",
                "rename",
                "unlink",
                "rmdir",
            },
        ),
    ],
)
def test_the_durable_layer_of_this_process_is_refused(
    tmp_path: Path, kind: str, refused: set[str]
) -> None:
    """While it lasts, in its place; the real file system is back at the end."""
    folder = prepared(tmp_path, "checkpoints")
    (folder / "empty").mkdir()
    with in_trouble(storage_of(tmp_path, f"{kind} storage of checkpoints")) as storage:
        storage.begin()
        found = attempted(folder)
        other = prepared(tmp_path, "results")
        (other / "empty").mkdir()
        assert set(attempted(other).values()) == {""}
        assert storage.touched == len(refused)
        storage.end()
    number = REFUSED[kind][0]
    assert {n: text for n, text in found.items() if text} == dict.fromkeys(
        refused, number
    )
    durable.write_durably(folder / "new", b"data")


def test_what_is_slow_takes_fifty_times_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes and flushes; the rest of their time is waited for."""
    folder, waited_s = prepared(tmp_path, "checkpoints"), list[float]()
    monkeypatch.setattr(time, "sleep", waited_s.append)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with in_trouble(storage_of(tmp_path, "slow storage of checkpoints")) as storage:
        durable.write_durably(folder / "one", b"data")
        assert waited_s == []
        storage.begin()
        durable.write_durably(folder / "two", b"data")
        # One write and one flush, of two seconds each by this clock.
        assert waited_s == [98.0, 98.0]
        assert storage.touched == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_journal_of_this_process_comes_upon_it(tmp_path: Path, kind: str) -> None:
    """As SQLite would report it; afterwards rows land again."""
    (tmp_path / "c").mkdir()
    owner = Owner(host="h", boot_id="b", pid=os.getpid())
    with (
        in_trouble(storage_of(tmp_path, f"{kind} storage of journal")) as storage,
        closing(
            SqliteJournal.open(
                tmp_path / "c" / "journal.sqlite",
                campaign="c",
                owner=owner,
                now_s=1.0,
                ballast_bytes=0,
            )
        ) as journal,
    ):
        storage.begin()
        if kind in REFUSED:
            with pytest.raises(BackendError):
                journal.heartbeat(2.0)
        elif kind == "slow":
            journal.heartbeat(2.0)
        else:
            beat = threading.Thread(target=journal.heartbeat, args=(2.0,))
            beat.start()
            until(lambda: storage.touched > 0, what="it hangs")
            assert beat.is_alive()
            storage.end()
            beat.join(60)
        assert storage.touched > 0
        storage.end()
        journal.heartbeat(3.0)


def test_a_trouble_that_touched_nothing_is_an_error(tmp_path: Path) -> None:
    """Not one that never began; and what else went wrong comes first."""
    with storage_of(tmp_path, "full storage of journal"):
        pass
    with (
        pytest.raises(NotFoundError, match="touched nothing"),
        storage_of(tmp_path, "full storage of journal") as storage,
    ):
        storage.begin()
    storage = storage_of(tmp_path, "full storage of journal")
    storage.begin()
    with pytest.raises(FileNotFoundError), storage:
        (tmp_path / "none").read_bytes()


def test_a_path_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """The page is shared, and has a size."""
    with pytest.raises(InvalidInputError, match="too long a path"):
        TroubledStorage(
            tmp_path / "control", Path("/" + "x" * 5000), TROUBLES[next(iter(TROUBLES))]
        )
