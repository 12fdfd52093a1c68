"""The one loop of decisions: facts in, records and commands out.

Knows no clock, no disk and no cluster. The live driver and the twin feed the
same orchestrator; replay feeds the records of a journal and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from climorch.core.fold import apply
from climorch.core.progress import Policies, move_on, next_records
from climorch.core.state import CampaignState, Control, SimulationState
from climorch.errors import InternalError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import (
    Command,
    Record,
    SetLease,
    ShrinkPlanned,
    is_command,
)
from climorch.model.plan import SimulationPlan
from climorch.policy.allocation import Allocation, Claim, NodeOffer, allocate

__all__ = ["Orchestrator", "Outcome", "claims", "offers"]

# A simulation that yields more records than this at one instant goes round in
# circles; its journal would fill the disk.
MOST_RECORDS = 100_000

# Decisions that call for no second look at the same instant: what goes with them
# is decided in the same go. Any other record has its simulation looked at again.
CONCLUSIVE = frozenset(
    {
        c.StartSegment,
        c.SegmentCommitted,
        c.CheckpointPlanned,
        c.BeginCheckpoint,
        c.PublishResults,
        c.DeleteCheckpoint,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `Orchestrator.handle` decided.

    Attributes
    ----------
    records : tuple of Record
        To be journaled, in order, before any command is executed.
    commands : tuple of Command
        Those of the records that somebody must execute, in order.
    wake_at_s : float or None
        When to ask again though no fact came; driver's clock, seconds.
    """

    records: tuple[Record, ...]
    commands: tuple[Command, ...]
    wake_at_s: float | None


