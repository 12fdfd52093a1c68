"""What goes to the archive and what is asked back, as decisions on the state."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from climorch.core.keeping import kept_checkpoints
from climorch.core.state import SetState, SimulationState
from climorch.core.upkeep import Policies
from climorch.model.commands import (
    ArchiveCheckpoint,
    ArchiveResults,
    RecallCheckpoint,
    Record,
)
from climorch.policy.archiving import worth_recalling

__all__ = ["archive", "awaits_recall", "recall"]


def archive(
    simulation: SimulationState, s: SetState, policies: Policies
) -> Iterator[Record]:
    """Send to the archive what belongs there and is not there yet."""
    rules = policies.archive
    if rules is None:
        return
    kept = []
    for k in kept_checkpoints(simulation, s):
        commit = s.commits[k.boundary]
        there = k.boundary in s.archived or commit.archiving or commit.unfit
        kept.append(replace(k, archived=there))
    commons = s.plan.commons
    on_the_way = [c.boundary for c in s.commits.values() if c.archiving]
    covered = [commons[b] for b in (*s.archived, *on_the_way) if b <= s.plan.last]
    wanted = rules.wanted(kept, last=s.plan.last, archived_model_s=covered)
    for boundary in wanted:
        yield ArchiveCheckpoint(
            simulation=simulation.name, set=s.name, boundary=boundary
        )
    if rules.results and s.complete and s.commits[s.committed].published:
        done = simulation.committed_segments
        for stage in s.plan.stages:
            if stage.name in simulation.results_archiving:
                continue
            known = simulation.results_archived.get(stage.name)
            # It may have gone on since: its plan is longer now.
            if known is None or known.segments < done.get(stage.name, 0):
                yield ArchiveResults(simulation=simulation.name, stage=stage.name)


def recall(
    simulation: SimulationState, s: SetState, policies: Policies
) -> Iterator[Record]:
    """Ask back what is newer than all that is good on the disk."""
    if policies.archive is None or s.recall is not None or not simulation.wants_nodes:
        return
    boundary = worth_recalling(
        s.archived, s.unreadable, committed=s.committed, last=s.plan.last
    )
    if boundary is not None:
        yield RecallCheckpoint(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            folder=s.archived[boundary].folder,
        )


def awaits_recall(s: SetState) -> bool:
    """Tell whether a set should wait for what comes back before it starts.

    Parameters
    ----------
    s : SetState
        Not while that takes hours: then it starts from what there is, and goes
        over to what came back once it is there.
    """
    return s.recall is not None and not s.recall.delayed
