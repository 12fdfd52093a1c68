"""What is known of one coupled set: its checkpoints and its present attempt."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import msgspec

from climorch.core.hanging import Hang
from climorch.core.held import Held
from climorch.core.lifecycle import Phase
from climorch.core.remedying import Blown
from climorch.model.events import Cause
from climorch.model.plan import SetPlan
from climorch.policy.learning import Learned
from climorch.policy.outdoing import Doubt

__all__ = ["CheckpointState", "InArchive", "Recall", "SetState", "is_new"]


class CheckpointState(msgspec.Struct, kw_only=True, gc=False):
    """A committed checkpoint.

    Attributes
    ----------
    copy : int
        Physical copy: checkpoints of a set with the same number share files.
    published : bool
        Whether its outputs are in the results.
    publishing, deleting : bool
        Whether that was asked for and has no outcome yet.
    own_bytes : int
        Of its files that no older checkpoint had when it was committed.
    archiving : bool
        Whether its copy is on the way to the archive.
    anew : bool
        Whether that began with a damaged one in whose place it came.
    unfit : bool
        Whether that cannot be, for it is not what was committed.
    recalled, repaired : bool
        Whether it came back from the archive; whether files of it came from another
        copy and it was not restored from since.
    leaving_bytes : int
        About what its deletion, which is under way, frees.
    """

    boundary: int
    attempt: int
    committed_s: float
    seconds: float
    bytes_state: int
    bytes_written: int
    copy: int
    good: bool = True
    published: bool = False
    publishing: bool = False
    deleting: bool = False
    own_bytes: int = 0
    leaving_bytes: int = 0
    archiving: bool = False
    anew: bool = False
    unfit: bool = False
    recalled: bool = False
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InArchive:
    """A checkpoint that the archive has, verified there.

    Attributes
    ----------
    folder, url : str
        Name of the checkpoint among those of its set; where the archive is.
    bytes : int
        Length of the archive.
    segments : int
        Of results: how many were committed when it was asked for.
    """

    folder: str
    url: str
    bytes: int
    segments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A checkpoint that was asked back.

    Attributes
    ----------
    boundary : int
        Which.
    delayed : bool
        Whether it comes in hours, so that nobody waits for it.
    """

    boundary: int
    delayed: bool = False


