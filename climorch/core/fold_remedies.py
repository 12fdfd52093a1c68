"""How blow-ups and their remedies change the state: one part of `fold`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from climorch.core.dropping import failures_of
from climorch.core.remedying import Tried
from climorch.core.state import CampaignState, SetState
from climorch.model.commands import AskRemedy
from climorch.model.events import (
    Cause,
    CheckpointCommitted,
    CheckpointRecalled,
    RemedyGiven,
)
from climorch.model.plan import RuleTime

__all__ = ["REMEDIES", "refuse_former", "went_back"]


def _asked(state: CampaignState, command: AskRemedy) -> None:
    s = state.simulations[command.simulation].sets[command.set]
    blown = s.blown
    again = blown.pending == command
    passed = s.committed > blown.worst
    s.blown = replace(
        blown,
        pending=command,
        asked=True,
        count=blown.count if again else 1 + (0 if passed else blown.count),
        worst=max(blown.worst, command.reached),
    )


def _given(state: CampaignState, fact: RemedyGiven) -> None:
    simulation = state.simulations.get(fact.simulation)
    s = simulation.sets.get(fact.set) if simulation else None
    if simulation is None or s is None:
        return
    pending = s.blown.pending
    if pending is None or pending.number != fact.number:
        # Told again: it holds once.
        return
    s.blown = replace(s.blown, pending=None, asked=False)
    if not fact.retry:
        why = (Cause.NUMERICAL, f"{pending.message}; {fact.message}")
        if s.plan.optional:
            s.dropped = why
        else:
            simulation.failed = why
        return
    target = _target(s, fact.back)
    # What begins later belongs to the course that is given up.
    tried = tuple(
        replace(t, in_force=t.boundary < target and t.in_force) for t in s.blown.tried
    )
    new = Tried(
        number=fact.number,
        message=pending.message,
        boundary=target,
        params=fact.params,
        reseed=fact.reseed,
        at_s=state.now_s,
    )
    s.blown = replace(
        s.blown, tried=(*tried, new), target=target, floor=target, former=s.attempt
    )
    failures_of(simulation, s).pop(Cause.NUMERICAL, None)
    for rule in simulation.plan.rules_of[s.name]:
        # What conditions said beyond, they said of the former course.
        count = s.plan.segments_at[target][rule.when]
        if (
            rule.on is RuleTime.UNTIL
            and simulation.rules_done.get(rule.name, 0) > count
        ):
            simulation.rules_done[rule.name] = count
    # Copies of the former course stay in the archive, and are not asked back.
    s.archived = {b: copy for b, copy in s.archived.items() if b <= target}
    if s.recall is not None and s.recall.boundary > target:
        s.recall = None
    went_back(s)


def _target(s: SetState, back: int) -> int:
    """Return the boundary of the how-many-newest checkpoint that is good.

    None that is pinned is given up: a branch began there, or somebody reads it.
    """
    good = [b for b, c in s.commits.items() if c.good and not c.deleting]
    pinned = max((b for b in good if b in s.pins), default=0)
    if back <= len(good):
        return max(good[-back], pinned)
    # The beginning is one more; but who has deleted checkpoints is far from it.
    return max(good[0] if good and s.deleted else 0, pinned)


def refuse_former(s: SetState, fact: CheckpointCommitted | CheckpointRecalled) -> None:
    """Let a checkpoint go that is of a course which was given up, and came late."""
    blown = s.blown
    if fact.attempt > blown.former or fact.boundary <= blown.floor:
        return
    course = [b for b, c in s.commits.items() if c.attempt > blown.former]
    if max(course, default=0) > blown.floor:
        # What takes hours to come back from an archive: the new course is on its way
        # and keeps what it committed.
        s.commits[fact.boundary].good = False
        s.blown = replace(blown, late=blown.late | {fact.boundary})
    else:
        s.blown = replace(blown, target=blown.floor)


def went_back(s: SetState) -> None:
    """Let a set that goes back start once no checkpoint beyond is left."""
    s.blown = replace(s.blown, late=s.blown.late & s.commits.keys())
    target = s.blown.target
    if target is not None and not any(b > target for b in s.commits):
        s.blown = replace(s.blown, target=None)


REMEDIES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    AskRemedy: _asked,
    RemedyGiven: _given,
}
