"""Who waits for nodes, in line by project.

Claims that are alike in all but their turn stand in one line: where one of them can
be given nothing, neither can those behind it, and none of them is looked at. So
thousands may wait at the cost of the few that come first. Kept from pass to pass.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import NamedTuple

from climorch.policy.claims import Claim

__all__ = ["Blocked", "Kind", "Line", "Place", "Queue", "Waiting"]


class Kind(NamedTuple):
    """What those that stand in one line have in common."""

    priority: int
    level: int
    unbroken: bool
    nodes: int
    memory_bytes: int
    cores: int
    scratch_bytes: int


class Place(NamedTuple):
    """Where one stands in the line of its project: the first sorts first."""

    lower: int
    turns: int
    serial: int
    number: int


@dataclass(slots=True)
class Line:
    """Claims of a project that are of one kind.

    Attributes
    ----------
    kind : Kind
        Of which.
    members : list of (Place, Claim)
        The first to be served first.
    oldest : list of (float, Place, Claim)
        The same, who has waited longest first; since when, in seconds.
    """

    kind: Kind
    members: list[tuple[Place, Claim]] = field(default_factory=list)
    oldest: list[tuple[float, Place, Claim]] = field(default_factory=list)


class Waiting:
    """Claims that hold nothing and want a whole gang.

    Parameters
    ----------
    slice_s : float
        Length of a turn, seconds.

    Attributes
    ----------
    lines : dict of str to dict of Kind to Line
        By project; none is empty.
    """

    def __init__(self, slice_s: float) -> None:
        self._slice_s = slice_s
        self.lines: dict[str, dict[Kind, Line]] = {}
        self._places: dict[str, Place] = {}
        self._number = count()

    def put(self, claim: Claim) -> None:
        """Let one stand in line that was not known."""
        lines = self.lines.setdefault(claim.project, {})
        kind = _kind(claim)
        line = lines.get(kind)
        if line is None:
            line = lines[kind] = Line(kind)
        turns = int(claim.served_s // self._slice_s)
        place = Place(-claim.priority, turns, claim.serial, next(self._number))
        self._places[claim.simulation] = place
        insort(line.members, (place, claim))
        insort(line.oldest, (claim.waits_since_s, place, claim))

    def drop(self, claim: Claim) -> None:
        """Forget one that was put in."""
        place = self._places.pop(claim.simulation)
        lines = self.lines[claim.project]
        kind = _kind(claim)
        line = lines[kind]
        del line.members[bisect_left(line.members, (place, claim))]
        since = claim.waits_since_s, place, claim
        del line.oldest[bisect_left(line.oldest, since)]
        if not line.members:
            del lines[kind]
            if not lines:
                del self.lines[claim.project]

    def __iter__(self) -> Iterator[Claim]:
        for lines in self.lines.values():
            for line in lines.values():
                for _, claim in line.members:
                    yield claim


class Queue:
    """Who of a project is served next, in one pass.

    Parameters
    ----------
    lines : iterable of Line
        Of the project.
    others : iterable of (Place, Claim)
        Who has nodes out of turn and lacks some of its gang: not in a line.
    """

    def __init__(
        self, lines: Iterable[Line], others: Iterable[tuple[Place, Claim]] = ()
    ) -> None:
        self._lines = [line.members for line in lines]
        rest = list(others)
        self._lines += [[other] for other in rest]
        # The first of each line, with the line and how far it was gone through.
        self._heads = [(line[0][0], i, 0) for i, line in enumerate(self._lines)]
        heapify(self._heads)
        self._parked: list[tuple[Place, int, int]] = []

    def head(self) -> Claim | None:
        """Return who is next."""
        if not self._heads:
            return None
        _, line, at = self._heads[0]
        return self._lines[line][at][1]

    def pop(self) -> None:
        """Take out who was next."""
        _, line, at = self._heads[0]
        if at + 1 < len(self._lines[line]):
            heapreplace(self._heads, (self._lines[line][at + 1][0], line, at + 1))
        else:
            heappop(self._heads)

    def park(self) -> None:
        """Leave out the line of who was next: there is nothing for any in it."""
        self._parked.append(heappop(self._heads))

    def unpark(self) -> None:
        """Look again at the lines that were left out: there may be nodes for them."""
        for head in self._parked:
            heappush(self._heads, head)
        self._parked.clear()


@dataclass(slots=True)
class Blocked:
    """Claims that cannot have their gang yet.

    Attributes
    ----------
    refused : list of Claim
        All of them, the first to come first.
    least : dict of str to list of Claim
        By project: those after which others like them need not ask anybody.
    """

    refused: list[Claim] = field(default_factory=list)
    least: dict[str, list[Claim]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.refused)

    def add(self, claim: Claim) -> None:
        """Note one that nobody could give enough to."""
        self.refused.append(claim)
        if not claim.under_way:
            self.least.setdefault(claim.project, []).append(claim)

    def before(self, claim: Claim, *, timed: bool) -> bool:
        """Whether one with the same rights or more was refused as many nodes."""
        if claim.under_way:
            return False
        return any(
            other.nodes <= claim.nodes
            and other.priority >= claim.priority
            and other.level >= claim.level
            and other.memory_bytes <= claim.memory_bytes
            and other.cores <= claim.cores
            and other.scratch_bytes <= claim.scratch_bytes
            and not (timed and other.least_s > claim.least_s)
            for other in self.least.get(claim.project, ())
        )


def _kind(claim: Claim) -> Kind:
    return Kind(
        claim.priority,
        claim.level,
        claim.unbroken,
        claim.nodes,
        claim.memory_bytes,
        claim.cores,
        claim.scratch_bytes,
    )
