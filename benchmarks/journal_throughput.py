"""How fast facts are appended to the journal, and read back.

The bar: at least 5,000 facts a second appended and durable, through the
journal's thread, as a driver does it (submissions of ten facts of 250 bytes, at
most 64 of them waiting); and 1,000,000 rows read back with their hash chain
checked at 5 s or less. With ``--quick`` ten times fewer rows at the same rates.

    uv run python benchmarks/journal_throughput.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from climorch.core.ports import Row
from climorch.storage.journal import SqliteJournal
from climorch.storage.journal_thread import JournalThread
from climorch.storage.owner import this_process

RESULTS = Path(__file__).parent / "results"
APPEND_BAR_PER_S = 5_000.0
READ_BAR_PER_S = 1_000_000 / 5.0
ROW_BYTES = 250
SUBMISSION_ROWS = 10
MOST_WAITING = 64


def timed(work: Callable[[], object]) -> float:
    """Return how long a call takes, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def opened(path: Path) -> SqliteJournal:
    """Open the journal as this process."""
    return SqliteJournal.open(
        path, campaign="benchmark", owner=this_process(), now_s=time.time()
    )


def facts(count: int) -> list[Row]:
    """Make rows of a usual size."""
    return [
        Row(
            kind="SegmentFinished",
            payload=number.to_bytes(8, "little") * (ROW_BYTES // 8),
            now_s=1.7e9 + number,
        )
        for number in range(count)
    ]


def append_through_thread(journal: SqliteJournal, rows: list[Row]) -> None:
    """Append as a driver does, with a bounded number of submissions waiting."""
    waiting: deque[Future[int]] = deque()
    with JournalThread(journal) as thread:
        for start in range(0, len(rows), SUBMISSION_ROWS):
            waiting.append(thread.submit(rows[start : start + SUBMISSION_ROWS]))
            if len(waiting) == MOST_WAITING:
                waiting.popleft().result()
    for future in waiting:
        future.result()


def append_in_batches(journal: SqliteJournal, rows: list[Row]) -> None:
    """Append a thousand rows at a time, without the thread."""
    for start in range(0, len(rows), 1000):
        journal.append(rows[start : start + 1000])


def append_one_by_one(journal: SqliteJournal, rows: list[Row]) -> None:
    """Append each row in a transaction of its own: the cost of one sync."""
    for row in rows:
        journal.append([row])


def read_all(journal: SqliteJournal, *, check: bool) -> None:
    """Read every row."""
    deque(journal.read(check=check), maxlen=0)


def measure(path: Path, count: int) -> dict[str, float | str]:
    """Append and read `count` rows; return rates per second and times in seconds."""
    journal = opened(path)
    submitted = count // 4
    thread_s = timed(lambda: append_through_thread(journal, facts(submitted)))
    single = facts(300)
    single_s = timed(lambda: append_one_by_one(journal, single))
    rest = facts(count - submitted - len(single))
    batch_s = timed(lambda: append_in_batches(journal, rest))
    unchecked_s = timed(lambda: read_all(journal, check=False))
    checked_s = timed(lambda: read_all(journal, check=True))
    verify_s = timed(journal.verify)
    size_bytes = path.stat().st_size
    close_s = timed(journal.close)
    begin = time.perf_counter()
    again = opened(path)
    reopen_s = time.perf_counter() - begin
    if again.last_serial != count or not again.verify().good:
        sys.exit("rows are missing or damaged")
    again.close()
    return {
        "rows": count,
        "journal_mode": journal.journal_mode,
        "append_submitted_per_s": submitted / thread_s,
        "append_batches_per_s": len(rest) / batch_s,
        "append_single_per_s": len(single) / single_s,
        "read_unchecked_s": unchecked_s,
        "read_checked_s": checked_s,
        "read_checked_per_s": count / checked_s,
        "verify_s": verify_s,
        "bytes_per_row": size_bytes / count,
        "close_s": close_s,
        "reopen_s": reopen_s,
    }


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten times fewer rows")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    # Beside the results: a temporary folder may lie in memory, where a sync is free.
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        found = measure(Path(folder) / "j.sqlite", 100_000 if quick else 1_000_000)
    append_per_s = float(found["append_submitted_per_s"])
    read_per_s = float(found["read_checked_per_s"])
    margin = min(append_per_s / APPEND_BAR_PER_S, read_per_s / READ_BAR_PER_S)
    found |= {
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
        "append_bar_per_s": APPEND_BAR_PER_S,
        "read_bar_per_s": READ_BAR_PER_S,
        "margin": margin,
    }
    (RESULTS / "journal_throughput.json").write_text(json.dumps(found, indent=2) + "\n")
    for name, value in found.items():
        print(f"{name:24} {value:12,.3f}" if isinstance(value, float) else
              f"{name:24} {value:>12}")  # fmt: skip
    print("bar: >= 5,000 facts/s appended, 1,000,000 rows read checked in <= 5 s")
    print(f"the smaller of both over its bar: {margin:.2f} (>= 1.00 holds)")
    return 0 if margin >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
