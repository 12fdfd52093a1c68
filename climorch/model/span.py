"""A stretch of model time cut into segments, as a user writes it."""

from __future__ import annotations

import msgspec

__all__ = ["CALENDARS", "Span"]

# Names of the CF conventions, section 4.4.1; aliases are resolved by cftime.
CALENDARS = (
    "standard",
    "gregorian",
    "proleptic_gregorian",
    "noleap",
    "365_day",
    "360_day",
    "all_leap",
    "366_day",
    "julian",
)


class _Ends(msgspec.Struct, frozen=True):
    start: str
    end: str


class Span(_Ends, frozen=True, kw_only=True):
    """Model time from ``start`` to ``end``, a segment ``every`` so often.

    Attributes
    ----------
    start, end : str
        ISO dates, start inclusive, end exclusive.
    every : str
        Length of a segment as a frequency of xarray's date ranges: ``"1YS"``,
        ``"5YS"``, ``"1MS"``, ``"10D"``, ``"6h"``. A start that is no such date
        (or an end) makes the first (or last) segment shorter.
    calendar : str
        Calendar of the CF conventions.
    """

    every: str
    calendar: str = "standard"
