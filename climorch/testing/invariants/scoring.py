"""Scores and promise: each mark once and in order, and mandatory ones go first."""

from __future__ import annotations

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import PromiseRule
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.remedies import back_to

__all__ = [
    "ScoreAuditor",
    "a_score_is_taken_once_per_mark_and_in_order",
    "a_score_sees_what_is_published",
    "every_mark_is_scored",
    "mandatory_ones_go_first",
]

Own = tuple[str, str]


class ScoreAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed.
    rule : PromiseRule or None
        As of `Policies`.
    """

    def __init__(self, auditor: Auditor, rule: PromiseRule | None) -> None:
        self.auditor = auditor
        self.rule = rule
        self.scenarios: list[Scenario] = []
        # Of each set, boundaries whose results can be read.
        self.published: dict[Own, set[int]] = {}
        self.asked: dict[Own, int] = {}
        # Of those, the ones that were asked about a course that was given up since.
        self.void: set[Own] = set()
        # What scores said, by mark: whether they failed.
        self.known: dict[Own, dict[int, bool]] = {}
        # Who has shown that it may not end well.
        self.suspect: set[str] = set()

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case e.SimulationSubmitted():
                if record.simulation not in self.auditor.books:
                    self.scenarios.append(record.scenario)
            case e.RuleEvaluated():
                for fact in record.consequences:
                    self.take(fact, now_s)
            case e.DriverStopped():
                self.asked.clear()
                self.void.clear()
            case e.RemedyGiven(retry=True):
                self._turned(record)
            case e.DriverStarted():
                self.asked.clear()
                self.void.clear()
                self._forget_faults()
            case e.ResultsPublished():
                s = self.auditor.books[record.simulation].sets[record.set]
                there = {b for b in s.there if b <= record.boundary}
                place = record.simulation, record.set
                self.published[place] = self.published.get(place, set()) | there
            case e.CheckpointDeleted():
                place = record.simulation, record.set
                s = self.auditor.books[record.simulation].sets[record.set]
                if record.attempt in (0, s.there.get(record.boundary, 0)):
                    self.published.get(place, set()).discard(record.boundary)
            case e.CheckpointCommitted() | e.CheckpointRecalled():
                # Committed anew where a damaged one was: to be published again.
                place = record.simulation, record.set
                s = self.auditor.books[record.simulation].sets[record.set]
                if record.boundary not in s.good:
                    self.published.get(place, set()).discard(record.boundary)
            case c.RolledBack():
                self._rolled_back(record)
            case c.EvaluateScore():
                a_score_sees_what_is_published(self, record)
                a_score_is_taken_once_per_mark_and_in_order(self, record)
                self.asked[record.simulation, record.score] = record.mark
            case e.ScoreEvaluated() | e.ScoreFailed():
                self._answered(record)
            case c.AskRemedy():
                self.suspect.add(record.simulation)
            case c.PromiseRanked():
                mandatory_ones_go_first(self, record)
            case _:
                pass

    def published_count(self, simulation: str, stage: str) -> int:
        """Count the segments of a stage whose results can be read."""
        s = self.auditor.books[simulation].of(stage)
        there = self.published.get((simulation, next(iter(s.stages))), set())
        stay = s.good.keys() - s.deleting
        readable = [b for b in there if b in stay and b < len(s.commons)]
        return s.ended(stage, max(readable)) if readable else 0

    def score(
        self, record: c.EvaluateScore | e.ScoreEvaluated | e.ScoreFailed
    ) -> ScorePlan:
        """Return the plan of the score of a record."""
        scores = self.auditor.books[record.simulation].plan.scores
        return next(score for score in scores if score.name == record.score)

    def _answered(self, fact: e.ScoreEvaluated | e.ScoreFailed) -> None:
        own = fact.simulation, fact.score
        if self.asked.get(own) != fact.mark:
            return
        del self.asked[own]
        if own in self.void:
            self.void.discard(own)
            return
        failed = isinstance(fact, e.ScoreFailed)
        if isinstance(fact, e.ScoreFailed) and fact.not_finite:
            self.suspect.add(fact.simulation)
        score, known = self.score(fact), self.known.setdefault(own, {})
        marks = marks_of(score, self.auditor.books[fact.simulation].plan)
        # After a loss some before it may be to be taken again.
        skips = any(max(known, default=0) < mark < fact.mark for mark in marks)
        count = self.published_count(fact.simulation, score.stage)
        if fact.mark <= count and not skips:
            known[fact.mark] = failed

    def _turned(self, fact: e.RemedyGiven) -> None:
        """Let what was asked about a course that is given up count for nothing."""
        book = self.auditor.books[fact.simulation]
        s = book.sets[fact.set]
        if s.asked is None or s.asked.number != fact.number:
            return
        target = back_to(s, fact.back)
        for score in book.plan.scores:
            own = fact.simulation, score.name
            asked = self.asked.get(own, 0)
            if score.stage in s.stages and asked > s.ended(score.stage, target):
                self.void.add(own)

    def _rolled_back(self, record: c.RolledBack) -> None:
        book = self.auditor.books[record.simulation]
        s = book.sets[record.set]
        for score in book.plan.scores:
            if score.stage in s.stages:
                known = self.known.get((record.simulation, score.name), {})
                left = s.ended(score.stage, record.boundary)
                for mark in [m for m in known if m > left]:
                    del known[mark]

    def _forget_faults(self) -> None:
        for known in self.known.values():
            good = max((m for m, failed in known.items() if not failed), default=0)
            for mark in [m for m in known if m > good]:
                del known[mark]


def marks_of(score: ScorePlan, plan: SimulationPlan) -> list[int]:
    """List the marks of a score that is taken every so many segments."""
    segments = next(s.segments for s in plan.stages if s.name == score.stage)
    assert isinstance(score.every, int)
    return sorted({*range(score.every, segments, score.every), segments})


def a_score_sees_what_is_published(
    audit: ScoreAuditor, record: c.EvaluateScore
) -> None:
    """What a score is asked to see can be read, and is committed."""
    count = audit.published_count(record.simulation, audit.score(record).stage)
    assert record.mark <= count, (record, count)


def a_score_is_taken_once_per_mark_and_in_order(
    audit: ScoreAuditor, record: c.EvaluateScore
) -> None:
    """The next mark is asked for, once, and nothing else before it was answered."""
    own = record.simulation, record.score
    known = audit.known.get(own, {})
    assert own not in audit.asked, (record, audit.asked)
    plan = audit.auditor.books[record.simulation].plan
    ahead = [
        m for m in marks_of(audit.score(record), plan) if m > max(known, default=0)
    ]
    assert ahead[:1] == [record.mark], (record, known, ahead)


def every_mark_is_scored(audit: ScoreAuditor, simulation: str) -> None:
    """Of what is finished every mark has an answer, in the books of the journal."""
    plan = audit.auditor.books[simulation].plan
    for score in plan.scores:
        known = audit.known.get((simulation, score.name), {})
        marks = marks_of(score, plan)
        # An end that was moved leaves a mark where it lay before.
        assert set(marks) <= known.keys(), (simulation, score, known)


def mandatory_ones_go_first(audit: ScoreAuditor, record: c.PromiseRanked) -> None:
    """Whatever scores say, mandatory ones stand first and are not paused."""
    if not isinstance(audit.rule, SiblingPromise) or not record.on or record.fault:
        return
    ranked = [audit.scenarios[serial] for serial in record.order]
    first = [s.mandatory for s in ranked if s.name not in audit.suspect]
    assert first == sorted(first, reverse=True), (record, first)
    paused = [s for s in audit.scenarios if s.name in record.pauses and s.mandatory]
    assert paused == [], record
