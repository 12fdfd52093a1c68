"""Blow-ups: tries are bounded and told, and what is given up is gone first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.numerics import Remedy
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.books import SetBook, Try

__all__ = [
    "RemedyAuditor",
    "nothing_starts_before_what_is_given_up_is_gone",
    "tries_are_bounded",
    "tries_are_told_by_number",
]

Place = tuple[str, str]


class RemedyAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed; tries are kept there.
    remedies : mapping of str to Remedy
        By workflow, as of `Policies`.
    """

    def __init__(self, auditor: Auditor, remedies: Mapping[str, Remedy]) -> None:
        self.auditor = auditor
        self.remedies = remedies
        # Since it got beyond where it blew up last, and where that was.
        self.counts: Counter[Place] = Counter()
        self.worst: dict[Place, int] = {}

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case c.AskRemedy():
                tries_are_told_by_number(self, record)
                self._ask(record)
            case e.RemedyGiven():
                s = self.of(record)
                if s.asked is not None and s.asked.number == record.number:
                    self._given(s, record)
            case e.DriverStarted():
                self.counts.clear()
            case c.StartAttempt():
                nothing_starts_before_what_is_given_up_is_gone(self, record)
            case _:
                pass

    def of(self, record: c.AskRemedy | e.RemedyGiven | c.StartAttempt) -> SetBook:
        """Return the books of the set of a record."""
        return self.auditor.books[record.simulation].sets[record.set]

    def _ask(self, command: c.AskRemedy) -> None:
        s, place = self.of(command), (command.simulation, command.set)
        if s.asked is None:
            if s.newest > self.worst.get(place, 0):
                self.counts[place] = 0
            self.counts[place] += 1
            self.worst[place] = max(self.worst.get(place, 0), command.reached)
            tries_are_bounded(self, command)
        s.asked = command

    def _given(self, s: SetBook, fact: e.RemedyGiven) -> None:
        s.asked = None
        if not fact.retry:
            return
        s.tries += 1
        target = back_to(s, fact.back)
        s.tried = [t for t in s.tried if t.boundary < target]
        s.tried.append(
            Try(
                number=fact.number,
                boundary=target,
                params=fact.params,
                reseed=fact.reseed,
            )
        )
        s.turns.append((target, s.attempt))
        s.going_back = True
        s.went_back()


def back_to(s: SetBook, back: int) -> int:
    """Return the boundary that a try goes back to."""
    good = sorted(b for b in s.good if b not in s.deleting)
    pinned = max((b for b in good if b in s.pins), default=0)
    if back <= len(good):
        return max(good[len(good) - back], pinned)
    return max(good[0] if good and s.deleted else 0, pinned)


def tries_are_told_by_number(audit: RemedyAuditor, record: c.AskRemedy) -> None:
    """A remedy is asked about one blow-up at a time, by number, of what stands still.

    What was asked and not answered is asked again, and nothing else before it.
    """
    s = audit.of(record)
    assert not s.alive, record
    assert record.number == s.tries + 1, (record, s.tries)
    assert s.asked in (None, record), (record, s.asked)


def tries_are_bounded(audit: RemedyAuditor, record: c.AskRemedy) -> None:
    """It is not tried more often than the remedy says before it gets further."""
    workflow = audit.auditor.books[record.simulation].plan.workflow
    count = audit.counts[record.simulation, record.set]
    remedy = audit.remedies.get(workflow)
    assert remedy is not None, record
    assert count <= remedy.tries, (record, count, remedy.tries)


def nothing_starts_before_what_is_given_up_is_gone(
    audit: RemedyAuditor, record: c.StartAttempt
) -> None:
    """While a remedy is asked, or checkpoints of the course before are left, it waits.

    Only what came late, which is never good, may go beside it.
    """
    s = audit.of(record)
    assert s.asked is None, (record, s.asked)
    assert not s.going_back, (record, s.turns, s.there)
