"""Faults of deciding that are put into the library, to see that seeds find them.

The test of the test: each breaks one promise, and the invariant that says so has to
be the one that finds it. Faults of durability are in `climorch.testing.planted`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import msgspec

from climorch.core import (
    demand,
    fold,
    fold_nodes,
    frontier,
    holds,
    keeping,
    leasing,
    orchestrator,
    pacing,
    progress,
    upkeep,
)
from climorch.core.retries import Retries
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.limits import Limits, Ruling
from climorch.policy.retention import Kept, RetentionPolicy
from climorch.testing.seeds.features import Shares
from climorch.twin.ledger import Ledger

__all__ = ["PLANTED", "Patch", "Planted", "patched"]

Patch = AbstractContextManager[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault of the library.

    Attributes
    ----------
    found_by : tuple of str
        Invariants that say so; the first one to break may be any of them.
    patch : callable
        Makes a context manager that puts the fault in.
    shares : Shares or None
        Of the cases in which it is looked for.
    """

    found_by: tuple[str, ...]
    patch: Callable[[], Patch]
    shares: Shares | None = None


def patched(owner: Any, name: str, replacement: Any) -> Callable[[], Patch]:
    """Put something else in the place of what an object has."""
    return lambda: mock.patch.object(owner, name, replacement)


def _commit_all(simulation: SimulationState, s: SetState) -> Iterator[c.Record]:
    """Declare committed what was declared before."""
    if s.commits:
        for stage, count in s.plan.segments_at[s.committed].items():
            for segment in range(count):
                yield c.SegmentCommitted(
                    simulation=simulation.name, stage=stage, segment=segment
                )


_roll_back = upkeep.roll_back


def _roll_back_further(
    simulation: SimulationState, s: SetState, cause: e.Cause
) -> Iterator[c.Record]:
    """Fall back to before the newest checkpoint."""
    for record in _roll_back(simulation, s, cause):
        if isinstance(record, c.RolledBack) and record.boundary:
            yield msgspec.structs.replace(record, boundary=record.boundary - 1)
        else:
            yield record


_leased = leasing.leased


def _leased_twice(state: CampaignState, decided: Any) -> Iterator[c.Record]:
    """Give a node to two."""
    for record in _leased(state, decided):
        others = [
            node
            for s in state.simulations.values()
            for node in s.lease
            if isinstance(record, c.SetLease) and s.name != record.simulation
        ]
        if isinstance(record, c.SetLease) and record.nodes and others:
            nodes = (*record.nodes[:-1], others[0])
            yield msgspec.structs.replace(record, nodes=nodes)
        else:
            yield record


def _leased_in_part(state: CampaignState, decided: Any) -> Iterator[c.Record]:
    """Give less than a gang."""
    for record in _leased(state, decided):
        if isinstance(record, c.SetLease) and len(record.nodes) > 1:
            yield msgspec.structs.replace(record, nodes=record.nodes[:1])
        else:
            yield record


def _leased_to_some(state: CampaignState, decided: Any) -> Iterator[c.Record]:
    """Never give any to the one that came second."""
    for record in _leased(state, decided):
        second = (
            isinstance(record, c.SetLease)
            and record.nodes
            and state.simulations[record.simulation].serial == 1
        )
        if not second:
            yield record


_note = Retries.note


def _kept_in_mind(
    self: Retries, state: CampaignState, simulation: SimulationState
) -> None:
    """Change the state without a record."""
    _note(self, state, simulation)
    simulation.lost_segments += 1


def _no_caps(wanted: str | None, pace: Any, limits: Limits) -> Ruling:
    """Do what the strategy says, whatever it may cost."""
    return Ruling(due=wanted is not None, why=wanted or "")


def _unguarded(policy: RetentionPolicy, kept: list[Kept]) -> tuple[int, ...]:
    """Delete whatever is not among the newest."""
    return tuple(sorted({k.boundary for k in kept if not k.pinned})[:-1])


_let_go = progress._let_go


