"""The world of a virtual cluster: takes commands, answers with facts.

Knows which lease stands on which nodes and who works there. Ignores why: that
the orchestrator decides, here as on a real cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.cluster import VirtualCluster
from climorch.twin.copies import PartnerMemory
from climorch.twin.costs import Overheads
from climorch.twin.draws import Draws
from climorch.twin.lab import Lab, Price
from climorch.twin.ledger import Ledger
from climorch.twin.prices import Prices
from climorch.twin.scoring import score_by
from climorch.twin.site import TwinSite
from climorch.twin.storage import SharedStorage
from climorch.twin.work import SetWork

if TYPE_CHECKING:
    import simpy

__all__ = [
    "NOBODY",
    "Carrying",
    "RemedyAnswer",
    "RuleAnswer",
    "World",
    "no_change",
    "no_edits",
]

RuleAnswer = Callable[[CampaignState, c.EvaluateRule], e.RuleEvaluated | e.RuleFailed]


RemedyAnswer = Callable[[CampaignState, c.AskRemedy], e.RemedyGiven]


Carrying = Mapping[type[Any], Callable[[Any], None]]
"""By kind of command: who carries it out instead of this world."""

NOBODY: Carrying = MappingProxyType({})


def no_edits(state: CampaignState, command: c.EvaluateRule) -> e.RuleEvaluated:
    """Answer of a rule that adds nothing."""
    return e.RuleEvaluated(
        simulation=command.simulation, rule=command.rule, at=command.at
    )


def no_change(state: CampaignState, command: c.AskRemedy) -> e.RemedyGiven:
    """Answer of a remedy that lets it be tried as it is."""
    return e.RemedyGiven(
        simulation=command.simulation,
        set=command.set,
        number=command.number,
        retry=True,
    )


def undisturbed(simulation: str) -> None:
    """Nobody has to be told that the work of a simulation is disturbed."""


@dataclass(slots=True)
class _Lease:
    """Nodes of a lease that are up, and those whose death nobody noticed."""

    nodes: list[str] = field(default_factory=list)
    unnoticed: set[str] = field(default_factory=set)
    slowest: float = 1.0


class World:
    """Nodes, storage and the work on them, in virtual time.

    Parameters
    ----------
    env : simpy.Environment
        The kernel.
    site : TwinSite
        What there is; its costs and overheads must be known.
    state : CampaignState
        The orchestrator's; only read.
    seed : int
        Of every random number.
    post : callable
        Takes a fact that has arrived.
    rules : callable
        Answers for the user's rules.
    remedies : callable
        Answers for the user's remedies.
    carrying : mapping
        Who carries out what this world does not, such as archiving.

    Attributes
    ----------
    ledger : Ledger
        The books.
    cluster : VirtualCluster
        The nodes.
    lab : Lab
        What all sets share.
    disturbed : callable
        Told whose work is disturbed, before it is.
    """

    def __init__(
        self,
        env: simpy.Environment,
        site: TwinSite,
        state: CampaignState,
        *,
        seed: int,
        post: Callable[[e.Fact], None],
        rules: RuleAnswer = no_edits,
        remedies: RemedyAnswer = no_change,
        carrying: Carrying = NOBODY,
    ) -> None:
        self._env = env
        self._state = state
        self._post = post
        self._rules = rules
        self._remedies = remedies
        self._law = site.scores
        begin_s = float(env.now)
        self._overheads = site.overheads or Overheads()
        draws = Draws(seed)
        self.ledger = Ledger(begin_s)
        self.cluster = VirtualCluster(env, site, draws, post=post, residents=self)
        self._prices = Prices(site, draws, self.cluster.speeds, begin_s)
        self.lab = Lab(
            env=env,
            storage=SharedStorage(env, site.storage),
            overheads=self._overheads,
            ledger=self.ledger,
            post=post,
            price=self._price,
            nodes=lambda simulation: len(self._leases[simulation].nodes),
        )
        self.disturbed: Callable[[str], None] = undisturbed
        self._copies = PartnerMemory(
            self.lab, lambda simulation: self._leases[simulation].nodes
        )
        self._leases: dict[str, _Lease] = {}
        self._holder: dict[str, str] = {}
        self._mourners: dict[str, str] = {}
        self._sets: dict[str, dict[str, SetWork]] = {}
        self._execute: dict[type[Any], Callable[[Any], None]] = {
            c.SetLease: self._lease,
            c.StartAttempt: self._start,
            c.StartSegment: self._segment,
            c.BeginCheckpoint: self._checkpoint,
            c.BeginCopy: self._copy,
            c.SalvageCopy: self._salvage,
            c.AbandonAttempt: self._abandon,
            c.PublishResults: self._publish,
            c.DeleteCheckpoint: self._delete,
            c.EvaluateRule: self._evaluate,
            c.EvaluateScore: self._score,
            c.AskRemedy: self._remedy,
            **carrying,
        }

    def holder_of(self, node: str) -> str | None:
        """Return the simulation whose lease a node that is up is in."""
        return self._holder.get(node)

    @property
    def leased(self) -> bool:
        """Whether anybody holds a node that is up."""
        return bool(self._holder)

    def execute(self, command: c.Command) -> None:
        """Begin what a command asks for."""
        self._execute[type(command)](command)

    def noticed(self, node: str) -> None:
        """Let what stood still for a node go on, now that its death is known.

        Called after the commands that the loss led to: what they abandoned is
        gone already.
        """
        name = self._mourners.pop(node, None)
        if name is not None:
            self._leases[name].unnoticed.discard(node)
            self._mend(name)

    def died(self, node: str) -> None:
        """Let all that a node held be gone; nobody has noticed."""
        if node in self._holder:
            self.disturbed(self._holder[node])
        holder = self._holder.pop(node, None)
        self.ledger.node_down(holder, self._env.now)
        if holder is not None:
            lease = self._leases[holder]
            lease.nodes.remove(node)
            lease.unnoticed.add(node)
            self._mourners[node] = holder
            self._time(lease)
            for work in self._sets.get(holder, {}).values():
                work.freeze()
            self._copies.died(holder, node)

    def came(self, node: str) -> None:
        """Count a node that is there, empty."""
        self.ledger.node_up(self._env.now)

    def _mend(self, name: str) -> None:
        if not self._leases[name].unnoticed:
            for own, work in self._sets.get(name, {}).items():
                if work.frozen:
                    self._copies.mend(name, own)
                    work.mend()

    def _time(self, lease: _Lease) -> None:
        speeds = self.cluster.speeds
        lease.slowest = min((speeds[node] for node in lease.nodes), default=1.0)

    def _lease(self, command: c.SetLease) -> None:
        name, up = command.simulation, self.cluster.up
        lease = self._leases.setdefault(name, _Lease())
        for node in lease.nodes:
            del self._holder[node]
        lease.nodes = [node for node in command.nodes if node in up]
        lease.unnoticed = {node for node in command.nodes if node not in up}
        self._mourners |= dict.fromkeys(lease.unnoticed, name)
        for node in lease.nodes:
            self._holder[node] = name
        self._time(lease)
        self.ledger.hold(name, len(lease.nodes), self._env.now)
        self._mend(name)

    def work(self, simulation: str, name: str) -> SetWork:
        """Return what a set of a simulation has under way."""
        sets = self._sets.setdefault(simulation, {})
        work = sets.get(name)
        if work is None:
            work = sets[name] = SetWork(self.lab, simulation, name)
        return work

    def _start(self, command: c.StartAttempt) -> None:
        work = self.work(command.simulation, command.set)
        s = self._state.simulations[command.simulation].sets[command.set]
        commit = s.commits.get(command.boundary)
        work.start(
            command,
            rung=s.rung_of(command.boundary),
            bytes_read=commit.bytes_state if commit else 0,
        )
        if self._leases[command.simulation].unnoticed:
            work.freeze()

    def _segment(self, command: c.StartSegment) -> None:
        plan = self._state.simulations[command.simulation].plan
        work = self.work(command.simulation, plan.set_of[command.stage])
        work.segment(command)

    def _checkpoint(self, command: c.BeginCheckpoint) -> None:
        self.work(command.simulation, command.set).checkpoint(command)

    def _copy(self, command: c.BeginCopy) -> None:
        self._copies.copy(command, self.work(command.simulation, command.set))

    def _salvage(self, command: c.SalvageCopy) -> None:
        self._copies.salvage(command, self.work(command.simulation, command.set))

    def _abandon(self, command: c.AbandonAttempt) -> None:
        self._copies.drop(command.simulation, command.set)
        self.work(command.simulation, command.set).abandon()

    def _later(self, delay_s: float, fact: e.Fact) -> None:
        timeout = self._env.timeout(delay_s)
        timeout.callbacks.append(lambda _: self._post(fact))

    def _publish(self, command: c.PublishResults) -> None:
        self._later(
            self._overheads.publish_s,
            e.ResultsPublished(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
            ),
        )

    def _delete(self, command: c.DeleteCheckpoint) -> None:
        self._later(
            self._overheads.delete_s,
            e.CheckpointDeleted(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
            ),
        )

    def _evaluate(self, command: c.EvaluateRule) -> None:
        def answer(_: object) -> None:
            self._post(self._rules(self._state, command))

        self._env.timeout(0.0).callbacks.append(answer)

    def _score(self, command: c.EvaluateScore) -> None:
        self._later(
            self._overheads.publish_s, score_by(self._law, self._state, command)
        )

    def _remedy(self, command: c.AskRemedy) -> None:
        def answer(_: object) -> None:
            self._post(self._remedies(self._state, command))

        self._env.timeout(0.0).callbacks.append(answer)

    def _price(self, simulation: str, stage: str, segment: int, now_s: float) -> Price:
        """Say what a segment that starts now takes on its lease as it is."""
        plan, lease = self._state.simulations[simulation].plan, self._leases[simulation]
        place = (simulation, stage, segment)
        return self._prices.of(plan, place, lease.nodes, lease.slowest, now_s)
