"""A set that blows up, in a world that answers in any order, and what must hold then.

Everything that was asked is answered some time: whoever plays says what is heard next.
Checkpoints of the set are written one after the other, as by the engine, and where one
of another course lies none is written. Which course a checkpoint is of is known from
when its attempt began, and from nothing that the library keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from climorch.core.progress import Policies
from climorch.core.sets import is_new
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.numerics import Remedy, Retry
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.property.late_books import LateBooks
from tests.unit.core.script import UNLIMITED, Script, plan, stage, submitted

__all__ = ["ENDS", "LateWorld", "Turn"]

POLICIES = Policies(
    checkpointing=EverySegments(),
    limits=UNLIMITED,
    retention=KeepLast(count=1),
    remedies={"w": Remedy(change=lambda _: Retry(), tries=99)},
)
ENDS = (0, 1, 2, 3, 4, 5)
OWN: dict[str, Any] = {"simulation": "s", "set": "a"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A blow-up: in which segment, and how many checkpoints it goes back."""

    segment: int
    back: int


class LateWorld:
    """A set, its disk, and what was asked and is not answered yet.

    Parameters
    ----------
    turns : tuple of Turn
        What blows up, in this order.
    prompt : bool
        Whether what is deleted is gone long before that is heard; else just then.

    Attributes
    ----------
    pending : list of Fact
        Not heard yet, in the order in which it was asked for.
    disk : dict of int to int
        Boundary to the attempt whose checkpoint lies there.
    books : LateBooks
        Which say what must hold.
    """

    def __init__(self, turns: tuple[Turn, ...], *, prompt: bool) -> None:
        self.script = Script(POLICIES)
        self.pending: list[e.Fact] = []
        self.disk: dict[int, int] = {}
        self.books = LateBooks()
        self._turns, self._prompt = list(turns), prompt
        self._back: dict[int, int] = {}
        self._attempt = 0
        self._alive = False
        # Whether the oldest checkpoint that is pending lies on the disk.
        self._renamed = False
        self.tell(submitted(stage(boundaries=ENDS)))
        self.tell(e.NodeJoined(node="n", cores=4, memory_bytes=0))

    # -- what may be heard ------------------------------------------------------------

    def hear(self, number: int) -> None:
        """Let one of what is pending be heard; those of the disk in their order."""
        options = [*self._options()]
        fact = options[number % len(options)]
        self.pending.remove(fact)
        if isinstance(fact, e.CheckpointCommitted):
            self._renamed = False
        if isinstance(fact, e.CheckpointDeleted):
            self._delete(fact)
        self.tell(fact)
        self._rename()

    def _options(self) -> Iterator[e.Fact]:
        kinds = set()
        for fact in self.pending:
            # Writing, deleting and publishing are done one after the other.
            kind = type(fact)
            queued = isinstance(fact, e.CheckpointCommitted | e.ResultsPublished)
            if not (queued and kind in kinds):
                yield fact
            kinds.add(kind)

    def again(self, number: int) -> None:
        """Let something be heard that is heard once more later."""
        options = [
            fact
            for fact in self._options()
            if not isinstance(fact, e.CheckpointDeleted | e.ResultsPublished)
        ]
        if options:
            self.tell(options[number % len(options)])

    def recall(self, number: int) -> None:
        """Let a checkpoint come back that was written once, if its place is free."""
        wrote = [
            record
            for record, _ in self.script.journal
            if isinstance(record, e.CheckpointCommitted)
        ]
        if not wrote:
            return
        fact = wrote[number % len(wrote)]
        if self.disk.setdefault(fact.boundary, fact.attempt) == fact.attempt:
            self.tell(
                e.CheckpointRecalled(
                    **OWN, boundary=fact.boundary, attempt=fact.attempt, bytes=1
                )
            )

    def lose_the_node(self) -> None:
        """Let the node die, and be there again."""
        self.tell(e.NodeLost(node="n"))
        self.tell(e.NodeJoined(node="n", cores=4, memory_bytes=0))

    def extend(self) -> None:
        """Let the stage go on for a segment more."""
        simulation = self.script.simulation()
        ends = simulation.plan.stages[0].boundaries
        self.tell(
            e.SimulationChanged(
                simulation="s",
                scenario=simulation.scenario,
                plan=plan(stage(boundaries=range(len(ends) + 1))),
            )
        )

    def take_over(self) -> None:
        """Let the driver die, and another one find what is on the disk."""
        self.pending.clear()
        self._renamed = self._alive = False
        # Whatever was asked is asked again.
        script = self.script = self._replayed()
        commits = script.set().commits
        found = [
            e.CheckpointCommitted(**OWN, boundary=b, attempt=attempt, seconds=0.0)
            for b, attempt in sorted(self.disk.items())
            if is_new(script.set(), b, attempt)
        ]
        gone = [
            e.CheckpointDeleted(**OWN, boundary=b)
            for b, commit in commits.items()
            if commit.good and b not in self.disk
        ]
        epoch = script.orchestrator.state.epoch + 1
        self.tell(e.DriverStarted(epoch=epoch, host="h", pid=1), *found, *gone)
        self.tell(e.NodeJoined(node="n", cores=4, memory_bytes=0))

    def _replayed(self) -> Script:
        script = Script(POLICIES)
        script.orchestrator.replay(self.script.journal)
        assert script.orchestrator.state == self.script.orchestrator.state
        script.journal, script.now_s = self.script.journal, self.script.now_s
        return script

    def settle(self, most: int = 400) -> None:
        """Let everything be heard in order until nothing is left to do."""
        for _ in range(most):
            if self.script.simulation().settled and not self.pending:
                break
            if self.pending:
                self.hear(0)
            else:
                self.tell(after_s=60.0)
        simulation, s = self.script.simulation(), self.script.set()
        assert simulation.settled, (simulation.status, self.disk, s)
        assert self.disk.keys() == s.commits.keys(), (self.disk, s.commits)
        # Every segment is of the course in which it was computed last.
        assert simulation.metrics["a"] == {
            "course": float(self.books.course(s.plan.last))
        }

    # -- what is done -----------------------------------------------------------------

    def tell(self, *facts: e.Fact, after_s: float = 1.0) -> None:
        """Tell facts, see that what follows is right, and do it."""
        for fact in facts:
            if isinstance(fact, e.RemedyGiven):
                self.books.given(self.script, fact, self._attempt)
        # Alone: a driver that starts forgets some of it.
        former = len(facts) == 1 and any(
            isinstance(fact, e.CheckpointCommitted)
            and self.books.is_former(fact.boundary, fact.attempt)
            for fact in facts
        )
        before = self.books.learned(self.script)
        self.script.tell(*facts, after_s=after_s)
        assert not former or self.books.learned(self.script) == before, (facts, before)
        for record in self.script.outcome.records[len(facts) :]:
            self.books.look(self.script, self.disk, record)
            self._do(record)
        self.books.what_is_there(self.script, self.disk)

    def _do(self, record: c.Record) -> None:
        answer = _answer(record, self._back)
        if answer is not None:
            self.pending.append(answer)
        match record:
            case c.StartAttempt():
                self._attempt, self._alive = record.attempt, True
            case c.StartSegment():
                self.pending.append(self._computed(record))
            case c.AbandonAttempt():
                self._alive = False
            case c.DeleteCheckpoint() if self._prompt:
                self._delete(record)
        self._rename()

    def _computed(self, command: c.StartSegment) -> e.Fact:
        turn = self._turns[0] if self._turns else None
        if turn is not None and command.segment == turn.segment:
            del self._turns[0]
            self._back[len(self.script.set().blown.tried) + 1] = turn.back
            return _blown_up(command)
        course = self.books.course(command.segment + 1)
        return e.SegmentFinished(
            simulation="s",
            stage="a",
            segment=command.segment,
            attempt=command.attempt,
            seconds=1.0,
            nodes=1,
            metrics={"course": float(course)},
        )

    def _rename(self) -> None:
        """Let the oldest checkpoint that is being written lie there, if it can."""
        for fact in [f for f in self.pending if isinstance(f, e.CheckpointCommitted)]:
            if self._renamed:
                return
            there = self.disk.get(fact.boundary, fact.attempt)
            abandoned = not self._alive or fact.attempt != self._attempt
            if abandoned:
                # It waited for the one before, and was cancelled meanwhile.
                self.pending.remove(fact)
            elif self.books.is_former(fact.boundary, there):
                self.books.seen.add("name was taken")
                self.pending[self.pending.index(fact)] = _refused(fact)
            else:
                self.disk.setdefault(fact.boundary, fact.attempt)
                self._renamed = True

    def _delete(self, fact: e.CheckpointDeleted | c.DeleteCheckpoint) -> None:
        there = self.disk.get(fact.boundary)
        if there == fact.attempt:
            del self.disk[fact.boundary]
        elif there is not None:
            self.books.seen.add("another one had its place")


