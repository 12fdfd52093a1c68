"""After a restart: what the disk knows and the journal does not.

A driver that died between the rename of a checkpoint and its journal row, or
between a deletion and its row, left the two apart. The disk is right.
"""

from __future__ import annotations

import logging

from climorch.core.sets import is_new
from climorch.core.state import CampaignState, SetState
from climorch.model.events import (
    CheckpointCommitted,
    CheckpointDeleted,
    Fact,
    StorageCounted,
)
from climorch.storage.checkpoints import Checkpoint, CheckpointStore
from climorch.storage.sizing import physical_bytes

__all__ = ["reconcile"]

logger = logging.getLogger(__name__)


def reconcile(state: CampaignState, checkpoints: CheckpointStore) -> list[Fact]:
    """Fence older drivers and return facts about what they left.

    Parameters
    ----------
    state : CampaignState
        As replayed.
    checkpoints : CheckpointStore
        Of the new epoch.

    Returns
    -------
    list of Fact
        Commits and deletions whose outcome was not journaled, and bytes that were
        counted wrongly because of such.
    """
    for left in checkpoints.fence():
        done = checkpoints.complete(left)
        if done is not None:
            logger.info("finished checkpoint of a dead driver path=%s", done.path)
    checkpoints.tidy()
    facts: list[Fact] = []
    for simulation, s in state.sets():
        found = {
            checkpoint.boundary: checkpoint
            for checkpoint in checkpoints.list(simulation.name, s.name)
            if checkpoint.boundary <= s.plan.last
        }
        for boundary in sorted(found):
            manifest = found[boundary].manifest
            if not is_new(s, boundary, manifest.attempt):
                continue
            facts.append(
                CheckpointCommitted(
                    simulation=simulation.name,
                    set=s.name,
                    boundary=boundary,
                    attempt=manifest.attempt,
                    seconds=0.0,
                    cost_s=s.cost_s or 0.0,
                    bytes_written=sum(
                        entry.length for entry in manifest.entries.values()
                    ),
                    independent=not any(e.linked for e in manifest.entries.values()),
                )
            )
        facts += [
            CheckpointDeleted(simulation=simulation.name, set=s.name, boundary=boundary)
            for boundary, commit in sorted(s.commits.items())
            if commit.good and boundary not in found
        ]
        facts += _counted(simulation.name, s, found)
    return facts


def _counted(
    simulation: str, s: SetState, found: dict[int, Checkpoint]
) -> list[StorageCounted]:
    """Count what is on the disk, where the journal says otherwise."""
    # Those that were set aside are on it too, and their manifests may be bad.
    aside = sum(
        c.own_bytes
        for b, c in s.commits.items()
        if not (c.good or (b in found and found[b].manifest.attempt == c.attempt))
    )
    stored = physical_bytes(found.values()) + aside
    if stored == s.stored_bytes:
        return []
    return [StorageCounted(simulation=simulation, set=s.name, bytes=stored)]
