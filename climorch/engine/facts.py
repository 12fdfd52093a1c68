"""The queue between the world and the driver: facts, errors, and "look again"."""

from __future__ import annotations

import asyncio
import contextlib
import time

from climorch.model.events import Fact

__all__ = ["FactQueue"]


class FactQueue:
    """Facts that wait to be decided on; filled and emptied on one loop."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Fact | BaseException | None] = asyncio.Queue()

    def put(self, item: Fact | BaseException | None) -> None:
        """Add a fact; an error, which ends the driver; or None: decide again."""
        self._queue.put_nowait(item)

    def taken(self) -> list[Fact]:
        """Take the facts that are there; raises an error that is among them."""
        facts: list[Fact] = []
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, BaseException):
                raise item
            if item is not None:
                facts.append(item)
        return facts

    async def next(self, wake_at_s: float | None) -> list[Fact]:
        """Wait for something, or until a time, then take all that is there.

        Parameters
        ----------
        wake_at_s : float or None
            UTC seconds.

        Returns
        -------
        list of Fact
            Empty where it was time, or somebody said to decide again.
        """
        timeout = None
        if wake_at_s is not None:
            timeout = max(wake_at_s - time.time(), 0.01)
        first: Fact | BaseException | None = None
        with contextlib.suppress(TimeoutError):
            first = await asyncio.wait_for(self._queue.get(), timeout)
        if isinstance(first, BaseException):
            raise first
        return [*([] if first is None else [first]), *self.taken()]
