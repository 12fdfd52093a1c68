"""How each record changes the state.

One small function per kind of record, in one table. A record about something
that is over (an old attempt, a deleted simulation) changes nothing: facts may
arrive late, twice or out of order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from climorch.core.dropping import failures_of, try_all_again
from climorch.core.fold_archive import ARCHIVE, forget_archiving
from climorch.core.fold_commands import (
    COMMANDS,
    break_attempt,
    break_off,
    current,
    end_turn,
    hold,
    stay,
)
from climorch.core.fold_copies import COPIES, supersede
from climorch.core.fold_nodes import (
    deadline_moved,
    forgive,
    hung,
    node_gone,
    node_joined,
    node_lost,
    quarantined,
)
from climorch.core.fold_outdone import computed, in_doubt
from climorch.core.fold_paces import note_paces
from climorch.core.fold_promise import PROMISE
from climorch.core.fold_remedies import REMEDIES, refuse_former
from climorch.core.fold_rules import RULES, note_metrics, settle_metrics
from climorch.core.fold_scores import SCORES, forget_faults
from climorch.core.fold_storage import STORAGE, keep
from climorch.core.fold_strides import advanced, mean
from climorch.core.fold_wishes import WISHES
from climorch.core.hanging import noted
from climorch.core.state import (
    CampaignState,
    CheckpointState,
    Phase,
    SetState,
    SimulationState,
)
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.policy.learning import learn
from climorch.policy.limits import faded
from climorch.policy.reliability import everything_lost

__all__ = ["apply", "prove"]


def apply(state: CampaignState, record: c.Record, now_s: float) -> None:
    """Apply one record.

    Parameters
    ----------
    state : CampaignState
        Changed in place.
    record : Record
        Fact, command or decision.
    now_s : float
        When it was journaled, driver's clock, seconds.
    """
    if isinstance(record, e.DriverStarted):
        # With the clock as it stood: nobody knows that nodes were up after the
        # last record of the driver before. If any was held, it took all with it.
        if any(simulation.lease for simulation in state.simulations.values()):
            state.losses = everything_lost(state.losses)
        _all_released(state)
    state.now_s = max(state.now_s, now_s)
    _TABLE[type(record)](state, record)


def _campaign_opened(state: CampaignState, fact: e.CampaignOpened) -> None:
    state.campaign = fact.campaign


def _driver_started(state: CampaignState, fact: e.DriverStarted) -> None:
    state.epoch = fact.epoch
    state.driven, state.stopping = True, False
    for simulation in state.simulations.values():
        # Running the script again is how a user says "try again".
        if simulation.failed is not None:
            forgive(state, simulation.name)
        try_all_again(simulation)
        forget_faults(simulation)
        simulation.rule_faults.clear()
        for s in simulation.sets.values():
            s.blown = replace(s.blown, count=0)


def _driver_stopped(state: CampaignState, fact: e.DriverStopped) -> None:
    state.driven = False
    _all_released(state)


def _site_told(state: CampaignState, fact: e.SiteTold) -> None:
    state.site = fact if fact.waiting or fact.troubles else None


def _all_released(state: CampaignState) -> None:
    # Whoever asks next hears of it anew.
    state.site = None
    for node in list(state.nodes):
        node_gone(state, node)
    for simulation in state.simulations.values():
        end_turn(state, simulation)
        hold(state, simulation, ())
        simulation.granted, simulation.lease_why = 0, ""
        stay(simulation)
        simulation.rules_asked.clear()
        simulation.scores_asked.clear()
        forget_archiving(simulation)
        for s in simulation.sets.values():
            s.retry_at_s = 0.0
            s.newest.clear()
            s.sources.clear()
            s.held.let_go()
            s.doubts.clear()
            s.blown = replace(s.blown, asked=False, void={})
            if s.phase is not Phase.IDLE:
                s.phase = Phase.BROKEN
                s.broken = (Cause.NODE_LOST, "the driver ended")
                break_off(state, s)
            for commit in s.commits.values():
                commit.publishing = commit.deleting = False
                commit.leaving_bytes = 0


def _project_declared(state: CampaignState, fact: e.ProjectDeclared) -> None:
    state.projects[fact.project.name] = fact.project


def _wish_taken(state: CampaignState, fact: e.WishTaken) -> None:
    # Its file outlives a driver that dies before it removes it: told again,
    # a wish must not undo what was wanted since.
    if fact.id not in state.wishes:
        state.wishes.add(fact.id)
        _TABLE[type(fact.wish)](state, fact.wish)


def _stop(state: CampaignState, fact: e.StopRequested) -> None:
    state.stopping = True


def _restored(state: CampaignState, fact: e.SetRestored) -> None:
    s = current(state, fact)
    if s is not None and s.phase is Phase.RESTORING:
        s.phase = Phase.ACTIVE
        s.since_s = s.held.begun_s = state.now_s
        s.rung, s.owed_s = fact.rung, 0.0
        origin = s.commits.get(fact.boundary)
        if origin is not None:
            origin.repaired = False
        s.restoring = learn(s.restoring, state.now_s - s.started_at_s)


def _restore_failed(state: CampaignState, fact: e.RestoreFailed) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is None:
        return
    commit = simulation.sets[fact.set].commits.get(fact.boundary)
    if commit is not None and fact.damaged:
        commit.good = False
    if commit is not None and fact.repaired:
        commit.repaired = True
    s = current(state, fact)
    if s is not None:
        break_attempt(simulation, s, fact.cause, fact.message)


def _finished(state: CampaignState, fact: e.SegmentFinished) -> None:
    s = current(state, fact)
    if s is None or s.running.get(fact.stage) != fact.segment:
        return
    del s.running[fact.stage], s.started_s[fact.stage]
    s.done[fact.stage] = fact.segment + 1
    s.seconds[fact.stage, fact.segment] = fact.seconds
    s.pace_s[fact.stage] = mean(s.pace_s.get(fact.stage), fact.seconds)
    simulation = state.simulations[fact.simulation]
    if not (s.shown or any(other.shown for other in simulation.sets.values())):
        prove(state, simulation)
    shown = s.shown.setdefault(fact.stage, {})
    nodes = fact.nodes or len(simulation.lease) or simulation.plan.nodes
    shown[nodes] = learn(shown.get(nodes), fact.seconds)
    note_metrics(simulation, fact)
    if s.doubts or state.outdone:
        computed(state, simulation, s, fact.stage, fact.segment)
    if fact.paces:
        note_paces(state, simulation, fact)


def prove(state: CampaignState, simulation: SimulationState) -> None:
    """Note that a simulation has finished a first segment."""
    known = state.proven.setdefault(simulation.plan.workflow, [])
    insort(known, (simulation.serial, simulation.name))


def _segment_failed(state: CampaignState, fact: e.SegmentFailed) -> None:
    s = current(state, fact)
    if s is not None:
        if fact.cause is Cause.HANG and s.phase is not Phase.BROKEN:
            hung(state, fact)
            s.hang = noted(fact, s, state.now_s)
        simulation = state.simulations[fact.simulation]
        if fact.cause is Cause.MODEL and s.phase is not Phase.BROKEN:
            place = (fact.stage, fact.segment)
            in_doubt(state, simulation, s, place, simulation.lease)
        break_attempt(simulation, s, fact.cause, fact.message)


def _committed(state: CampaignState, fact: e.CheckpointCommitted) -> None:
    # Counted whatever the attempt: the rename has happened.
    simulation = state.simulations.get(fact.simulation)
    s = simulation.sets.get(fact.set) if simulation else None
    if simulation is None or s is None:
        return
    if s.attempt == fact.attempt and s.checkpoint == fact.boundary:
        s.checkpoint = None
    supersede(s, fact)
    known = s.commits.get(fact.boundary)
    repeated = fact.boundary <= s.newest.get(fact.attempt, 0)
    if repeated or fact.boundary > s.plan.last or (known is not None and known.good):
        return
    s.newest[fact.attempt] = fact.boundary
    s.cost_s = mean(s.cost_s, fact.cost_s)
    s.spent_s = faded(s.spent_s, state.now_s - s.spent_at_s) + fact.cost_s
    s.spent_at_s = state.now_s
    s.writing = learn(s.writing, fact.seconds)
    copy = _copy_of(s, fact)
    commit = CheckpointState(
        boundary=fact.boundary,
        attempt=fact.attempt,
        committed_s=state.now_s,
        seconds=fact.seconds,
        bytes_state=fact.bytes_state,
        bytes_written=fact.bytes_written,
        copy=copy,
        own_bytes=fact.bytes_written + fact.bytes_salvaged,
    )
    former = refuse_former(s, commit)
    keep(state, s, commit)
    if s.checkpoint is not None and s.committed == fact.boundary:
        # That one was not written before this one was, and links its files.
        s.sources[s.attempt, s.checkpoint] = commit.copy
    if not former:
        settle_metrics(simulation, s)
        failures_of(simulation, s).clear()
        simulation.fruitful = True


def _copy_of(s: SetState, fact: e.CheckpointCommitted) -> int:
    """Say which physical copy a checkpoint is of, a new one if it shares no file.

    Unchanged chunks are linked from the checkpoint that was the newest good one when it
    was begun: by the time it is heard of, that may be another one.
    """
    source = s.sources.pop((fact.attempt, fact.boundary), None)
    newest = s.commits.get(s.committed)
    if source is None and newest is not None:
        source = newest.copy
    if fact.independent or not source:
        s.copies += 1
        return s.copies
    return source


def _checkpoint_failed(state: CampaignState, fact: e.CheckpointFailed) -> None:
    s = current(state, fact)
    if s is None or s.checkpoint != fact.boundary:
        return
    simulation = state.simulations[fact.simulation]
    s.checkpoint = None
    s.sources.pop((fact.attempt, fact.boundary), None)
    if fact.cause is Cause.STORAGE:
        # The states are still in memory: compute on and try again later.
        failures = failures_of(simulation, s)
        failures[fact.cause] = failures.get(fact.cause, 0) + 1
        delay_s = min(2.0 ** min(failures[fact.cause], 6), 60.0)
        s.retry_at_s = state.now_s + delay_s
    else:
        break_attempt(simulation, s, fact.cause, fact.message)


def _scrubbed(state: CampaignState, fact: e.CheckpointScrubbed) -> None:
    simulation = state.simulations.get(fact.simulation)
    s = simulation.sets.get(fact.set) if simulation else None
    commit = s.commits.get(fact.boundary) if s else None
    if commit is not None and fact.damaged:
        commit.good = False


def _published(state: CampaignState, fact: e.ResultsPublished) -> None:
    s = state.simulations[fact.simulation].sets[fact.set]
    for commit in s.commits.values():
        if commit.boundary <= fact.boundary:
            commit.published = True
            commit.publishing = False


_TABLE: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    e.CampaignOpened: _campaign_opened,
    e.DriverStarted: _driver_started,
    e.DriverStopped: _driver_stopped,
    e.ProjectDeclared: _project_declared,
    e.WishTaken: _wish_taken,
    e.StopRequested: _stop,
    e.NodeJoined: node_joined,
    e.NodeDeadline: deadline_moved,
    e.NodeLost: node_lost,
    e.SiteTold: _site_told,
    e.SetRestored: _restored,
    e.RestoreFailed: _restore_failed,
    e.SegmentFinished: _finished,
    e.SegmentFailed: _segment_failed,
    e.SetAdvanced: advanced,
    e.CheckpointCommitted: _committed,
    e.CheckpointFailed: _checkpoint_failed,
    e.CheckpointScrubbed: _scrubbed,
    e.ResultsPublished: _published,
    c.NodeQuarantined: quarantined,
    **WISHES,
    **COMMANDS,
    **COPIES,
    **REMEDIES,
    **STORAGE,
    **ARCHIVE,
    **RULES,
    **SCORES,
    **PROMISE,
}
