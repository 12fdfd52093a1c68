"""Plays a case in the twin: lives of drivers, and all that happens meanwhile.

Each life is a twin of its own with a fresh orchestrator, which replays the journal
of those before. Every decision is audited before it is carried out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.state import CampaignState
from climorch.forecast.ledger import Bookkeeper
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.events import Fact
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants import durable
from climorch.testing.invariants import states as holds
from climorch.testing.invariants.audit import Audit
from climorch.testing.invariants.courses import Courses
from climorch.testing.invariants.refusing import refusing
from climorch.testing.seeds.actions import (
    calming,
    extended,
    found_late,
    half_deleted,
    is_known,
    rotten,
    scrubbed,
)
from climorch.testing.seeds.answering import Answering
from climorch.testing.seeds.case import (
    Case,
    Cut,
    Death,
    Event,
    Extend,
    Rot,
    Stop,
    Strike,
    Tell,
)
from climorch.testing.seeds.depot import DepotWorld
from climorch.testing.seeds.disk import PowerCut, RealDisk
from climorch.testing.seeds.ending import see_the_end
from climorch.testing.seeds.relay import Relay
from climorch.testing.seeds.values import Values
from climorch.twin.driver import Twin
from climorch.twin.site import TwinSite
from climorch.twin.world import NOBODY

__all__ = ["Machine"]

HOUR_S = 3600.0
# When nothing goes wrong any more, and by when all has ended then: seconds.
CALM_S = 8 * HOUR_S
LAST_S = 60 * 24 * HOUR_S
CALM_PAUSE_S = 10.0
# Slow comparisons are made once in so many decisions.
SLOW_EVERY = 8
MOST_RECORDS = 60_000


class _Died(Exception):  # noqa: N818
    """The driver is dead; not an error."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Calm:
    """From now on nothing goes wrong, and nobody holds anything back."""

    at_s: float = CALM_S


