"""Which nodes are free when.

Time is cut into intervals in which the same nodes are free; each interval has one
integer with a bit per node. So a gang on nodes of its own, memory, windows on named
nodes and deadlines of single nodes are exact, and asking for the common free nodes
of two intervals is one ``&``. Ignores who holds a node and who deserves one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from climorch.errors import Fault, InternalError, InvalidInputError, NotFoundError

__all__ = ["NodeBits", "Profile", "Slot"]


class NodeBits:
    """Nodes by name and nodes as bits of an integer.

    Parameters
    ----------
    names : iterable of str
        Every node once. The first is bit 0, and `bits.lowest` takes low bits first, so
        the order is a preference: put first what is the smallest loss.

    Raises
    ------
    InvalidInputError
        If a node is named twice.
    """

    __slots__ = ("_bit", "_names")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._bit = {name: 1 << at for at, name in enumerate(self._names)}
        if len(self._bit) != len(self._names):
            twice = sorted({n for n in self._names if self._names.count(n) > 1})
            raise InvalidInputError(
                "these nodes cannot be told apart",
                faults=[
                    Fault(
                        place="NodeBits.names",
                        problem=f"named more than once: {', '.join(twice)}",
                        remedy="name each node once",
                    )
                ],
            )

    def __len__(self) -> int:
        return len(self._names)

    @property
    def every(self) -> int:
        """All nodes."""
        return (1 << len(self._names)) - 1

    def mask(self, names: Iterable[str]) -> int:
        """Return some nodes as bits, each name in O(1) small steps.

        Raises
        ------
        NotFoundError
            If a node is not one of these.
        """
        found = 0
        for name in names:
            bit = self._bit.get(name)
            if bit is None:
                raise NotFoundError(f"node {name!r} is not one of these", node=name)
            found |= bit
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """Return the names of some nodes in the order of their bits, O(nodes)."""
        digits = bin(mask)[:1:-1]
        return tuple(
            name
            for name, digit in zip(self._names, digits, strict=False)
            if digit == "1"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where and when something fits.

    Attributes
    ----------
    start_s : float
        The earliest start, in seconds.
    nodes : int
        All nodes that are free from then on for long enough: at least as many as
        were asked for, often more.
    """

    start_s: float
    nodes: int


