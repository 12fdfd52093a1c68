"""What a power cut may leave of a journal, tried one by one.

SQLite writes the journal with code of its own, which is not recorded. What is taken
for granted is the order that it documents for a WAL with ``synchronous`` FULL or
EXTRA: a transaction's frames are written and flushed before its COMMIT returns; the
database file is changed only after that, and flushed before the WAL begins anew;
and a write harms no bytes beside it ("powersafe overwrite", on by default).
What is tried: any sectors of what was being written may be old, new or zeros, and
the end may be missing. What must come out, through SQLite's recovery and our chain:
every row that was acknowledged, of a transaction in flight all rows or none, and
a journal that verifies and can be written to.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from climorch.core.ports import Row
from climorch.errors import ClimorchError
from climorch.storage import durable
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import Owner
from climorch.testing.power_loss import Findings

__all__ = ["Append", "cut_appends", "mixes", "record_appends"]

SECTOR = 512
OWNER = Owner(host="node1", boot_id="boot1", pid=4242, start_ticks=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """One transaction, as the files show it.

    Attributes
    ----------
    before, after : tuple of bytes
        Database and WAL.
    told : int
        Rows acknowledged before it.
    payloads : tuple of bytes
        Of its own rows.
    """

    before: tuple[bytes, bytes]
    after: tuple[bytes, bytes]
    told: int
    payloads: tuple[bytes, ...]

    @property
    def rows(self) -> int:
        """Rows acknowledged after it."""
        return self.told + len(self.payloads)


def _row(number: int, size_bytes: int) -> Row:
    payload = np.random.default_rng(number).bytes(size_bytes)
    return Row(kind="Fact", payload=payload, now_s=float(number))


def _open(path: Path) -> SqliteJournal:
    return SqliteJournal.open(
        path,
        campaign="c",
        owner=OWNER,
        now_s=100.0,
        alive=lambda owner: False,
        ballast_bytes=0,
    )


def record_appends(folder: Path, sizes: Sequence[Sequence[int]]) -> list[Append]:
    """Append to a new journal, and keep its files from before and after each time.

    Parameters
    ----------
    folder : Path
        Empty.
    sizes : sequence of sequence of int
        Of each transaction, how many bytes its rows have.

    Returns
    -------
    list of Append
        In order.
    """
    path = folder / "journal.sqlite"
    found = []
    with ExitStack() as stack:
        journal = _open(path)
        stack.callback(journal.close)
        # Held open: to close a file drops all locks that this process has on it.
        descriptors = []
        for name in (path, path.with_name(f"{path.name}-wal")):
            descriptors.append(os.open(name, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])

        def now() -> tuple[bytes, bytes]:
            database, wal = (os.pread(d, os.fstat(d).st_size, 0) for d in descriptors)
            return database, wal

        told = 0
        for transaction in sizes:
            before = now()
            rows = [_row(told + 1 + i, size) for i, size in enumerate(transaction)]
            journal.append(rows)
            payloads = tuple(row.payload for row in rows)
            found.append(
                Append(before=before, after=now(), told=told, payloads=payloads)
            )
            told += len(rows)
    return found


def mixes(
    old: bytes, new: bytes, *, samples: int, rng: np.random.Generator
) -> Iterator[bytes]:
    """Yield what may be there while one content takes the place of another."""
    yield old
    yield new
    length = -(-max(len(old), len(new)) // SECTOR) * SECTOR
    blocks = [
        np.frombuffer(data.ljust(length, b"\0"), np.uint8).reshape(-1, SECTOR)
        for data in (old, new)
    ]
    places = np.arange(length).reshape(-1, SECTOR)
    changed = np.flatnonzero((blocks[0] != blocks[1]).any(axis=1))
    if not len(changed):
        return
    tried = [np.ones(len(changed), bool)]
    for number in rng.permutation(len(changed))[:samples]:
        for happened in (True, False):
            only = np.full(len(changed), not happened)
            only[number] = happened
            tried.append(only)
        tried.append(np.arange(len(changed)) < number)
    tried += [rng.random(len(changed)) < rng.random() for _ in range(samples)]
    for there in tried:
        for lost in ("old", "zeros"):
            mixed = blocks[1].copy()
            gone = changed[~there]
            if lost == "zeros":
                same = (blocks[0] == blocks[1]) & (places < len(old))
                mixed[gone] = np.where(same[gone], blocks[0][gone], 0)
            else:
                mixed[gone] = blocks[0][gone]
            whole = mixed.tobytes()
            yield whole[: max(len(old), len(new))]
            # The length may not have grown, or have grown in part.
            cut = int(rng.integers(len(old), max(len(old), len(new)) + 1))
            yield whole[:cut]


def cut_appends(
    appends: Sequence[Append],
    folder: Path,
    *,
    samples: int = 4,
    seed: int = 0,
    unflushed: bool = False,
) -> Findings:
    """Cut the power within each transaction, and open what is left.

    Parameters
    ----------
    appends : sequence of Append
        From `record_appends`.
    folder : Path
        Empty, where journals are laid out one after the other; best in memory.
    samples, seed : int
        How many losses of each kind are tried per transaction, and for chance.
    unflushed : bool
        A planted fault: rows are acknowledged before they are flushed.

    Returns
    -------
    Findings
        How much was tried, and what was wrong.
    """
    rng = np.random.default_rng(seed)
    findings = Findings(operations=len(appends))
    expected = [payload for append in appends for payload in append.payloads]
    for append in appends:
        (old, old_wal), (new, new_wal) = append.before, append.after
        states = itertools.chain(
            ((old, wal) for wal in mixes(old_wal, new_wal, samples=samples, rng=rng)),
            # The database is changed only once the WAL is flushed.
            ((db, new_wal) for db in mixes(old, new, samples=samples, rng=rng)),
        )
        findings.prefixes += 2
        for number, (database, wal) in enumerate(states):
            place = folder / str(findings.tried)
            place.mkdir()
            faults = _recovered(
                place,
                (database, wal),
                expected,
                least=append.rows if unflushed else append.told,
                whole={append.told, append.rows},
            )
            durable.remove_tree(place)
            findings.tried += 1
            findings.states += 1
            findings.violations += bool(faults)
            if faults and len(findings.examples) < 5:
                findings.examples.append(
                    f"{faults}; state {number} of rows {append.told}-{append.rows}"
                )
    return findings


def _recovered(
    folder: Path,
    content: tuple[bytes, bytes],
    expected: Sequence[bytes],
    *,
    least: int,
    whole: set[int],
) -> list[str]:
    """Open a journal as the next driver does; say what is wrong with it."""
    path = folder / "journal.sqlite"
    for name, data in zip((path.name, f"{path.name}-wal"), content, strict=True):
        (folder / name).write_bytes(data)
    faults = []
    try:
        with closing(_open(path)) as journal:
            count = journal.last_serial
            if not journal.verify().good:
                faults.append("it does not verify")
            if count < least:
                faults.append(f"{count} rows are left of {least} acknowledged ones")
            if count not in whole:
                faults.append(f"{count} rows: a part of a transaction")
            if [row.payload for row in journal.read()] != [*expected[:count]]:
                faults.append("its rows are not those that were appended")
            journal.append([_row(count + 1, 10)])
            if journal.last_serial != count + 1:
                faults.append("it cannot be written to")
    except ClimorchError as error:
        faults.append(str(error))
    return faults
