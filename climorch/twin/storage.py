"""The shared storage of a virtual cluster: all who use it share it evenly.

Decides when a transfer ends. Up to so many go at full speed; more, or a bad
spell, slow down all of them alike. Ignores what is transferred.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.errors import Fault
from climorch.twin.hazards import number_faults, refuse

if TYPE_CHECKING:
    import simpy

__all__ = ["BadSpell", "SharedStorage", "Storage", "Transfer"]

# Clocks of seconds since 1970 resolve a quarter of a microsecond: what is left
# of a transfer below that has ended.
ENDED_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSpell:
    """A time in which the storage is slow.

    Attributes
    ----------
    start_s, stop_s : float
        Seconds from the beginning of the run; first within, first after.
    factor : float
        How many times longer everything takes, > 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    start_s: float
    stop_s: float
    factor: float

    def __post_init__(self) -> None:
        faults = [
            *number_faults("BadSpell", {"start_s": self.start_s}),
            *number_faults(
                "BadSpell",
                {"factor": self.factor, "stop_s": self.stop_s - self.start_s},
                above=True,
            ),
        ]
        refuse("this bad spell", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the storage can bear.

    Attributes
    ----------
    streams : float
        Transfers that go at full speed side by side; more share that evenly.
    spells : tuple of BadSpell
        When it is slow; those that overlap multiply.

    Raises
    ------
    InvalidInputError
        If ``streams`` is not above zero.
    """

    streams: float = math.inf
    spells: tuple[BadSpell, ...] = ()

    def __post_init__(self) -> None:
        if not self.streams > 0:
            fault = Fault(
                place="Storage.streams",
                problem=f"got {self.streams!r}, expected > 0",
                remedy="say how many checkpoints it takes at once",
            )
            refuse("this storage", [fault])

    def factor(self, since_s: float) -> float:
        """Return how many times longer a transfer takes at a time.

        Parameters
        ----------
        since_s : float
            Seconds from the beginning of the run.

        Returns
        -------
        float
            1 on a good day.
        """
        factors = [s.factor for s in self.spells if s.start_s <= since_s < s.stop_s]
        return math.prod(factors)


class Transfer:
    """Something that is being read or written.

    Parameters
    ----------
    ends_at : float
        Work of the storage at which it ends.
    done : callable
        Called then.
    """

    __slots__ = ("done", "ends_at")

    def __init__(self, ends_at: float, done: Callable[[], None]) -> None:
        self.ends_at = ends_at
        self.done: Callable[[], None] | None = done


class SharedStorage:
    """Ends transfers when their share of the bandwidth has brought them through.

    Keeps one clock of work per transfer, which all share since all go at the
    same speed: a transfer ends when that clock has gone on by its seconds.

    Parameters
    ----------
    env : simpy.Environment
        The kernel.
    storage : Storage
        What it can bear.
    """

    def __init__(self, env: simpy.Environment, storage: Storage) -> None:
        self._env = env
        self._storage = storage
        self._begin_s = float(env.now)
        self._due: list[tuple[float, int, Transfer]] = []
        self._serial = 0
        self._active = 0
        self._work = 0.0
        self._rate = 1.0
        self._factor = storage.factor(0.0)
        self._since_s = self._begin_s
        # The alarm that is set, and the work of the storage it is set for.
        self._tick: simpy.Timeout | None = None
        self._next_at: float | None = None
        for edge_s in sorted(
            {e for s in storage.spells for e in (s.start_s, s.stop_s)}
        ):
            env.timeout(edge_s).callbacks.append(self._spell)

    def begin(self, seconds: float, done: Callable[[], None]) -> Transfer:
        """Begin a transfer.

        Parameters
        ----------
        seconds : float
            That it takes alone on a good day, >= 0.
        done : callable
            Called without arguments when it has ended.

        Returns
        -------
        Transfer
            To cancel it.
        """
        self._go_on()
        transfer = Transfer(self._work + seconds, done)
        self._serial += 1
        heapq.heappush(self._due, (transfer.ends_at, self._serial, transfer))
        self._active += 1
        self._plan()
        return transfer

    def cancel(self, transfer: Transfer) -> None:
        """End a transfer without a result; one that has ended stays as it is.

        Parameters
        ----------
        transfer : Transfer
            Which.
        """
        if transfer.done is not None:
            self._go_on()
            transfer.done = None
            self._active -= 1
            self._plan()

    @property
    def factor(self) -> float:
        """How many times longer than on a good day everything takes now."""
        return self._factor

    @property
    def streams(self) -> float:
        """How many transfers go at full speed side by side."""
        return self._storage.streams

    def left_s(self, transfer: Transfer) -> float:
        """Say how long a transfer still takes if no other one begins or ends.

        Parameters
        ----------
        transfer : Transfer
            Which.

        Returns
        -------
        float
            Seconds, >= 0.
        """
        self._go_on()
        return max(transfer.ends_at - self._work, 0.0) / self._rate

    def _go_on(self) -> None:
        now_s = self._env.now
        self._work += self._rate * (now_s - self._since_s)
        self._since_s = now_s

    def _plan(self) -> None:
        """Set the speed and the one alarm that matters: the next end."""
        while self._due and self._due[0][2].done is None:
            heapq.heappop(self._due)
        crowd = max(self._active / self._storage.streams, 1.0)
        rate = 1.0 / (self._factor * crowd)
        next_at = self._due[0][0] if self._due else None
        if rate == self._rate and next_at == self._next_at:
            return
        self._rate, self._next_at = rate, next_at
        if self._tick is not None and self._tick.callbacks:
            self._tick.callbacks.clear()
        self._tick = None
        if next_at is not None:
            left_s = max(next_at - self._work, 0.0) / rate
            self._tick = self._env.timeout(left_s)
            self._tick.callbacks.append(self._end)

    def _end(self, event: simpy.Event) -> None:
        self._next_at = None
        self._go_on()
        ended = []
        while self._due and self._due[0][0] <= self._work + ENDED_S * self._rate:
            transfer = heapq.heappop(self._due)[2]
            if transfer.done is not None:
                ended.append(transfer.done)
                transfer.done = None
                self._active -= 1
        self._plan()
        for done in ended:
            done()

    def _spell(self, event: simpy.Event) -> None:
        self._go_on()
        # A little later: the clock may have been rounded to just before the edge.
        since_s = self._env.now - self._begin_s + ENDED_S
        self._factor = self._storage.factor(since_s)
        self._plan()
