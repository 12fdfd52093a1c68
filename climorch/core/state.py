"""The memory of the orchestrator: what the journal folds to.

Holds and derives; `fold` changes it. Everything in here follows from the
journal alone, so a replayed state equals the one that was lived.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from climorch.core.held import Held
from climorch.core.lifecycle import Control, Phase, Status
from climorch.model.events import Cause
from climorch.model.plan import Branch, SetPlan, SimulationPlan
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.learning import Learned
from climorch.policy.moving import Moved
from climorch.policy.quarantine import Mishap
from climorch.policy.reliability import Losses, lease_mtbf_s
from climorch.policy.straggling import Paces
from climorch.policy.usage import Usage

__all__ = [
    "FIRST_HALF_LIFE_S",
    "CampaignState",
    "CheckpointState",
    "Control",
    "Node",
    "Phase",
    "SetState",
    "SimulationState",
    "Status",
]


FIRST_HALF_LIFE_S = 7 * 86400.0
"""Half-life of usage, seconds, in journals that do not say: never to be changed."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A node that is up since ``since_s`` (driver's clock, seconds).

    Attributes
    ----------
    deadline_s : float or None
        When it goes, UTC seconds; None: it stays.
    """

    name: str
    cores: int
    memory_bytes: int
    since_s: float
    deadline_s: float | None = None
    scratch_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class CheckpointState:
    """A committed checkpoint.

    Attributes
    ----------
    copy : int
        Physical copy: checkpoints of a set with the same number share files.
    published : bool
        Whether its outputs are in the results.
    publishing, deleting : bool
        Whether that was asked for and has no outcome yet.
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
    copies, deleted : int
        Physical copies written, checkpoints deleted, so far.
    held : Held
        What is in the memory of two nodes.
    rung : str
        Where its states were last taken from, as in ``SetRestored``.
    lost_s : float
        Seconds of computing that the newest failure cost.
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
    copies: int = 0
    deleted: int = 0
    held: Held = field(default_factory=Held)
    rung: str = ""
    lost_s: float = 0.0

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

    def front(self) -> int:
        """Newest common boundary that some stage has reached or passed."""
        counts = self.plan.counts
        return max([bisect_right(counts[g], n) for g, n in self.done.items()]) - 1

    def passed(self, boundary: int) -> bool:
        """Whether some stage has started a segment beyond a boundary."""
        counts = self.plan.segments_at[boundary]
        return any(
            self.done[name] > count or self.running.get(name, -1) >= count
            for name, count in counts.items()
        )


@dataclass(slots=True, kw_only=True)
class SimulationState:
    """A simulation.

    Attributes
    ----------
    lease : tuple of str
        Nodes that it holds and that are up.
    granted : int
        Size of the lease when it was last granted.
    missed : dict of str to str
        Leased nodes that it lost since it was last given any, and why they went.
    turn_s : float
        When it last got nodes after it had none, seconds.
    fruitful : bool
        Whether a checkpoint was committed in its present turn.
    borrowed : bool
        Whether it has nodes though it was not its turn.
    preempted : str or None
        Why it gives all nodes up after its next checkpoint.
    interruptions, interruptions_s : int, tuple of float
        How often it was preempted so far; when in the last 30 days, seconds.
    left_s : float or None
        When it last gave all nodes up, seconds; None: never.
    waits_since_s : float
        When it was submitted, resumed, or last gave all nodes up, seconds.
    served_s : float
        Seconds that it held nodes in turns that are over.
    node_s, held_s : float
        Node-seconds that it held until ``lease_since_s``; seconds in which it
        held any.
    moved : Moved or None
        Its last move, over or not.
    lost_s : float
        Seconds of computing that were lost.
    failures : dict of Cause to int
        By cause, since the last committed checkpoint.
    """

    name: str
    serial: int
    scenario: Scenario
    plan: SimulationPlan
    branch: Branch | None
    sets: dict[str, SetState]
    control: Control = Control.RUN
    failed: tuple[Cause, str] | None = None
    failures: dict[Cause, int] = field(default_factory=dict)
    priority: int = 0
    lease: tuple[str, ...] = ()
    granted: int = 0
    lease_since_s: float = 0.0
    lease_why: str = ""
    missed: dict[str, str] = field(default_factory=dict)
    turn_s: float = 0.0
    fruitful: bool = False
    borrowed: bool = False
    shrink_to: int | None = None
    preempted: str | None = None
    interruptions_s: tuple[float, ...] = ()
    moved: Moved | None = None
    left_s: float | None = None
    waits_since_s: float = 0.0
    served_s: float = 0.0
    interruptions: int = 0
    rules_done: set[str] = field(default_factory=set)
    rules_asked: set[str] = field(default_factory=set)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    node_s: float = 0.0
    held_s: float = 0.0
    lost_s: float = 0.0
    lost_segments: int = 0

    @property
    def complete(self) -> bool:
        """Whether every set is committed to its end."""
        return all(s.complete for s in self.sets.values())

    @property
    def settled(self) -> bool:
        """Whether it is complete, its results are out and its rules ran."""
        return (
            self.complete
            and not any(
                c.good and not c.published
                for s in self.sets.values()
                for c in s.commits.values()
            )
            and self.rules_done >= {rule.name for rule in self.plan.rules}
        )

    @property
    def wants_nodes(self) -> bool:
        """Whether it has something to compute and is allowed to."""
        return self.control is Control.RUN and self.failed is None and not self.complete

    @property
    def status(self) -> Status:
        """Where it stands, for people."""
        if self.control is Control.CANCELLED:
            return Status.CANCELLED
        if self.failed is not None:
            return Status.FAILED
        if self.complete:
            return Status.FINISHED
        if self.control is Control.PAUSED:
            return Status.PAUSING if self.lease else Status.PAUSED
        return Status.RUNNING if self.lease else Status.WAITING


