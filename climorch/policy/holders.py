"""Who holds nodes, arranged by what others may ask them for.

Kept from pass to pass: of thousands that compute, a claim that lacks nodes looks
only at those whose turn may be over, and not at all the others.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import msgspec

from climorch.policy.claims import Claim

__all__ = ["Crew", "Holders", "Standing", "Turn", "standings"]

Turn = tuple[float, int, int, Claim]
"""Begin of a turn in seconds, serial and number of the entry, and whose it is."""


class Standing(msgspec.Struct, gc=False):
    """Nodes that a project holds, in all and by protected simulations."""

    held: int = 0
    protected: int = 0

    def count(self, claim: Claim, nodes: int) -> None:
        """Add nodes that a claim of the project gets, or gives up if below 0."""
        self.held += nodes
        self.protected += nodes * (claim.level > 0)


def standings(claims: Iterable[Claim]) -> dict[str, Standing]:
    """Count what each project holds.

    Parameters
    ----------
    claims : iterable of Claim
        Of all simulations.

    Returns
    -------
    dict of str to Standing
        By project; one that holds nothing has one too.
    """
    found: dict[str, Standing] = defaultdict(Standing)
    for claim in claims:
        found[claim.project].count(claim, len(claim.held))
    return found


@dataclass(slots=True)
class Crew:
    """Those of a project that have whole gangs, one priority and one level.

    Attributes
    ----------
    ripe : list of Turn
        Who committed something in its turn, the oldest turn first.
    kept : list of Turn
        Likewise, of those whose terms let nobody interrupt them, ever.
    green : dict of str to Claim
        Who committed nothing yet.
    yielding : dict of str to Claim
        Those of ``ripe`` that give their nodes to whoever stands before them.
    nodes : int
        Nodes of all but those that are never interrupted.
    """

    ripe: list[Turn] = field(default_factory=list)
    kept: list[Turn] = field(default_factory=list)
    green: dict[str, Claim] = field(default_factory=dict)
    yielding: dict[str, Claim] = field(default_factory=dict)
    nodes: int = 0


class Holders:
    """Claims that hold nodes.

    Attributes
    ----------
    claims : dict of str to Claim
        All of them, by simulation.
    wide : dict of str to Claim
        Those that were lent more than their gang.
    borrowed : dict of str to Claim
        Those that have nodes out of turn.
    protected : dict of str to Claim
        Those of a level above 0.
    crews : dict of str to dict of (int, int) to Crew
        By project, then by priority and level: who has its gang and stays.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self.wide: dict[str, Claim] = {}
        self.borrowed: dict[str, Claim] = {}
        self.protected: dict[str, Claim] = {}
        self.crews: dict[str, dict[tuple[int, int], Crew]] = {}
        self._standing: dict[str, Standing] = {}
        self._turns: dict[str, Turn] = {}
        self._number = count()

    def put(self, claim: Claim) -> None:
        """Take in one that holds nodes and was not known."""
        name = claim.simulation
        self.claims[name] = claim
        self._standing.setdefault(claim.project, Standing()).count(
            claim, len(claim.held)
        )
        if len(claim.held) > claim.nodes:
            self.wide[name] = claim
        if claim.borrowed:
            self.borrowed[name] = claim
        if claim.level > 0:
            self.protected[name] = claim
        if claim.moving or len(claim.held) < claim.nodes:
            return
        crews = self.crews.setdefault(claim.project, {})
        crew = crews.setdefault((claim.priority, claim.level), Crew())
        if claim.exempt_until_s < math.inf:
            crew.nodes += len(claim.held)
        if not claim.fruitful:
            crew.green[name] = claim
            return
        turn = claim.turn_s, claim.serial, next(self._number), claim
        self._turns[name] = turn
        if claim.exempt_until_s == math.inf:
            insort(crew.kept, turn)
            return
        insort(crew.ripe, turn)
        if claim.yields:
            crew.yielding[name] = claim

    def drop(self, claim: Claim) -> None:
        """Forget one that was put in."""
        name = claim.simulation
        del self.claims[name]
        self._standing[claim.project].count(claim, -len(claim.held))
        self.wide.pop(name, None)
        self.borrowed.pop(name, None)
        self.protected.pop(name, None)
        if claim.moving or len(claim.held) < claim.nodes:
            return
        crews = self.crews[claim.project]
        crew = crews[claim.priority, claim.level]
        if claim.exempt_until_s < math.inf:
            crew.nodes -= len(claim.held)
        turn = self._turns.pop(name, None)
        if turn is None:
            del crew.green[name]
        else:
            turns = crew.ripe if claim.exempt_until_s < math.inf else crew.kept
            del turns[bisect_left(turns, turn)]
            crew.yielding.pop(name, None)
        if not (crew.ripe or crew.kept or crew.green):
            del crews[claim.priority, claim.level]

    def standing(self) -> dict[str, Standing]:
        """Return what each project holds, to be counted on in a pass."""
        found: dict[str, Standing] = defaultdict(Standing)
        for project, s in self._standing.items():
            if s.held:
                found[project] = Standing(s.held, s.protected)
        return found

    def within_reach(self, claim: Claim) -> int:
        """Count the nodes of its own project that a claim could ever be given.

        By turns: not those of a higher priority or level, or of who is never
        interrupted.
        """
        return sum(
            crew.nodes
            for (priority, level), crew in self.crews.get(claim.project, {}).items()
            if priority <= claim.priority and level <= claim.level
        )

    def foreign(self, project: str) -> Iterator[Crew]:
        """Yield the crews of all projects but one."""
        for other, crews in self.crews.items():
            if other != project:
                yield from crews.values()
