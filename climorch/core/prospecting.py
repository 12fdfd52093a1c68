"""What a rule of promise is told of each simulation: a pure view of the state."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.scoring import newest, owed
from climorch.core.state import CampaignState, Control, SimulationState
from climorch.model.plan import StagePlan
from climorch.model.scoring import ScorePlan
from climorch.policy.prospects import Prospect, Skill

__all__ = ["failing", "judged_by", "prospects_of"]

# A segment of which nobody knows how long it takes, in seconds; only ratios count.
UNKNOWN_S = 3600.0
# Rules divide by what is left.
LEAST_NODE_S = 1.0


def prospects_of(state: CampaignState, project: str) -> Iterator[Prospect]:
    """Yield the simulations of a project, in order of submission.

    Parameters
    ----------
    state : CampaignState
        What is known.
    project : str
        Which.

    Yields
    ------
    Prospect
        Not of those that a user has paused: nodes are of no use to them now.
    """
    for simulation in state.of_project(project):
        if simulation.control is not Control.PAUSED or simulation.complete:
            yield _prospect(state, simulation)


def judged_by(simulation: SimulationState) -> ScorePlan | None:
    """Return the score by which a simulation is judged: the first with a threshold."""
    scores = simulation.plan.scores
    return next((score for score in scores if score.threshold is not None), None)


def failing(simulation: SimulationState) -> str:
    """Say what shows that a simulation will not end well; empty: nothing does.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    """
    for s in simulation.sets.values():
        blown = s.blown
        if blown.count and s.committed <= blown.worst:
            return f"the numbers of set {s.name} blew up {blown.count} times"
    for score in simulation.plan.scores:
        last = newest(simulation, score.name)
        if last and last[1].not_finite:
            return f"score {score.name} is not finite at mark {last[0]}"
    return ""


def _prospect(state: CampaignState, simulation: SimulationState) -> Prospect:
    scenario, plan = simulation.scenario, simulation.plan
    skills, final = _skills(simulation)
    planned_s, left_s, left_node_s = 0.0, 0.0, 0.0
    for s in simulation.sets.values():
        for stage in s.plan.stages:
            left = stage.segments - s.committed_segments.get(stage.name, 0)
            guess_s = stage.resources.segment_s or UNKNOWN_S
            planned_s += stage.segments * guess_s
            left_node_s += left * guess_s * plan.nodes
            left_s += left * _pace_s(state, simulation, stage)
    held_s = state.now_s - simulation.lease_since_s if simulation.lease else 0.0
    ended = simulation.failed is not None or simulation.control is Control.CANCELLED
    lost = simulation.complete and final is not None and not final
    return Prospect(
        simulation=simulation.name,
        serial=simulation.serial,
        priority=simulation.priority,
        params=plan.params,
        group=scenario.group,
        value=scenario.value,
        mandatory=scenario.mandatory,
        deadline_s=None if scenario.deadline is None else scenario.deadline.timestamp(),
        left_s=left_s,
        planned_node_s=max(planned_s * plan.nodes, LEAST_NODE_S),
        left_node_s=max(left_node_s, LEAST_NODE_S),
        spent_node_s=simulation.node_s + len(simulation.lease) * held_s,
        skills=skills,
        holding=bool(simulation.lease),
        finished=simulation.complete and not lost,
        failed=(ended and not simulation.complete) or lost,
        failing="" if simulation.complete else failing(simulation),
    )


def _skills(simulation: SimulationState) -> tuple[tuple[Skill, ...], bool | None]:
    """Return what its score said, and whether the final one is a number.

    None: it is not there yet, nor is any skill of one that is complete: a partial
    one would be taken for it.
    """
    score = judged_by(simulation)
    if score is None:
        return (), None
    known = simulation.scores.get(score.name, {})
    skills = tuple(
        Skill(mark=mark, margin=score.margin(scored.value), sd=scored.sd)
        for mark, scored in sorted(known.items())
        if scored.value is not None
    )
    if not simulation.complete:
        return skills, None
    last = newest(simulation, score.name)
    if last is None or owed(simulation, score) is not None:
        return (), None
    if last[1].value is None:
        # A mistake in the score says nothing of the simulation.
        return (), False if last[1].not_finite else None
    return skills, True


def _pace_s(
    state: CampaignState, simulation: SimulationState, stage: StagePlan
) -> float:
    """Return the seconds of a segment: measured, of a sibling, guessed."""
    s = simulation.sets[simulation.plan.set_of[stage.name]]
    own = s.pace_s.get(stage.name)
    if own is not None:
        return own
    for _, name in reversed(state.proven.get(simulation.plan.workflow, ())):
        for other in state.simulations[name].sets.values():
            if stage.name in other.pace_s:
                return other.pace_s[stage.name]
    return stage.resources.segment_s or UNKNOWN_S
