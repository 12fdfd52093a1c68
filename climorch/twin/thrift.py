"""The collector of cyclic garbage looks seldom while a virtual cluster runs.

A run makes millions of small objects and hardly a cycle, and each full collection
goes through all that the process has imported and keeps. Thresholds belong to the
process, so they are what they were when the last run has ended.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["SELDOM", "seldom_collected"]

SELDOM = 50_000
"""New objects after which the youngest are looked at; Python's default is 700."""

_lock = Lock()
# How many runs there are at present in this process, and what was set before them.
_runs: list[tuple[int, int, int]] = []


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let garbage be looked for seldom meanwhile; several may do so at once."""
    with _lock:
        before = gc.get_threshold()
        _runs.append(_runs[0] if _runs else before)
        # 0 switches it off: whoever did that is not told better.
        if 0 < before[0] < SELDOM:
            gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        with _lock:
            before = _runs.pop()
            if not _runs:
                gc.set_threshold(*before)
