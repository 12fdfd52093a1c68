"""Who waits for nodes, in line by project.

Claims that are alike in all but their turn stand in one line: where one of them can
be given nothing, neither can those behind it, and none of them is looked at. So
thousands may wait at the cost of the few that come first. Kept from pass to pass.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
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
    together: bool


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


Head = tuple[Place, int, int, list[tuple[Place, Claim]]]
"""Who is next of a line, what sorts those of one place, how far in, and the line."""


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
    firsts : dict of str to list of (Place, Line)
        By project: who is the first of each line, the first to be served first.
    eldest : dict of str to list of (float, Place, Line)
        By project: who has waited longest of each line, since when, in seconds.
    """

    def __init__(self, slice_s: float) -> None:
        self._slice_s = slice_s
        self.lines: dict[str, dict[Kind, Line]] = {}
        self.firsts: dict[str, list[tuple[Place, Line]]] = {}
        self.eldest: dict[str, list[tuple[float, Place, Line]]] = {}
        self._places: dict[str, Place] = {}
        self._number = count()

    def put(self, claim: Claim) -> None:
        """Let one stand in line that was not known."""
        lines = self.lines.setdefault(claim.project, {})
        kind = _kind(claim)
        line = lines.get(kind)
        if line is None:
            line = lines[kind] = Line(kind)
        else:
            self._unlist(claim.project, line)
        turns = claim.standing
        if turns is None:
            turns = int(claim.served_s // self._slice_s)
        place = Place(-claim.priority, turns, claim.serial, next(self._number))
        self._places[claim.simulation] = place
        insort(line.members, (place, claim))
        insort(line.oldest, (claim.waits_since_s, place, claim))
        self._list(claim.project, line)

    def drop(self, claim: Claim) -> None:
        """Forget one that was put in."""
        place = self._places.pop(claim.simulation)
        lines = self.lines[claim.project]
        kind = _kind(claim)
        line = lines[kind]
        self._unlist(claim.project, line)
        del line.members[bisect_left(line.members, (place, claim))]
        since = claim.waits_since_s, place, claim
        del line.oldest[bisect_left(line.oldest, since)]
        if line.members:
            self._list(claim.project, line)
            return
        del lines[kind]
        if not lines:
            del self.lines[claim.project]
            del self.firsts[claim.project], self.eldest[claim.project]

    def _list(self, project: str, line: Line) -> None:
        """Note who is the first of a line, and who has waited longest."""
        firsts = self.firsts.setdefault(project, [])
        insort(firsts, (line.members[0][0], line))
        since_s, place, _ = line.oldest[0]
        insort(self.eldest.setdefault(project, []), (since_s, place, line))

    def _unlist(self, project: str, line: Line) -> None:
        firsts, eldest = self.firsts[project], self.eldest[project]
        del firsts[bisect_left(firsts, (line.members[0][0], line))]
        since_s, place, _ = line.oldest[0]
        del eldest[bisect_left(eldest, (since_s, place, line))]

    def __iter__(self) -> Iterator[Claim]:
        for lines in self.lines.values():
            for line in lines.values():
                for _, claim in line.members:
                    yield claim


class Queue:
    """Who of a project is served next, in one pass.

    Parameters
    ----------
    firsts : sequence of (Place, Line)
        Of the lines of the project, the first to be served first.
    others : iterable of (Place, Claim)
        Who has nodes out of turn and lacks some of its gang: not in a line.
    """

    __slots__ = ("_at", "_firsts", "_heads", "_parked")

    def __init__(
        self,
        firsts: Sequence[tuple[Place, Line]],
        others: Iterable[tuple[Place, Claim]] = (),
    ) -> None:
        # The lines are kept in order. Only those that were gone into are looked at
        # one by one: whom they have come to, how far in, and all that are in it.
        self._firsts, self._at = firsts, 0
        self._heads: list[Head] = [
            (place, i, 0, [(place, claim)]) for i, (place, claim) in enumerate(others)
        ]
        heapify(self._heads)
        self._parked: list[Head] = []

    def head(self) -> tuple[Place, Claim] | None:
        """Return who is next, and its place."""
        heads = self._heads
        if self._at < len(self._firsts):
            place, line = self._firsts[self._at]
            if not heads or place < heads[0][0]:
                self._at += 1
                heappush(heads, (place, -1, 0, line.members))
        if not heads:
            return None
        _, _, at, members = heads[0]
        return members[at]

    def pop(self) -> None:
        """Take out who was next."""
        _, i, at, members = self._heads[0]
        if at + 1 < len(members):
            heapreplace(self._heads, (members[at + 1][0], i, at + 1, members))
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


class Rights(NamedTuple):
    """What a claim needs to be refused no nodes that another one is given."""

    priority: int
    level: int
    memory_bytes: int
    cores: int
    scratch_bytes: int
    together: bool


@dataclass(slots=True)
class Blocked:
    """Claims that cannot have their gang yet.

    Attributes
    ----------
    refused : list of Claim
        All of them, the first to come first.
    least : dict of str to dict of Rights to list of (int, float)
        By project: gangs and the seconds for which they must have them, after which
        others like them need not ask anybody. None is both larger and longer than
        another one.
    """

    refused: list[Claim] = field(default_factory=list)
    least: dict[str, dict[Rights, list[tuple[int, float]]]] = field(
        default_factory=dict
    )

    def __bool__(self) -> bool:
        return bool(self.refused)

    def add(self, claim: Claim) -> None:
        """Note one that nobody could give enough to."""
        self.refused.append(claim)
        if claim.under_way:
            return
        rights = Rights(
            claim.priority,
            claim.level,
            claim.memory_bytes,
            claim.cores,
            claim.scratch_bytes,
            claim.together,
        )
        nodes, least_s = claim.nodes, claim.least_s
        gangs = self.least.setdefault(claim.project, {}).setdefault(rights, [])
        gangs[:] = [g for g in gangs if g[0] < nodes or g[1] < least_s]
        gangs.append((nodes, least_s))

    def before(self, claim: Claim, *, timed: bool) -> bool:
        """Whether one with the same rights or more was refused as many nodes."""
        if claim.under_way:
            return False
        known, most = self.least.get(claim.project), claim.nodes
        if known is None:
            return False
        for rights, gangs in known.items():
            for nodes, least_s in gangs:
                # That is seldom so: their rights are compared only then.
                if nodes <= most and not (timed and least_s > claim.least_s):
                    if _covers(rights, claim):
                        return True
                    break
        return False


def _covers(rights: Rights, claim: Claim) -> bool:
    """Whether who had these rights could have any nodes that a claim can have."""
    return (
        rights.priority >= claim.priority
        and rights.level >= claim.level
        and rights.memory_bytes <= claim.memory_bytes
        and rights.cores <= claim.cores
        and rights.scratch_bytes <= claim.scratch_bytes
        and rights.together <= claim.together
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
        claim.together,
    )
