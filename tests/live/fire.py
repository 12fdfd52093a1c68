"""What tests of dying and paused drivers share: the script, another host, a look."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from climorch import Campaign
from climorch.engine import session
from climorch.storage.journal import SqliteJournal
from climorch.storage.lock import LockRow
from climorch.storage.owner import Owner
from climorch.testing.faults import Script, committed_twice, until
from climorch.testing.injector import ArmedFault, Injection, armed
from climorch.testing.models import reference_run
from tests.live.cases import ended, here, records, same
from tests.live.faulty_script import NAMES, campaign_of

SCRIPT = Path(__file__).with_name("faulty_script.py")
SEGMENTS = 6


def script(root: Path, injection: Injection | None = None, **given: Any) -> Script:
    """Run the script with the library that is being tested."""
    environment = {"PYTHONPATH": str(SCRIPT.parents[2])}
    return Script(
        SCRIPT,
        json.dumps({"root": str(root), **given}),
        environment={**environment, **(injection.environment if injection else {})},
    )


def fault(root: Path, **what: Any) -> Injection:
    """Arm one beside the root."""
    return armed(root.with_name("fault"), ArmedFault(**what))


def finish_here(root: Path, **given: Any) -> Campaign:
    """Run the script's campaign in this process to its end."""
    campaign = campaign_of({"root": str(root), **given})
    assert campaign.run(here(2)).finished
    return campaign


def check(campaign: Campaign, *, segments: int = SEGMENTS) -> None:
    """Bitwise equal to an undisturbed run, nothing committed twice."""
    for name in NAMES:
        assert same(ended(campaign, name), reference_run(name, segments=segments))
        years = campaign.results(name, "sea")["time"].to_numpy()
        assert [date.year for date in years] == list(range(2000, 2000 + segments))
    assert committed_twice(records(campaign)) == []


def lock_of(root: Path) -> LockRow:
    """Who holds the journal, and when that was last said."""
    path = root / "c" / session.JOURNAL
    with closing(SqliteJournal.open_readonly(path)) as journal:
        return journal.lock


def from_elsewhere(monkeypatch: pytest.MonkeyPatch, *, now_s: float) -> None:
    """Be a process of another machine, whose clock shows this when it takes a lock."""
    me = Owner(host="elsewhere", boot_id="b", pid=os.getpid(), namespace="n")
    clock = SimpleNamespace(time=lambda: now_s, monotonic=time.monotonic)
    monkeypatch.setattr(session, "this_process", lambda: me)
    monkeypatch.setattr(session, "time", clock)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def stopped_outside_a_transaction(driver: Script, root: Path) -> None:
    """Let a stopped driver end the transaction that it happened to be in.

    SQLite's lock is its process's as long as that exists: nobody could follow it.
    """
    path = root / "c" / session.JOURNAL
    for _ in range(20):
        until(lambda: is_stopped(driver.pid), what="it is stopped")
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                driver.send(signal.SIGCONT)
                time.sleep(0.02)
                driver.send(signal.SIGSTOP)
            else:
                db.execute("ROLLBACK")
                return
    pytest.fail("the driver writes whenever it is stopped")


PARTS = ("checkpoints", "results", "trash", "damaged", "inflight")


def files_of(root: Path, *, but: str = "") -> dict[str, tuple[int, int, str]]:
    """Inode, time and content of all that a campaign has on the disk."""
    return dict(_files(root / "c", [part for part in PARTS if part != but]))


def _files(
    folder: Path, parts: Iterable[str]
) -> Iterator[tuple[str, tuple[int, int, str]]]:
    for part in parts:
        for path in sorted((folder / part).rglob("*")):
            if path.is_file():
                found = path.stat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                name = str(path.relative_to(folder))
                yield name, (found.st_ino, found.st_mtime_ns, digest)
