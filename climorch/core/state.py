"""The memory of the orchestrator: what the journal folds to.

Holds and derives; `fold` changes it. Everything in here follows from the
journal alone, so a replayed state equals the one that was lived.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from climorch.core.dropping import drops
from climorch.core.edited import Edited, RuleFault
from climorch.core.lifecycle import Control, Phase, Status
from climorch.core.scoring import Scored, owed
from climorch.core.sets import CheckpointState, InArchive, SetState
from climorch.core.standing import ProjectPromise, Standing
from climorch.model.events import Cause, SiteTold
from climorch.model.plan import Branch, RulePlan, RuleTime, SimulationPlan
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.moving import Moved
from climorch.policy.outdoing import Outdone
from climorch.policy.quarantine import Mishap
from climorch.policy.reliability import Losses, lease_mtbf_s
from climorch.policy.straggling import Paces
from climorch.policy.usage import Usage

__all__ = [
    "FIRST_HALF_LIFE_S",
    "CampaignState",
    "CheckpointState",
    "Control",
    "Edited",
    "Node",
    "Phase",
    "RuleFault",
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
    deadline_s, job, recalled
        As in `NodeJoined` and `NodeDeadline`.
    """

    name: str
    cores: int
    memory_bytes: int
    since_s: float
    deadline_s: float | None = None
    scratch_bytes: int = 0
    job: str = ""
    recalled: bool = False


