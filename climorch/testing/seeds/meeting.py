"""What a case came to: which of the things that are drawn did happen.

A generator that never reaches a state tests nothing there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from climorch.core.remedying import given_up
from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record

__all__ = ["MET", "met_in"]

MET: tuple[str, ...] = (
    "blow-up",
    "tried again",
    "went back with checkpoints to delete",
    "over with the next try",
    "given up after tries",
    "nothing more to try",
    "ended early",
    "end moved on by a rule",
    "born from results",
    "optional stages dropped",
    "scored",
    "score failed",
    "score not finite",
    "promise ranked",
    "gave way for promise",
    "mandatory one finished",
    "budget used up",
    "budget raised again",
    "bytes made room for",
    "archived",
    "results archived",
    "archive waited for",
    "unfit for the archive",
    "asked back",
    "came back",
    "did not come back",
    "came back in hours",
    "wish through the inbox",
    "wish told twice",
    "paused while it computed",
    "paused by a wrong rule",
    "cancelled while it computed",
    "preferred in mid-run",
    "drained",
    "pinned",
    "preempted",
    "written from a partner's copy",
    "damage found",
    "node lost",
    "driver died or left",
    "heard of after it was given up",
)
"""Names of all that may be met."""

_KINDS: Mapping[type[object], str] = {
    e.RuleFailed: "rule failed",
    e.ScoreEvaluated: "scored",
    e.CheckpointArchived: "archived",
    e.ResultsArchived: "results archived",
    e.ArchivingFailed: "unfit for the archive",
    c.RecallCheckpoint: "asked back",
    e.CheckpointRecalled: "came back",
    e.RecallFailed: "did not come back",
    e.RecallDelayed: "came back in hours",
    c.AskRemedy: "blow-up",
    c.PromiseRanked: "promise ranked",
    e.WishTaken: "wish through the inbox",
    e.DrainRequested: "drained",
    e.PinRequested: "pinned",
    c.PreemptPlanned: "preempted",
    c.SalvageCopy: "written from a partner's copy",
    e.CheckpointScrubbed: "damage found",
    e.NodeLost: "node lost",
    c.SetDropped: "optional stages dropped",
}


def met_in(
    journal: Iterable[tuple[Record, float]], state: CampaignState, *, waited: int
) -> Counter[str]:
    """Count what happened, each thing once at most.

    Parameters
    ----------
    journal : iterable of (Record, float)
        All of it.
    state : CampaignState
        As it ended.
    waited : int
        Transfers that had to wait for the archive.
    """
    rows = list(journal)
    found = {*_of_state(state), *_of_records(rows), *_of_late(rows, state)}
    if waited:
        found.add("archive waited for")
    return Counter({name: 1 for name in MET if name in found})


def _of_state(state: CampaignState) -> Iterator[str]:
    for simulation in state.simulations.values():
        if any(edit.rule.startswith("until") for edit in simulation.edits):
            yield "ended early"
        if any(edit.rule == "grow" for edit in simulation.edits):
            yield "end moved on by a rule"
        if simulation.branch is not None and simulation.branch.boundaries:
            yield "born from results"
        if simulation.scenario.mandatory and simulation.complete:
            yield "mandatory one finished"
        tried = [t for s in simulation.sets.values() for t in s.blown.tried]
        if tried and simulation.complete:
            yield "over with the next try"
        if simulation.failed and "tries:" in simulation.failed[1]:
            yield "given up after tries"


def _of_late(
    journal: Iterable[tuple[Record, float]], state: CampaignState
) -> Iterator[str]:
    """Look for checkpoints of a course that was given up before they were heard of."""
    newest: dict[tuple[str, str], int] = {}
    former: dict[tuple[str, str], int] = {}
    for record, _ in journal:
        match record:
            case c.StartAttempt():
                newest[record.simulation, record.set] = record.attempt
            case e.RemedyGiven():
                own = record.simulation, record.set
                former[own] = newest.get(own, 0)
            case e.CheckpointCommitted() | e.CheckpointRecalled():
                own = record.simulation, record.set
                blown = state.simulations[own[0]].sets[own[1]].blown
                late = record.attempt <= former.get(own, 0)
                if late and given_up(blown, record.attempt, record.boundary):
                    yield "heard of after it was given up"


def _of_records(journal: Iterable[tuple[Record, float]]) -> Iterator[str]:
    lives, wishes = 0, set[str]()
    leased: set[str] = set()
    back: set[tuple[str, str]] = set()
    broke: set[str] = set()
    for record, _ in journal:
        if type(record) in _KINDS:
            yield _KINDS[type(record)]
        match record:
            case e.DriverStarted():
                lives += 1
                leased.clear()
                if lives > 1:
                    yield "driver died or left"
            case e.WishTaken():
                if record.id in wishes:
                    yield "wish told twice"
                wishes.add(record.id)
                yield from _of_wish(record.wish, leased)
            case c.SetLease():
                leased.discard(record.simulation)
                leased |= {record.simulation} if record.nodes else set()
                if "is used up" in record.why:
                    broke.add(record.why.split()[4])
                    yield "budget used up"
            case e.ProjectDeclared() if record.project.name in broke:
                yield "budget raised again"
            case e.RemedyGiven():
                yield "tried again" if record.retry else "nothing more to try"
                back.add((record.simulation, record.set))
            case c.StartAttempt():
                back.discard((record.simulation, record.set))
            case c.DeleteCheckpoint():
                if (record.simulation, record.set) in back:
                    yield "went back with checkpoints to delete"
                if record.at_once:
                    yield "bytes made room for"
            case e.ScoreFailed():
                yield "score not finite" if record.not_finite else "score failed"
            case e.RuleFailed() if record.pause:
                yield "paused by a wrong rule"
            case c.PromiseRanked() if record.pauses:
                yield "gave way for promise"
            case _:
                yield from _of_wish(record, leased)


def _of_wish(record: Record, leased: set[str]) -> Iterator[str]:
    match record:
        case e.PauseRequested() if record.simulation in leased:
            yield "paused while it computed"
        case e.CancelRequested() if record.simulation in leased:
            yield "cancelled while it computed"
        case e.PriorityRequested() if record.simulation in leased:
            yield "preferred in mid-run"
        case e.DrainRequested():
            yield "drained"
        case e.PinRequested():
            yield "pinned"
        case _:
            pass
