"""Processes that have loaded the library find that something is lacking, and where."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from climorch.errors import InvalidInputError, NotFoundError
from climorch.testing import lacking, preload
from climorch.testing.lacking import LACKS, LackingStorage

# What is tried in a folder that has a file `old` and a database `db`.
SCRIPT = """
import errno, fcntl, json, os, sqlite3, subprocess, sys, time
folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
def lock():
    fcntl.lockf(open(at("old"), "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
def whole():
    fcntl.flock(open(at("old"), "r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB)
def write():
    db = sqlite3.connect(at("db"), timeout=0, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return db
def two():
    first = write()
    # Those of one process know of each other without locks.
    other = [sys.executable, "-S", __file__, folder, "second"]
    said = subprocess.run(other, capture_output=True, check=True, text=True).stdout
    if said:
        raise OSError(errno.EBUSY, said)
if sys.argv[2:] == ["second"]:
    try:
        write()
    except sqlite3.Error as error:
        print(error.sqlite_errorname)
    sys.exit()
tries = {
    "link": lambda: os.link(at("old"), at("link")),
    "lock": lock,
    "flock": whole,
    "two writers": two,
    "make": lambda: os.close(os.open(at("new"), os.O_WRONLY | os.O_CREAT)),
    "look": lambda: os.stat(at("new")),
    "rename": lambda: os.rename(at("new"), at("newer")),
    "remove": lambda: os.unlink(at("newer")),
    "duplicate": lambda: os.close(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10)),
}
found = {}
for name, work in tries.items():
    begin = time.perf_counter()
    try:
        work()
        found[name] = ""
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
    except sqlite3.Error as error:
        found[name] = error.sqlite_errorname
    if time.perf_counter() - begin >= 0.008:
        found[name] += " slow"
print(json.dumps(found))
"""

needs_compiler = pytest.mark.skipif(
    preload.compiler() is None, reason="there is no C compiler"
)

# What is found where nothing is lacking.
GOOD = {
    "link": "",
    "lock": "",
    "flock": "",
    "two writers": "EBUSY",
    "make": "",
    "look": "",
    "rename": "",
    "remove": "",
    "duplicate": "",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built once."""
    return preload.build(tmp_path_factory.mktemp("library"), lacking.SOURCE)


def tried(folder: Path, storage: LackingStorage, library: Path) -> dict[str, str]:
    """Try everything in a folder, in a process that has loaded the library."""
    folder.mkdir()
    (folder / "old").touch()
    with closing(sqlite3.connect(folder / "db")) as db:
        db.execute("CREATE TABLE fact (x)")
    script = folder.with_name("script.py")
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-S", str(script), str(folder)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, **storage.environment(library)},
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@needs_compiler
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("no hard links", {"link": "EPERM"}),
        (
            "no locks",
            # SQLite cannot tell it from a lock that somebody holds.
            {"lock": "ENOLCK", "flock": "ENOLCK", "two writers": "SQLITE_BUSY"},
        ),
        (
            "unknown locks",
            {"lock": "ENOSYS", "flock": "ENOSYS", "two writers": "SQLITE_IOERR_LOCK"},
        ),
        ("loose locks", {"two writers": ""}),
    ],
)
def test_what_is_lacking_is_missed_below_the_folder(
    tmp_path: Path, library: Path, name: str, found: dict[str, str]
) -> None:
    """Nothing else is, and nothing elsewhere."""
    with LackingStorage(tmp_path / "control", tmp_path / "at", LACKS[name]) as storage:
        assert plain(tried(tmp_path / "other", storage, library)) == GOOD
        assert storage.touched == 0
        assert plain(tried(tmp_path / "at", storage, library)) == {**GOOD, **found}
        assert storage.touched > 0


def plain(found: dict[str, str]) -> dict[str, str]:
    """Leave out what was slow, as it may be on a busy machine."""
    return {name: text.removesuffix(" slow") for name, text in found.items()}


@needs_compiler
def test_names_are_slow_to_make_to_look_up_and_to_take_away(
    tmp_path: Path, library: Path
) -> None:
    """What changes names takes so long; looks are counted too."""
    lack = LACKS["slow names"]
    with LackingStorage(tmp_path / "control", tmp_path / "at", lack) as storage:
        tried(tmp_path / "other", storage, library)
        assert storage.touched == 0
        found = tried(tmp_path / "at", storage, library)
        assert plain(found) == GOOD
        slow = {name for name, text in found.items() if text.endswith("slow")}
        assert slow >= {"link", "make", "rename", "remove"}
        assert storage.touched >= 8


def test_a_lack_that_nobody_met_is_an_error(tmp_path: Path) -> None:
    """A test that meant to try it has tried something else."""
    storage = LackingStorage(tmp_path / "c", tmp_path, LACKS["no locks"])
    with pytest.raises(NotFoundError, match="nobody met"), storage:
        pass
    # Another error is not hidden by that.
    with pytest.raises(ZeroDivisionError), storage:
        raise ZeroDivisionError


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """It has to fit into the page."""
    with pytest.raises(InvalidInputError, match="too long"):
        LackingStorage(tmp_path / "c", tmp_path / ("x" * 4090), LACKS["no locks"])