class Orchestrator:
    """Decides what runs where and when.

    Parameters
    ----------
    policies : Policies
        The rules.
    state : CampaignState or None
        State to go on from; None: an empty campaign.
    """

    def __init__(self, policies: Policies, state: CampaignState | None = None) -> None:
        self.policies = policies
        self.state = state or CampaignState()
        self.allocation = Allocation()
        # Only simulations that a record is about are looked at again; what the
        # others want, hold and wait for is kept. None of this is memory: it
        # follows from the state and is made anew after a replay.
        self._touched: set[str] = set()
        # Those of which nothing but finished segments was heard.
        self._moved_on: set[str] = set()
        self._demands: dict[str, _Demand] = {}
        self._grounds: dict[str, _Grounds] = {}
        self._retries: dict[str, float] = {}
        self._nodes_changed = True
        self._touch_all()

    def replay(self, records: Iterable[tuple[Record, float]]) -> None:
        """Apply journaled records with their times; decides nothing."""
        for record, now_s in records:
            apply(self.state, record, now_s)
        self._touch_all()

    def handle(self, facts: Iterable[e.Fact], now_s: float) -> Outcome:
        """Take all facts of one instant and decide once.

        Parameters
        ----------
        facts : iterable of Fact
            What happened since the last call; may repeat and be late.
        now_s : float
            Driver's clock, seconds; an earlier time than before is taken as
            the latest one known.

        Returns
        -------
        Outcome
            Records to journal and commands to execute then.
        """
        before_s = self.state.now_s
        now_s = max(now_s, before_s)
        records: list[Record] = []
        for fact in facts:
            self._take(fact, now_s, records)
        self.state.now_s = now_s
        self._touched |= {n for n, due in self._retries.items() if due <= now_s}
        visited: set[str] = set()
        while self._touched or self._moved_on or self._nodes_changed:
            touched, self._touched = self._touched, set()
            names, self._moved_on = touched | self._moved_on, set()
            visited |= names
            found = [self.state.simulations[name] for name in names]
            found.sort(key=lambda simulation: simulation.serial)
            for simulation in found:
                decide = next_records if simulation.name in touched else move_on
                for record in decide(self.state, simulation, self.policies):
                    self._take(record, now_s, records)
            # A finished segment changes no demand; a decision on it may, and
            # touches the simulation.
            touched |= self._touched
            self._allocate([s for s in found if s.name in touched], now_s, records)
            if len(records) > MOST_RECORDS:
                raise InternalError(
                    f"deciding does not end: {records[-1]!r} comes again and again"
                )
        for name in visited:
            self._note_retry(self.state.simulations[name])
        if not records:
            # The state is what the journal says, its clock included.
            self.state.now_s = before_s
        commands = tuple(filter(is_command, records))
        return Outcome(
            records=tuple(records),
            commands=commands,
            wake_at_s=min(self._retries.values(), default=None),
        )

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, or nothing more may be done."""
        simulations = self.state.simulations.values()
        if self.state.stopping:
            ended = not any(s.lease for s in simulations)
        else:
            ended = all(
                simulation.settled
                or (
                    not simulation.lease
                    and (
                        simulation.failed is not None
                        or simulation.control is not Control.RUN
                    )
                )
                for simulation in simulations
            )
        return ended and not any(
            c.deleting for _, s in self.state.sets() for c in s.commits.values()
        )

    def _take(self, record: Record, now_s: float, records: list[Record]) -> None:
        apply(self.state, record, now_s)
        records.append(record)
        self._touch(record)

    def _touch(self, record: Record) -> None:
        """Remember which simulations a record may concern."""
        if type(record) in CONCLUSIVE:
            return
        simulations = self.state.simulations
        match record:
            case e.SegmentFinished():
                if record.simulation in simulations:
                    self._moved_on.add(record.simulation)
            case e.DriverStarted() | e.DriverStopped() | e.StopRequested():
                self._touch_all()
            case e.WishTaken():
                self._touch(record.wish)
            case e.DrainRequested() | e.UndrainRequested():
                self._nodes_changed = True
                self._touched |= {
                    s.name for s in simulations.values() if record.node in s.lease
                }
            case e.NodeJoined() | e.NodeLost():
                self._nodes_changed = True
                self._touched |= {
                    s.name for s in simulations.values() if len(s.lease) < s.granted
                }
            case e.CampaignOpened() | e.ProjectDeclared():
                pass
            case _:
                if record.simulation in simulations:
                    self._touched.add(record.simulation)
                if isinstance(record, e.RuleEvaluated):
                    self._touched |= {added.simulation for added in record.added}

    def _touch_all(self) -> None:
        self._touched |= self.state.simulations.keys()
        self._nodes_changed = True

    def _allocate(
        self,
        found: Iterable[SimulationState],
        now_s: float,
        records: list[Record],
    ) -> None:
        """Ask the policy who gets which nodes, where anything changed."""
        changed = self._nodes_changed
        self._nodes_changed = False
        for simulation in found:
            grounds = _grounds(self.state, simulation)
            if self._grounds.get(simulation.name) == grounds:
                continue
            self._grounds[simulation.name] = grounds
            demand = _demand(self.state, simulation)
            if self._demands.get(simulation.name) != demand:
                self._demands[simulation.name] = demand
                changed = True
        if not changed:
            return
        demands = self._demands.values()
        self.allocation = allocate(
            [demand.claim for demand in demands if demand.claim is not None],
            _offers(self.state, demands),
        )
        for name, nodes in self.allocation.leases.items():
            self._take(
                SetLease(simulation=name, nodes=nodes, why="its turn"), now_s, records
            )
        for name, keep in self.allocation.shrink.items():
            if self.state.simulations[name].shrink_to is None:
                self._take(ShrinkPlanned(simulation=name, nodes=keep), now_s, records)

    def _note_retry(self, simulation: SimulationState) -> None:
        """Keep when a simulation must be looked at again without a fact."""
        times = [
            s.retry_at_s
            for s in simulation.sets.values()
            if s.retry_at_s > self.state.now_s
        ]
        if times and (simulation.wants_nodes or simulation.lease):
            self._retries[simulation.name] = min(times)
        else:
            self._retries.pop(simulation.name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """What a simulation wants, and the nodes that it will give back."""

    claim: Claim | None
    leaving: tuple[str, ...]


_Nodes = tuple[str, ...]
_Grounds = tuple[bool, SimulationPlan, int, int | None, _Nodes, _Nodes]


def _grounds(state: CampaignState, simulation: SimulationState) -> _Grounds:
    """All that `_demand` looks at: on the same grounds the demand is the same."""
    return (
        state.stopping or not simulation.wants_nodes,
        simulation.plan,
        simulation.priority,
        simulation.shrink_to,
        simulation.lease,
        state.undrained(simulation.lease),
    )


def _demand(state: CampaignState, simulation: SimulationState) -> _Demand:
    plan, keep = simulation.plan, simulation.shrink_to
    lease = state.undrained(simulation.lease)
    if state.stopping or not simulation.wants_nodes:
        return _Demand(claim=None, leaving=lease)
    if keep is None or keep < plan.nodes:
        keep, most = len(lease), plan.most_nodes
    else:
        # It is giving nodes back: it gets none meanwhile.
        most = keep
    claim = Claim(
        simulation=simulation.name,
        priority=simulation.priority,
        serial=simulation.serial,
        nodes=plan.nodes,
        most_nodes=most,
        memory_bytes=plan.memory_bytes,
        held=lease[:keep],
        moving=lease != simulation.lease,
    )
    return _Demand(claim=claim, leaving=lease[keep:])


def _offers(state: CampaignState, demands: Iterable[_Demand]) -> list[NodeOffer]:
    leaving = {node for demand in demands for node in demand.leaving}
    return [
        NodeOffer(
            name=node.name,
            memory_bytes=node.memory_bytes,
            leaving=node.name in leaving,
        )
        for node in state.nodes.values()
        if node.name not in state.draining
    ]


def claims(state: CampaignState) -> tuple[Claim, ...]:
    """Return what each simulation with work asks for."""
    demands = (_demand(state, s) for s in state.simulations.values())
    return tuple(demand.claim for demand in demands if demand.claim is not None)


def offers(state: CampaignState) -> tuple[NodeOffer, ...]:
    """Return the nodes that are up, with those that will be given back."""
    demands = [_demand(state, s) for s in state.simulations.values()]
    return tuple(_offers(state, demands))
