"""Roots that cannot be used are told before anything starts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import climorch as co
from climorch.testing.models import box_workflow


def campaign(root: Path) -> co.Campaign:
    """Make a campaign of one simulation."""
    made = co.Campaign("c", root=root)
    made.submit(box_workflow(segments=2), scenario=co.Scenario("s"))
    return made


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The error names the folder and says what to do; no site is opened."""
    (tmp_path / "root").write_text("a file, no folder")
    site = co.LocalSite(in_process=True)
    with pytest.raises(co.InvalidInputError, match="not writable") as caught:
        campaign(tmp_path / "root").run(site)
    assert "choose a root that you may write" in caught.value.faults[0].remedy
    assert site.scheduler is None


def test_a_foreign_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file that is no journal of ours stays as it is, byte by byte."""
    path = tmp_path / "c" / "journal.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"somebody's notes")
    with pytest.raises(co.ClimorchError, match="journal"):
        campaign(tmp_path).run(co.LocalSite(in_process=True))
    assert path.read_bytes() == b"somebody's notes"


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It is not read as if it were known, and says which version it has."""
    made = campaign(tmp_path)
    made.pause("s")
    made.run(co.LocalSite(in_process=True))
    path = tmp_path / "c" / "journal.sqlite"
    with sqlite3.connect(path) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.close()
    with pytest.raises(co.ClimorchError, match=rf"version {version + 1}"):
        campaign(tmp_path).run(co.LocalSite(in_process=True))