def _answer(record: c.Record, back: dict[int, int]) -> e.Fact | None:
    """Return what answers a command, sooner or later; remedies by number."""
    match record:
        case c.StartAttempt(boundary=boundary, attempt=attempt):
            return e.SetRestored(**OWN, attempt=attempt, boundary=boundary, rung="init")
        case c.BeginCheckpoint(boundary=boundary, attempt=attempt):
            return e.CheckpointCommitted(
                **OWN, boundary=boundary, attempt=attempt, seconds=1.0
            )
        case c.PublishResults(boundary=boundary):
            return e.ResultsPublished(**OWN, boundary=boundary)
        case c.DeleteCheckpoint(boundary=boundary, attempt=attempt):
            return e.CheckpointDeleted(**OWN, boundary=boundary, attempt=attempt)
        case c.AskRemedy(number=number):
            goes_back = back.setdefault(number, 1)
            return e.RemedyGiven(**OWN, number=number, retry=True, back=goes_back)
        case _:
            return None


def _blown_up(command: c.StartSegment) -> e.SegmentFailed:
    """Make the fact that the numbers of a segment blew up."""
    return e.SegmentFailed(
        simulation="s",
        stage="a",
        segment=command.segment,
        attempt=command.attempt,
        cause=Cause.NUMERICAL,
        message="made to",
    )


def _refused(fact: e.CheckpointCommitted) -> e.CheckpointFailed:
    """Make the fact that another checkpoint has its name."""
    return e.CheckpointFailed(
        **OWN,
        boundary=fact.boundary,
        attempt=fact.attempt,
        cause=Cause.STORAGE,
        message="exists with other content",
    )
