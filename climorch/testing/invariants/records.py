"""What must hold of every record, each as a function with its name.

Brute force over the auditor's own books, and none of the code under test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from climorch.model import commands as c
from climorch.model.plan import Coupling

if TYPE_CHECKING:
    from climorch.testing.fake_disk import Stored
    from climorch.testing.invariants.auditor import Auditor

__all__ = [
    "a_segment_starts_once_and_in_turn",
    "attempts_are_new_and_have_their_gang",
    "checkpoints_are_cut_at_the_boundary_one_at_a_time",
    "copies_are_cut_at_the_boundary_one_at_a_time",
    "inputs_are_computed_first",
    "no_committed_result_is_lost",
    "no_drained_node_is_leased_anew",
    "no_stage_runs_far_ahead",
    "nodes_are_leased_once_and_up",
    "nothing_begins_beyond_the_last_checkpoint",
    "nothing_is_committed_twice",
    "only_what_is_held_and_newer_is_salvaged",
    "only_what_is_optional_is_dropped",
    "results_are_of_what_is_committed",
    "stages_before_are_committed",
    "two_good_copies_stay",
    "what_is_committed_is_covered",
    "what_is_pinned_stays",
]


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
    assert record.set not in book.dropped, record
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


def stages_before_are_committed(auditor: Auditor, record: c.StartAttempt) -> None:
    """What a set comes after is committed to its end when an attempt begins."""
    book = auditor.books[record.simulation]
    s = book.sets[record.set]
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
    """A checkpoint begins where all stages stand, or of a copy; above all others."""
    s = auditor.books[record.simulation].sets[record.set]
    assert s.alive, record
    assert s.restored, record
    assert s.writing is None, record
    assert record.boundary > s.newest, (record, s.good)
    if record.held:
        assert record.boundary == s.copy, (record, s.copy)
        return
    assert not s.computing, record
    for stage in s.stages:
        assert s.done[stage] == s.ended(stage, record.boundary), (record, s.done)


def no_committed_result_is_lost(auditor: Auditor, record: c.RolledBack) -> None:
    """It falls back to the newest good one, behind what is committed only by damage."""
    s = auditor.books[record.simulation].sets[record.set]
    assert record.boundary == s.newest, (record, s.good)
    for stage, count in s.committed.items():
        if count > s.ended(stage, record.boundary):
            assert max(s.spoilt, default=0) > record.boundary, (record, stage, count)


def results_are_of_what_is_committed(
    auditor: Auditor, record: c.PublishResults
) -> None:
    """Outputs are published of good checkpoints alone."""
    s = auditor.books[record.simulation].sets[record.set]
    assert record.boundary in s.good, (record, s.good)


def two_good_copies_stay(auditor: Auditor, record: c.DeleteCheckpoint) -> None:
    """Deleting leaves two good checkpoints, sharing no file where that was so."""
    s = auditor.books[record.simulation].sets[record.set]
    stored = auditor.disk.of(record.simulation, record.set)
    good = {b for b in s.good if b not in s.deleting}
    left = good - {record.boundary}
    assert record.boundary in good, record
    assert record.boundary < max(good), (record, s.good)
    assert len(left) >= 2, (record, s.good)
    # Of one that is damaged the driver may not have heard, the disk knows.
    damaged = {b for b in good if stored[b].damaged}
    assert any(
        _chains(stored, left - unseen) >= min(_chains(stored, good - unseen), 2)
        for unseen in (set[int](), damaged)
    ), (record, stored)


def _chains(stored: Mapping[int, Stored], boundaries: Iterable[int]) -> int:
    """Count the physical copies that some checkpoints are of."""
    return len({stored[b].chain for b in boundaries})


def what_is_pinned_stays(auditor: Auditor, record: c.DeleteCheckpoint) -> None:
    """Where somebody reads, or a branch began, nothing is deleted."""
    s = auditor.books[record.simulation].sets[record.set]
    # One that came late, of a course that was given up, is not what was pinned there.
    late = record.boundary not in s.good and s.given_up(record.boundary)
    assert late or record.boundary not in s.pins, (record, s.pins)


def only_what_is_optional_is_dropped(auditor: Auditor, record: c.SetDropped) -> None:
    """A simulation goes on without optional stages only, and nothing needs them."""
    book = auditor.books[record.simulation]
    s = book.sets[record.set]
    assert not s.alive, record
    assert all(stage.optional for stage in s.stages.values()), record
    needed = [t for t in book.plan.stages if not t.optional]
    assert not any(set(t.after) & set(s.stages) for t in needed), record
