"""What must hold of every journal, computed anew and without the code under test.

The auditor reads records in order and keeps its own books: brute force over
model times, no counts, no frontier. The invariants are in `records`.
"""

from __future__ import annotations

from collections.abc import Iterable

from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants import records as i
from climorch.testing.invariants.books import (
    Book,
    SetBook,
    branch,
    commons,
    components,
    pin,
)

__all__ = ["Auditor"]


class Auditor:
    """Reads what was journaled and raises where an invariant is broken.

    Parameters
    ----------
    disk : FakeDisk
        The truth about checkpoints and the files they share.
    """

    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk
        self.books: dict[str, Book] = {}
        self.up: set[str] = set()
        self.stopping = False
        self.drained: set[str] = set()
        self.wishes: set[str] = set()

    def read(self, records: Iterable[c.Record]) -> None:
        """Take the records of one instant."""
        for record in records:
            self.take(record)
        self.settle()

    def settle(self) -> None:
        """See that what holds between two instants holds now."""
        i.nodes_are_leased_once_and_up(self)
        i.what_is_committed_is_covered(self)

    def take(self, record: c.Record) -> None:
        """Take one record."""
        match record:
            case e.SimulationSubmitted():
                self._open(record)
            case e.RuleEvaluated():
                for fact in record.consequences:
                    self.take(fact)
            case e.DriverStarted() | e.DriverStopped():
                self._driver_died(restarted=isinstance(record, e.DriverStarted))
            case e.NodeJoined():
                self._node_died(record.node)
                self.up.add(record.node)
            case e.NodeLost():
                self._node_died(record.node)
            case e.SimulationChanged():
                self._change(record)
            case e.PauseRequested():
                self.books[record.simulation].held.add("paused")
            case e.ResumeRequested():
                book = self.books[record.simulation]
                book.ended = book.cancelled
                book.dropped.clear()
                book.held.discard("paused")
                if not book.held:
                    # What was to be its last checkpoint for a while is not any more.
                    for s in book.sets.values():
                        s.barrier = None
            case e.WishTaken():
                if record.id not in self.wishes:
                    self.wishes.add(record.id)
                    self.take(record.wish)
            case e.DrainRequested():
                self.drained.add(record.node)
            case e.UndrainRequested():
                self.drained.discard(record.node)
            case e.StopRequested():
                self.stopping = True
            case e.PinRequested() | e.UnpinRequested():
                pin(self.books, record)
            case e.RestoreFailed(damaged=True) | e.CheckpointScrubbed(damaged=True):
                s = self.books[record.simulation].sets[record.set]
                s.spoil(record.boundary)
            case e.CheckpointCommitted():
                self._checkpointed(record)
            case e.CheckpointRecalled():
                s = self.books[record.simulation].sets[record.set]
                if record.boundary < len(s.commons):
                    s.keep(record.boundary, record.attempt)
            case e.CheckpointDeleted():
                s = self.books[record.simulation].sets[record.set]
                s.lose(record.boundary, record.attempt)
            case e.CopyHeld() | e.CopyFailed():
                self._copied(record)
            case e.SetRestored() | e.SegmentFinished() | e.CheckpointFailed():
                self._answered(record)
            case _:
                self._decided(record)

    def _answered(
        self, fact: e.SetRestored | e.SegmentFinished | e.CheckpointFailed
    ) -> None:
        book = self.books[fact.simulation]
        if isinstance(fact, e.SegmentFinished):
            s = book.of(fact.stage)
        else:
            s = book.sets[fact.set]
        if not s.alive or s.attempt != fact.attempt:
            return
        match fact:
            case e.SetRestored():
                s.restored = True
            case e.SegmentFinished():
                if s.computing.get(fact.stage) == fact.segment:
                    del s.computing[fact.stage]
                    s.done[fact.stage] = fact.segment + 1
            case e.CheckpointFailed():
                if s.writing == fact.boundary:
                    s.writing = None

    def _copied(self, fact: e.CopyHeld | e.CopyFailed) -> None:
        s = self.books[fact.simulation].sets[fact.set]
        if not s.alive or s.attempt != fact.attempt or s.copying != fact.boundary:
            return
        s.copying = None
        if isinstance(fact, e.CopyHeld):
            s.copy = fact.boundary

    def _decided(self, record: c.Record) -> None:
        match record:
            case c.SetLease():
                i.no_drained_node_is_leased_anew(self, record)
                self.books[record.simulation].lease = record.nodes
                self.books[record.simulation].held.discard("shrinks")
            case c.ShrinkPlanned():
                self.books[record.simulation].held.add("shrinks")
            case c.StartAttempt():
                i.attempts_are_new_and_have_their_gang(self, record)
                i.stages_before_are_committed(self, record)
                self._started(record)
            case c.StartSegment():
                i.a_segment_starts_once_and_in_turn(self, record)
                i.inputs_are_computed_first(self, record)
                i.no_stage_runs_far_ahead(self, record)
                i.nothing_begins_beyond_the_last_checkpoint(self, record)
                s = self.books[record.simulation].of(record.stage)
                s.computing[record.stage] = record.segment
            case c.BeginCheckpoint():
                i.checkpoints_are_cut_at_the_boundary_one_at_a_time(self, record)
                book = self.books[record.simulation]
                book.sets[record.set].writing = record.boundary
                if (book.held or self.stopping) and not record.held:
                    book.sets[record.set].barrier = record.boundary
            case c.BeginCopy():
                i.copies_are_cut_at_the_boundary_one_at_a_time(self, record)
                s = self.books[record.simulation].sets[record.set]
                s.copying = record.boundary
            case c.SalvageCopy():
                i.only_what_is_held_and_newer_is_salvaged(self, record)
                s = self.books[record.simulation].sets[record.set]
                s.restored, s.computing = False, {}
                s.writing = s.copying = None
            case c.AbandonAttempt():
                s = self.books[record.simulation].sets[record.set]
                s.alive = False
            case c.SegmentCommitted():
                i.nothing_is_committed_twice(self, record)
                s = self.books[record.simulation].of(record.stage)
                s.committed[record.stage] = record.segment + 1
            case c.RolledBack():
                self._rolled_back(record)
            case c.PublishResults():
                i.results_are_of_what_is_committed(self, record)
            case c.DeleteCheckpoint():
                self._deletes(record)
            case c.SetDropped():
                i.only_what_is_optional_is_dropped(self, record)
                self.books[record.simulation].dropped.add(record.set)
            case e.CancelRequested() | c.SimulationFailed():
                book = self.books[record.simulation]
                book.ended = True
                book.cancelled |= isinstance(record, e.CancelRequested)
            case _:
                pass

    def _open(self, fact: e.SimulationSubmitted) -> None:
        if fact.simulation not in self.books:
            self.books[fact.simulation] = Book(
                plan=fact.plan,
                original={stage.name: stage for stage in fact.plan.stages},
                branch=fact.branch,
                sets={
                    next(iter(stages)): SetBook(stages=stages, commons=commons(stages))
                    for stages in components(fact.plan)
                },
            )
            if fact.branch is not None:
                branch(self.books, fact.simulation, fact.branch)

    def _change(self, fact: e.SimulationChanged) -> None:
        book = self.books[fact.simulation]
        book.plan = fact.plan
        for stages in components(fact.plan):
            s = book.sets[next(iter(stages))]
            s.stages, s.commons = stages, commons(stages)

    def _deletes(self, record: c.DeleteCheckpoint) -> None:
        s = self.books[record.simulation].sets[record.set]
        if s.given_up(record.boundary):
            s.spoilt.add(record.boundary)
        else:
            i.two_good_copies_stay(self, record)
        i.what_is_pinned_stays(self, record)
        s.deleting.add(record.boundary)

    def _driver_died(self, *, restarted: bool) -> None:
        self.up.clear()
        self.stopping = self.stopping and not restarted
        for book in self.books.values():
            book.lease = ()
            book.held.discard("shrinks")
            if restarted:
                book.ended = book.cancelled
                book.dropped.clear()
            for s in book.sets.values():
                s.alive = False
                s.deleting.clear()
                s.seen.clear()

    def _node_died(self, node: str) -> None:
        self.up.discard(node)
        for book in self.books.values():
            book.lease = tuple(n for n in book.lease if n != node)

    def _checkpointed(self, fact: e.CheckpointCommitted) -> None:
        s = self.books[fact.simulation].sets[fact.set]
        if s.alive and s.attempt == fact.attempt and s.writing == fact.boundary:
            s.writing = None
        beyond = fact.boundary >= len(s.commons)
        if not beyond and (fact.attempt, fact.boundary) not in s.seen:
            s.seen.add((fact.attempt, fact.boundary))
            s.keep(fact.boundary, fact.attempt)

    def _started(self, command: c.StartAttempt) -> None:
        s = self.books[command.simulation].sets[command.set]
        s.attempt, s.alive, s.restored = command.attempt, True, False
        s.writing = s.barrier = s.copying = s.copy = None
        s.computing = {}
        s.done = {stage: s.ended(stage, command.boundary) for stage in s.stages}

    def _rolled_back(self, decision: c.RolledBack) -> None:
        s = self.books[decision.simulation].sets[decision.set]
        i.no_committed_result_is_lost(self, decision)
        for stage, count in s.committed.items():
            s.committed[stage] = min(count, s.ended(stage, decision.boundary))
