"""How the state changes by what a set did undisturbed, told in one.

The same state as after the facts and decisions that it stands for, one by one.
"""

from __future__ import annotations

from climorch.core.dropping import failures_of
from climorch.core.fold_commands import current
from climorch.core.fold_outdone import strode
from climorch.core.fold_storage import store
from climorch.core.state import CampaignState, CheckpointState, Phase, SetState
from climorch.model import events as e
from climorch.policy.learning import learn
from climorch.policy.limits import faded

__all__ = ["RECENT", "advanced", "mean"]

RECENT = 0.3
"""Weight of the newest sample in a running mean."""


def mean(old: float | None, new: float) -> float:
    """Return a running mean after one more sample.

    Parameters
    ----------
    old : float or None
        Before; None: there was none.
    new : float
        The newest.

    Returns
    -------
    float
        Recent ones weigh more.
    """
    return new if old is None else (1 - RECENT) * old + RECENT * new


def advanced(state: CampaignState, fact: e.SetAdvanced) -> None:
    """Let a set be where it got to by itself.

    Parameters
    ----------
    state : CampaignState
        Changed in place.
    fact : SetAdvanced
        What the set did.
    """
    s = current(state, fact)
    if s is None or s.phase is not Phase.ACTIVE:
        return
    for stage, seconds in fact.seconds.items():
        _computed(s, stage, seconds, fact.nodes)
    strode(state, state.simulations[fact.simulation], s)
    s.started_s = dict(fact.running)
    s.running = {stage: s.done[stage] for stage in fact.running}
    s.planned, s.planned_why = fact.planned, fact.why
    s.checkpoint = fact.checkpoint
    s.since_s, s.from_boundary = fact.since_s, fact.from_boundary
    s.binds, s.binds_why, s.put_off = fact.binds, fact.binds_why, fact.put_off
    source = s.commits.get(s.committed)
    for written in fact.written:
        source = _committed(s, written, fact, source)
    if fact.written:
        simulation = state.simulations[fact.simulation]
        failures_of(simulation, s).clear()
        simulation.fruitful = True
        counts = s.plan.segments_at[s.committed]
        s.committed_segments |= counts
        s.seconds = {
            place: took
            for place, took in s.seconds.items()
            if place[1] >= counts[place[0]]
        }
    for boundary in fact.deleted:
        commit = s.commits.pop(boundary, None)
        if commit is not None:
            s.deleted += 1
            store(state, s, -commit.own_bytes)


def _computed(s: SetState, stage: str, seconds: tuple[float, ...], nodes: int) -> None:
    """Add segments of a stage, and what they show."""
    shown = s.shown.setdefault(stage, {})
    learned, pace_s = shown.get(nodes), s.pace_s.get(stage)
    first = s.done[stage]
    for segment, took in enumerate(seconds, start=first):
        s.seconds[stage, segment] = took
        pace_s = mean(pace_s, took)
        learned = learn(learned, took)
    if learned is not None and pace_s is not None:
        shown[nodes], s.pace_s[stage] = learned, pace_s
        s.done[stage] = first + len(seconds)


def _committed(
    s: SetState,
    written: e.Written,
    fact: e.SetAdvanced,
    source: CheckpointState | None,
) -> CheckpointState:
    """Add a checkpoint whose results are out, after the newest good one before it."""
    s.newest[fact.attempt] = written.boundary
    s.cost_s = mean(s.cost_s, fact.cost_s)
    age_s = written.committed_s - s.spent_at_s
    s.spent_s = faded(s.spent_s, age_s) + fact.cost_s
    s.spent_at_s = written.committed_s
    s.writing = learn(s.writing, written.seconds)
    if written.independent or source is None:
        s.copies += 1
    commit = s.commits[written.boundary] = CheckpointState(
        boundary=written.boundary,
        attempt=fact.attempt,
        committed_s=written.committed_s,
        seconds=written.seconds,
        bytes_state=0,
        bytes_written=0,
        copy=s.copies if written.independent or source is None else source.copy,
        published=True,
    )
    return commit
