"""Decisions: what the orchestrator has made up its mind about, for the journal alone.

Nobody carries them out; the state follows from them as from facts. They are part of
`commands`, which tells records of all kinds apart.
"""

from __future__ import annotations

import msgspec

from climorch.model.events import Cause
from climorch.model.promising import PromiseRanked

__all__ = [
    "CheckpointPlanned",
    "CheckpointPostponed",
    "CopyPlanned",
    "Decision",
    "MovePlanned",
    "NodeQuarantined",
    "NodeShunned",
    "NodeTrusted",
    "PreemptPlanned",
    "PromiseRanked",
    "RolledBack",
    "SegmentCommitted",
    "SetDropped",
    "SharingSet",
    "ShrinkPlanned",
    "SimulationFailed",
    "WindowEnded",
    "WindowPlaced",
]


class _Decision(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class CheckpointPlanned(_Decision, frozen=True, kw_only=True):
    """The stages of a set will meet at this boundary to be checkpointed.

    Attributes
    ----------
    why : str
        Reason in words.
    asked : bool
        Whether the strategy and its caps had a say; otherwise the set is at its
        end or has to let go of nodes.
    binds : str
        Which cap has changed what the strategy wanted: ``"exposure"``, or empty.
    """

    simulation: str
    set: str
    boundary: int
    why: str
    asked: bool = False
    binds: str = ""


class CheckpointPostponed(_Decision, frozen=True, kw_only=True):
    """A checkpoint that the strategy wanted is put off; told once for each.

    Attributes
    ----------
    why : str
        Reason in words.
    binds : str
        Which cap: ``"overhead"``.
    """

    simulation: str
    set: str
    boundary: int
    why: str
    binds: str = "overhead"


class NodeQuarantined(_Decision, frozen=True, kw_only=True):
    """A node gets no new lease until somebody undrains it.

    Attributes
    ----------
    why : str
        Reason in words: what happened on it.
    """

    node: str
    why: str


class CopyPlanned(_Decision, frozen=True, kw_only=True):
    """The stages of a set will meet at this boundary for a copy in memory.

    Attributes
    ----------
    why : str
        Reason in words.
    """

    simulation: str
    set: str
    boundary: int
    why: str


class ShrinkPlanned(_Decision, frozen=True, kw_only=True):
    """A simulation gives lent nodes back after its next checkpoint.

    Attributes
    ----------
    nodes : int
        Nodes that it keeps.
    """

    simulation: str
    nodes: int


class PreemptPlanned(_Decision, frozen=True, kw_only=True):
    """A simulation gives all its nodes up after its next checkpoint.

    Attributes
    ----------
    why : str
        Reason in words: who goes instead, and by what right.
    """

    simulation: str
    why: str


class MovePlanned(_Decision, frozen=True, kw_only=True):
    """A simulation leaves nodes after its next checkpoint, for others.

    Attributes
    ----------
    leave : tuple of str
        Which it leaves; empty: none any more, it stays.
    seek : tuple of str
        Which it is to have instead, if they are free then.
    why : str
        Reason in words.
    """

    simulation: str
    leave: tuple[str, ...]
    seek: tuple[str, ...] = ()
    why: str


class NodeShunned(_Decision, frozen=True, kw_only=True):
    """A node is slow: it is given out last, and whoever holds it moves if it can.

    Attributes
    ----------
    slow : float
        How many times longer than expected it takes.
    segments : int
        In so many segments in a row.
    simulation : str
        Whose segments these were.
    until_s : float
        When it is tried again if nobody computes on it meanwhile, driver's
        clock, seconds.
    """

    node: str
    slow: float
    segments: int
    simulation: str
    until_s: float


class NodeTrusted(_Decision, frozen=True, kw_only=True):
    """A node is not shunned any more.

    Attributes
    ----------
    why : str
        Reason in words.
    """

    node: str
    why: str


class WindowPlaced(_Decision, frozen=True, kw_only=True):
    """The nodes of a window that was declared by their number."""

    name: str
    nodes: tuple[str, ...]


class WindowEnded(_Decision, frozen=True, kw_only=True):
    """A window is over: its nodes are there for everybody again."""

    name: str


class SharingSet(_Decision, frozen=True, kw_only=True):
    """What projects have used halves in this time from now on.

    Attributes
    ----------
    half_life_s : float
        Seconds, > 0.
    """

    half_life_s: float


class SegmentCommitted(_Decision, frozen=True, kw_only=True):
    """A segment is covered by a committed checkpoint."""

    simulation: str
    stage: str
    segment: int


class RolledBack(_Decision, frozen=True, kw_only=True):
    """What was computed is lost and will be computed again.

    Attributes
    ----------
    boundary : int
        Common boundary of the set that it falls back to.
    segments : int
        Segments that were finished and count no more.
    lost_s : float
        Seconds of their computation, and of what was being computed.
    """

    simulation: str
    set: str
    attempt: int
    boundary: int
    segments: int
    lost_s: float
    cause: Cause


class SetDropped(_Decision, frozen=True, kw_only=True):
    """A retry budget of an optional set is used up: it goes on without.

    Without what comes after it, too. What is committed of it stays.
    """

    simulation: str
    set: str
    cause: Cause
    message: str


class SimulationFailed(_Decision, frozen=True, kw_only=True):
    """A retry budget is used up; what is committed stays."""

    simulation: str
    cause: Cause
    message: str


Decision = (
    CheckpointPlanned
    | CheckpointPostponed
    | CopyPlanned
    | NodeQuarantined
    | ShrinkPlanned
    | PreemptPlanned
    | PromiseRanked
    | MovePlanned
    | NodeShunned
    | NodeTrusted
    | WindowPlaced
    | WindowEnded
    | SharingSet
    | SegmentCommitted
    | RolledBack
    | SetDropped
    | SimulationFailed
)
