"""What the tests of the journal share: owners, rows, and ways to damage it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from climorch.core.ports import Row
from climorch.storage.journal import SqliteJournal
from climorch.storage.journal_mode import MOUNTS
from climorch.storage.owner import Owner

HERE = Owner(host="node1", boot_id="boot1", pid=4242, start_ticks=7)


def living(owner: Owner) -> bool:
    """Say that every process lives."""
    return owner.pid > 0


def dead(owner: Owner) -> bool:
    """Say that every process is dead."""
    return owner.pid < 0


def rows(count: int, first: int = 1) -> list[Row]:
    """Make rows whose payloads are found in the bytes of a file."""
    return [
        Row(kind="Fact", payload=b"payload-%06d" % number, now_s=float(number))
        for number in range(first, first + count)
    ]


def open_journal(
    path: Path,
    *,
    campaign: str = "c",
    alive: Callable[[Owner], bool] = living,
    ballast_bytes: int = 0,
    mounts: Path = MOUNTS,
) -> SqliteJournal:
    """Open a journal as a driver on one and the same machine."""
    return SqliteJournal.open(
        path,
        campaign=campaign,
        owner=HERE,
        now_s=100.0,
        alive=alive,
        ballast_bytes=ballast_bytes,
        mounts=mounts,
    )


def written(path: Path, count: int = 10) -> Path:
    """Make a journal with rows, closed again."""
    journal = open_journal(path)
    journal.append(rows(count))
    journal.close()
    return path


def damage(path: Path, *statements: str) -> None:
    """Change a journal behind the back of the library."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints=ON")
        for statement in statements:
            db.execute(statement)
