"""The one loop of decisions: facts in, records and commands out.

Knows no clock, no disk and no cluster. The live driver and the twin feed the
same orchestrator; replay feeds the records of a journal and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from climorch.core.fold import apply
from climorch.core.progress import Policies, holding, next_records
from climorch.core.state import CampaignState, Control, SimulationState
from climorch.errors import InternalError
from climorch.model.commands import Command, Record, SetLease, ShrinkPlanned
from climorch.model.events import Fact
from climorch.policy.allocation import Allocation, Claim, NodeOffer, allocate

__all__ = ["Orchestrator", "Outcome", "claims", "offers"]

# A simulation that yields more records than this at one instant goes round in
# circles; its journal would fill the disk.
MOST_RECORDS = 100_000


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
        self._asked: tuple[tuple[Claim, ...], tuple[NodeOffer, ...]] | None = None

    def replay(self, records: Iterable[tuple[Record, float]]) -> None:
        """Apply journaled records with their times; decides nothing."""
        for record, now_s in records:
            apply(self.state, record, now_s)

    def handle(self, facts: Iterable[Fact], now_s: float) -> Outcome:
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
        now_s = max(now_s, self.state.now_s)
        self.state.now_s = now_s
        records: list[Record] = []
        for fact in facts:
            self._take(fact, now_s, records)
        settled = 0
        while True:
            for simulation in list(self.state.simulations.values()):
                for record in next_records(self.state, simulation, self.policies):
                    self._take(record, now_s, records)
            self._allocate(now_s, records)
            if len(records) == settled:
                break
            if len(records) > MOST_RECORDS:
                raise InternalError(
                    f"deciding does not end: {records[-1]!r} comes again and again"
                )
            settled = len(records)
        commands = tuple(r for r in records if isinstance(r, Command))
        return Outcome(
            records=tuple(records), commands=commands, wake_at_s=self._wake_at_s()
        )

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, or nothing more may be done."""
        simulations = self.state.simulations.values()
        if self.state.stopping:
            return not any(s.lease for s in simulations)
        if any(c.deleting for _, s in self.state.sets() for c in s.commits.values()):
            return False
        return all(
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

    def _take(self, record: Record, now_s: float, records: list[Record]) -> None:
        apply(self.state, record, now_s)
        records.append(record)

    def _allocate(self, now_s: float, records: list[Record]) -> None:
        """Ask the policy who gets which nodes, where anything changed."""
        asked = (claims(self.state), offers(self.state))
        if asked == self._asked:
            return
        self._asked = asked
        self.allocation = allocate(*asked)
        for name, nodes in self.allocation.leases.items():
            self._take(
                SetLease(simulation=name, nodes=nodes, why="its turn"), now_s, records
            )
        for name, keep in self.allocation.shrink.items():
            if self.state.simulations[name].shrink_to is None:
                self._take(ShrinkPlanned(simulation=name, nodes=keep), now_s, records)

    def _wake_at_s(self) -> float | None:
        times = [
            s.retry_at_s
            for simulation, s in self.state.sets()
            if simulation.wants_nodes and s.retry_at_s > self.state.now_s
        ]
        return min(times, default=None)


def claims(state: CampaignState) -> tuple[Claim, ...]:
    """Return what each simulation with work asks for."""
    return tuple(
        Claim(
            simulation=simulation.name,
            priority=simulation.priority,
            serial=simulation.serial,
            nodes=simulation.plan.nodes,
            most_nodes=simulation.plan.most_nodes,
            memory_bytes=simulation.plan.memory_bytes,
            held=simulation.lease,
        )
        for simulation in _claiming(state)
    )


def offers(state: CampaignState) -> tuple[NodeOffer, ...]:
    """Return the nodes that claims may hold: up, and held by nobody else."""
    claiming = {simulation.name for simulation in _claiming(state)}
    elsewhere = {
        node
        for simulation in state.simulations.values()
        if simulation.name not in claiming
        for node in simulation.lease
    }
    return tuple(
        NodeOffer(name=node.name, memory_bytes=node.memory_bytes)
        for node in state.nodes.values()
        if node.name not in elsewhere
    )


def _claiming(state: CampaignState) -> Iterator[SimulationState]:
    for simulation in state.simulations.values():
        if simulation.wants_nodes and holding(state, simulation) is None:
            yield simulation
