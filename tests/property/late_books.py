"""What must hold of a set that blows up, by books of its own.

Which course a checkpoint is of is known from when its attempt began, and from nothing
that the library keeps of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from climorch.model import commands as c
from climorch.model import events as e
from tests.unit.core.script import Script

__all__ = ["LateBooks"]


class LateBooks:
    """Where a set went back to, what is committed, and what was seen.

    Attributes
    ----------
    seen : set of str
        What happened that somebody may want to have happened.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        # Where it went back to, and the newest attempt of before.
        self._gave_up: list[tuple[int, int]] = []
        self._committed = 0

    def given(self, script: Script, fact: e.RemedyGiven, attempt: int) -> None:
        """Note where it goes back to, which nothing but the first answer says."""
        pending = script.set().blown.pending
        if pending is not None and pending.number == fact.number:
            s = script.set()
            good = [b for b, x in s.commits.items() if x.good and not x.deleting]
            # The beginning is one more, unless any was deleted: it is far then.
            oldest = good[0] if good and s.deleted else 0
            target = good[-fact.back] if fact.back <= len(good) else oldest
            self._gave_up.append((target, attempt))
            self._committed = min(self._committed, target)

    def is_former(self, boundary: int, attempt: int) -> bool:
        """Tell whether a checkpoint is of a course that was given up."""
        return any(attempt <= last and boundary > to for to, last in self._gave_up)

    def course(self, boundary: int) -> int:
        """Return the number of the try by which the end of a segment is computed."""
        return max(
            (n for n, (to, _) in enumerate(self._gave_up, 1) if to < boundary),
            default=0,
        )

    def learned(self, script: Script) -> tuple[object, ...]:
        """Return what only a checkpoint of the present course may change."""
        simulation = script.orchestrator.state.simulations.get("s")
        if simulation is None:
            return ()
        s = simulation.sets["a"]
        told, failures = dict(simulation.metrics), dict(simulation.failures)
        recent = {stage: dict(x) for stage, x in simulation.recent.items()}
        return told, failures, recent, simulation.courses, s.held.boundary

    def look(self, script: Script, disk: Mapping[int, int], record: c.Record) -> None:
        """See that a decision is right by what is known here."""
        commits = script.set().commits
        match record:
            case c.SegmentCommitted():
                # Once and in order: what is taken back is told by a rollback.
                assert record.segment == self._committed, record
                self._committed += 1
            case c.RolledBack():
                self._committed = min(self._committed, record.boundary)
            case c.StartAttempt() if record.boundary:
                assert record.boundary in disk, (record, disk)
                attempt = disk[record.boundary]
                assert not self.is_former(record.boundary, attempt), record
            case c.PublishResults():
                attempt = commits[record.boundary].attempt
                assert not self.is_former(record.boundary, attempt), record
            case c.DeleteCheckpoint():
                former = self.is_former(record.boundary, record.attempt)
                stay = [b for b, x in commits.items() if x.good and not x.deleting]
                # Of the present course the newest two stay.
                assert former or record.boundary < min(stay[-2:]), (record, stay)
                self.seen.add("former one deleted" if former else "old one deleted")

    def what_is_there(self, script: Script, disk: Mapping[int, int]) -> None:
        """See that no state, and no word of one, is of a course that was given up."""
        simulation, s = script.simulation(), script.set()
        if s.blown.target is not None:
            # Until it is gone, what was given up is there, and nothing starts.
            return
        for boundary, commit in s.commits.items():
            former = self.is_former(boundary, commit.attempt)
            assert not (former and commit.good), (boundary, commit)
            if former:
                self.seen.add("refused")
            elif commit.good and not commit.deleting:
                assert disk.get(boundary) == commit.attempt, (commit, disk)
        told = simulation.metrics.get("a")
        if s.committed and told is not None and not s.blown.tried:
            assert told == {"course": 0.0}
        counts = simulation.committed_segments.get("a", 0)
        alive = s.phase is not s.phase.IDLE
        assert counts <= s.committed or alive, (counts, s.committed)
        assert [*s.commits] == sorted(s.commits)
