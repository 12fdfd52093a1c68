"""Cases with more in them than faults: blow-ups, conditions, scores, archives, budgets.

Drawn beside what `drawing` draws, from a stream of its own: a seed without it is the
case that it always was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from climorch.model import events as e
from climorch.model.events import Cause, Fact
from climorch.model.numerics import BlowUp, Remedy, Retry
from climorch.model.plan import RulePlan, RuleTime, SimulationPlan
from climorch.model.scenario import Scenario
from climorch.model.scoring import Direction, ScorePlan
from climorch.policy.archiving import Archive
from climorch.policy.budgeting import ByteBudget
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import PromiseRule
from climorch.policy.recovery import DEFAULT_BUDGETS
from climorch.policy.simple_promise import (
    EqualSplit,
    FixedPriorities,
    SubmissionOrder,
    SuccessiveHalving,
)
from climorch.testing.seeds.answering import BRANCH, GROW, RAISE
from climorch.testing.seeds.case import Case, Extend, Rot, Tell, Trouble
from climorch.testing.seeds.depot import URL
from climorch.testing.seeds.features import Blow, Depot, Shares, Treatment
from climorch.testing.seeds.wishing import wished
from climorch.twin.costs import Overheads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["enriched"]

T = TypeVar("T")
HOUR_S = 3600.0
SPAN_S = 6 * HOUR_S
# By how much answers are late, where they are late by more than moments.
LATE_S = (40.0, 600.0, 3000.0, 3000.0, 9000.0)
WORKFLOW = "drawn"
STATE_BYTES = 1000


def enriched(case: Case, rng: np.random.Generator, shares: Shares) -> Case:
    """Draw what else there is in a case.

    Parameters
    ----------
    case : Case
        As `drawing` drew it.
    rng : numpy.random.Generator
        Says what.
    shares : Shares
        In which share of the cases there is what.
    """
    case = _planned(case, rng, shares)
    if rng.random() < shares.blow_ups:
        case = _blowing(case, rng)
    if rng.random() < shares.archive and not case.real:
        case = _archiving(case, rng)
    if rng.random() < shares.bytes:
        case = _bounded(case, rng)
    case = wished(case, rng, shares)
    return _late(case, rng) if rng.random() < shares.late else case


def _late(case: Case, rng: np.random.Generator) -> Case:
    """Let answers be late by up to hours, those of a disk that hangs above all."""
    troubles = [
        dataclasses.replace(trouble, late_s=_pick(rng, LATE_S))
        for trouble in case.troubles
    ]
    troubles += [
        Trouble(kind=kind, nth=int(rng.integers(most)), late_s=_pick(rng, LATE_S))
        for kind, most in (("unheard", 12), ("unheard", 4), ("late", 25), ("again", 25))
        for _ in range(rng.poisson(1.0))
    ]
    return dataclasses.replace(case, troubles=tuple(troubles))


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


# -- what is computed ------------------------------------------------------------------


def _planned(case: Case, rng: np.random.Generator, shares: Shares) -> Case:
    """Let simulations have conditions, scores, rules and optional stages."""
    until, scores = rng.random() < shares.until, rng.random() < shares.scores
    rules, optional = rng.random() < shares.rules, rng.random() < shares.optional
    score_every = int(rng.integers(1, 4))

    def changed(fact: e.SimulationSubmitted) -> e.SimulationSubmitted:
        plan, scenario = fact.plan, fact.scenario
        if optional:
            plan = _optional(plan, rng)
        if until:
            plan = _ending(plan, rng)
        elif rules:
            plan = _ruled(plan, rng)
        if scores:
            stage = plan.stages[-1].name
            score = ScorePlan(
                name="skill",
                stage=stage,
                every=score_every,
                threshold=0.0,
                direction=_pick(rng, (Direction.MAX, Direction.MIN)),
            )
            plan = msgspec.structs.replace(plan, scores=(score,))
            scenario = _promising(scenario, rng)
        return msgspec.structs.replace(fact, plan=plan, scenario=scenario)

    case = _submitting(case, changed)
    if optional and rng.random() < 0.5:
        case = dataclasses.replace(case, blows=(*case.blows, *_failing(case)))
    if until:
        # Where it ends is said by the condition alone.
        events = tuple(x for x in case.events if not isinstance(x, Extend))
        level = _pick(rng, (0.2, 0.4, 0.6))
        case = dataclasses.replace(case, events=events, level=level)
    if rules:
        case = dataclasses.replace(case, children=2)
    if scores:
        rule = _promise(rng) if rng.random() < shares.promise else None
        case = dataclasses.replace(
            case,
            policies=dataclasses.replace(case.policies, promise=rule),
            site=dataclasses.replace(case.site, scores=skill_of),
        )
        troubles = _troubles(rng, ("score", "infinite"), mean=0.7, most=6)
        case = dataclasses.replace(case, troubles=(*case.troubles, *troubles))
    return case


def _submitting(
    case: Case, changed: Callable[[e.SimulationSubmitted], e.SimulationSubmitted]
) -> Case:
    """Change all that is submitted."""

    def other(fact: Fact) -> Fact:
        return changed(fact) if isinstance(fact, e.SimulationSubmitted) else fact

    return dataclasses.replace(
        case,
        facts=tuple(other(fact) for fact in case.facts),
        events=tuple(
            dataclasses.replace(x, fact=other(x.fact)) if isinstance(x, Tell) else x
            for x in case.events
        ),
    )


def _optional(plan: SimulationPlan, rng: np.random.Generator) -> SimulationPlan:
    """Let the last phases be optional, and some begin with states made from others."""
    optional = {
        s.name
        for s in plan.sets
        if not any(s.name in before for before in plan.prerequisites.values())
    }
    if len(optional) == len(plan.sets):
        optional.discard(plan.sets[0].name)
    return msgspec.structs.replace(
        plan,
        stages=tuple(
            msgspec.structs.replace(
                stage,
                optional=plan.set_of[stage.name] in optional,
                transforms=bool(stage.after) and bool(rng.random() < 0.5),
            )
            for stage in plan.stages
        ),
    )


def _failing(case: Case) -> list[Blow]:
    """Let all that is optional fail for good."""
    return [
        Blow(
            simulation=simulation,
            stage=stage.name,
            segment=stage.segments // 2,
            tries=99,
            times=99,
        )
        for simulation, plan in _submitted(case)
        for stage in plan.stages
        if stage.optional
    ]


def _submitted(case: Case) -> list[tuple[str, SimulationPlan]]:
    """List what somebody submits, by name."""
    told = (x.fact for x in case.events if isinstance(x, Tell))
    return [
        (fact.simulation, fact.plan)
        for fact in (*case.facts, *told)
        if isinstance(fact, e.SimulationSubmitted)
    ]


def _ending(plan: SimulationPlan, rng: np.random.Generator) -> SimulationPlan:
    """Let one or two stages end early."""
    names = [stage.name for stage in plan.stages]
    chosen = sorted({_pick(rng, names) for _ in range(int(rng.integers(1, 3)))})
    rules = [
        RulePlan(
            name=f"until {name}",
            when=name,
            on=RuleTime.UNTIL,
            every=int(rng.integers(1, 4)),
            window_s=float(rng.integers(1, 13)),
        )
        for name in chosen
    ]
    return msgspec.structs.replace(plan, rules=(*plan.rules, *rules))


def _ruled(plan: SimulationPlan, rng: np.random.Generator) -> SimulationPlan:
    """Let rules start simulations from results, move ends and set priorities."""
    name = _pick(rng, (BRANCH, BRANCH, GROW, RAISE))
    times = {
        BRANCH: (RuleTime.STAGE, RuleTime.COMMIT, RuleTime.SIMULATION),
        GROW: (RuleTime.STAGE,),
        RAISE: (RuleTime.COMMIT,),
    }
    rule = RulePlan(
        name=name, when=_pick(rng, plan.stages).name, on=_pick(rng, times[name])
    )
    return msgspec.structs.replace(plan, rules=(*plan.rules, rule))


def _promising(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    return msgspec.structs.replace(
        scenario,
        params={"a": float(rng.integers(4)), "b": _pick(rng, ("x", "y"))},
        value=_pick(rng, (1.0, 1.0, 5.0)),
        group=_pick(rng, ("", "", "g", "h")),
        mandatory=bool(rng.random() < 0.3),
    )


def _promise(rng: np.random.Generator) -> PromiseRule:
    rules: tuple[PromiseRule, ...] = (
        SiblingPromise(floor=_pick(rng, (0.0, 0.5))),
        SiblingPromise(rank_correlation=0.01, samples=3),
        SubmissionOrder(),
        FixedPriorities(),
        EqualSplit(),
        SuccessiveHalving(marks=(1, 2, 4)),
    )
    return _pick(rng, rules)


def skill_of(scenario: Scenario, score: str, mark: int) -> float:
    """Return what a score says: it follows from the parameters, and from the mark."""
    a, b = scenario.params.get("a", 0.0), scenario.params.get("b", "x")
    return float(a) - 1.5 + (0.25 if b == "x" else -0.25) + 1.0 / mark


# -- what is tried when numbers blow up ------------------------------------------------


def _unasked(blow_up: BlowUp) -> Retry:
    """Never called: `Answering` says what a remedy says."""
    raise AssertionError(blow_up)


def _blowing(case: Case, rng: np.random.Generator) -> Case:
    """Let numbers blow up, for good or by accident."""
    treatment = Treatment(
        tries=int(rng.integers(1, 4)),
        back=_pick(rng, (1, 1, 2, 3)),
        hopeless=_pick(rng, (2, 4, 99, 99, 99)),
    )
    names = _submitted(case)
    blows = []
    for _ in range(int(rng.integers(1, 4))):
        simulation, plan = _pick(rng, names)
        stage = _pick(rng, plan.stages)
        accident = bool(rng.random() < 0.3)
        blows.append(
            Blow(
                simulation=simulation,
                stage=stage.name,
                segment=int(rng.integers(stage.segments)),
                tries=99 if accident else _pick(rng, (1, 1, 2, 5)),
                times=1 if accident else 99,
            )
        )
    budgets = {**case.policies.recovery.budgets, Cause.NUMERICAL: NUMERICAL}
    recovery = dataclasses.replace(case.policies.recovery, budgets=budgets)
    remedy = Remedy(change=_unasked, tries=treatment.tries)
    return dataclasses.replace(
        case,
        policies=dataclasses.replace(
            case.policies, recovery=recovery, remedies={WORKFLOW: remedy}
        ),
        blows=(*blows, *case.blows),
        treatment=treatment,
        troubles=(*case.troubles, *_troubles(rng, ("remedy",), mean=0.2, most=3)),
    )


NUMERICAL = DEFAULT_BUDGETS[Cause.NUMERICAL]


def _troubles(
    rng: np.random.Generator, kinds: Sequence[str], *, mean: float, most: int
) -> list[Trouble]:
    return [
        Trouble(kind=_pick(rng, kinds), nth=int(rng.integers(most)))
        for _ in range(rng.poisson(mean))
    ]


# -- where it is kept ------------------------------------------------------------------


def _archiving(case: Case, rng: np.random.Generator) -> Case:
    """Let there be an archive, which is away for a while in half of the cases."""
    away = []
    for _ in range(int(rng.integers(0, 3))):
        start_s = rng.random() * SPAN_S
        away.append((start_s, start_s + _pick(rng, (600.0, 3 * HOUR_S))))
    depot = Depot(
        takes_s=_pick(rng, (1.0, 60.0, 1800.0)),
        away=tuple(away),
        tape_s=_pick(rng, (0.0, 0.0, 600.0, 3 * HOUR_S)),
    )
    # In every hour of model time: of each set the first checkpoint.
    archive = Archive(
        url=URL, every=_pick(rng, ("", "1h")), results=bool(rng.random() < 0.7)
    )
    # What went bad on the disk is what is asked back.
    rots = [
        Rot(at_s=rng.random() * SPAN_S, pick=int(rng.integers(6)), scrubbed=True)
        for _ in range(rng.poisson(2.0))
    ]
    troubles = [*_troubles(rng, ("unreadable",), mean=0.5, most=2)]
    if rng.random() < 0.3:
        # The rule that is wrong pauses its simulation.
        troubles.append(Trouble(kind="rule", nth=0, cause=Cause.MODEL))
    return dataclasses.replace(
        case,
        policies=dataclasses.replace(case.policies, archive=archive),
        depot=depot,
        events=(*case.events, *rots),
        troubles=(*case.troubles, *troubles),
    )


def _bounded(case: Case, rng: np.random.Generator) -> Case:
    """Let checkpoints have a size, and all of them a budget."""
    overheads = case.site.overheads or Overheads()
    overheads = dataclasses.replace(
        overheads, state_bytes=STATE_BYTES, written_bytes=STATE_BYTES
    )
    budget = ByteBudget(size=STATE_BYTES * int(rng.integers(2, 12)))
    return dataclasses.replace(
        case,
        policies=dataclasses.replace(case.policies, budget=budget),
        site=dataclasses.replace(case.site, overheads=overheads),
    )