@dataclass(slots=True, kw_only=True)
class CampaignState:
    """All that is known.

    Attributes
    ----------
    now_s : float
        Newest time of any record, driver's clock.
    losses : Losses
        Nodes lost so far, by event.
    mishaps : tuple of Mishap
        Nodes lost alone and segments that hung lately, by time.
    quarantined : dict of str to str
        Nodes that are draining because of such, and why.
    node_s, up_s : float
        Node-seconds that nodes were up, and seconds in which any was, until
        ``counted_s``.
    counted_s : float
        When nodes last came or went, driver's clock, seconds.
    draining : set of str
        Nodes that nobody may lease, whether they are up or not.
    absent : dict of str to float
        Nodes that were up and are not, and when they went; the newest of them.
    wishes : set of str
        Wishes from the inbox that were taken.
    windows : dict of str to Window
        Those that are not over.
    deadlines : int
        Nodes that are up and go at a known time.
    half_life_s : float
        Time in which the usage of projects halves, seconds.
    usage : dict of str to Usage
        What each project with simulations has used until its newest change.
    paces : Paces
        What nodes took for their work.
    proven : dict of str to list of (int, str)
        By workflow, who has finished a segment: serials, ascending, and names.
    """

    campaign: str = ""
    epoch: int = 0
    now_s: float = 0.0
    stopping: bool = False
    projects: dict[str, Project] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    simulations: dict[str, SimulationState] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    mishaps: tuple[Mishap, ...] = ()
    quarantined: dict[str, str] = field(default_factory=dict)
    node_s: float = 0.0
    up_s: float = 0.0
    counted_s: float = 0.0
    draining: set[str] = field(default_factory=set)
    absent: dict[str, float] = field(default_factory=dict)
    wishes: set[str] = field(default_factory=set)
    windows: dict[str, Window] = field(default_factory=dict)
    deadlines: int = 0
    half_life_s: float = FIRST_HALF_LIFE_S
    usage: dict[str, Usage] = field(default_factory=dict)
    paces: Paces = field(default_factory=Paces)
    proven: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def usage_at(self, now_s: float) -> dict[str, Usage]:
        """Return what each project has used until a time, with what it holds since."""
        return {
            project: usage.at(now_s, half_life_s=self.half_life_s)
            for project, usage in self.usage.items()
        }

    @property
    def timed(self) -> bool:
        """Whether any node goes at a known time."""
        return bool(self.windows) or self.deadlines > 0

    @property
    def known_nodes(self) -> set[str]:
        """Names of nodes that are up, were up lately or are drained."""
        return self.nodes.keys() | self.draining | self.absent.keys()

    @property
    def up_node_s(self) -> float:
        """Node-seconds that nodes were up so far."""
        return self.node_s + len(self.nodes) * (self.now_s - self.counted_s)

    def held_node_s(self, now_s: float) -> float:
        """Return the node-seconds that all leases have held until a time."""
        return sum(used.held_until(now_s) for used in self.usage.values())

    def mtbf_s(self, nodes: int, now_s: float) -> float:
        """Return the observed mean time between failures of so many nodes, seconds."""
        up_s = self.up_s + bool(self.nodes) * (now_s - self.counted_s)
        held_s = self.held_node_s(now_s)
        return lease_mtbf_s(self.losses, node_s=held_s, up_s=up_s, nodes=nodes)

    def sets(self) -> Iterator[tuple[SimulationState, SetState]]:
        """Every set with its simulation, in order of submission."""
        for simulation in self.simulations.values():
            for s in simulation.sets.values():
                yield simulation, s
