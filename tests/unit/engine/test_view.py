"""A campaign seen through its journal."""

from __future__ import annotations

import time
from pathlib import Path

from climorch.core.explain import explain
from climorch.core.ports import Row
from climorch.engine.view import JournalView
from climorch.model import events as e
from climorch.model.commands import encode_record
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
from tests.unit.core.script import stage, submitted

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


def test_who_asks_after_a_driver_died_reads_that_none_runs(tmp_path: Path) -> None:
    """Not that no node is up, as if one were waited for."""
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.open(
        path, campaign="c", owner=this_process(), now_s=time.time()
    )
    view = JournalView(path)

    def why() -> str:
        return explain(view.state(), "s", 2.0).status.why

    facts = (
        e.DriverStarted(epoch=1, host="here", pid=1),
        submitted(stage("a"), name="s"),
    )
    try:
        journal.append(
            [
                Row(kind=type(fact).__name__, payload=encode_record(fact), now_s=1.0)
                for fact in facts
            ]
        )
        assert why() == "needs 1 node; none such is up"
    finally:
        journal.close()

    assert why() == "no driver runs"
