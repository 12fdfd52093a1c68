"""Exposure: what a failure may cost is bounded, whatever the strategy."""

from __future__ import annotations

from dataclasses import dataclass

from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.books import SetBook

__all__ = ["ExposureAuditor", "no_boundary_is_passed_over_the_cap"]

# Of the cap on exposure: two intervals may be lost, and the way to the failure.
SHARE = 28 / 60


@dataclass(slots=True, kw_only=True)
class _Cut:
    """The newest cut of a set, and the one that is planned."""

    boundary: int
    at_s: float
    planned: bool = False


class ExposureAuditor:
    """Reads what was journaled, each record before the other books take it.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed.
    most_exposure_s : float
        As of `Limits`.
    """

    def __init__(self, auditor: Auditor, most_exposure_s: float) -> None:
        self.auditor = auditor
        self.longest_s = most_exposure_s * SHARE
        self.cuts: dict[tuple[str, str], _Cut] = {}

    def take(self, record: c.Record, now_s: float) -> None:
        """Take a record."""
        match record:
            case c.StartAttempt():
                cut = _Cut(boundary=record.boundary, at_s=now_s)
                self.cuts[record.simulation, record.set] = cut
            case e.SetRestored():
                s = self.auditor.books[record.simulation].sets[record.set]
                if s.attempt == record.attempt and s.alive and not s.restored:
                    self.cuts[record.simulation, record.set].at_s = now_s
            case c.CheckpointPlanned():
                self.cuts[record.simulation, record.set].planned = True
            case c.BeginCheckpoint():
                cut = _Cut(boundary=record.boundary, at_s=now_s)
                self.cuts[record.simulation, record.set] = cut
            case c.StartSegment():
                no_boundary_is_passed_over_the_cap(self, record, now_s)
            case _:
                pass


def no_boundary_is_passed_over_the_cap(
    audit: ExposureAuditor, record: c.StartSegment, now_s: float
) -> None:
    """Once the cap is reached nobody is the first to pass a boundary without a cut.

    One checkpoint at a time: where one is under way, the next has to wait. Who comes
    second finds the boundary passed already.
    """
    s = audit.auditor.books[record.simulation].of(record.stage)
    cut = audit.cuts[record.simulation, next(iter(s.stages))]
    if s.writing is not None or cut.planned:
        return
    boundary = begins_at(s, record)
    if boundary is None or s.passed(boundary):
        return
    if boundary > max(cut.boundary, s.newest):
        since_s = now_s - cut.at_s
        assert since_s <= audit.longest_s + 1e-6, (record, since_s, audit.longest_s)


def begins_at(s: SetBook, record: c.StartSegment) -> int | None:
    """Return the inner common boundary at which a segment begins, if at one."""
    start = s.stages[record.stage].boundaries[record.segment]
    inner = s.commons[1:-1]
    return inner.index(start) + 1 if start in inner else None
