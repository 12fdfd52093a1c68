"""All books of a campaign, the clock they are kept by, and where to look what up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from climorch.forecast.accounts import Book, SetBook

__all__ = ["Books"]


@dataclass(slots=True, kw_only=True)
class Books:
    """The books of all simulations.

    Attributes
    ----------
    of : dict of str to Book
        By simulation, in order of submission.
    institutions : dict of str to str
        Of each project; one without belongs to itself.
    now_s : float
        Clock of the newest record, UTC seconds; NaN: there is none.
    since_s : float
        Where the present piece of time begins, UTC seconds.
    """

    of: dict[str, Book] = field(default_factory=dict)
    institutions: dict[str, str] = field(default_factory=dict)
    now_s: float = math.nan
    since_s: float = 0.0

    def book(self, name: str) -> Book:
        """Return the book of a simulation, counted up to now."""
        book = self.of[name]
        book.settle(self.now_s)
        return book

    def current(self, record: Any) -> tuple[Book, SetBook] | None:
        """Return whose record it is, unless it is about an attempt that is over."""
        book = self.of.get(record.simulation)
        if book is None:
            return None
        name = getattr(record, "set", None) or book.plan.set_of.get(record.stage)
        s = book.sets.get(name or "")
        if s is None or not s.alive or s.attempt != record.attempt:
            return None
        book.settle(self.now_s)
        return book, s
