"""A world in memory: takes commands, answers with facts, fails on demand.

Deterministic for a given generator of random numbers. It keeps what a real
world keeps, the checkpoints on its disk and the nodes that are up, and forgets
what a real one forgets when a node or the driver dies. Facts come late, twice
and out of order; one is lost only where reality would make up for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause, Fact
from climorch.testing.fake_answers import (
    DELAYS_S,
    Answers,
    Chances,
    Rule,
    no_children,
)
from climorch.testing.fake_disk import FakeDisk

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Chances", "FakeWorld"]


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    at_s: float
    serial: int
    fact: Fact = field(compare=False)
    first: bool = field(compare=False, default=True)


@dataclass(slots=True)
class _Lease:
    nodes: tuple[str, ...]
    granted: int


# Told by the real world in order and once.
ONCE = e.NodeJoined | e.NodeLost | e.ResultsPublished | e.CheckpointDeleted


class FakeWorld:
    """Nodes, a disk and what computes, all made up.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of delays and failures.
    chances : Chances
        How often what goes wrong; may be replaced at any time.
    rule : callable
        ``rule(simulation, name)`` returns the simulations that a rule adds.
    delays_s : tuple of float
        Delays to draw from, in seconds, >= 0.
    heals_below : float
        Share of a lease whose loss the attempts on it survive; what is lost
        with more is never answered.
    disk : FakeDisk or None
        What is on its disk; None: nothing.

    Attributes
    ----------
    up : dict of str to int
        Memory of each node that is up, in bytes; 0: unlimited.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        chances: Chances | None = None,
        rule: Rule = no_children,
        delays_s: tuple[float, ...] = DELAYS_S,
        heals_below: float = 0.25,
        disk: FakeDisk | None = None,
    ) -> None:
        self.rng = rng
        self.heals_below = heals_below
        self.disk = disk or FakeDisk()
        self.answers = Answers(
            rng,
            chances=chances or Chances(),
            rule=rule,
            delays_s=delays_s,
            disk=self.disk,
        )
        self.up: dict[str, int] = {}
        self._sets: dict[str, dict[str, str]] = {}
        self._leases: dict[str, _Lease] = {}
        self._due: list[_Due] = []
        self._heard_s: dict[str, float] = {}
        self._serial = 0

    @property
    def chances(self) -> Chances:
        """How often what goes wrong; may be replaced at any time."""
        return self.answers.chances

    @chances.setter
    def chances(self, chances: Chances) -> None:
        self.answers.chances = chances

    @property
    def next_at_s(self) -> float | None:
        """When the next fact is due, driver's clock, seconds."""
        return self._due[0].at_s if self._due else None

    def post(self, fact: Fact, at_s: float) -> None:
        """Let a fact arrive at a time, driver's clock, seconds."""
        self._push(fact, at_s, first=True)

    def join(
        self, node: str, now_s: float, *, cores: int = 4, memory_bytes: int = 0
    ) -> None:
        """Bring a node up, with its process new if it was up already."""
        self.up[node] = memory_bytes
        self._tell(
            e.NodeJoined(node=node, cores=cores, memory_bytes=memory_bytes), now_s
        )

    def lose(self, node: str, now_s: float) -> None:
        """Let a node die; that is noticed after a delay."""
        if node in self.up:
            del self.up[node]
            self._tell(e.NodeLost(node=node, reason="died"), now_s)

    def fail_next(self, kind: type[c.Command], cause: Cause) -> None:
        """Let the next command of a kind fail, whatever the chances are.

        Parameters
        ----------
        kind : type
            ``StartAttempt``, ``StartSegment`` or ``BeginCheckpoint``. A restore
            that fails as ``CORRUPT`` finds its checkpoint damaged.
        cause : Cause
            Why.
        """
        self.answers.fail_next(kind, cause)

    def calm(self) -> None:
        """Let nothing go wrong from now on that has not gone wrong yet."""
        self.answers.calm()

    def due(self, now_s: float) -> tuple[Fact, ...]:
        """Take the facts that have arrived by a time, seconds, in order."""
        facts: list[Fact] = []
        while self._due and self._due[0].at_s <= now_s:
            due = heapq.heappop(self._due)
            facts.append(due.fact)
            if due.first:
                self._happens(due.fact)
            if not isinstance(due.fact, ONCE) and self.answers.chance(
                self.answers.chances.repeat
            ):
                self._push(due.fact, now_s + 5 * self.answers.delay(), first=False)
        return tuple(facts)

    def execute(self, command: c.Command, now_s: float) -> None:
        """Begin what a command asks for.

        Parameters
        ----------
        command : Command
            What to do.
        now_s : float
            Driver's clock, seconds.
        """
        match command:
            case c.SetLease():
                self._leases[command.simulation] = _Lease(
                    command.nodes, len(command.nodes)
                )
            case c.StartAttempt():
                self._soon(self.answers.restored(command), now_s)
            case c.StartSegment():
                held = self._leases.get(command.simulation)
                answer = self.answers.computed(
                    command, nodes=len(held.nodes) if held else 0
                )
                self.post(answer, now_s + self.answers.delay() + 1.0)
            case c.BeginCheckpoint():
                self.post(
                    self.answers.written(command), now_s + 3 * self.answers.delay()
                )
            case c.BeginCopy():
                self._soon(self.answers.copied(command), now_s)
            case c.SalvageCopy():
                # What the attempt computed and wrote is given up.
                self._drop_answers(command)
                self.post(
                    self.answers.salvaged(command), now_s + 3 * self.answers.delay()
                )
            case c.AbandonAttempt():
                self._drop_answers(command)
            case c.PublishResults():
                done = e.ResultsPublished(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                )
                self._soon(done, now_s)
            case c.DeleteCheckpoint():
                gone = e.CheckpointDeleted(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                    attempt=command.attempt,
                )
                self._soon(gone, now_s)
            case c.EvaluateRule():
                self._soon(self.answers.evaluated(command), now_s)
            case c.EvaluateScore():
                self._soon(self.answers.scored(command), now_s)
            case c.AskRemedy():
                self._soon(self.answers.remedied(command), now_s)

    def _soon(self, fact: Fact, now_s: float) -> None:
        self.post(fact, now_s + self.answers.delay())

    def crash(self) -> None:
        """Let the driver die: what was on its way is done or was never begun."""
        pending, self._due = self._due, []
        for due in sorted(pending):
            if due.first and self.answers.chance(0.5):
                self._happens(due.fact)
        self.up.clear()
        self._leases.clear()
        self._heard_s.clear()

    def learn(self, records: Iterable[c.Record]) -> None:
        """Take from records which sets there are."""
        for record in records:
            match record:
                case e.SimulationSubmitted():
                    self._sets[record.simulation] = record.plan.set_of
                case e.RuleEvaluated():
                    self.learn(record.consequences)
                case _:
                    pass

    def _push(self, fact: Fact, at_s: float, *, first: bool) -> None:
        self._serial += 1
        heapq.heappush(self._due, _Due(at_s, self._serial, fact, first))

    def _tell(self, fact: e.NodeJoined | e.NodeLost, now_s: float) -> None:
        at_s = max(now_s + self.answers.delay(), self._heard_s.get(fact.node, 0.0))
        self._heard_s[fact.node] = at_s
        self.post(fact, at_s)

    def _drop_answers(self, command: c.AbandonAttempt | c.SalvageCopy) -> None:
        """Forget what an attempt would have answered, but for what is late."""
        over = (command.simulation, command.set, command.attempt)
        self._due = [
            due
            for due in sorted(self._due)
            if _attempt_of(due.fact, self._sets) != over
            or self.answers.chance(self.answers.chances.late)
        ]

    def _happens(self, fact: Fact) -> None:
        """Let the world become what a fact says."""
        match fact:
            case e.NodeLost() | e.NodeJoined():
                self._uproot(fact.node)
            case e.CheckpointCommitted():
                self.disk.commit(fact)
            case e.CheckpointDeleted():
                self.disk.delete(fact)
            case _:
                pass

    def _uproot(self, node: str) -> None:
        """Take a node from its lease; what it computed may never be answered."""
        for name, lease in self._leases.items():
            if node not in lease.nodes:
                continue
            lease.nodes = tuple(n for n in lease.nodes if n != node)
            lost = lease.granted - len(lease.nodes)
            if lost >= self.heals_below * lease.granted:
                self._due = [
                    due
                    for due in sorted(self._due)
                    if (_attempt_of(due.fact, self._sets) or ("",))[0] != name
                    or not self.answers.chance(self.answers.chances.lost)
                ]


def _attempt_of(
    fact: Fact, sets: Mapping[str, Mapping[str, str]]
) -> tuple[str, str, int] | None:
    """Return which attempt a fact is about, if it is about one."""
    match fact:
        case e.SegmentFinished() | e.SegmentFailed():
            return fact.simulation, sets[fact.simulation][fact.stage], fact.attempt
        case (
            e.SetRestored()
            | e.RestoreFailed()
            | e.CheckpointCommitted()
            | e.CheckpointFailed()
            | e.CopyHeld()
            | e.CopyFailed()
            | e.SalvageFailed()
        ):
            return fact.simulation, fact.set, fact.attempt
        case _:
            return None
