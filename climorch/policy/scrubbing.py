"""When a checkpoint is read again, before anybody needs it.

Rot shows only to who reads. A set whose newest checkpoint is bad loses an interval
more if that is found at a restore; found before, the next checkpoint still comes from
memory.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from climorch.errors import InvalidInputError
from climorch.model.ranges import range_faults

__all__ = ["Scrub"]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrub:
    """How soon, how often and how fast checkpoints are read again.

    Attributes
    ----------
    bytes_per_s : float
        Most that is read, over all simulations, in bytes per second; 0: nothing is.
    after_s : float
        Seconds from a commit to its first reading.
    every_s : float
        Seconds from one reading to the next, > 0.
    """

    bytes_per_s: float = 64e6
    after_s: float = 300.0
    every_s: float = 6 * 3600.0

    def __post_init__(self) -> None:
        faults = range_faults(
            self,
            [
                ("bytes_per_s", 0 <= self.bytes_per_s < math.inf, ">= 0"),
                ("after_s", 0 <= self.after_s < math.inf, ">= 0"),
                ("every_s", 0 < self.every_s < math.inf, "> 0"),
            ],
            remedy="pass seconds and bytes per second; bytes_per_s=0 reads nothing",
        )
        if faults:
            raise InvalidInputError("checkpoints cannot be scrubbed so", faults=faults)

    def next_due(
        self, committed_s: Mapping[K, float], read_s: Mapping[K, float], now_s: float
    ) -> K | None:
        """Choose what is read next.

        Parameters
        ----------
        committed_s : mapping of key to float
            Checkpoints that there are, and when they were committed, UTC seconds.
        read_s : mapping of key to float
            When they were last read, UTC seconds.
        now_s : float
            UTC seconds.

        Returns
        -------
        key or None
            The one that has been due for the longest time; None: none is.
        """
        if not self.bytes_per_s:
            return None
        due = {
            key: read_s[key] + self.every_s if key in read_s else since_s + self.after_s
            for key, since_s in committed_s.items()
        }
        first = min(due, key=lambda key: due[key], default=None)
        return first if first is not None and due[first] <= now_s else None

    def put_off_s(self, now_s: float) -> float:
        """Return what counts as the last reading of one that could not be read.

        It is due again as soon as a new one would be, not a whole round later.
        Now and the result are UTC seconds.
        """
        return now_s + min(self.after_s, self.every_s) - self.every_s

    def pause_s(self, read_bytes: int, took_s: float) -> float:
        """Return how long to wait after reading so much, in seconds."""
        return max(read_bytes / self.bytes_per_s - took_s, 0.0)