class Profile:
    """Free nodes over time, from a start on and for ever; a value that never changes.

    `take`, `give`, `block` and `advance` return another profile. With n intervals
    each costs O(n) to copy two lists of references and one step for each interval
    that it spans; `free_at` costs O(log n), `free_over` O(log n) and a step for each
    interval spanned. `earliest` takes O(n) steps where what is free only grows, as
    under running work alone, and O(n²) at worst. A step is one operation on
    integers of as many bits as there are nodes.

    Parameters
    ----------
    nodes : int
        Bits of the nodes that are free from the start on.
    start_s : float
        First second that is known of.
    """

    __slots__ = ("_free", "_most", "_times")

    def __init__(self, nodes: int, *, start_s: float = 0.0) -> None:
        self._times: list[float] = [start_s]
        self._free: list[int] = [nodes]
        # Made when it is asked for.
        self._most: list[int] | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self._times == other._times and self._free == other._free

    def __hash__(self) -> int:
        return hash((tuple(self._times), tuple(self._free)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{t:g} s: {f.bit_count()}" for t, f in self)
        return f"<Profile of free nodes from {shown}>"

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Yield the start of each interval and what is free in it."""
        return iter(zip(self._times, self._free, strict=True))

    def __len__(self) -> int:
        return len(self._times)

    def advance(self, now_s: float) -> Profile:
        """Forget the intervals that are over at ``now_s``."""
        past = bisect_right(self._times, now_s) - 1
        return self if past <= 0 else _made(self._times[past:], self._free[past:])

    def take(self, nodes: int, start_s: float, stop_s: float) -> Profile:
        """Return what is left once nodes are held from a start until before a stop.

        Raises
        ------
        InternalError
            If one of the nodes is not free all that time: no node is given twice.
        """
        times, free, first, last = self._cut(start_s, stop_s)
        for at in range(first, last):
            if free[at] & nodes != nodes:
                raise InternalError(
                    f"nodes are taken at {times[at]:g} s that are not free then",
                    nodes=nodes & ~free[at],
                )
            free[at] ^= nodes
        return _joined(times, free, first, last)

    def give(self, nodes: int, start_s: float, stop_s: float) -> Profile:
        """Return what is free once the rest of what was taken is given back.

        Raises
        ------
        InternalError
            If one of the nodes is free already at some time within.
        """
        times, free, first, last = self._cut(start_s, stop_s)
        for at in range(first, last):
            if free[at] & nodes:
                raise InternalError(
                    f"nodes are given back at {times[at]:g} s that are free then",
                    nodes=nodes & free[at],
                )
            free[at] |= nodes
        return _joined(times, free, first, last)

    def block(self, nodes: int, start_s: float, stop_s: float = math.inf) -> Profile:
        """Return what is left without nodes for a while, free or not before.

        For windows, deadlines of nodes, and whatever may overlap. What was blocked
        is not to be given back: make the profile anew instead.
        """
        times, free, first, last = self._cut(start_s, stop_s)
        for at in range(first, last):
            free[at] &= ~nodes
        # Neighbours that differed in blocked nodes alone have become one.
        keep = [at for at in range(len(free)) if not at or free[at] != free[at - 1]]
        return _made([times[at] for at in keep], [free[at] for at in keep])

    def free_at(self, when_s: float) -> int:
        """Return the nodes that are free at one moment."""
        return self._free[max(bisect_right(self._times, when_s) - 1, 0)]

    def free_over(self, start_s: float, stop_s: float) -> int:
        """Return the nodes that are free from a start until before a stop."""
        first = max(bisect_right(self._times, start_s) - 1, 0)
        nodes = self._free[first]
        for other in self._free[first + 1 : bisect_left(self._times, stop_s)]:
            nodes &= other
        return nodes

    def most_before(self, stop_s: float) -> int:
        """Return how many nodes are free at once at most, before a moment.

        O(n) once, then O(log n): tells in passing that something cannot fit.
        """
        last = bisect_left(self._times, stop_s) - 1
        return self._rising()[last] if last >= 0 else 0

    def earliest(
        self,
        count: int,
        duration_s: float,
        *,
        eligible: int = -1,
        not_before_s: float = -math.inf,
        before_s: float = math.inf,
    ) -> Slot | None:
        """Return when as many nodes are first free together for long enough.

        Parameters
        ----------
        count : int
            How many, at once and the same ones for the whole time.
        duration_s : float
            For how long, in seconds.
        eligible : int
            Nodes that will do; by default all.
        not_before_s, before_s : float
            Bounds of the start; the second one is not within.

        Returns
        -------
        Slot or None
            None where there is no such start.
        """
        return self._first(
            count, duration_s, eligible, max(not_before_s, self._times[0]), before_s, 0
        )

    def earlier(
        self,
        count: int,
        duration_s: float,
        *,
        eligible: int = -1,
        not_before_s: float = -math.inf,
        held: int,
        held_from_s: float,
    ) -> Slot | None:
        """Return an earlier place for what is taken for the same duration already.

        As `earliest` once that were given back, without making such a profile.

        Parameters
        ----------
        count, duration_s, eligible, not_before_s
            As in `earliest`.
        held : int
            Nodes that it has.
        held_from_s : float
            Its start now, in seconds.

        Returns
        -------
        Slot or None
            None where it cannot start before. O(log n) where too few nodes are free
            at any time before.
        """
        if self.most_before(held_from_s) < count:
            return None
        begin_s = max(not_before_s, self._times[bisect_left(self._rising(), count)])
        return self._first(count, duration_s, eligible, begin_s, held_from_s, held)

    def _rising(self) -> list[int]:
        """Return for each interval the most nodes free in it or in any before."""
        if self._most is None:
            self._most = list(accumulate(map(int.bit_count, self._free), max))
        return self._most

    def _first(
        self,
        count: int,
        duration_s: float,
        eligible: int,
        begin_s: float,
        before_s: float,
        held: int,
    ) -> Slot | None:
        """Find a place; from ``before_s`` on the nodes that are held are free too."""
        times, masks = self._times, self._free
        if begin_s >= before_s:
            return None
        own = bisect_left(times, before_s) if held else len(times)
        start_s, stop_s = begin_s, begin_s + duration_s
        end = bisect_right(times, begin_s)
        nodes = masks[end - 1] & eligible
        # Free from the start on through the interval before `end`: `nodes`. No earlier
        # start will do, and `end` never goes back.
        while True:
            if nodes.bit_count() >= count:
                if end == len(times) or times[end] >= stop_s:
                    return Slot(start_s=start_s, nodes=nodes)
                nodes &= masks[end] | held if end >= own else masks[end]
                end += 1
                continue
            # The next start from which what has been seen is free: found backwards.
            first, nodes = end, eligible
            while True:
                before = first - 1
                wider = nodes & (
                    masks[before] | held if before >= own else masks[before]
                )
                if wider.bit_count() < count:
                    break
                first, nodes = before, wider
            if first == len(times) or times[first] >= before_s:
                return None
            start_s = times[first]
            stop_s = start_s + duration_s
            if first == end:
                nodes &= masks[end]
                end += 1

    def _cut(
        self, start_s: float, stop_s: float
    ) -> tuple[list[float], list[int], int, int]:
        """Copy, with borders at start and stop; the intervals between by number."""
        times, free = self._times.copy(), self._free.copy()
        first = 0
        if start_s > times[0]:
            first = _border(times, free, start_s)
        if stop_s <= times[first]:
            return times, free, first, first
        last = len(times) if stop_s == math.inf else _border(times, free, stop_s)
        return times, free, first, last


def _border(times: list[float], free: list[int], when_s: float) -> int:
    """Make an interval start at a moment after the first, and tell its number."""
    at = bisect_left(times, when_s)
    if at == len(times) or times[at] != when_s:
        times.insert(at, when_s)
        free.insert(at, free[at - 1])
    return at


def _joined(times: list[float], free: list[int], first: int, last: int) -> Profile:
    """Make a profile; only at these two borders may neighbours have become equal."""
    for at in (last, first):
        if 0 < at < len(free) and free[at] == free[at - 1]:
            del times[at], free[at]
    return _made(times, free)


def _made(times: list[float], free: list[int]) -> Profile:
    profile = Profile.__new__(Profile)
    profile._times, profile._free, profile._most = times, free, None
    return profile
