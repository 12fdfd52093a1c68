"""Facts: what happened. Frozen, journaled, folded into the state.

Facts arrive from the world (site, engine, user). `core` may distrust them: a
fact that names an old attempt is kept in the journal and changes nothing.
"""

from __future__ import annotations

import msgspec

from climorch.model.causes import Cause
from climorch.model.codec import CodecTrial
from climorch.model.copying import CopyFailed, CopyHeld, SalvageFailed
from climorch.model.declared import (
    RuleEvaluated,
    RuleFailed,
    SimulationChanged,
    SimulationSubmitted,
)
from climorch.model.nodes import NodeDeadline, NodeJoined, NodeLost
from climorch.model.numerics import RemedyGiven
from climorch.model.scenario import Project
from climorch.model.scoring import ScoreEvaluated, ScoreFailed
from climorch.model.storing import (
    ArchivingFailed,
    CheckpointArchived,
    CheckpointDeleted,
    CheckpointFailed,
    CheckpointRecalled,
    CheckpointScrubbed,
    RecallDelayed,
    RecallFailed,
    ResultsArchived,
    ResultsPublished,
    StorageCounted,
)
from climorch.model.strides import SetAdvanced, Written
from climorch.model.supply import JobsWaiting, SiteTold
from climorch.model.usage import Usage
from climorch.model.wishes import (
    CancelRequested,
    DrainRequested,
    PauseRequested,
    PinRequested,
    PriorityRequested,
    ResumeRequested,
    UndrainRequested,
    UnpinRequested,
    WindowDeclared,
    WindowWithdrawn,
    Wish,
)

