"""Moments of real time, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["LAST_DATE_S", "date_of"]

# The year 9999, beyond which there are no dates.
LAST_DATE_S = 253_370_764_800


def date_of(wall_time_s: float) -> str:
    """Return UTC seconds as text, ``2027-03-01 12:00:00 UTC``."""
    return f"{datetime.fromtimestamp(wall_time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
