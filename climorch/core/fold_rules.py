"""How the state changes by what is submitted and by what rules ask for.

One part of `fold`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.fold_commands import charge
from climorch.core.fold_remedies import answers
from climorch.core.remedying import given_up
from climorch.core.sets import SetState
from climorch.core.state import (
    CampaignState,
    Control,
    Edited,
    Phase,
    RuleFault,
    SimulationState,
)
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import RuleTime

__all__ = ["RULES", "note_metrics", "settle_metrics"]


def note_metrics(simulation: SimulationState, fact: e.SegmentFinished) -> None:
    """Keep what a segment returned until it is committed."""
    if fact.metrics:
        recent = simulation.recent.setdefault(fact.stage, {})
        recent[fact.segment] = dict(fact.metrics)


def settle_metrics(simulation: SimulationState, s: SetState) -> None:
    """Let what the newest committed segments returned hold from now on."""
    for stage, count in s.plan.segments_at[s.committed].items():
        _note_course(simulation, s, stage, count)
        recent = simulation.recent.get(stage)
        if recent is None:
            continue
        if count - 1 in recent:
            simulation.metrics[stage] = recent[count - 1]
        for segment in [k for k in recent if k < count]:
            del recent[segment]


def _note_course(
    simulation: SimulationState, s: SetState, stage: str, count: int
) -> None:
    """Keep what committed segments returned for as long as a condition looks back.

    From wherever it may have to go on: the oldest checkpoint that there is.
    """
    windows_s = [
        rule.window_s
        for rule in simulation.plan.rules_of[s.name]
        if rule.on is RuleTime.UNTIL and rule.when == stage
    ]
    if not windows_s:
        return
    ends = s.plan.stage(stage).boundaries
    oldest = min([s.committed, *s.commits, *s.archived])
    since = ends[s.plan.segments_at[oldest][stage]] - max(windows_s)
    recent = simulation.recent.get(stage, {})
    new = {k: recent[k] for k in sorted(recent) if k < count}
    # Computed again after a loss, a segment returns the same.
    known = dict(simulation.courses.get(stage, ())) | new
    simulation.courses[stage] = tuple(
        (k, known[k]) for k in sorted(known) if k < count and ends[k + 1] > since
    )


def _submitted(state: CampaignState, fact: e.SimulationSubmitted) -> None:
    if fact.simulation in state.simulations:
        return
    simulation = state.simulations[fact.simulation] = SimulationState(
        name=fact.simulation,
        serial=len(state.simulations),
        scenario=fact.scenario,
        plan=fact.plan,
        branch=fact.branch,
        priority=fact.scenario.priority,
        waits_since_s=state.now_s,
        sets={
            plan.name: SetState(plan=plan, done=dict(plan.segments_at[0]))
            for plan in fact.plan.sets
        },
    )
    if fact.branch is None:
        return
    for name, boundary in fact.branch.boundaries.items():
        s = state.simulations[fact.branch.simulation].sets[name]
        commit = s.commits.get(boundary)
        gone = commit is None or commit.deleting or not commit.good
        if commit is None or gone or given_up(s.blown, commit.attempt, boundary):
            # It went between the rule's answer and its row in the journal, or is to.
            why = f"the checkpoint of {fact.branch.simulation!r} to start from is gone"
            simulation.failed = (Cause.MODEL, why)
        else:
            s.pins |= {boundary}


def _changed(state: CampaignState, fact: e.SimulationChanged) -> None:
    simulation = state.simulations[fact.simulation]
    # What it held so far was for the project it had.
    held = len(simulation.lease)
    charge(state, simulation, more=-held)
    before, simulation.scenario = simulation.scenario, fact.scenario
    charge(state, simulation, more=held)
    if not simulation.wants_nodes:
        # Should there be more to do now, it waits for nodes from now on.
        simulation.waits_since_s = state.now_s
    simulation.plan, simulation.declared = fact.plan, fact.declared
    if fact.scenario.project != before.project:
        # Its place was one among others.
        simulation.standing = None
    if fact.scenario.priority != before.priority:
        # Else what a user asked for since stays.
        simulation.priority = fact.scenario.priority
    for plan in fact.plan.sets:
        s = simulation.sets.get(plan.name)
        if s is None:
            done = dict(plan.segments_at[0])
            simulation.sets[plan.name] = SetState(plan=plan, done=done)
            continue
        s.plan = plan
        # What is computed from now on may be another thing.
        s.doubts.clear()
        beyond = max(s.planned or 0, s.checkpoint or 0) > plan.last
        if s.phase is not Phase.IDLE and (beyond or s.passed(plan.last)):
            # The end was moved to before what is computed.
            s.phase = Phase.BROKEN
            s.broken = (Cause.NODE_LOST, "its end was moved")


def _asked(state: CampaignState, command: c.EvaluateRule) -> None:
    state.simulations[command.simulation].rules_asked.add(command.rule)


def _evaluated(state: CampaignState, fact: e.RuleEvaluated) -> None:
    simulation = state.simulations[fact.simulation]
    simulation.rules_asked.discard(fact.rule)
    done = simulation.rules_done.get(fact.rule) == fact.at
    if done or not _holds(simulation, fact):
        return
    simulation.rules_done[fact.rule] = fact.at
    if fact.told:
        edited = Edited(rule=fact.rule, at=fact.at, told=fact.told)
        simulation.edits = (*simulation.edits, edited)
    if fact.priority is not None:
        simulation.priority = fact.priority
    simulation.rule_faults.pop(fact.rule, None)
    taken = [a.simulation for a in fact.added if _is_another(state, a)]
    if taken:
        # Another rule was quicker between the answer and its row in the journal.
        why = f"simulations of these names exist: {', '.join(map(repr, taken))}"
        simulation.rule_faults[fact.rule] = RuleFault(at=fact.at, message=why)
    for consequence in fact.consequences:
        RULES[type(consequence)](state, consequence)


def _holds(simulation: SimulationState, fact: e.RuleEvaluated | e.RuleFailed) -> bool:
    """Tell whether what a rule says is about the course that there is."""
    rule = next((r for r in simulation.plan.rules if r.name == fact.rule), None)
    name = simulation.plan.set_of.get(rule.when) if rule is not None else None
    if name is None:
        return True
    return answers(simulation.sets[name], ("rule", fact.rule), fact.at)


def _is_another(state: CampaignState, fact: e.SimulationSubmitted) -> bool:
    known = state.simulations.get(fact.simulation)
    return known is not None and known.branch != fact.branch


def _failed(state: CampaignState, fact: e.RuleFailed) -> None:
    simulation = state.simulations[fact.simulation]
    simulation.rules_asked.discard(fact.rule)
    done = simulation.rules_done.get(fact.rule) == fact.at
    if done or not _holds(simulation, fact):
        # Told late: it has answered since, or what it saw was given up.
        return
    simulation.rule_faults[fact.rule] = RuleFault(at=fact.at, message=fact.message)
    if fact.pause and simulation.control is Control.RUN:
        simulation.control = Control.PAUSED


RULES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    e.SimulationSubmitted: _submitted,
    e.SimulationChanged: _changed,
    c.EvaluateRule: _asked,
    e.RuleEvaluated: _evaluated,
    e.RuleFailed: _failed,
}
