"""A campaign seen through its journal."""

from __future__ import annotations

import time
from pathlib import Path

from climorch.core.ports import Row
from climorch.engine.view import JournalView
from climorch.model import events as e
from climorch.model.commands import encode_record
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process

TOLD = e.SiteTold(system="Slurm", troubles={"query": "no answer"})


def test_what_a_site_told_is_seen_until_its_driver_is_gone(tmp_path: Path) -> None:
    """Also where that died without a word and held no node."""
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.open(
        path, campaign="c", owner=this_process(), now_s=time.time()
    )
    view = JournalView(path)
    try:
        journal.append([Row(kind="SiteTold", payload=encode_record(TOLD), now_s=1.0)])
        assert view.state().site == TOLD
        assert view.driven
    finally:
        journal.close()

    assert view.state().site is None
    assert not view.driven
