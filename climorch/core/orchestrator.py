"""The one loop of decisions: facts in, records and commands out.

Knows no clock, no disk and no cluster. The live driver and the twin feed the
same orchestrator; replay feeds the records of a journal and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

import msgspec

from climorch.core.bids import Bids
from climorch.core.fold import apply
from climorch.core.holds import is_over
from climorch.core.horizon import next_edge_s
from climorch.core.leasing import leased
from climorch.core.progress import Policies, move_on, next_records
from climorch.core.promising import Ranks
from climorch.core.retries import Retries
from climorch.core.seating import ended_windows, place_windows
from climorch.core.shunning import next_trial_s, verdicts
from climorch.core.state import CampaignState, SimulationState
from climorch.core.upkeep import quarantine_nodes
from climorch.errors import InternalError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import (
    Command,
    NodeShunned,
    NodeTrusted,
    PromiseRanked,
    Record,
    SharingSet,
    WindowEnded,
    WindowPlaced,
    is_command,
)
from climorch.policy.claims import Allocation
from climorch.policy.outdoing import in_question

__all__ = ["Orchestrator", "Outcome"]

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
        c.CheckpointPostponed,
        c.BeginCheckpoint,
        c.CopyPlanned,
        c.BeginCopy,
        c.PublishResults,
        c.DeleteCheckpoint,
        c.ArchiveCheckpoint,
        c.ArchiveResults,
        # All that was to be decided on the way is part of it.
        e.SetAdvanced,
    }
)

# What most other records are: they concern their simulation, and nobody else.
OWN = (
    e.CheckpointCommitted,
    e.ResultsPublished,
    e.CheckpointDeleted,
    c.SetLease,
    c.StartAttempt,
    e.SetRestored,
)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
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


Asked = Callable[[float, Iterable[str] | None], Iterable[e.Fact]]
"""``asked(now_s, names)`` tells what simulations did by themselves; None: all."""


def nothing_new(now_s: float, names: Iterable[str] | None) -> Iterable[e.Fact]:
    """Tell nothing; a twin in coarse mode tells how far some are, or all."""
    return ()


class Orchestrator:
    """Decides what runs where and when.

    Parameters
    ----------
    policies : Policies
        The rules.
    state : CampaignState or None
        State to go on from; None: an empty campaign.

    Attributes
    ----------
    passes : int
        How often it was decided about nodes so far.
    asked : callable
        Tells what simulations did by themselves, before it is decided on.
    """

    def __init__(self, policies: Policies, state: CampaignState | None = None) -> None:
        self.policies = policies
        self.state = state or CampaignState()
        self.passes = 0
        self.asked: Asked = nothing_new
        # None of this is memory: it is made anew after a replay.
        self._touched: set[str] = set()
        # Those of which nothing but finished segments was heard.
        self._moved_on: set[str] = set()
        self._bids = Bids(policies.sharing.slice_s)
        self._ranks = Ranks(policies.promise)
        self._retries = Retries()
        self._paced: set[str] = set()
        self._nodes_changed = True
        self._ask_again = self._losses = False
        self._edge_s, self._trial_s = -math.inf, math.inf
        self._timed = False
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
        started = False
        for fact in facts:
            self._take(fact, now_s, records)
            started |= isinstance(fact, e.DriverStarted)
        half_life_s = self.policies.sharing.half_life_s
        if started and half_life_s != self.state.half_life_s:
            self._take(SharingSet(half_life_s=half_life_s), now_s, records)
        self.state.now_s = now_s
        self._look_for_losses()
        self._touched |= self._retries.due(now_s)
        self._pass_edges(now_s, records)
        visited: set[str] = set()
        while self._touched or self._moved_on or self._nodes_changed or self._ask_again:
            touched, self._touched = self._touched, set()
            names, self._moved_on = touched | self._moved_on, set()
            visited |= names
            self._hear(names, now_s, records)
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
            self._retries.note(self.state, self.state.simulations[name])
        if not records:
            # The state is what the journal says, its clock included.
            self.state.now_s = before_s
        return Outcome(
            records=tuple(records),
            commands=tuple(filter(is_command, records)),
            wake_at_s=self._wake_at_s(),
        )

    @property
    def allocation(self) -> Allocation:
        """What was decided about nodes last."""
        return self._bids.decided

    def _wake_at_s(self) -> float | None:
        """When time alone may change a decision; None: never."""
        edges = self._edge_s, self._trial_s, self._bids.review_at_s
        first_s = min(self._retries.first_s, *edges)
        return None if first_s == math.inf else first_s

    def _pass_edges(self, now_s: float, records: list[Record]) -> None:
        """Look again at whoever is on nodes that came, went, or are slow now."""
        for verdict in verdicts(self.state, self._paced, self.policies.moving):
            self._take(verdict, now_s, records)
        self._paced.clear()
        self._trial_s = next_trial_s(self.state)
        if self._bids.review_at_s <= now_s:
            self._ask_again = True
        if self._edge_s <= now_s:
            for decision in ended_windows(self.state):
                self._take(decision, now_s, records)
            self._nodes_changed = True
            self._touched |= _with_leases(self.state)
        timed = self.state.timed
        self._edge_s = next_edge_s(self.state) if timed else math.inf
        if timed is not self._timed:
            # How long each needs its nodes is asked only where any of them go.
            self._timed = timed
            self._touch_all()

    @property
    def over(self) -> bool:
        """As `is_over`."""
        return is_over(self.state)

    def _take(self, record: Record, now_s: float, records: list[Record]) -> None:
        state = self.state
        known = state.outdone
        apply(state, record, now_s)
        if state.outdone is not known:
            self._ask_again |= _blames(state, self.policies)
        records.append(record)
        self._ranks.note(state, record)
        self._touch(record)

    def _touch(self, record: Record) -> None:
        """Remember which simulations a record may concern."""
        if type(record) in CONCLUSIVE:
            return
        simulations = self.state.simulations
        if isinstance(record, OWN):
            if record.simulation in simulations:
                self._touched.add(record.simulation)
            return
        match record:
            case e.SegmentFinished() | e.CopyHeld() | e.CopyFailed():
                if record.simulation in simulations:
                    self._moved_on.add(record.simulation)
                if isinstance(record, e.SegmentFinished):
                    self._paced.update(record.paces)
            case e.DriverStarted() | e.DriverStopped() | e.StopRequested():
                self._touch_all()
            case e.WishTaken():
                self._touch(record.wish)
            case e.DrainRequested() | e.UndrainRequested() | c.NodeQuarantined():
                self._nodes_changed = True
                self._touched |= _with_leases(self.state, record.node)
            case e.NodeDeadline():
                self._nodes_changed, self._edge_s = True, -math.inf
                self._touched |= _with_leases(self.state, record.node)
            case e.NodeJoined() | e.NodeLost():
                self._nodes_changed = self._losses = True
            case (
                e.WindowDeclared()
                | e.WindowWithdrawn()
                | WindowPlaced()
                | WindowEnded()
            ):
                self._nodes_changed = True
                self._edge_s = -math.inf
                self._touched |= _with_leases(self.state)
            case e.ProjectDeclared():
                # With another share or budget, perhaps.
                own = {s.name for s in self.state.of_project(record.project.name)}
                self._touched |= own
                self._ask_again |= bool(own)
            case NodeShunned() | NodeTrusted():
                self._nodes_changed = True
            case e.CampaignOpened() | e.SiteTold() | SharingSet() | PromiseRanked():
                pass
            case _:
                if record.simulation in simulations:
                    self._touched.add(record.simulation)
                if isinstance(record, e.RuleEvaluated):
                    self._touched |= {fact.simulation for fact in record.consequences}

    def _look_for_losses(self) -> None:
        """Touch whoever lacks nodes of its lease, once for all that came or went."""
        if self._losses:
            self._losses = False
            simulations = self.state.simulations.values()
            self._touched |= {s.name for s in simulations if len(s.lease) < s.granted}

    def _touch_all(self) -> None:
        self._touched |= self.state.simulations.keys()
        self._nodes_changed = True

    def _allocate(
        self,
        found: list[SimulationState],
        now_s: float,
        records: list[Record],
    ) -> None:
        """Ask the policy who gets which nodes, where anything changed."""
        moved, changed = self._nodes_changed, self._nodes_changed or self._ask_again
        self._nodes_changed = self._ask_again = False
        if changed:
            apart = quarantine_nodes(self.state, self.policies)
            for decision in chain(apart, place_windows(self.state)):
                self._take(decision, now_s, records)
            # Whoever holds what was set apart asks for something else from now on.
            known = {simulation.name for simulation in found}
            found += [self.state.simulations[n] for n in sorted(self._touched - known)]
        if moved or self._nodes_changed:
            self._bids.lay_out(self.state)
        for ranked in self._ranks.due(self.state):
            self._take(ranked, now_s, records)
            found += self.state.of_project(ranked.project)
        for simulation in found:
            changed |= self._bids.see(self.state, simulation, self.policies)
        if not changed:
            return
        hear_all = partial(self._hear, None, now_s, records)
        self.passes += 1
        decided = self._bids.decide(self.state, self.policies, hear_all)
        self._hear(decided.concerned, now_s, records)
        for record in leased(self.state, decided):
            self._take(record, now_s, records)

    def _hear(
        self, names: Iterable[str] | None, now_s: float, records: list[Record]
    ) -> None:
        """Ask how far some are, or all, before anything is decided on it."""
        for fact in self.asked(now_s, names):
            self._take(fact, now_s, records)


def _blames(state: CampaignState, policies: Policies) -> bool:
    """Tell whether a node may be to blame for what failed there."""
    return in_question(state.outdone, policies.recovery.quarantine)


def _with_leases(state: CampaignState, node: str = "") -> set[str]:
    """Name whoever holds nodes, or one of them."""
    simulations = state.simulations.values()
    return {s.name for s in simulations if (node in s.lease if node else s.lease)}