def _keeps_its_nodes(
    state: CampaignState, simulation: SimulationState
) -> Iterator[c.Record]:
    """Hold nodes after the end."""
    if not simulation.complete:
        yield from _let_go(state, simulation)


def _unpaid(
    state: CampaignState, simulation: SimulationState, nodes: tuple[str, ...]
) -> None:
    """Lose nodes, and go on paying for them."""
    simulation.lease = nodes


def _nothing(*args: object, **more: object) -> None:
    """Do nothing."""


def _drained_once() -> Patch:
    """Give a drained node out, one time."""
    left = [1]

    def leased(state: CampaignState, decided: Any) -> Iterator[c.Record]:
        for record in _leased(state, decided):
            held = {node for s in state.simulations.values() for node in s.lease}
            drained = sorted(state.draining & state.nodes.keys() - held)
            if isinstance(record, c.SetLease) and record.nodes and drained and left:
                left.clear()
                nodes = (*record.nodes[:-1], drained[0])
                yield msgspec.structs.replace(record, nodes=nodes)
            else:
                yield record

    return mock.patch.object(orchestrator, "leased", leased)


PLANTED: dict[str, Planted] = {
    "segments are committed again": Planted(
        found_by=("nothing_is_committed_twice",),
        patch=patched(progress, "commit", _commit_all),
    ),
    "a loss goes back too far": Planted(
        found_by=("no_committed_result_is_lost",),
        patch=patched(upkeep, "roll_back", _roll_back_further),
    ),
    "a node is in two leases": Planted(
        found_by=("nodes_are_leased_once_and_up",),
        patch=patched(orchestrator, "leased", _leased_twice),
    ),
    "a lease is less than a gang": Planted(
        found_by=("leases_fit_what_was_asked_for",),
        patch=patched(orchestrator, "leased", _leased_in_part),
    ),
    "one is never served": Planted(
        found_by=("somebody_advances", "everything_that_may_has_ended"),
        patch=patched(orchestrator, "leased", _leased_to_some),
    ),
    "something is kept in mind": Planted(
        found_by=("replay_gives_an_equal_state",),
        patch=patched(Retries, "note", _kept_in_mind),
    ),
    "caps are forgotten": Planted(
        found_by=("no_boundary_is_passed_over_the_cap",),
        patch=patched(pacing, "judge", _no_caps),
    ),
    "protection is forgotten": Planted(
        found_by=("nobody_is_interrupted_outside_its_terms",),
        patch=patched(demand, "exempt_until_s", lambda simulation: -math.inf),
    ),
    "budgets are forgotten": Planted(
        found_by=(
            "nothing_is_begun_on_a_spent_budget",
            "nothing_is_leased_on_a_spent_budget",
        ),
        patch=patched(holds, "_spent", lambda state, name: False),
    ),
    "retention has no guard": Planted(
        found_by=("two_good_copies_stay",),
        patch=patched(keeping, "guarded", _unguarded),
    ),
    "nodes are held after the end": Planted(
        found_by=("what_is_over_holds_nothing",),
        patch=patched(progress, "_let_go", _keeps_its_nodes),
    ),
    "windows are overrun": Planted(
        found_by=("no_node_is_held_in_a_window_of_others",),
        patch=patched(upkeep, "gone", lambda state, simulation: ()),
    ),
    "drained nodes are given out": Planted(
        found_by=("no_drained_node_is_leased_anew",),
        patch=_drained_once,
    ),
    "inputs are not waited for": Planted(
        found_by=("inputs_are_computed_first",),
        patch=patched(frontier, "needed_exports", lambda *place: ()),
    ),
    "publications are not heard of": Planted(
        found_by=("everything_that_may_has_ended",),
        patch=lambda: mock.patch.dict(fold._TABLE, {e.ResultsPublished: _nothing}),
    ),
    "lost nodes are paid for": Planted(
        found_by=("usage_is_that_of_the_leases",),
        patch=patched(fold_nodes, "hold", _unpaid),
    ),
    "the books of the twin forget what was broken off": Planted(
        found_by=("the_books_balance",),
        patch=patched(Ledger, "broken_off", _nothing),
    ),
}
"""By what is wrong."""
