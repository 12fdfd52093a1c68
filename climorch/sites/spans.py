"""Spans of Dask forget what has been forgotten.

A span keeps every group of tasks that ever was in it, and a note on every
collection (Dask issue 7977): some kilobytes for each segment of a campaign.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["keep_spans_small", "prune"]

EVERY_S = 5.0


async def keep_spans_small(scheduler: Scheduler) -> None:
    """Prune again and again until cancelled.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        One of our own: others may want what is in their spans.
    """
    while True:
        await asyncio.sleep(EVERY_S)
        prune(scheduler)


def prune(scheduler: Scheduler) -> None:
    """Let the spans of a Dask scheduler forget groups that it has forgotten."""
    extension = scheduler.extensions.get("spans")
    if extension is None:
        return
    groups = scheduler.task_groups
    for span in extension.spans.values():
        span.groups = {g for g in span.groups if groups.get(g.name) is g}
        span._metadata = None
