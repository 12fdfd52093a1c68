"""What must hold of every journal, computed anew and without the code under test.

The auditor reads records in order and keeps its own books: brute force over
model times, no counts, no frontier. Each invariant is a function with its name.
"""

from __future__ import annotations

from collections.abc import Iterable

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling
from climorch.testing.fake_disk import FakeDisk
from tests.property.books import Book, SetBook, commons, components

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
            self._take(record)
        nodes_are_leased_once_and_up(self)
        what_is_committed_is_covered(self)

    def _take(self, record: c.Record) -> None:
        match record:
            case e.SimulationSubmitted():
                self._open(record)
            case e.RuleEvaluated():
                for added in record.added:
                    self._open(added)
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
                book.ended = False
                book.held.discard("paused")
            case e.WishTaken():
                if record.id not in self.wishes:
                    self.wishes.add(record.id)
                    self._take(record.wish)
            case e.DrainRequested():
                self.drained.add(record.node)
            case e.UndrainRequested():
                self.drained.discard(record.node)
            case e.StopRequested():
                self.stopping = True
            case e.RestoreFailed(damaged=True) | e.CheckpointScrubbed(damaged=True):
                s = self.books[record.simulation].sets[record.set]
                s.good.pop(record.boundary, None)
            case e.CheckpointCommitted():
                self._checkpointed(record)
            case e.CheckpointDeleted():
                s = self.books[record.simulation].sets[record.set]
                s.good.pop(record.boundary, None)
                s.deleting.discard(record.boundary)
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
                no_drained_node_is_leased_anew(self, record)
                self.books[record.simulation].lease = record.nodes
                self.books[record.simulation].held.discard("shrinks")
            case c.ShrinkPlanned():
                self.books[record.simulation].held.add("shrinks")
            case c.StartAttempt():
                attempts_are_new_and_have_their_gang(self, record)
                self._started(record)
            case c.StartSegment():
                a_segment_starts_once_and_in_turn(self, record)
                inputs_are_computed_first(self, record)
                stages_before_are_committed(self, record)
                no_stage_runs_far_ahead(self, record)
                nothing_begins_beyond_the_last_checkpoint(self, record)
                s = self.books[record.simulation].of(record.stage)
                s.computing[record.stage] = record.segment
            case c.BeginCheckpoint():
                checkpoints_are_cut_at_the_boundary_one_at_a_time(self, record)
                book = self.books[record.simulation]
                book.sets[record.set].writing = record.boundary
                if book.held or self.stopping:
                    book.sets[record.set].barrier = record.boundary
            case c.BeginCopy():
                copies_are_cut_at_the_boundary_one_at_a_time(self, record)
                s = self.books[record.simulation].sets[record.set]
                s.copying = record.boundary
            case c.SalvageCopy():
                only_what_is_held_and_newer_is_salvaged(self, record)
                s = self.books[record.simulation].sets[record.set]
                s.restored, s.computing = False, {}
                s.writing = s.copying = None
            case c.AbandonAttempt():
                s = self.books[record.simulation].sets[record.set]
                s.alive = False
            case c.SegmentCommitted():
                nothing_is_committed_twice(self, record)
                s = self.books[record.simulation].of(record.stage)
                s.committed[record.stage] = record.segment + 1
            case c.RolledBack():
                self._rolled_back(record)
            case c.DeleteCheckpoint():
                two_good_copies_stay(self, record)
                s = self.books[record.simulation].sets[record.set]
                s.deleting.add(record.boundary)
            case e.CancelRequested() | c.SimulationFailed():
                self.books[record.simulation].ended = True
            case _:
                pass

    def _open(self, fact: e.SimulationSubmitted) -> None:
        if fact.simulation not in self.books:
            self.books[fact.simulation] = Book(
                plan=fact.plan,
                sets={
                    next(iter(stages)): SetBook(stages=stages, commons=commons(stages))
                    for stages in components(fact.plan)
                },
            )

    def _change(self, fact: e.SimulationChanged) -> None:
        book = self.books[fact.simulation]
        book.plan = fact.plan
        for stages in components(fact.plan):
            s = book.sets[next(iter(stages))]
            s.stages, s.commons = stages, commons(stages)

    def _driver_died(self, *, restarted: bool) -> None:
        self.up.clear()
        self.stopping = self.stopping and not restarted
        for book in self.books.values():
            book.lease = ()
            book.held.discard("shrinks")
            if restarted:
                book.ended = False
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
            s.good.setdefault(fact.boundary, fact.attempt)

    def _started(self, command: c.StartAttempt) -> None:
        s = self.books[command.simulation].sets[command.set]
        s.attempt, s.alive, s.restored = command.attempt, True, False
        s.writing = s.barrier = s.copying = s.copy = None
        s.computing = {}
        s.done = {stage: s.ended(stage, command.boundary) for stage in s.stages}

    def _rolled_back(self, decision: c.RolledBack) -> None:
        s = self.books[decision.simulation].sets[decision.set]
        assert decision.boundary == s.newest, "falls back to the newest good one"
        for stage, count in s.committed.items():
            s.committed[stage] = min(count, s.ended(stage, decision.boundary))


