"""How the state changes by what is kept, pinned and deleted on the disk.

One part of `fold`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.fold_remedies import went_back
from climorch.core.sets import CheckpointState, SetState
from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["STORAGE", "keep", "set_of", "store"]


def store(state: CampaignState, s: SetState, more_bytes: int) -> None:
    """Count bytes of a set's checkpoints that came (or went, if negative)."""
    # What was counted too little before must not be counted below nothing.
    more_bytes = max(more_bytes, -s.stored_bytes)
    s.stored_bytes += more_bytes
    state.stored_bytes += more_bytes


def keep(state: CampaignState, s: SetState, commit: CheckpointState) -> None:
    """Let a set have one more checkpoint, wherever in its history."""
    known = s.commits.get(commit.boundary)
    if known is not None:
        # That one was damaged and is out of use. An upload that began with it may
        # bring either, and the second one were brought twice.
        store(state, s, -known.own_bytes)
        commit.archiving = commit.anew = known.archiving
    late = commit.boundary < next(reversed(s.commits), 0)
    s.commits[commit.boundary] = commit
    if late:
        s.commits = dict(sorted(s.commits.items()))
    store(state, s, commit.own_bytes)


def set_of(state: CampaignState, record: Any) -> SetState | None:
    """Return the set of a record; None: there is none of that name."""
    simulation = state.simulations.get(record.simulation)
    return simulation.sets.get(record.set) if simulation else None


def _deleting(state: CampaignState, command: c.DeleteCheckpoint) -> None:
    s = state.simulations[command.simulation].sets[command.set]
    commit = s.commits[command.boundary]
    commit.deleting, commit.leaving_bytes = True, command.bytes


def _deleted(state: CampaignState, fact: e.CheckpointDeleted) -> None:
    s = state.simulations[fact.simulation].sets[fact.set]
    commit = s.commits.get(fact.boundary)
    if commit is None or fact.attempt not in (0, commit.attempt):
        # Gone already, or another one has taken its place since.
        return
    del s.commits[fact.boundary]
    s.deleted += 1
    went_back(s)
    freed_bytes = fact.bytes_freed
    store(state, s, -(commit.own_bytes if freed_bytes is None else freed_bytes))


def _counted(state: CampaignState, fact: e.StorageCounted) -> None:
    s = set_of(state, fact)
    if s is not None:
        store(state, s, fact.bytes - s.stored_bytes)


def _pinned(state: CampaignState, fact: e.PinRequested) -> None:
    s = set_of(state, fact)
    if s is not None:
        s.pins |= {fact.boundary}


def _unpinned(state: CampaignState, fact: e.UnpinRequested) -> None:
    s = set_of(state, fact)
    if s is not None:
        s.pins -= {fact.boundary}


STORAGE: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    c.DeleteCheckpoint: _deleting,
    e.CheckpointDeleted: _deleted,
    e.StorageCounted: _counted,
    e.PinRequested: _pinned,
    e.UnpinRequested: _unpinned,
}
