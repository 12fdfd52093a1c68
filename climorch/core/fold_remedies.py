"""How blow-ups and their remedies change the state: one part of `fold`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from climorch.core.dropping import failures_of
from climorch.core.remedying import Tried, given_up
from climorch.core.sets import CheckpointState, SetState
from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import AskRemedy
from climorch.model.events import Cause, RemedyGiven
from climorch.model.plan import RuleTime

__all__ = ["REMEDIES", "answers", "refuse_former", "went_back"]


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
        former=s.attempt,
        params=fact.params,
        reseed=fact.reseed,
        at_s=state.now_s,
    )
    s.blown = replace(s.blown, tried=(*tried, new), target=target)
    failures_of(simulation, s).pop(Cause.NUMERICAL, None)
    _forget_answers(simulation, s, s.plan.segments_at[target])
    # Copies of the former course stay in the archive, and are not asked back.
    s.archived = {b: copy for b, copy in s.archived.items() if b <= target}
    if s.recall is not None and s.recall.boundary > target:
        s.recall = None
    went_back(s)


def _forget_answers(
    simulation: SimulationState, s: SetState, counts: Mapping[str, int]
) -> None:
    """Let what conditions and scores say of the former course count for nothing."""
    void = dict(s.blown.void)
    for rule in simulation.plan.rules_of[s.name]:
        if rule.on is RuleTime.UNTIL:
            count = counts[rule.when]
            done = simulation.rules_done.get(rule.name, 0)
            if done > count:
                simulation.rules_done[rule.name] = count
            if rule.name in simulation.rules_asked:
                void["rule", rule.name] = count
    for score in simulation.plan.scores:
        asked = simulation.scores_asked.get(score.name, 0)
        if score.stage in counts and asked > counts[score.stage]:
            void["score", score.name] = counts[score.stage]
    s.blown = replace(s.blown, void=void)


def answers(s: SetState, asked: tuple[str, str], at: int) -> bool:
    """Take the answer to what was asked; tell whether it is about what there is.

    Parameters
    ----------
    s : SetState
        About which it was asked.
    asked : (str, str)
        As in `Blown`.
    at : int
        About how many segments.
    """
    beyond = s.blown.void.get(asked)
    if beyond is None:
        return True
    left = {which: n for which, n in s.blown.void.items() if which != asked}
    s.blown = replace(s.blown, void=left)
    return at <= beyond


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


def refuse_former(s: SetState, commit: CheckpointState) -> bool:
    """Let a checkpoint be of no use that came late, of a course that was given up.

    It goes; the new course, which may be far beyond by now, keeps what it has.

    Parameters
    ----------
    s : SetState
        Whose.
    commit : CheckpointState
        Committed, or brought back from an archive, which takes hours.

    Returns
    -------
    bool
        Whether it is such a one. Nothing else may follow from it then.
    """
    former = given_up(s.blown, commit.attempt, commit.boundary)
    commit.good = commit.good and not former
    return former


def went_back(s: SetState) -> None:
    """Let a set that goes back start once none of what it gave up is left."""
    if s.blown.target is not None and not any(
        given_up(s.blown, c.attempt, b) for b, c in s.commits.items()
    ):
        s.blown = replace(s.blown, target=None)


REMEDIES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    AskRemedy: _asked,
    RemedyGiven: _given,
}