def copies_are_cut_at_the_boundary_one_at_a_time(
    auditor: Auditor, record: c.BeginCopy
) -> None:
    """All stages stand at the boundary, and no copy is on its way."""
    s = auditor.books[record.simulation].sets[record.set]
    assert s.alive, record
    assert s.restored, record
    assert record.attempt == s.attempt, record
    assert not s.computing, (record, s.computing)
    assert s.copying is None, (record, s.copying)
    assert s.done == {g: s.ended(g, record.boundary) for g in s.stages}, record


def only_what_is_held_and_newer_is_salvaged(
    auditor: Auditor, record: c.SalvageCopy
) -> None:
    """A copy of the same attempt is held, and the disk has nothing newer."""
    book = auditor.books[record.simulation]
    s = book.sets[record.set]
    assert s.alive, record
    assert book.lease, record
    assert record.attempt == s.attempt, record
    assert record.boundary == s.copy, (record, s.copy)
    assert record.boundary > s.newest, (record, s.good)


def nodes_are_leased_once_and_up(auditor: Auditor) -> None:
    """No node is in two leases, and every leased node is up."""
    leased = [node for book in auditor.books.values() for node in book.lease]
    assert len(leased) == len(set(leased)), f"leased twice: {leased}"
    assert set(leased) <= auditor.up, f"leased and not up: {set(leased) - auditor.up}"


def what_is_committed_is_covered(auditor: Auditor) -> None:
    """Where nothing is computed, a good checkpoint covers all that is committed."""
    for book in auditor.books.values():
        for s in book.sets.values():
            for stage, count in s.committed.items():
                assert s.alive or count <= s.ended(stage, s.newest), (stage, count, s)


def no_drained_node_is_leased_anew(auditor: Auditor, record: c.SetLease) -> None:
    """A node that is drained is held by whoever held it before, or by nobody."""
    new = set(record.nodes) - set(auditor.books[record.simulation].lease)
    assert not new & auditor.drained, record


def nothing_is_committed_twice(auditor: Auditor, record: c.SegmentCommitted) -> None:
    """A segment is committed once, in order, and a good checkpoint covers it."""
    s = auditor.books[record.simulation].of(record.stage)
    assert record.segment == s.committed.get(record.stage, 0), record
    assert record.segment < s.ended(record.stage, s.newest), record


def attempts_are_new_and_have_their_gang(
    auditor: Auditor, record: c.StartAttempt
) -> None:
    """An attempt has a new number, the newest good boundary and enough nodes."""
    book = auditor.books[record.simulation]
    s = book.sets[record.set]
    assert not book.ended, record
    assert not s.alive, record
    assert record.attempt == s.attempt + 1, record
    assert record.boundary == s.newest, (record, s.good)
    assert len(book.lease) >= book.plan.nodes, (record, book.lease)


