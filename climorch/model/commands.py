"""Commands and decisions: what the core wants done, journaled before it is done.

A command is executed by the engine or the twin and answered with facts. A
decision needs nobody: it is journaled because replay never decides again.
"""

from __future__ import annotations

from typing import TypeGuard

import msgspec

from climorch.model.events import Cause, Fact

__all__ = [
    "AbandonAttempt",
    "BeginCheckpoint",
    "BeginCopy",
    "CheckpointPlanned",
    "CheckpointPostponed",
    "Command",
    "CopyPlanned",
    "Decision",
    "DeleteCheckpoint",
    "EvaluateRule",
    "MovePlanned",
    "NodeQuarantined",
    "NodeShunned",
    "NodeTrusted",
    "PreemptPlanned",
    "PublishResults",
    "Record",
    "RolledBack",
    "SalvageCopy",
    "SegmentCommitted",
    "SetLease",
    "SharingSet",
    "ShrinkPlanned",
    "SimulationFailed",
    "StartAttempt",
    "StartSegment",
    "WindowEnded",
    "WindowPlaced",
    "decode_record",
    "encode_record",
    "is_command",
]


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class SetLease(_Command, frozen=True, kw_only=True):
    """A simulation holds these nodes from now on; none: it gave them back.

    Attributes
    ----------
    why : str
        Reason in words, for ``explain``.
    borrowed : bool
        Whether it is not its turn yet: the nodes go back at its next boundary
        once somebody whose turn it is can use them.
    """

    simulation: str
    nodes: tuple[str, ...]
    why: str = ""
    borrowed: bool = False


class StartAttempt(_Command, frozen=True, kw_only=True):
    """Bring the states of a set to the lease, from a boundary (0: init)."""

    simulation: str
    set: str
    attempt: int
    boundary: int


class StartSegment(_Command, frozen=True, kw_only=True):
    """Compute a segment."""

    simulation: str
    stage: str
    segment: int
    attempt: int


class BeginCheckpoint(_Command, frozen=True, kw_only=True):
    """Checkpoint a set at a boundary that all its stages have reached.

    Attributes
    ----------
    full : bool
        Write every chunk anew instead of linking unchanged ones.
    why : str
        Reason in words.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    full: bool = False
    why: str = ""


class BeginCopy(_Command, frozen=True, kw_only=True):
    """Hold the state of a set at a boundary in the memory of two nodes each.

    Attributes
    ----------
    why : str
        Reason in words.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    why: str = ""


class SalvageCopy(_Command, frozen=True, kw_only=True):
    """Compute no more, and write the newest copy as a checkpoint.

    Attributes
    ----------
    boundary : int
        Of the newest copy that is known of; one that was held meanwhile is taken.
    until_s : float
        Driver's clock after which nobody waits for it any more, seconds.
    why : str
        What broke the attempt, in words.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    until_s: float
    why: str = ""


class AbandonAttempt(_Command, frozen=True, kw_only=True):
    """Drop what an attempt still computes, writes and holds in memory.

    Attributes
    ----------
    retry_at_s : float
        Driver's clock before which the next attempt does not start, seconds.
    """

    simulation: str
    set: str
    attempt: int
    why: str = ""
    retry_at_s: float = 0.0


class PublishResults(_Command, frozen=True, kw_only=True):
    """Move the outputs that a committed checkpoint carries into the results."""

    simulation: str
    set: str
    boundary: int


class DeleteCheckpoint(_Command, frozen=True, kw_only=True):
    """Move a checkpoint to the trash."""

    simulation: str
    set: str
    boundary: int


class EvaluateRule(_Command, frozen=True, kw_only=True):
    """Ask a rule for its edits."""

    simulation: str
    rule: str


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


class SimulationFailed(_Decision, frozen=True, kw_only=True):
    """A retry budget is used up; what is committed stays."""

    simulation: str
    cause: Cause
    message: str


Command = (
    SetLease
    | StartAttempt
    | StartSegment
    | BeginCheckpoint
    | BeginCopy
    | SalvageCopy
    | AbandonAttempt
    | PublishResults
    | DeleteCheckpoint
    | EvaluateRule
)
Decision = (
    CheckpointPlanned
    | CheckpointPostponed
    | CopyPlanned
    | NodeQuarantined
    | ShrinkPlanned
    | PreemptPlanned
    | MovePlanned
    | NodeShunned
    | NodeTrusted
    | WindowPlaced
    | WindowEnded
    | SharingSet
    | SegmentCommitted
    | RolledBack
    | SimulationFailed
)
Record = Fact | Command | Decision

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def is_command(record: Record) -> TypeGuard[Command]:
    """Tell whether a record is to be executed by somebody."""
    # Asked for every record: isinstance with the union tries each of its types.
    return isinstance(record, _Command)


def encode_record(record: Record) -> bytes:
    """Return a record as JSON, tagged with its type."""
    return _ENCODER.encode(record)


def decode_record(payload: bytes) -> Record:
    """Return the record of a journal row.

    Raises
    ------
    msgspec.ValidationError
        If it is no record of this version.
    """
    return _DECODER.decode(payload)
