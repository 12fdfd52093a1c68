"""Faults that are put into the library where more than nodes and drivers matter.

Blow-ups, conditions, scores, archives, budgets of bytes, control and books: as
`planted`, each is found by the invariant that it breaks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from unittest import mock

from climorch.core import archiving as core_archiving
from climorch.core import (
    fold,
    fold_remedies,
    fold_storage,
    keeping,
    progress,
    prospecting,
    remedying,
    scoring,
    upkeep,
)
from climorch.core.fold_archive import ARCHIVE
from climorch.core.sets import SetState
from climorch.core.state import CampaignState, SimulationState
from climorch.forecast.ledger import Bookkeeper
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import SetDropped
from climorch.model.numerics import Remedy
from climorch.policy.archiving import Archive
from climorch.testing.seeds.features import Shares
from climorch.testing.seeds.planted import PLANTED, Patch, Planted, patched

__all__ = ["EVERY"]

NONE = Shares(
    blow_ups=0.0,
    until=0.0,
    scores=0.0,
    promise=0.0,
    rules=0.0,
    optional=0.0,
    archive=0.0,
    bytes=0.0,
    budgets=0.0,
    inbox=0.0,
    pins=0.0,
    late=0.0,
)


def _with(**shares: float) -> Shares:
    """Let all cases have some of it, and nothing else."""
    return dataclasses.replace(NONE, **shares)


def _folded(kind: type[object], apply: Callable[..., None]) -> Callable[[], Patch]:
    return lambda: mock.patch.dict(fold._TABLE, {kind: apply})


def _nothing(*args: object, **more: object) -> None:
    """Do nothing."""


def _none(*args: object, **more: object) -> Iterator[c.Record]:
    """Decide nothing."""
    return iter(())


_give_up_or_ask = remedying.give_up_or_ask


def _asks_for_ever(
    simulation: SimulationState,
    s: SetState,
    remedies: Mapping[str, Remedy],
    message: str,
    reached: int,
) -> Iterator[c.Record]:
    """Ask however often it was tried."""
    endless = {n: dataclasses.replace(r, tries=10**6) for n, r in remedies.items()}
    yield from _give_up_or_ask(simulation, s, endless, message, reached)


def _tried_alike(**values: Any) -> remedying.Tried:
    """Forget what was to be other."""
    return remedying.Tried(**values | {"params": {}})


def _archived_unnoticed(state: CampaignState, fact: e.CheckpointArchived) -> None:
    """Do not remember what the archive has."""
    ARCHIVE[e.CheckpointArchived](state, fact)
    s = state.simulations[fact.simulation].sets[fact.set]
    s.archived.pop(fact.boundary, None)


_kept_checkpoints = keeping.kept_checkpoints


def _kept_without_uploads(simulation: SimulationState, s: SetState) -> Any:
    """Let what is on its way to the archive go like all else."""
    busy = {c.boundary for c in s.commits.values() if c.archiving}
    for commit in s.commits.values():
        commit.archiving = False
    kept = _kept_checkpoints(simulation, s)
    for boundary in busy:
        s.commits[boundary].archiving = True
    return kept


def _newest_archived(
    archived: Collection[int], unreadable: Collection[int], *, committed: int, last: int
) -> int | None:
    """Ask back whatever the archive has newest."""
    return max(archived, default=None)


def _reached_count(simulation: SimulationState, stage: str) -> int:
    """Take what is computed for what can be read."""
    return simulation.sets[simulation.plan.set_of[stage]].done[stage]


_prospect = prospecting._prospect


def _nobody_is_mandatory(state: CampaignState, simulation: SimulationState) -> Any:
    return dataclasses.replace(_prospect(state, simulation), mandatory=False)


_store = fold_storage.store


def _never_given_back(state: CampaignState, s: SetState, more_bytes: int) -> None:
    """Count what comes, and not what goes."""
    _store(state, s, max(more_bytes, 0))


def _drops_all(
    simulation: SimulationState, s: SetState, cause: e.Cause, message: str
) -> Iterator[c.Record]:
    """Go on without what failed, needed or not."""
    yield SetDropped(
        simulation=simulation.name, set=s.name, cause=cause, message=message
    )


EVERY: dict[str, Planted] = PLANTED | {
    "tries are not bounded": Planted(
        found_by=("tries_are_bounded",),
        patch=patched(upkeep, "give_up_or_ask", _asks_for_ever),
        shares=_with(blow_ups=1.0),
    ),
    "what is given up is not waited for": Planted(
        found_by=("nothing_starts_before_what_is_given_up_is_gone",),
        patch=patched(remedying.Blown, "waits", False),
        shares=_with(blow_ups=1.0),
    ),
    "a try changes nothing": Planted(
        found_by=("what_is_computed_is_of_its_course",),
        patch=patched(fold_remedies, "Tried", _tried_alike),
        shares=_with(blow_ups=1.0),
    ),
    "what comes late is believed": Planted(
        found_by=(
            "what_is_committed_is_covered",
            "nothing_is_committed_twice",
            "results_are_of_what_is_committed",
            "checkpoints_are_in_order",
            "attempts_are_new_and_have_their_gang",
            "no_committed_result_is_lost",
        ),
        patch=patched(fold, "refuse_former", lambda s, commit: False),
        shares=_with(blow_ups=1.0, late=1.0),
    ),
    "gates are passed": Planted(
        found_by=(
            "a_stage_ends_where_it_would_undisturbed",
            "what_a_condition_sees_is_what_was_committed",
        ),
        patch=patched(progress, "gate_of", lambda simulation, s: None),
        shares=_with(until=1.0),
    ),
    "conditions are told nothing": Planted(
        found_by=("what_a_condition_sees_is_what_was_committed",),
        patch=patched(fold, "settle_metrics", _nothing),
        shares=_with(until=1.0),
    ),
    "who is cancelled goes on": Planted(
        found_by=(
            "a_cancelled_one_begins_nothing",
            "a_segment_starts_once_and_in_turn",
            "attempts_are_new_and_have_their_gang",
        ),
        patch=_folded(e.CancelRequested, _nothing),
        shares=_with(inbox=1.0),
    ),
    "who is paused goes on": Planted(
        found_by=(
            "a_paused_one_goes_to_the_boundary_ahead_at_most",
            "a_paused_one_begins_no_attempt_and_gets_no_nodes",
        ),
        patch=_folded(e.PauseRequested, _nothing),
        shares=_with(inbox=1.0),
    ),
    "what is archived is forgotten": Planted(
        found_by=("what_goes_to_the_archive_is_good_and_not_there",),
        patch=_folded(e.CheckpointArchived, _archived_unnoticed),
        shares=_with(archive=1.0),
    ),
    "what is being archived is deleted": Planted(
        found_by=("nothing_goes_while_it_is_archived",),
        patch=patched(keeping, "kept_checkpoints", _kept_without_uploads),
        shares=_with(archive=1.0),
    ),
    "ends are not archived": Planted(
        found_by=("all_that_ended_is_archived",),
        patch=patched(Archive, "wanted", lambda *args, **more: ()),
        shares=_with(archive=1.0),
    ),
    "what is older is asked back": Planted(
        found_by=("only_what_is_newer_is_asked_back",),
        patch=patched(core_archiving, "worth_recalling", _newest_archived),
        shares=_with(archive=1.0),
    ),
    "scores see what cannot be read": Planted(
        found_by=("a_score_sees_what_is_published",),
        patch=patched(scoring, "published", _reached_count),
        shares=_with(scores=1.0),
    ),
    "marks are scored again": Planted(
        found_by=("a_score_is_taken_once_per_mark_and_in_order",),
        patch=patched(scoring, "newest", _nothing),
        shares=_with(scores=1.0),
    ),
    "mandatory ones wait": Planted(
        found_by=("mandatory_ones_go_first",),
        patch=patched(prospecting, "_prospect", _nobody_is_mandatory),
        shares=_with(scores=1.0, promise=1.0),
    ),
    "bytes are not given back": Planted(
        found_by=("the_budget_of_bytes_is_kept",),
        patch=patched(fold_storage, "store", _never_given_back),
        shares=_with(bytes=1.0),
    ),
    "no room is made": Planted(
        found_by=("the_budget_of_bytes_is_kept",),
        patch=patched(progress, "make_room", _none),
        shares=_with(bytes=1.0),
    ),
    "pins are not heeded": Planted(
        found_by=("what_is_pinned_stays",),
        patch=_folded(e.PinRequested, _nothing),
        shares=_with(pins=1.0),
    ),
    "what is needed is dropped": Planted(
        found_by=("only_what_is_optional_is_dropped",),
        patch=patched(remedying, "give_up", _drops_all),
        shares=_with(optional=1.0, blow_ups=1.0),
    ),
    "hours without a driver are booked": Planted(
        found_by=("hours_are_those_of_the_leases",),
        patch=patched(Bookkeeper, "_driver_started", _nothing),
        shares=NONE,
    ),
}
"""By what is wrong: those of `planted` and these."""