def a_segment_starts_once_and_in_turn(auditor: Auditor, record: c.StartSegment) -> None:
    """A stage computes one segment at a time, the next one, on restored states."""
    book = auditor.books[record.simulation]
    s = book.of(record.stage)
    assert not book.ended, record
    assert s.alive, record
    assert s.restored, record
    assert record.attempt == s.attempt, record
    assert record.stage not in s.computing, record
    assert record.segment == s.done[record.stage], record
    assert record.segment < s.stages[record.stage].segments, record


def inputs_are_computed_first(auditor: Auditor, record: c.StartSegment) -> None:
    """All exports that a segment reads are computed before it starts."""
    s = auditor.books[record.simulation].of(record.stage)
    stage = s.stages[record.stage]
    start, end = stage.boundaries[record.segment : record.segment + 2]
    for name, coupling in stage.reads.items():
        ends = s.stages[name].boundaries[1:]
        ended = [k for k, time in enumerate(ends) if time <= start]
        if coupling is Coupling.SAME:
            needed = [k for k, time in enumerate(ends) if start < time <= end]
        else:
            needed = ended[-1:]
        assert all(k < s.done[name] for k in needed), (record, name, needed, s.done)


def stages_before_are_committed(auditor: Auditor, record: c.StartSegment) -> None:
    """What a stage comes after is committed to its end when it begins."""
    book = auditor.books[record.simulation]
    s = book.of(record.stage)
    if record.segment > 0:
        return
    for name in {a for stage in s.stages.values() for a in stage.after}:
        if name not in s.stages:
            before = book.of(name)
            assert before.committed.get(name, 0) == before.stages[name].segments, record


def no_stage_runs_far_ahead(auditor: Auditor, record: c.StartSegment) -> None:
    """No stage passes the boundary after the next one that all will reach."""
    s = auditor.books[record.simulation].of(record.stage)
    reached = max(
        b
        for b in range(len(s.commons))
        if all(s.done[stage] >= s.ended(stage, b) for stage in s.stages)
    )
    limit = min(reached + 2, len(s.commons) - 1)
    assert record.segment < s.ended(record.stage, limit), record


def nothing_begins_beyond_the_last_checkpoint(
    auditor: Auditor, record: c.StartSegment
) -> None:
    """What is to give its nodes back does not go on once it is checkpointed."""
    book = auditor.books[record.simulation]
    s = book.of(record.stage)
    if s.barrier is not None and (book.held or auditor.stopping):
        assert record.segment < s.ended(record.stage, s.barrier), record


def checkpoints_are_cut_at_the_boundary_one_at_a_time(
    auditor: Auditor, record: c.BeginCheckpoint
) -> None:
    """A checkpoint begins where all stages stand, above all that is committed."""
    s = auditor.books[record.simulation].sets[record.set]
    assert s.alive, record
    assert s.restored, record
    assert s.writing is None, record
    assert not s.computing, record
    for stage in s.stages:
        assert s.done[stage] == s.ended(stage, record.boundary), (record, s.done)
    assert record.boundary > s.newest, (record, s.good)


def two_good_copies_stay(auditor: Auditor, record: c.DeleteCheckpoint) -> None:
    """Deleting leaves two good checkpoints, sharing no file where that was so."""
    s = auditor.books[record.simulation].sets[record.set]
    stored = auditor.disk.of(record.simulation, record.set)
    good = {b for b in s.good if b not in s.deleting}
    left = good - {record.boundary}
    assert record.boundary in good, record
    assert len(left) >= 2, (record, s.good)
    before = {stored[b].chain for b in good}
    after = {stored[b].chain for b in left}
    assert len(after) >= min(len(before), 2), (record, stored)
