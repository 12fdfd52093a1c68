"""What simulations ask for, what nodes offer, and what comes of it: values only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

import msgspec

from climorch.policy.moving import Moving

__all__ = ["Allocation", "Claim", "Closing", "Contest", "Move", "NodeOffer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A time from which a node is there for one holder only.

    Attributes
    ----------
    start_s : float
        When, driver's clock, seconds; not after now: already.
    holder : str
        Project or simulation that may have it all the same; empty: nobody.
    """

    start_s: float
    holder: str = ""


class NodeOffer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A node that is up.

    Attributes
    ----------
    name : str
        Its name.
    memory_bytes : int
        Memory; 0: unlimited.
    cores, scratch_bytes : int
        Cores for compute, and disk of its own; 0: unknown or unlimited.
    leaving : bool
        Whether somebody still holds it who will give it back without being
        asked again: it counts as there, and cannot be leased yet.
    closings : tuple of Closing
        When it goes for whom.
    slow : float
        How many times longer than expected it takes for its work, if it is to be
        shunned for that; 1: it is not.
    job : str
        Job within which programs are started; empty: anywhere.
    """

    name: str
    memory_bytes: int = 0
    cores: int = 0
    scratch_bytes: int = 0
    leaving: bool = False
    closings: tuple[Closing, ...] = ()
    slow: float = 1.0
    job: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A simulation that has work.

    Attributes
    ----------
    simulation, project : str
        Its name, and who pays.
    priority, serial : int
        Within a project: higher priority first, then lower serial.
    nodes, most_nodes : int
        Its gang, and the most that it can use.
    memory_bytes, cores, scratch_bytes : int
        Memory, cores and disk that each of its nodes must have.
    held : tuple of str
        Nodes of its lease that are up and that it will not give back.
    moving : bool
        Whether it must first give back a node that is not offered: it gets
        none before, but what it will need then is kept free for it.
    least_s : float
        Seconds that it must have a node to get anything done.
    level : int
        Of its protection; nobody of a lower one takes its turn.
    turn_s : float
        When its present turn began, driver's clock, seconds.
    served_s : float
        Seconds that its turns before that took.
    exempt_until_s : float
        Until when the terms of its protection let nobody interrupt it.
    fruitful : bool
        Whether something was committed in its present turn: before that, a turn
        is not over, or equals could push each other out and get nowhere.
    borrowed : bool
        Whether it has nodes though it was not its turn.
    unbroken : bool
        Whether its protection says that it is never interrupted: it borrows nothing.
    interrupted_s : float
        When it was last interrupted, driver's clock, seconds.
    waits_since_s : float
        Since when it has been without nodes, driver's clock, seconds; infinite
        where it holds any, or where nobody knows.
    avoids : tuple of str
        Nodes that it leaves, or has left since it was last given any: it gets
        them back only if there are no others.
    seeks : tuple of str
        Nodes that it is to have instead, if they are free.
    moved_s : float
        When it last began to move by itself, driver's clock, seconds.
    standing : int or None
        Its place by promise among those of its project, lower first; None: whole
        turns decide.
    yields : str
        Why it gives its nodes to whoever waits and stands before it; empty: it does
        not.
    together : bool
        Whether all of its nodes must be of one job.
    """

    simulation: str
    priority: int
    serial: int
    nodes: int
    most_nodes: int
    project: str = ""
    memory_bytes: int = 0
    cores: int = 0
    scratch_bytes: int = 0
    held: tuple[str, ...] = ()
    moving: bool = False
    least_s: float = 0.0
    level: int = 0
    turn_s: float = 0.0
    served_s: float = 0.0
    exempt_until_s: float = -math.inf
    fruitful: bool = True
    borrowed: bool = False
    unbroken: bool = False
    interrupted_s: float = -math.inf
    waits_since_s: float = math.inf
    avoids: tuple[str, ...] = ()
    seeks: tuple[str, ...] = ()
    moved_s: float = -math.inf
    standing: int | None = None
    yields: str = ""
    together: bool = False

    @property
    def under_way(self) -> bool:
        """Whether it has nodes, awaits some of its own, or leaves some for others."""
        return bool(self.held or self.moving or self.avoids)


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """What decides between claims besides themselves.

    Attributes
    ----------
    now_s : float
        Driver's clock, seconds.
    ranks : mapping of str to int
        Project to its place in the order of fair share; lower goes first.
    targets : mapping of str to float
        Project to the nodes that it should hold now; a project that is not
        named may hold any number.
    floors : mapping of str to float
        Project to the nodes up to which its protected simulations are not
        interrupted for another project.
    exposed_s : mapping of str to float
        Simulation to the compute that it would lose now, in seconds.
    min_run_s : float
        Nobody loses its turn to another project before it took so long.
    slice_s : float
        Length of a turn among equals of one project.
    patience_s : float
        Who has waited longer than that for nodes that no turn can give it is
        served before all others.
    moving : Moving or None
        When leases move by themselves; None: never.
    """

    now_s: float = 0.0
    ranks: Mapping[str, int] = msgspec.field(default_factory=dict)
    targets: Mapping[str, float] = msgspec.field(default_factory=dict)
    floors: Mapping[str, float] = msgspec.field(default_factory=dict)
    exposed_s: Mapping[str, float] = msgspec.field(default_factory=dict)
    min_run_s: float = 4 * 3600.0
    slice_s: float = 86_400.0
    patience_s: float = 3 * 86_400.0
    moving: Moving | None = None

    def typical_s(self) -> float:
        """Return the median of what simulations would lose; 0 where nobody computes."""
        return median(self.exposed_s.values()) if self.exposed_s else 0.0

    def place(self, claim: Claim) -> tuple[int, int, int, int]:
        """Return what sorts claims by promise, or by turns, shares met or not."""
        rank = self.ranks.get(claim.project, 0)
        standing = claim.standing
        turns = self.turns(claim) if standing is None else standing
        return rank, -claim.priority, turns, claim.serial

    def turns(self, claim: Claim) -> int:
        """Count the whole turns that a simulation has had."""
        running_s = self.now_s - claim.turn_s if claim.held else 0.0
        return int((claim.served_s + running_s) // self.slice_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Nodes that a simulation leaves though nobody has a right to them.

    Attributes
    ----------
    leave : tuple of str
        Which; empty: none any more.
    seek : tuple of str
        Those that it is to have instead; fewer: what it leaves was lent to it.
    why : str
        Reason in words.
    """

    leave: tuple[str, ...]
    seek: tuple[str, ...] = ()
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What changes.

    Attributes
    ----------
    leases : mapping of str to tuple of str
        Simulations whose lease grows, with all nodes of the new lease.
    borrowed : frozenset of str
        Those of them whose turn it is not.
    shrink : mapping of str to int
        Simulations that shall give nodes back at their next checkpoint, with
        the number that they may keep.
    preempt : mapping of str to str
        Simulations that shall give up all nodes, with the reason in words.
    waits : mapping of str to str
        Why a simulation holds no lease, in words.
    awaits : mapping of str to tuple of str
        Nodes that others hold and will give back to a simulation; told only where
        all is told.
    review_at_s : float
        When time alone may change this, driver's clock, seconds.
    moves : mapping of str to Move
        Simulations that shall leave nodes at their next checkpoint, for others
        that are free; a move of none ends one that was planned.
    guest : str
        Who has waited too long and is served before all others; empty: nobody.
    idle : int
        Free nodes that nobody is given or promised.
    """

    leases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    borrowed: frozenset[str] = frozenset()
    shrink: Mapping[str, int] = field(default_factory=dict)
    preempt: Mapping[str, str] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)
    awaits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    review_at_s: float = math.inf
    moves: Mapping[str, Move] = field(default_factory=dict)
    guest: str = ""
    idle: int = 0

    @property
    def concerned(self) -> tuple[str, ...]:
        """Simulations for which anything changes."""
        return (*self.leases, *self.shrink, *self.preempt, *self.moves)
