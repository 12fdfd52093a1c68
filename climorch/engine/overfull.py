"""Workers that their nannies end because they use too much memory.

A nanny tells the Dask scheduler so just before it ends the process: without that, the
loss looks like any other, and would be tried again a thousand times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from climorch.model.causes import Cause

__all__ = ["Overfull"]

# Dask's name of what its nannies tell.
TOPIC = "worker-restart-memory"

MIB = 2**20


class Overfull:
    """Workers that are about to go because of their memory."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}

    def hear(self, topic: str, message: Any) -> None:
        """Take note of an event of the Dask scheduler.

        Parameters
        ----------
        topic : str
            Of whatever event.
        message : object
            What is told.
        """
        if topic == TOPIC and isinstance(message, Mapping):
            self._bytes[str(message["worker"])] = int(message["rss"])

    def verdict(self, worker: str, otherwise: str) -> tuple[Cause, str]:
        """Return why a worker is gone.

        Parameters
        ----------
        worker : str
            Its address; nothing of it is remembered afterwards.
        otherwise : str
            The reason if it was not its memory.
        """
        used = self._bytes.pop(worker, None)
        if used is None:
            return Cause.NODE_LOST, otherwise
        return (
            Cause.MEMORY,
            f"it used {used // MIB} MiB, more than its limit, and was ended for that; "
            "give its nodes more memory, or the simulation more nodes",
        )
