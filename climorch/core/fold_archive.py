"""How the state changes by what goes to an archive and comes back from there.

One part of `fold`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.fold_remedies import refuse_former
from climorch.core.fold_storage import keep, set_of
from climorch.core.remedying import given_up
from climorch.core.sets import InArchive, Recall, SetState
from climorch.core.state import CampaignState, CheckpointState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["ARCHIVE", "forget_archiving"]


def forget_archiving(simulation: SimulationState) -> None:
    """Let nothing be on its way any more: its driver ended."""
    simulation.results_archiving.clear()
    for s in simulation.sets.values():
        s.recall = None
        for commit in s.commits.values():
            commit.archiving = commit.anew = False


def _commit_of(state: CampaignState, record: Any) -> CheckpointState | None:
    s = set_of(state, record)
    return s.commits.get(record.boundary) if s else None


def _archiving(state: CampaignState, command: c.ArchiveCheckpoint) -> None:
    commit = _commit_of(state, command)
    if commit is not None:
        commit.archiving = True


def _archived(state: CampaignState, fact: e.CheckpointArchived) -> None:
    s, commit = set_of(state, fact), _commit_of(state, fact)
    if s is None or commit is None or not commit.archiving:
        # Told again: there may be another one at its boundary now.
        return
    commit.archiving = commit.anew = False
    if not given_up(s.blown, commit.attempt, fact.boundary):
        s.archived[fact.boundary] = InArchive(
            folder=fact.folder, url=fact.url, bytes=fact.bytes
        )
        s.unreadable -= {fact.boundary}


def _unfit(state: CampaignState, fact: e.ArchivingFailed) -> None:
    commit = _commit_of(state, fact)
    if commit is not None and commit.archiving:
        # What was found bad may be the one before it: it is asked for once more.
        commit.archiving, commit.unfit, commit.anew = False, not commit.anew, False


def _archiving_results(state: CampaignState, command: c.ArchiveResults) -> None:
    simulation = state.simulations.get(command.simulation)
    if simulation is not None:
        count = simulation.committed_segments.get(command.stage, 0)
        simulation.results_archiving[command.stage] = count


def _results_archived(state: CampaignState, fact: e.ResultsArchived) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is not None:
        # More may have been computed since it was asked for: of a longer plan.
        count = simulation.results_archiving.pop(fact.stage, 0)
        simulation.results_archived[fact.stage] = InArchive(
            folder="", url=fact.url, bytes=fact.bytes, segments=count
        )


def _recalling(state: CampaignState, command: c.RecallCheckpoint) -> None:
    s = set_of(state, command)
    if s is not None:
        s.recall = Recall(boundary=command.boundary)


def _delayed(state: CampaignState, fact: e.RecallDelayed) -> None:
    s = set_of(state, fact)
    if s is not None and s.recall is not None and s.recall.boundary == fact.boundary:
        s.recall = Recall(boundary=fact.boundary, delayed=True)


def _recalled(state: CampaignState, fact: e.CheckpointRecalled) -> None:
    s = set_of(state, fact)
    if s is None:
        return
    _came(s, fact.boundary)
    known = s.commits.get(fact.boundary)
    if fact.boundary > s.plan.last or (known is not None and known.good):
        return
    s.copies += 1
    commit = CheckpointState(
        boundary=fact.boundary,
        attempt=fact.attempt,
        committed_s=state.now_s,
        seconds=fact.seconds,
        bytes_state=0,
        bytes_written=fact.bytes,
        # Its files are its own.
        copy=s.copies,
        own_bytes=fact.bytes,
        recalled=True,
    )
    refuse_former(s, commit)
    keep(state, s, commit)


def _not_recalled(state: CampaignState, fact: e.RecallFailed) -> None:
    s = set_of(state, fact)
    # Else it was asked for of a course that was given up since, or is told again.
    if s is not None and _came(s, fact.boundary):
        s.unreadable |= {fact.boundary}


def _came(s: SetState, boundary: int) -> bool:
    """Let an answer to what was asked back be there; tell whether it is that."""
    expected = s.recall is not None and s.recall.boundary == boundary
    if expected:
        s.recall = None
    return expected


ARCHIVE: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    c.ArchiveCheckpoint: _archiving,
    c.ArchiveResults: _archiving_results,
    c.RecallCheckpoint: _recalling,
    e.CheckpointArchived: _archived,
    e.ArchivingFailed: _unfit,
    e.ResultsArchived: _results_archived,
    e.RecallDelayed: _delayed,
    e.CheckpointRecalled: _recalled,
    e.RecallFailed: _not_recalled,
}