@dataclass(slots=True, kw_only=True)
class SetState:
    """A coupled set and its present attempt.

    Attributes
    ----------
    done : dict of str to int
        Segments computed per stage, provisional ones included.
    running : dict of str to int
        Segment per stage that is being computed.
    planned : int or None
        Boundary at which all stages meet to be checkpointed.
    checkpoint : int or None
        Boundary whose checkpoint is being written.
    started_at_s : float
        When the present attempt was started.
    since_s : float
        When the present attempt got its states or last began a checkpoint.
    from_boundary : int
        Where it got them, or the last one that it began to checkpoint.
    seconds : dict of (str, int) to float
        Of each segment that is computed and not committed.
    started_s : dict of str to float
        When each running segment was started.
    broken_off_s : float
        Seconds of segments that were running when the last attempt ended.
    pace_s : dict of str to float
        Mean duration of a stage's segments, recent ones weighing more.
    shown : dict of str to dict of int to Learned
        What a stage's segments took, by stage and nodes of the lease.
    writing, restoring : Learned or None
        What checkpoints took to be committed, and states to be there again.
    cost_s, spent_s : float
        Mean time lost to a checkpoint, and to all of them until ``spent_at_s``
        as that time fades; seconds.
    binds, binds_why : str
        Which cap has changed what the strategy wanted, when it last had a say.
    put_off : bool
        Whether a checkpoint was put off since the last one.
    commits : dict of int to CheckpointState
        Checkpoints that exist by boundary, ascending.
    newest : dict of int to int
        Newest boundary that each attempt committed; tells a repeated fact.
    sources : dict of (int, int) to int
        By attempt and boundary: the physical copy whose files a checkpoint links that
        is being written; 0: there was none as it was begun.
    copies, deleted : int
        Physical copies written, checkpoints deleted, so far.
    stored_bytes : int
        Of the files of its checkpoints, each counted once.
    pins : frozenset of int
        Boundaries whose checkpoints a user wants to keep.
    archived : dict of int to InArchive
        What the archive has, by boundary.
    unreadable : frozenset of int
        Boundaries of which it turned out to have nothing good.
    recall : Recall or None
        What was asked back from the archive and has no outcome yet.
    owed_s : float
        Seconds of computing that were lost since its states were last restored.
    held : Held
        What is in the memory of two nodes.
    rung : str
        Where its states were last taken from, as in ``SetRestored``.
    lost_s : float
        Seconds of computing that the newest failure cost.
    hang : Hang or None
        The newest segment that hung.
    doubts : dict of (str, int) to Doubt
        Segments by stage that failed since they were last computed, and where.
    blown : Blown
        What is known of its blow-ups.
    failures : dict of Cause to int
        Of an optional set, since its last committed checkpoint; those of all others
        are their simulation's.
    dropped : (Cause, str) or None
        Why its simulation goes on without it, if it is optional and failed for good.
    """

    plan: SetPlan
    phase: Phase = Phase.IDLE
    attempt: int = 0
    done: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    planned: int | None = None
    planned_why: str = ""
    checkpoint: int | None = None
    started_at_s: float = 0.0
    since_s: float = 0.0
    from_boundary: int = 0
    retry_at_s: float = 0.0
    broken: tuple[Cause, str] | None = None
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    started_s: dict[str, float] = field(default_factory=dict)
    broken_off_s: float = 0.0
    pace_s: dict[str, float] = field(default_factory=dict)
    shown: dict[str, dict[int, Learned]] = field(default_factory=dict)
    writing: Learned | None = None
    restoring: Learned | None = None
    cost_s: float | None = None
    spent_s: float = 0.0
    spent_at_s: float = 0.0
    binds: str = ""
    binds_why: str = ""
    put_off: bool = False
    commits: dict[int, CheckpointState] = field(default_factory=dict)
    committed_segments: dict[str, int] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    sources: dict[tuple[int, int], int] = field(default_factory=dict)
    copies: int = 0
    deleted: int = 0
    stored_bytes: int = 0
    pins: frozenset[int] = frozenset()
    archived: dict[int, InArchive] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    recall: Recall | None = None
    owed_s: float = 0.0
    held: Held = field(default_factory=Held)
    rung: str = ""
    lost_s: float = 0.0
    hang: Hang | None = None
    doubts: dict[tuple[str, int], Doubt] = field(default_factory=dict)
    blown: Blown = field(default_factory=Blown)
    failures: dict[Cause, int] = field(default_factory=dict)
    dropped: tuple[Cause, str] | None = None

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.plan.name

    @property
    def committed(self) -> int:
        """Newest boundary with a good checkpoint that stays; 0: its init."""
        for boundary, c in reversed(self.commits.items()):
            if c.good and not c.deleting:
                return boundary
        return 0

    @property
    def committed_count(self) -> int:
        """Segments of all its stages up to the newest boundary that is committed."""
        return sum(self.plan.segments_at[self.committed].values())

    @property
    def complete(self) -> bool:
        """Whether it is committed to its end."""
        return self.committed == self.plan.last

    @property
    def reached(self) -> int:
        """Newest common boundary that every stage has reached."""
        counts = self.plan.counts
        return min([bisect_right(counts[g], n) for g, n in self.done.items()]) - 1

    @property
    def settled(self) -> bool:
        """Whether all stages stand at one common boundary and none computes."""
        return not self.running and self.done == self.plan.segments_at[self.reached]

    def rung_of(self, boundary: int) -> str:
        """Where states of a boundary come from, as in ``SetRestored``."""
        if boundary == 0:
            return "transform" if self.plan.transforms else "init"
        return "partner" if self.held.salvaged == boundary else "checkpoint"

    def front(self) -> int:
        """Newest common boundary that some stage has reached or passed."""
        counts = self.plan.counts
        return max([bisect_right(counts[g], n) for g, n in self.done.items()]) - 1

    def passed(self, boundary: int) -> bool:
        """Whether some stage has started a segment beyond a boundary."""
        done, running = self.done, self.running
        for name, count in self.plan.segments_at[boundary].items():
            if done[name] > count or running.get(name, -1) >= count:
                return True
        return False


def is_new(s: SetState, boundary: int, attempt: int) -> bool:
    """Tell whether nobody has heard of a checkpoint that is found on the disk.

    Parameters
    ----------
    s : SetState
        Whose.
    boundary, attempt : int
        Where it is, and who wrote it: perhaps in the place of one that is of no use.
    """
    known = s.commits.get(boundary)
    return known is None or not (known.good or known.attempt == attempt)
