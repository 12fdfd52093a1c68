"""Campaigns on storage without hard links, without locks, or with slow names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from climorch.testing import lacking, preload
from climorch.testing.lacking import LACKS, LackingStorage
from climorch.testing.lacking_cells import try_lack

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.live,
    pytest.mark.timeout(300),
    pytest.mark.skipif(preload.compiler() is None, reason="there is no C compiler"),
]

# What a campaign does first, as though locks worked or as they do.
OPENING = """
import sys
from pathlib import Path
from climorch.core.ports import Row
from climorch.errors import ClimorchError
from climorch.storage import journal_file
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
if sys.argv[2] == "believing":
    journal_file.locks_work = lambda path: True
try:
    journal = SqliteJournal.open(
        Path(sys.argv[1]), campaign="c", owner=this_process(), now_s=1.0
    )
    print(journal.append([Row(kind="Fact", payload=b"x", now_s=1.0)]))
    journal.close()
except ClimorchError as error:
    print(type(error).__name__, error.facts["reason"])
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built once."""
    return preload.build(tmp_path_factory.mktemp("library"), lacking.SOURCE)


@pytest.mark.parametrize("name", LACKS)
def test_a_campaign_manages_with_what_there_is(
    tmp_path: Path, library: Path, name: str
) -> None:
    """Killed and run again: bit by bit as undisturbed; the probe has told."""
    seen = try_lack(tmp_path, name, library)

    assert seen.problems == []
    assert seen.touched > 0


def opened(folder: Path, library: Path, name: str, how: str) -> str:
    """Open a journal in a process that meets a lack; what came of it."""
    folder.mkdir()
    with LackingStorage(folder / "control", folder, LACKS[name]) as storage:
        done = subprocess.run(
            [sys.executable, "-c", OPENING, str(folder / "journal"), how],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, **storage.environment(library)},
        )
    return done.stdout.strip()


def test_without_a_baton_there_would_be_no_campaign(
    tmp_path: Path, library: Path
) -> None:
    """A test of the tests: the lack of locks is one that SQLite cannot do without."""
    for name, reason in (
        ("unknown locks", "SQLITE_IOERR_LOCK"),
        ("no locks", "SQLITE_BUSY"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        believed = opened(folder / "one", library, name, "believing")
        assert believed == f"BackendError {reason}"
        assert opened(folder / "two", library, name, "looking") == "1"
