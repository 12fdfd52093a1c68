"""Processes that have loaded the library come upon a trouble whatever they use."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from climorch.errors import BackendError
from climorch.testing import preload
from climorch.testing.faults import until
from climorch.testing.trouble import TroubledStorage
from tests.unit.testing.trouble_cases import REFUSED, prepared, storage_of

# What is tried in one folder, in order. `old` and `gone` are there beforehand.
SCRIPT = """
import errno, json, os, sys
folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
file = os.open(at("old"), os.O_RDWR)
def make():
    os.close(os.open(at("new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
tries = {
    "create": make,
    "mkdir": lambda: os.mkdir(at("folder")),
    "link": lambda: os.link(at("old"), at("link")),
    "write": lambda: os.write(file, b"x"),
    "reserve": lambda: os.posix_fallocate(file, 0, 4096),
    "flush": lambda: os.fdatasync(file),
    "flush names": lambda: os.fsync(os.open(folder, os.O_RDONLY)),
    "rename": lambda: os.rename(at("old"), at("older")),
    "unlink": lambda: os.unlink(at("gone")),
    "read": lambda: os.pread(file, 1, 0),
}
found = {}
for name, work in tries.items():
    try:
        work()
        found[name] = ""
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
print(json.dumps(found))
"""

needs_compiler = pytest.mark.skipif(
    preload.compiler() is None, reason="there is no C compiler"
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built once."""
    return preload.build(tmp_path_factory.mktemp("library"))


def tried(folder: Path, storage: TroubledStorage, library: Path) -> dict[str, str]:
    """Try everything there, in a process that has loaded the library."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, str(folder)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, **preload.environment_of(storage, library)},
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@needs_compiler
@pytest.mark.parametrize("kind", ["full", "quota", "failing", "read-only"])
@pytest.mark.parametrize("place", ["checkpoints", "results"])
def test_operations_of_processes_are_refused(
    tmp_path: Path, library: Path, kind: str, place: str
) -> None:
    """Those that the kind is about, with its errno; none elsewhere or afterwards."""
    number, refused = REFUSED[kind]
    other = "results" if place == "checkpoints" else "checkpoints"
    with storage_of(tmp_path, f"{kind} storage of {place}") as storage:
        storage.begin()
        for there in (other, "none"):
            assert set(tried(prepared(tmp_path, there), storage, library).values()) == {
                ""
            }
        assert storage.touched == 0
        folder = prepared(tmp_path, place)
        found = tried(folder, storage, library)
        assert {name: text for name, text in found.items() if text} == dict.fromkeys(
            refused, number
        )
        assert storage.touched == len(refused)
        storage.end()
        for path in sorted(folder.iterdir()):
            path.rmdir() if path.is_dir() else path.unlink()
        for name in ("old", "gone"):
            (folder / name).write_bytes(b"1")
        assert set(tried(folder, storage, library).values()) == {""}


SQLITE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA synchronous=EXTRA")
db.execute("INSERT INTO fact VALUES (0)")
print("ready", flush=True)
sys.stdin.readline()
try:
    db.execute("INSERT INTO fact VALUES (1)")
    print("written")
except sqlite3.Error as error:
    print(error.sqlite_errorname)
"""


@needs_compiler
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("full", "SQLITE_FULL"),
        ("quota", "SQLITE_IOERR_WRITE"),
        ("failing", "SQLITE_IOERR_WRITE"),
        ("read-only", "SQLITE_IOERR_WRITE"),
    ],
)
def test_writes_of_sqlite_itself_are_refused(
    tmp_path: Path, library: Path, kind: str, expected: str
) -> None:
    """They are made in C, which the port of the durable layer does not see."""
    (tmp_path / "c").mkdir()
    path = tmp_path / "c" / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=wal")
        db.execute("CREATE TABLE fact (x)")
    with storage_of(tmp_path, f"{kind} storage of journal") as storage:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", SQLITE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **preload.environment_of(storage, library)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        storage.begin()
        printed, _ = process.communicate("go\n", timeout=60)
        assert storage.touched > 0
    assert printed.strip() == expected


@needs_compiler
def test_a_process_hangs_until_the_trouble_is_over(
    tmp_path: Path, library: Path
) -> None:
    """Then it goes on as if nothing had been."""
    folder = prepared(tmp_path, "checkpoints")
    with storage_of(tmp_path, "hanging storage of checkpoints") as storage:
        storage.begin()
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", SCRIPT, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **preload.environment_of(storage, library)},
        )
        until(lambda: storage.touched == 1, what="it hangs")
        assert process.poll() is None
        assert not (folder / "new").exists()
        storage.end()
        printed, _ = process.communicate(timeout=60)
    assert set(json.loads(printed).values()) == {""}


def test_without_a_compiler_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a source that cannot be compiled is an error with its reason."""
    monkeypatch.setattr(preload, "compiler", lambda: None)
    with pytest.raises(BackendError, match="there is no C compiler"):
        preload.build(tmp_path)
    monkeypatch.undo()
    if preload.compiler() is not None:
        with pytest.raises(BackendError, match="cannot be compiled"):
            preload.build(tmp_path, tmp_path / "none.c")
