"""Keeps small what Dask remembers of tasks that are gone.

Dask derives a task's group from its key and keeps the last 100,000 answers: some
30 MB in every process, which a campaign of months fills with keys that never come
again, since every segment has its own.
"""

from __future__ import annotations

from dask.utils import key_split

__all__ = ["MOST_KEYS", "trim"]

MOST_KEYS = 10_000
"""Beyond so many keys the answers are found anew: a few microseconds each."""


def trim() -> None:
    """Forget the groups of keys, if there are many."""
    if key_split.cache_info().currsize > MOST_KEYS:
        key_split.cache_clear()