__all__ = [
    "ArchivingFailed",
    "CampaignOpened",
    "CancelRequested",
    "Cause",
    "CheckpointArchived",
    "CheckpointCommitted",
    "CheckpointDeleted",
    "CheckpointFailed",
    "CheckpointRecalled",
    "CheckpointScrubbed",
    "CopyFailed",
    "CopyHeld",
    "DrainRequested",
    "DriverStarted",
    "DriverStopped",
    "Fact",
    "JobsWaiting",
    "NodeDeadline",
    "NodeJoined",
    "NodeLost",
    "PauseRequested",
    "PinRequested",
    "PriorityRequested",
    "ProjectDeclared",
    "RecallDelayed",
    "RecallFailed",
    "RemedyGiven",
    "RestoreFailed",
    "ResultsArchived",
    "ResultsPublished",
    "ResumeRequested",
    "RuleEvaluated",
    "RuleFailed",
    "SalvageFailed",
    "ScoreEvaluated",
    "ScoreFailed",
    "SegmentFailed",
    "SegmentFinished",
    "SetAdvanced",
    "SetRestored",
    "SimulationChanged",
    "SimulationSubmitted",
    "SiteTold",
    "StopRequested",
    "StorageCounted",
    "UndrainRequested",
    "UnpinRequested",
    "WindowDeclared",
    "WindowWithdrawn",
    "Wish",
    "WishTaken",
    "Written",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class CampaignOpened(_Fact, frozen=True, kw_only=True):
    """The first row of a journal."""

    campaign: str
    version: str


class DriverStarted(_Fact, frozen=True, kw_only=True):
    """A driver took the campaign: nothing of an older one runs any more."""

    epoch: int
    host: str
    pid: int


class DriverStopped(_Fact, frozen=True, kw_only=True):
    """The driver left on its own: nothing runs, no node is held."""

    reason: str


class ProjectDeclared(_Fact, frozen=True, kw_only=True):
    """A project may be named by scenarios from now on."""

    project: Project


class WishTaken(_Fact, frozen=True, kw_only=True):
    """A user's wish came through the inbox; it holds once, however often told.

    Attributes
    ----------
    id : str
        Name that the wish has in the inbox, unique.
    by : str
        Who gave it: user, host and process.
    given_s : float
        When, by the clock of that process, UTC seconds.
    wish : Wish
        What is wanted.
    """

    id: str
    by: str
    given_s: float
    wish: Wish


class StopRequested(_Fact, frozen=True, kw_only=True):
    """The driver is to leave: checkpoint everything, start nothing new."""


class SetRestored(_Fact, frozen=True, kw_only=True):
    """The states of a set are on their way to the nodes of its lease.

    Attributes
    ----------
    rung : str
        Where they come from: ``checkpoint``, the newest; ``partner``, one that was
        written from the copies of partners; ``repaired``, one of which files came
        from another copy; ``archive``, one that was recalled; ``older``, one before
        a newer one that is damaged; ``branch``, the parent's last; ``transform``, the
        last of the stages before, made into another; ``init``.
    bytes_read : int
        Bytes of state; 0: not known.
    seconds : float
        From its start until they were there; of ``partner`` without the time
        in which the copies were written.
    lost_s : float
        Seconds of computing that were lost since it was restored before.
    """

    simulation: str
    set: str
    attempt: int
    boundary: int
    rung: str
    bytes_read: int = 0
    seconds: float = 0.0
    lost_s: float = 0.0


class RestoreFailed(_Fact, frozen=True, kw_only=True):
    """A set could not be brought back from a boundary.

    Attributes
    ----------
    damaged : bool
        Whether the checkpoint itself is to blame and must not be used again.
    repaired : tuple of str
        Files of it that were bad and were made good from another copy.
    """

    simulation: str
    set: str
    attempt: int
    boundary: int
    cause: Cause
    message: str
    damaged: bool = False
    repaired: tuple[str, ...] = ()


class SegmentFinished(_Fact, frozen=True, kw_only=True):
    """A segment was computed. Provisional until a checkpoint covers it.

    Attributes
    ----------
    seconds : float
        From its start to its end on the driver's clock.
    nodes : int
        Nodes of the lease meanwhile.
    metrics : dict of str to float
        Scalars that the step returned.
    paces : dict of str to float
        Node to the seconds that an equal share of the work takes there; empty:
        not measured.
    stall_s : float or None
        Seconds from its start in which a checkpoint kept it from computing; None:
        not told apart, only ``CheckpointCommitted.cost_s`` is known.
    vain_s : float
        Of ``seconds``, those of computing that a loss of nodes undid.
    usage : Usage or None
        What it used; None: not measured.
    """

    simulation: str
    stage: str
    segment: int
    attempt: int
    seconds: float
    nodes: int = 0
    metrics: dict[str, float] = {}
    paces: dict[str, float] = {}
    stall_s: float | None = None
    vain_s: float = 0.0
    usage: Usage | None = None


class SegmentFailed(_Fact, frozen=True, kw_only=True):
    """A segment ended without a result.

    Attributes
    ----------
    node : str
        Where it hung; empty: it did not, or nobody knows.
    stack : str
        Call stacks of all that computed for the simulation when it hung, as text;
        empty: it did not, or nothing answered.
    """

    simulation: str
    stage: str
    segment: int
    attempt: int
    cause: Cause
    message: str
    node: str = ""
    stack: str = ""


class CheckpointCommitted(_Fact, frozen=True, kw_only=True):
    """A checkpoint has its final name and will be found after any crash.

    Attributes
    ----------
    seconds : float
        From its start to its commit.
    cost_s : float
        Time that the nodes of the lease could not compute because of it, in
        seconds: CPU seconds of the writers over the cores of the lease.
    bytes_state, bytes_written, bytes_linked, bytes_salvaged : int
        Bytes of raw state; of files written, of files linked from the
        checkpoint before, of files taken over from an attempt that broke.
    independent : bool
        Whether it shares no file with an older checkpoint.
    tried : tuple of CodecTrial
        What codecs make of some of its variables; empty: that was not tried.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    seconds: float
    cost_s: float = 0.0
    bytes_state: int = 0
    bytes_written: int = 0
    bytes_linked: int = 0
    bytes_salvaged: int = 0
    independent: bool = True
    tried: tuple[CodecTrial, ...] = ()


Fact = (
    CampaignOpened
    | DriverStarted
    | DriverStopped
    | ProjectDeclared
    | SimulationSubmitted
    | SimulationChanged
    | PauseRequested
    | PinRequested
    | ResumeRequested
    | CancelRequested
    | PriorityRequested
    | DrainRequested
    | UndrainRequested
    | UnpinRequested
    | WindowDeclared
    | WindowWithdrawn
    | WishTaken
    | StopRequested
    | NodeJoined
    | NodeDeadline
    | NodeLost
    | SiteTold
    | SetRestored
    | RestoreFailed
    | SegmentFinished
    | SegmentFailed
    | SetAdvanced
    | CheckpointCommitted
    | CheckpointFailed
    | CheckpointScrubbed
    | CheckpointDeleted
    | StorageCounted
    | CheckpointArchived
    | ArchivingFailed
    | ResultsArchived
    | CheckpointRecalled
    | RecallDelayed
    | RecallFailed
    | CopyHeld
    | CopyFailed
    | SalvageFailed
    | ResultsPublished
    | RuleEvaluated
    | RuleFailed
    | ScoreEvaluated
    | ScoreFailed
    | RemedyGiven
)
