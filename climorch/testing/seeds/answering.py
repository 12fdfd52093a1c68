"""What users' functions say in a virtual campaign: rules, conditions, remedies."""

from __future__ import annotations

import msgspec

from climorch.core.state import CampaignState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Branch, RulePlan, RuleTime, SimulationPlan
from climorch.testing.invariants import courses as holds
from climorch.testing.invariants.courses import Courses
from climorch.testing.seeds.actions import child_of
from climorch.testing.seeds.case import Case
from climorch.testing.strategies import COARSE_S

__all__ = ["BRANCH", "GROW", "RAISE", "Answering"]

BRANCH, GROW, RAISE = "branch", "grow", "raise"
"""Names of rules: starts a simulation from what is committed, moves the end on, changes
the priority. Any other one adds a copy that begins anew."""

MOST_EDITS = 2


class Answering:
    """Answers what is asked of users' functions.

    Parameters
    ----------
    case : Case
        What they say.
    courses : Courses
        What conditions should be told.
    """

    def __init__(self, case: Case, courses: Courses) -> None:
        self._case = case
        self._courses = courses
        self._children = case.children

    def rule(self, state: CampaignState, command: c.EvaluateRule) -> e.RuleEvaluated:
        """Answer for a rule."""
        simulation = state.simulations[command.simulation]
        rule = next(r for r in simulation.plan.rules if r.name == command.rule)
        added: tuple[e.SimulationSubmitted, ...] = ()
        plan: SimulationPlan | None = None
        priority: int | None = None
        if rule.on is RuleTime.UNTIL:
            plan = self._ended(simulation, rule, command.at)
        elif rule.name == GROW and len(simulation.edits) < MOST_EDITS:
            plan = _longer(simulation, rule.when)
        elif rule.name == RAISE:
            priority = command.at % 3
        elif rule.name == BRANCH:
            added = self._born(_branch(state, simulation))
        elif rule.name not in (GROW, BRANCH):
            child = child_of(state, command.simulation, command.rule)
            added = self._born(child)
        changed: e.SimulationChanged | None = None
        if plan is not None:
            changed = e.SimulationChanged(
                simulation=simulation.name, scenario=simulation.scenario, plan=plan
            )
        return e.RuleEvaluated(
            simulation=command.simulation,
            rule=command.rule,
            at=command.at,
            added=added,
            changed=changed,
            priority=priority,
            told=(rule.name,) if plan else (),
        )

    def remedy(self, state: CampaignState, command: c.AskRemedy) -> e.RemedyGiven:
        """Answer for the remedy."""
        treatment = self._case.treatment
        assert treatment is not None, command
        return e.RemedyGiven(
            simulation=command.simulation,
            set=command.set,
            number=command.number,
            retry=command.number < treatment.hopeless,
            params={"rate": command.number},
            reseed=command.number % 2 == 0,
            back=treatment.back,
        )

    def _born(
        self, child: e.SimulationSubmitted | None
    ) -> tuple[e.SimulationSubmitted, ...]:
        if child is None or self._children <= 0:
            return ()
        self._children -= 1
        return (child,)

    def _ended(
        self, simulation: SimulationState, rule: RulePlan, count: int
    ) -> SimulationPlan | None:
        """Ask a condition; return the plan that ends here, where it holds."""
        s = simulation.sets[simulation.plan.set_of[rule.when]]
        ends = s.plan.stage(rule.when).boundaries
        seen = [
            (k, metrics)
            for k, metrics in simulation.courses.get(rule.when, ())
            if ends[k + 1] > ends[count] - rule.window_s
        ]
        mean = holds.what_a_condition_sees_is_what_was_committed(
            self._courses,
            (simulation.name, rule.when, count),
            rule.window_s,
            seen,
        )
        if mean > self._case.level:
            return None
        end = s.plan.commons[s.committed]
        own = {stage.name for stage in s.plan.stages}
        stages = tuple(
            msgspec.structs.replace(
                stage, boundaries=tuple(t for t in stage.boundaries if t <= end)
            )
            if stage.name in own
            else stage
            for stage in simulation.plan.stages
        )
        return msgspec.structs.replace(simulation.plan, stages=stages)


def _longer(simulation: SimulationState, name: str) -> SimulationPlan:
    """Let the set of a stage go on for a coarse segment more."""
    own = {s.name for s in simulation.sets[simulation.plan.set_of[name]].plan.stages}
    stages = []
    for stage in simulation.plan.stages:
        first, second = stage.boundaries[:2]
        if stage.name in own:
            ends = range(first, stage.boundaries[-1] + COARSE_S + 1, second - first)
            stage = msgspec.structs.replace(stage, boundaries=tuple(ends))
        stages.append(stage)
    return msgspec.structs.replace(simulation.plan, stages=tuple(stages))


def _branch(
    state: CampaignState, parent: SimulationState
) -> e.SimulationSubmitted | None:
    """Start a simulation from the newest checkpoints of another."""
    name = f"{parent.name}-{BRANCH}"
    boundaries = {s.name: s.committed for s in parent.sets.values() if s.committed}
    if parent.branch is not None or not boundaries or name in state.simulations:
        return None
    return e.SimulationSubmitted(
        simulation=name,
        scenario=msgspec.structs.replace(parent.scenario, name=name),
        plan=msgspec.structs.replace(parent.plan, rules=()),
        branch=Branch(simulation=parent.name, rule=BRANCH, boundaries=boundaries),
    )
