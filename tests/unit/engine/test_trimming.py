"""Dask's memory of keys that never come again stays small."""

from __future__ import annotations

from dask.utils import key_split

from climorch.engine.trimming import MOST_KEYS, trim


def test_groups_of_many_keys_are_forgotten() -> None:
    """Not those of a few; what is asked again is answered as before."""
    key_split.cache_clear()
    for number in range(MOST_KEYS):
        key_split(f"x-{number}")
    trim()
    assert key_split.cache_info().currsize == MOST_KEYS

    assert key_split("one-more-1") == "one-more"
    trim()

    assert key_split.cache_info().currsize == 0
    assert key_split("one-more-1") == "one-more"
