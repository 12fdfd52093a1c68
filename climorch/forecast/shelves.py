"""What the books make of a record about checkpoints that are kept.

Counts as the budget of bytes does: what was written, less what a deletion freed,
corrected where files were counted. Results have no bytes in a journal but those that
went to an archive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.forecast.accounts import Book, SetBook
from climorch.forecast.books import Books
from climorch.model import events as e

__all__ = ["SHELVES"]


def _place(books: Books, record: Any) -> tuple[Book, SetBook] | None:
    """Return the books of a set; None: there is none of that name."""
    book = books.of.get(record.simulation)
    s = book.sets.get(record.set) if book is not None else None
    if book is None or s is None:
        return None
    book.settle(books.now_s)
    return book, s


def _store(book: Book, s: SetBook, more_bytes: int) -> None:
    # What was counted too little before must not be counted below nothing.
    more_bytes = max(more_bytes, -s.stored_bytes)
    s.stored_bytes += more_bytes
    book.stored_bytes += more_bytes


def _committed(books: Books, fact: e.CheckpointCommitted) -> None:
    found = _place(books, fact)
    if found is None:
        return
    book, s = found
    if s.alive and s.attempt == fact.attempt:
        s.owed += fact.cost_s * len(book.nodes)
        if s.writing:
            s.writing = False
            book.lease.writing -= 1
    if fact.boundary <= s.newest.get(fact.attempt, 0) or fact.boundary in s.stored:
        # Told twice.
        return
    s.newest[fact.attempt] = fact.boundary
    own_bytes = fact.bytes_written + fact.bytes_salvaged
    s.stored[fact.boundary] = own_bytes
    book.used(book.purse).bytes_written += own_bytes
    _store(book, s, own_bytes)


def _deleted(books: Books, fact: e.CheckpointDeleted) -> None:
    found = _place(books, fact)
    if found is None or fact.boundary not in found[1].stored:
        return
    book, s = found
    own_bytes = s.stored.pop(fact.boundary)
    freed_bytes = own_bytes if fact.bytes_freed is None else fact.bytes_freed
    _store(book, s, -freed_bytes)


def _counted(books: Books, fact: e.StorageCounted) -> None:
    found = _place(books, fact)
    if found is not None:
        book, s = found
        _store(book, s, fact.bytes - s.stored_bytes)


def _archived(books: Books, fact: e.CheckpointArchived) -> None:
    found = _place(books, fact)
    if found is not None:
        book, s = found
        book.archived_bytes += fact.bytes - s.archived.get(fact.boundary, 0)
        s.archived[fact.boundary] = fact.bytes


def _results_archived(books: Books, fact: e.ResultsArchived) -> None:
    if fact.simulation in books.of:
        book = books.book(fact.simulation)
        book.archived_bytes += fact.bytes - book.results_archived.get(fact.stage, 0)
        book.results_archived[fact.stage] = fact.bytes


def _recalled(books: Books, fact: e.CheckpointRecalled) -> None:
    found = _place(books, fact)
    if found is None:
        return
    book, s = found
    used = book.used(book.purse)
    used.bytes_read += fact.bytes
    if fact.boundary not in s.stored:
        used.bytes_written += fact.bytes
        s.stored[fact.boundary] = fact.bytes
        _store(book, s, fact.bytes)


SHELVES: dict[type[Any], Callable[[Books, Any], None]] = {
    e.CheckpointCommitted: _committed,
    e.CheckpointDeleted: _deleted,
    e.StorageCounted: _counted,
    e.CheckpointArchived: _archived,
    e.ResultsArchived: _results_archived,
    e.CheckpointRecalled: _recalled,
}