class Machine:
    """Plays one case.

    Parameters
    ----------
    case : Case
        Which.
    shelf : RealDisk or None
        Where journal and checkpoints really lie, of a case with a real disk.

    Attributes
    ----------
    journal : list of (Record, float)
        What was journaled, with its times.
    lives : int
        Drivers so far.
    relay : Relay
        Between the world and the drivers.
    """

    def __init__(self, case: Case, shelf: RealDisk | None = None) -> None:
        self.case = case
        self.shelf = shelf
        self.disk = FakeDisk()
        self.journal: list[tuple[Record, float]] = []
        self.lives = 0
        self.audit = Audit(self.disk, case.policies)
        self.values = Values(Courses(self.audit.auditor))
        self.relay = Relay(case, self.disk, self.values, self, shelf)
        self.depot = _depot_of(self)
        self.keeper = Bookkeeper()
        self._users = Answering(case, self.values.courses)
        self.replica = Orchestrator(refusing())
        self._events: list[Event | _Calm] = [*case.events, _Calm()]
        self._decisions = 0
        self._death: Death | None = None
        self._away_s = 0.0
        self._under_way: list[tuple[Record, float]] = []
        self._down: list[tuple[tuple[str, ...], float]] = []
        self._twin: Twin

    @property
    def state(self) -> CampaignState:
        """The orchestrator's; only read."""
        return self._twin.orchestrator.state

    @property
    def orchestrator(self) -> Orchestrator:
        """Of the driver that lives now, or died last."""
        return self._twin.orchestrator

    @property
    def now_s(self) -> float:
        """Driver's clock, seconds."""
        return self._twin.now_s

    def play(self) -> None:
        """Play it to the end; raises where an invariant breaks."""
        self._begin(0.0, e.CampaignOpened(campaign="drawn", version="0"))
        while True:
            try:
                ledger = self._twin.run(LAST_S - self._twin.begin_s)
            except _Died:
                self._begin(self.now_s + self._away_s)
                continue
            except PowerCut:
                self._recover()
                self._begin(self.now_s + self._away_s)
                continue
            holds.the_books_balance(ledger)
            if not self._twin.ended:
                break
            stopped = self.state.stopping
            if not (stopped or self._events):
                break
            self._leave()
            now_s = self.now_s
            next_s = now_s + self._away_s if stopped else self._events[0].at_s
            self._begin(max(next_s, now_s))
        see_the_end(self)

    def _begin(self, now_s: float, *facts: Fact) -> None:
        """Let a driver start: it replays, and finds what is on the disk."""
        case = self.case
        self.lives += 1
        self._death = None
        if self.shelf is not None:
            self._look(self.shelf, now_s)
        orchestrator = Orchestrator(case.policies)
        orchestrator.replay(self.journal)
        holds.replay_gives_an_equal_state(self.replica.state, orchestrator.state)
        self._twin = Twin(
            orchestrator,
            shifted(case.site, now_s),
            seed=case.seed * 64 + self.lives,
            begin_s=now_s,
            rules=self._users.rule,
            remedies=self._users.remedy,
            watcher=self._decided,
            hearing=self.relay,
            carrying=self.depot.begin(now_s) if self.depot is not None else NOBODY,
        )
        started = e.DriverStarted(epoch=self.lives, host="fake", pid=self.lives)
        told = case.facts if facts else ()
        self.relay.begin()
        found = self.disk.found(orchestrator.state)
        self._twin.post(*facts, started, *told, *found)
        for nodes, until_s in [d for d in self._down if d[1] > now_s]:
            self._take(nodes, until_s)
        for event in self._events:
            happens = partial(self._happens, event)
            if isinstance(event, _Calm) and event.at_s <= now_s:
                # What came while nobody was there is told before all is undone.
                self._twin.at(CALM_PAUSE_S, happens)
            else:
                self.schedule(event.at_s - now_s, happens)

    def _look(self, shelf: RealDisk, now_s: float) -> None:
        """Compare what is really there with what was told to be."""
        shelf.begin(self.lives, now_s)
        found, under_way = shelf.found(self.replica.state), shelf.in_flight
        durable.what_was_committed_is_there(self.disk, found, under_way)
        for place, (attempt, _) in found.items():
            if place == under_way:
                self.disk.commit(found_late(place, attempt))
        shelf.in_flight = None

    def _recover(self) -> None:
        """Find what is left after the power was gone."""
        shelf = self.shelf
        assert shelf is not None
        rows = shelf.recover()
        durable.what_was_journaled_is_there(rows, self.journal, self._under_way)
        for record, now_s in rows[len(self.journal) :]:
            self.journal.append((record, now_s))
            self.replica.replay([(record, now_s)])
            self.audit.read((record,), now_s)
            self.keeper.note(record, now_s)

    def _leave(self) -> None:
        """Let a driver leave that has nothing to do, or was asked to."""
        stopped = e.DriverStopped(reason="stop")
        try:
            self._note(self._twin.orchestrator.handle([stopped], self.now_s))
        except PowerCut:
            self._recover()

    def _decided(self, outcome: Outcome, now_s: float) -> None:
        """Journal and audit a decision, unless the driver dies first."""
        death = self._death
        if death is not None:
            death = dataclasses.replace(death, decisions=death.decisions - 1)
            self._death = death
            if death.decisions <= 0 and not death.journaled:
                self._die(death.away_s)
        self._note(outcome)
        if death is not None and death.decisions <= 0:
            self._die(death.away_s)

    def _die(self, away_s: float) -> None:
        self._away_s = away_s
        # What was under way on the disk is done, or was never begun.
        for fact in half_deleted(self.replica.state, self.lives):
            self.relay(fact)
        raise _Died

    def _note(self, outcome: Outcome) -> None:
        state = self.state
        stamped = [(record, state.now_s) for record in outcome.records]
        if self.shelf is not None:
            self._under_way = stamped
            self.shelf.append(stamped)
            self._under_way = []
        self.journal += stamped
        self.replica.replay(stamped)
        self.audit.read(outcome.records, state.now_s)
        for record in outcome.records:
            self.keeper.note(record, state.now_s)
        self.audit.settle(state)
        holds.decisions_come_to_an_end(len(self.journal), MOST_RECORDS)
        self._decisions += 1
        if self._decisions % SLOW_EVERY == 0:
            self.audit.balance(state)
            holds.replay_gives_an_equal_state(self.replica.state, state)
            holds.deciding_again_gives_nothing(self._twin.orchestrator, state.now_s)

    def later(self, delay_s: float, fact: Fact) -> None:
        """Let a fact arrive after a delay, unless the driver dies before."""
        since_s = self.now_s - self._twin.begin_s
        self._twin.post(fact, after_s=since_s + delay_s)

    def schedule(self, delay_s: float, do: Callable[[], None]) -> None:
        """Let something be done after a delay, unless the driver dies before."""
        since_s = self.now_s - self._twin.begin_s
        self._twin.at(since_s + delay_s, do, awaited=False)

    def strike(self, nodes: tuple[str, ...], lasts_s: float) -> None:
        """Take nodes down for a while."""
        until_s = self.now_s + lasts_s
        self._down.append((nodes, until_s))
        self._take(nodes, until_s)

    def _take(self, nodes: tuple[str, ...], until_s: float) -> None:
        cluster = self._twin.world.cluster
        cluster.take(nodes, "struck")
        self.schedule(until_s - self.now_s, partial(cluster.give_back, nodes))

    def _happens(self, event: Event | _Calm) -> None:
        self._events.remove(event)
        match event:
            case Strike():
                self.strike(event.nodes, event.lasts_s)
            case Tell() if is_known(self.state, event.fact):
                self.later(0.0, event.fact)
            case Extend():
                most = len(self.case.site.node_names)
                changed = extended(self.state, event, most_nodes=most)
                if changed is not None:
                    self.later(0.0, changed)
            case Rot():
                _rot(self, event)
            case Death():
                self._death = event
            case Stop():
                self._away_s = event.away_s
                self.later(0.0, e.StopRequested())
            case Cut() if self.shelf is not None:
                self._away_s = event.away_s
                self.shelf.arm(event.operations, journal=event.journal)
            case _Calm():
                self._calm_down()

    def _calm_down(self) -> None:
        self.relay.calm = True
        if self.depot is not None:
            self.depot.calm = True
        self._death = None
        if self.shelf is not None:
            # What is undone now would be lost.
            self.shelf.disarm()
        for fact in calming(self.state):
            self.later(0.0, fact)


