"""Commands and decisions: what the core wants done, journaled before it is done.

A command is executed by the engine or the twin and answered with facts. A
decision needs nobody: it is journaled because replay never decides again.
"""

from __future__ import annotations

from typing import TypeGuard

import msgspec

from climorch.model.decisions import (
    CheckpointPlanned,
    CheckpointPostponed,
    CopyPlanned,
    Decision,
    MovePlanned,
    NodeQuarantined,
    NodeShunned,
    NodeTrusted,
    PreemptPlanned,
    PromiseRanked,
    RolledBack,
    SegmentCommitted,
    SetDropped,
    SharingSet,
    ShrinkPlanned,
    SimulationFailed,
    WindowEnded,
    WindowPlaced,
)
from climorch.model.events import Fact

__all__ = [
    "AbandonAttempt",
    "ArchiveCheckpoint",
    "ArchiveResults",
    "AskRemedy",
    "BeginCheckpoint",
    "BeginCopy",
    "CheckpointPlanned",
    "CheckpointPostponed",
    "Command",
    "CopyPlanned",
    "Decision",
    "DeleteCheckpoint",
    "EvaluateRule",
    "EvaluateScore",
    "MovePlanned",
    "NodeQuarantined",
    "NodeShunned",
    "NodeTrusted",
    "PreemptPlanned",
    "PromiseRanked",
    "PublishResults",
    "RecallCheckpoint",
    "Record",
    "RolledBack",
    "SalvageCopy",
    "SegmentCommitted",
    "SetDropped",
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
    held : bool
        Write what partners hold of that boundary: the set has passed it.
    why : str
        Reason in words.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    full: bool = False
    held: bool = False
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
    """Move a checkpoint to the trash.

    Attributes
    ----------
    attempt : int
        Whose it is: another one of this boundary stays; 0: whoever's (older journals).
    bytes : int
        About what that frees.
    at_once : bool
        Whether it does not stay in the trash, for its space is needed.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int = 0
    bytes: int = 0
    at_once: bool = False


class ArchiveCheckpoint(_Command, frozen=True, kw_only=True):
    """Bring a copy of a checkpoint to the archive, and verify it there."""

    simulation: str
    set: str
    boundary: int


class ArchiveResults(_Command, frozen=True, kw_only=True):
    """Bring a copy of the results of a stage to the archive."""

    simulation: str
    stage: str


class RecallCheckpoint(_Command, frozen=True, kw_only=True):
    """Bring a checkpoint back from the archive.

    Attributes
    ----------
    folder : str
        Name that it has among those of its set.
    """

    simulation: str
    set: str
    boundary: int
    folder: str


class EvaluateRule(_Command, frozen=True, kw_only=True):
    """Ask a rule for its edits.

    Attributes
    ----------
    simulation, rule : str
        Which.
    at : int
        Segments of its stage that are committed; for a rule on simulations, of all
        stages together.
    """

    simulation: str
    rule: str
    at: int = 0


class EvaluateScore(_Command, frozen=True, kw_only=True):
    """Compute a score of committed results.

    Attributes
    ----------
    simulation, score : str
        Whose, and which.
    mark : int
        Segments of its stage that it is to see.
    """

    simulation: str
    score: str
    mark: int


class AskRemedy(_Command, frozen=True, kw_only=True):
    """Ask the user's remedy what to change after a blow-up.

    Attributes
    ----------
    number : int
        Of the try, from 1.
    message : str
        What was found.
    reached : int
        Common boundary that was reached or passed when it blew up.
    """

    simulation: str
    set: str
    number: int
    message: str
    reached: int


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
    | ArchiveCheckpoint
    | ArchiveResults
    | RecallCheckpoint
    | EvaluateRule
    | EvaluateScore
    | AskRemedy
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
