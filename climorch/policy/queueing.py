"""What a rule of backfill is asked and what it answers.

Values only: who waits, who starts where, and what is kept for whom. Nodes are bits of
an integer, as in a `Profile`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from climorch.policy.availability import Profile

__all__ = ["Plan", "Request", "Reservation", "Rule", "Shadow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Something that waits for nodes; a queue holds them in the order of service.

    Attributes
    ----------
    name : str
        Its name, unique in the queue.
    nodes : int
        How many it needs at once, >= 1.
    estimate_s : float
        For how long at most, in seconds, > 0; what holds nodes must be known to
        end, so what is added at its end (a checkpoint) is within.
    eligible : int
        Bits of the nodes that will do; by default all.
    """

    name: str
    nodes: int
    estimate_s: float
    eligible: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A start that is expected, or promised.

    Attributes
    ----------
    start_s, stop_s : float
        From when until when, in seconds, if nobody ends early.
    nodes : int
        Bits of the nodes; 0: which ones is chosen at the start.
    """

    start_s: float
    stop_s: float
    nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What is kept for the first that waits, the head of the queue.

    Attributes
    ----------
    head : Request
        Who it is kept for.
    start_s : float
        Shadow time: the earliest start of the head.
    usable : int
        Bits of the nodes that are free from the shadow time on for the whole
        estimate of the head.
    """

    head: Request
    start_s: float
    usable: int

    @property
    def extra(self) -> int:
        """Extra nodes: usable ones that the head can spare."""
        return self.usable.bit_count() - self.head.nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rule decides.

    Attributes
    ----------
    starts : mapping of str to int
        Who starts now on which nodes, in order.
    reservations : mapping of str to Reservation
        Those that wait and have one: the head, or under conservative all.
    never : tuple of str
        Those that fit nowhere in the profile, ever; they block nobody.
    profile : Profile
        What is free once the starts are carried out; under conservative also less
        what is reserved.
    shadow : Shadow or None
        What is kept for the head, under EASY and its like.
    """

    starts: Mapping[str, int]
    reservations: Mapping[str, Reservation]
    never: tuple[str, ...]
    profile: Profile
    shadow: Shadow | None = None


Rule = Callable[[Profile, Iterable[Request], float], Plan]
"""A rule: what is free, who waits in order, and now in seconds."""