def _depot_of(machine: Machine) -> DepotWorld | None:
    """Make the archive of a case, if it has one."""
    depot, relay = machine.case.depot, machine.relay
    if depot is None:
        return None
    return DepotWorld(
        depot,
        machine.disk,
        machine.values,
        machine,
        tell=relay.tell,
        unreadable=relay.unreadable,
        bad=lambda place: place in relay.rotten,
    )


def _rot(machine: Machine, event: Rot) -> None:
    """Let a checkpoint go bad, if there is any."""
    place = rotten(machine.state, machine.disk, event)
    if place is None:
        return
    simulation, name, boundary = place
    machine.relay.spoil(simulation, name, boundary)
    if event.scrubbed:
        machine.relay.rotten.discard(place)
        machine.disk.of(simulation, name)[boundary].damaged = True
        machine.later(0.0, scrubbed(place))


def shifted(site: TwinSite, now_s: float) -> TwinSite:
    """Return a site as it is from a time on: what is slow, and until when."""
    storage, loads = site.storage, site.loads
    spells = tuple(
        dataclasses.replace(
            s, start_s=max(s.start_s - now_s, 0.0), stop_s=s.stop_s - now_s
        )
        for s in storage.spells
        if s.stop_s > now_s
    )
    if loads is not None:
        given = tuple(
            dataclasses.replace(
                x, start_s=max(x.start_s - now_s, 0.0), stop_s=x.stop_s - now_s
            )
            for x in loads.given
            if x.stop_s > now_s
        )
        loads = dataclasses.replace(loads, given=given)
    storage = dataclasses.replace(storage, spells=spells)
    return dataclasses.replace(site, storage=storage, loads=loads)
