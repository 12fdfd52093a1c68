"""Control: who is cancelled does nothing any more, who is paused nothing new."""

from __future__ import annotations

from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.budgets import ahead_of

__all__ = [
    "ControlAuditor",
    "a_cancelled_one_begins_nothing",
    "a_cancelled_one_commits_what_was_begun_at_most",
    "a_paused_one_begins_no_attempt_and_gets_no_nodes",
    "a_paused_one_goes_to_the_boundary_ahead_at_most",
]

Place = tuple[str, str]
Begins = (
    c.StartAttempt
    | c.StartSegment
    | c.BeginCheckpoint
    | c.BeginCopy
    | c.SalvageCopy
    | c.EvaluateRule
    | c.AskRemedy
    | c.RecallCheckpoint
)


class ControlAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed.
    """

    def __init__(self, auditor: Auditor) -> None:
        self.auditor = auditor
        self.cancelled: set[str] = set()
        self.paused: set[str] = set()
        # To which boundary a set may go though it is paused.
        self.limits: dict[Place, int] = {}
        # The farthest checkpoint that was ever begun.
        self.begun: dict[Place, int] = {}
        self._answered: dict[tuple[str, str], int] = {}

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case e.WishTaken():
                if record.id not in self.auditor.wishes:
                    self.take(record.wish, now_s)
            case e.CancelRequested():
                self.cancelled.add(record.simulation)
                self.paused.discard(record.simulation)
            case e.PauseRequested():
                self._pause(record.simulation)
            case e.RuleFailed():
                known = self._answered.get((record.simulation, record.rule))
                if record.pause and known != record.at:
                    self._pause(record.simulation)
            case e.RuleEvaluated():
                self._answered[record.simulation, record.rule] = record.at
                for fact in record.consequences:
                    self.take(fact, now_s)
            case e.ResumeRequested():
                self.paused.discard(record.simulation)
            case e.SimulationChanged():
                self.limits.clear()
            case c.SegmentCommitted() if record.simulation in self.cancelled:
                a_cancelled_one_commits_what_was_begun_at_most(self, record)
            case c.SetLease():
                self._leased(record)
            case (
                c.StartAttempt()
                | c.StartSegment()
                | c.BeginCheckpoint()
                | c.BeginCopy()
                | c.SalvageCopy()
                | c.EvaluateRule()
                | c.AskRemedy()
                | c.RecallCheckpoint()
            ):
                self._begun(record)
            case _:
                pass

    def _pause(self, simulation: str) -> None:
        if simulation not in self.cancelled:
            self.paused.add(simulation)

    def _leased(self, record: c.SetLease) -> None:
        if record.simulation in self.cancelled:
            assert not record.nodes, record
        if record.simulation in self.paused:
            a_paused_one_begins_no_attempt_and_gets_no_nodes(self, record)

    def _begun(self, record: Begins) -> None:
        if record.simulation in self.cancelled:
            a_cancelled_one_begins_nothing(record)
        match record:
            case c.BeginCheckpoint() | c.SalvageCopy() | c.RecallCheckpoint():
                place = record.simulation, record.set
                self.begun[place] = max(self.begun.get(place, 0), record.boundary)
            case c.StartAttempt():
                self.limits.pop((record.simulation, record.set), None)
                if record.simulation in self.paused:
                    a_paused_one_begins_no_attempt_and_gets_no_nodes(self, record)
            case c.StartSegment() if record.simulation in self.paused:
                a_paused_one_goes_to_the_boundary_ahead_at_most(self, record)
            case c.StartSegment():
                book = self.auditor.books[record.simulation]
                s = book.of(record.stage)
                self.limits.pop((record.simulation, next(iter(s.stages))), None)
            case _:
                pass


def a_cancelled_one_begins_nothing(record: Begins) -> None:
    """Who is cancelled computes, writes and asks nothing any more, for good."""
    raise AssertionError(record)


def a_cancelled_one_commits_what_was_begun_at_most(
    audit: ControlAuditor, record: c.SegmentCommitted
) -> None:
    """Of a cancelled one that alone is committed whose checkpoint was under way."""
    s = audit.auditor.books[record.simulation].of(record.stage)
    begun = audit.begun.get((record.simulation, next(iter(s.stages))), 0)
    limit = s.ended(record.stage, min(begun, len(s.commons) - 1))
    assert record.segment < limit, (record, begun)


def a_paused_one_begins_no_attempt_and_gets_no_nodes(
    audit: ControlAuditor, record: c.StartAttempt | c.SetLease
) -> None:
    """Who is paused gives nodes back and gets none, and starts no attempt."""
    lease = audit.auditor.books[record.simulation].lease
    assert isinstance(record, c.SetLease), record
    assert set(record.nodes) <= set(lease), (record, lease)


def a_paused_one_goes_to_the_boundary_ahead_at_most(
    audit: ControlAuditor, record: c.StartSegment
) -> None:
    """Who is paused goes to the boundary that is ahead, and no further."""
    s = audit.auditor.books[record.simulation].of(record.stage)
    place = record.simulation, next(iter(s.stages))
    limit = audit.limits.setdefault(place, ahead_of(s))
    assert record.segment < s.ended(record.stage, limit), (record, limit, s.done)