@dataclass(slots=True, kw_only=True)
class SimulationState:
    """A simulation.

    Attributes
    ----------
    lease : tuple of str
        Nodes that it holds and that are up.
    granted : int
        Size of the lease when it was last granted.
    ring : tuple of str
        Its nodes when it was last given any, in order: each is the partner of
        the one before.
    torn_s : float
        When the newest event began that took a node of it and its partner;
        driver's clock, seconds.
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
    results_archived : dict of str to InArchive
        Results that the archive has, by stage; of no bytes where there are none.
    results_archiving : dict of str to int
        Stages whose results are on the way there, and of how many segments.
    failures : dict of Cause to int
        By cause, since the last committed checkpoint.
    rules_done : dict of str to int
        How much was committed when a rule last answered, as in ``EvaluateRule``.
    rules_asked : set of str
        Rules that have not answered yet.
    rule_faults : dict of str to RuleFault
        Rules whose newest answer was a fault, until they are asked again.
    scores : dict of str to dict of int to Scored
        By score and mark: what it said.
    scores_asked : dict of str to int
        Scores that were asked for and have not answered yet, and at which marks.
    edits : tuple of Edited
        What rules made of it, the newest last.
    declared : SimulationPlan or None
        What the script says that it is, if rules made another thing of it.
    standing : Standing or None
        Where it stands by promise; None: turns decide, or it is of no use.
    metrics : dict of str to dict
        By stage: what the last committed segment returned.
    courses : dict of str to tuple of (int, dict)
        By stage that may end early: newest committed segments, and what they returned.
    recent : dict of str to dict
        By stage and segment: what segments returned that are not committed.
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
    ring: tuple[str, ...] = ()
    torn_s: float = -math.inf
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
    rules_done: dict[str, int] = field(default_factory=dict)
    rules_asked: set[str] = field(default_factory=set)
    rule_faults: dict[str, RuleFault] = field(default_factory=dict)
    scores: dict[str, dict[int, Scored]] = field(default_factory=dict)
    scores_asked: dict[str, int] = field(default_factory=dict)
    edits: tuple[Edited, ...] = ()
    declared: SimulationPlan | None = None
    standing: Standing | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    courses: dict[str, tuple[tuple[int, dict[str, float]], ...]] = field(
        default_factory=dict
    )
    recent: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    node_s: float = 0.0
    held_s: float = 0.0
    lost_s: float = 0.0
    lost_segments: int = 0
    results_archived: dict[str, InArchive] = field(default_factory=dict)
    results_archiving: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every set is committed to its end, or it goes on without it."""
        return not [s for s in self.sets.values() if not (s.complete or drops(self, s))]

    @property
    def committed_segments(self) -> dict[str, int]:
        """Segments committed of each stage, as far as any are."""
        sets = self.sets.values()
        return {g: count for s in sets for g, count in s.committed_segments.items()}

    @property
    def settled(self) -> bool:
        """Whether it is complete, its results are out and judged, and its rules ran."""
        return (
            self.complete
            and not any(
                c.good and not c.published
                for s in self.sets.values()
                for c in s.commits.values()
            )
            and not any(self.asks(rule) for rule in self.plan.rules)
            and not any(owed(self, score) for score in self.plan.scores)
        )

    def asks(self, rule: RulePlan) -> int | None:
        """Return at which count a rule is to be asked; None: nothing new for it.

        Parameters
        ----------
        rule : RulePlan
            One of its plan's.
        """
        if rule.on is RuleTime.SIMULATION:
            if not self.complete:
                return None
            at = sum(s.committed_count for s in self.sets.values())
        else:
            name = self.plan.set_of.get(rule.when)
            if name is None:
                # A stage that nobody has added.
                return None
            s = self.sets[name]
            if rule.on is RuleTime.STAGE and not s.complete:
                return None
            if rule.on is RuleTime.UNTIL and not self._may_end(rule, s):
                return None
            at = s.plan.segments_at[s.committed][rule.when]
        fault = self.rule_faults.get(rule.name)
        if fault is not None and fault.at == at:
            return None
        return at if at and self.rules_done.get(rule.name, 0) != at else None

    def _may_end(self, rule: RulePlan, s: SetState) -> bool:
        """Whether a stage may end early where it is committed, and nobody has said."""
        count = s.plan.segments_at[s.committed][rule.when]
        # Nothing of a course that is given up, nor, once a checkpoint went bad, again.
        new = s.blown.target is None and count > self.rules_done.get(rule.name, 0)
        return new and rule.asks_at(s.plan, s.committed)

    def ended(self, name: str) -> bool:
        """Whether a set is committed to its end and no rule may move that any more.

        Parameters
        ----------
        name : str
            Of the set.
        """
        return self.sets[name].complete and not any(
            self.asks(rule) for rule in self.plan.rules_of[name]
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
    taken : set of str
        Nodes that the newest of these events has taken.
    mishaps : tuple of Mishap
        Nodes lost alone and segments that hung lately, by time.
    quarantined : dict of str to str
        Nodes that are draining because of such, and why.
    outdone : dict of str to tuple of Outdone
        By node: segments that failed there and were computed elsewhere, in a row.
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
    stored_bytes : int
        Of the files of all checkpoints, each counted once.
    promises : dict of str to ProjectPromise
        What was decided about the promise of each project, as far as any was.
    site : SiteTold or None
        Nodes that the site asked for and has not got; None: none, or it did not say.
    proven : dict of str to list of (int, str)
        By workflow, who has finished a segment: serials, ascending, and names.
    """

    campaign: str = ""
    epoch: int = 0
    now_s: float = 0.0
    driven: bool = True
    stopping: bool = False
    projects: dict[str, Project] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    simulations: dict[str, SimulationState] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    taken: set[str] = field(default_factory=set)
    mishaps: tuple[Mishap, ...] = ()
    quarantined: dict[str, str] = field(default_factory=dict)
    outdone: dict[str, tuple[Outdone, ...]] = field(default_factory=dict)
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
    stored_bytes: int = 0
    proven: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    promises: dict[str, ProjectPromise] = field(default_factory=dict)
    site: SiteTold | None = None

    def of_project(self, project: str) -> list[SimulationState]:
        """Return the simulations of a project, in order of submission."""
        return [s for s in self.simulations.values() if s.scenario.project == project]

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

    def any_up_s(self, now_s: float) -> float:
        """Return the seconds in which any node was up until a time."""
        return self.up_s + bool(self.nodes) * (now_s - self.counted_s)

    def mtbf_s(self, nodes: int, now_s: float, held_s: float | None = None) -> float:
        """Return the observed mean time between failures of so many nodes, seconds."""
        up_s = self.any_up_s(now_s)
        node_s = self.held_node_s(now_s) if held_s is None else held_s
        return lease_mtbf_s(self.losses, node_s=node_s, up_s=up_s, nodes=nodes)

    def sets(self) -> Iterator[tuple[SimulationState, SetState]]:
        """Every set with its simulation, in order of submission."""
        for simulation in self.simulations.values():
            for s in simulation.sets.values():
                yield simulation, s
