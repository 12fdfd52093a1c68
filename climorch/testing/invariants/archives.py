"""Archives: what is there is whole, is what was committed, and was brought once."""

from __future__ import annotations

from collections.abc import Mapping

from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.archiving import Archive
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.books import SetBook
from climorch.testing.invariants.remedies import back_to

__all__ = [
    "ArchiveAuditor",
    "all_that_ended_is_archived",
    "nothing_goes_while_it_is_archived",
    "only_what_is_newer_is_asked_back",
    "results_are_brought_once",
    "what_goes_to_the_archive_is_good_and_not_there",
]

Place = tuple[str, str, int]


class ArchiveAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed.
    """

    def __init__(self, auditor: Auditor) -> None:
        self.auditor = auditor
        self.there: set[Place] = set()
        # Of stages, with as many segments as there were when it was asked for.
        self.results: dict[tuple[str, str], int] = {}
        self.on_the_way: set[Place] = set()
        self.results_on_the_way: dict[tuple[str, str], int] = {}
        self.asked_back: dict[tuple[str, str], int] = {}
        # That turned out not to be what was committed; not to be had from there.
        self.unfit: set[Place] = set()
        self.unreadable: set[Place] = set()

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case e.DriverStarted() | e.DriverStopped():
                self.on_the_way.clear()
                self.results_on_the_way.clear()
                self.asked_back.clear()
            case c.ArchiveCheckpoint():
                what_goes_to_the_archive_is_good_and_not_there(self, record)
                self.on_the_way.add((record.simulation, record.set, record.boundary))
            case c.ArchiveResults():
                results_are_brought_once(self, record)
                stage = record.simulation, record.stage
                self.results_on_the_way[stage] = self._committed(*stage)
            case e.CheckpointArchived():
                self._archived(record)
            case e.ArchivingFailed():
                place = record.simulation, record.set, record.boundary
                if place in self.on_the_way:
                    self.on_the_way.discard(place)
                    self.unfit.add(place)
            case e.ResultsArchived():
                stage = record.simulation, record.stage
                self.results[stage] = self.results_on_the_way.pop(stage, 0)
            case c.RecallCheckpoint():
                only_what_is_newer_is_asked_back(self, record)
                self.asked_back[record.simulation, record.set] = record.boundary
            case e.CheckpointRecalled():
                self._answered(record)
            case e.RecallFailed():
                if self._answered(record):
                    place = record.simulation, record.set, record.boundary
                    self.unreadable.add(place)
            case c.DeleteCheckpoint():
                nothing_goes_while_it_is_archived(self, record)
            case e.RemedyGiven():
                s = self.of(record)
                asked = s.asked is not None and s.asked.number == record.number
                if asked and record.retry:
                    self._give_up(record, back_to(s, record.back))
            case _:
                pass

    def of(
        self, record: c.ArchiveCheckpoint | c.RecallCheckpoint | e.RemedyGiven
    ) -> SetBook:
        """Return the books of the set of a record."""
        return self.auditor.books[record.simulation].sets[record.set]

    def _committed(self, simulation: str, stage: str) -> int:
        s = self.auditor.books[simulation].of(stage)
        return s.committed.get(stage, 0)

    def _archived(self, fact: e.CheckpointArchived) -> None:
        place = fact.simulation, fact.set, fact.boundary
        s = self.auditor.books[fact.simulation].sets[fact.set]
        # Told again, it may be about another one than what is there now.
        asked = place in self.on_the_way
        self.on_the_way.discard(place)
        if asked and not s.given_up(fact.boundary):
            self.unreadable.discard(place)
            self.there.add(place)

    def _answered(self, fact: e.CheckpointRecalled | e.RecallFailed) -> bool:
        """Take an answer to what was asked back; tell whether it is one."""
        own = fact.simulation, fact.set
        asked = self.asked_back.get(own) == fact.boundary
        if asked:
            del self.asked_back[own]
        return asked

    def _give_up(self, fact: e.RemedyGiven, boundary: int) -> None:
        """Let what lies beyond a boundary be of a course that was given up."""
        own = fact.simulation, fact.set
        self.there = {p for p in self.there if p[:2] != own or p[2] <= boundary}
        if self.asked_back.get(own, 0) > boundary:
            del self.asked_back[own]


def what_goes_to_the_archive_is_good_and_not_there(
    audit: ArchiveAuditor, record: c.ArchiveCheckpoint
) -> None:
    """A good checkpoint that stays is brought there, once unless a driver ended."""
    place = record.simulation, record.set, record.boundary
    s = audit.of(record)
    assert record.boundary in s.good, (record, s.good)
    assert record.boundary not in s.deleting, record
    assert not s.given_up(record.boundary), record
    assert place not in audit.there, record
    assert place not in audit.on_the_way, record


def results_are_brought_once(audit: ArchiveAuditor, record: c.ArchiveResults) -> None:
    """Results of an end go there once; of a later end, or by another driver, again."""
    stage = record.simulation, record.stage
    count = audit.auditor.books[record.simulation].of(record.stage).committed
    assert audit.results.get(stage, -1) < count[record.stage], record
    assert stage not in audit.results_on_the_way, record


def nothing_goes_while_it_is_archived(
    audit: ArchiveAuditor, record: c.DeleteCheckpoint
) -> None:
    """What is on its way to the archive is not deleted meanwhile."""
    place = record.simulation, record.set, record.boundary
    assert place not in audit.on_the_way, record


def only_what_is_newer_is_asked_back(
    audit: ArchiveAuditor, record: c.RecallCheckpoint
) -> None:
    """One at a time, what the archive has and the disk has nothing as new as."""
    place = record.simulation, record.set, record.boundary
    s = audit.of(record)
    assert place in audit.there, record
    assert place not in audit.unreadable, record
    assert s.newest < record.boundary < len(s.commons), (record, s.good)
    assert place[:2] not in audit.asked_back, record


def all_that_ended_is_archived(
    audit: ArchiveAuditor, rules: Archive, content: Mapping[Place, object]
) -> None:
    """Ends of phases are there, and results of stages that are done, unless unfit."""
    for name, book in audit.auditor.books.items():
        for own, s in book.sets.items():
            last = len(s.commons) - 1
            if s.newest != last:
                continue
            place = name, own, last
            if place not in audit.unfit:
                assert place in audit.there, place
                assert place in content, place
            if rules.results:
                for stage in s.stages:
                    count = audit.results.get((name, stage), 0)
                    assert count == s.committed[stage], (place, stage, count)
