"""What a virtual cluster costs, as far as the campaign knows.

Decides what is taken from measurements and guesses and what a user has to say.
Segments are expected as admission expects them: by the guess in the resources
at first, by others of the same workflow, by the simulation's own in the end.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from climorch.core.state import CampaignState, SimulationState
from climorch.core.stretch import durations, siblings
from climorch.errors import Fault, InvalidInputError
from climorch.intake.planning import make_plan
from climorch.model.events import Fact, SimulationChanged, SimulationSubmitted
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario
from climorch.model.workflow import Workflow
from climorch.policy.durations import Duration, speedup
from climorch.policy.learning import Learned
from climorch.twin.costs import Costs, Overheads, StageCost, Work
from climorch.twin.draws import Draws, Purpose
from climorch.twin.site import TwinSite

__all__ = ["Expected", "Lucky", "Widths", "learn", "overheads_of", "with_luck"]

Place = tuple[str, str]
"""A workflow and a stage of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """What a segment of a stage will take, by nodes of the lease.

    Attributes
    ----------
    gang : int
        Nodes that the simulation asks for.
    known : mapping of int to Duration
        By nodes of the lease, of the gang and more; of a part, where segments
        have parts.
    parts : int
        Of a segment.
    """

    gang: int
    known: Mapping[int, Duration]
    parts: int = 1

    def seconds(self, work: Work, nodes: float) -> float:
        """Return the mean seconds of a segment on its share of a lease."""
        lease = nodes * self.gang / work.base
        near = min(self.known, key=lambda width: abs(width - lease))
        scaled = speedup(near) / speedup(lease) if lease != near else 1.0
        return self.known[near].mean_s * scaled * self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Seconds of the segments of one stage, as they are expected.

    Attributes
    ----------
    own : mapping of str to Widths
        By simulation.
    others : Widths or None
        For simulations that rules will add.
    """

    own: Mapping[str, Widths]
    others: Widths | None = None

    def of(self, simulation: str) -> Widths:
        """Return what is expected of a simulation."""
        return self.own.get(simulation) or self.others or next(iter(self.own.values()))

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment on so many nodes."""
        return self.of(work.simulation).seconds(work, nodes)


class Lucky:
    """What is expected, off by what may be: as far as a seed will have it.

    Parameters
    ----------
    expected : Expected
        Of a stage.
    draws : Draws
        Of the run.
    """

    def __init__(self, expected: Expected, draws: Draws) -> None:
        self._expected = expected
        self._draws = draws
        self._factors: dict[tuple[str, str], float] = {}

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment on so many nodes."""
        place = work.simulation, work.stage
        factor = self._factors.get(place)
        if factor is None:
            factor = self._factors[place] = self._factor(*place)
        return factor * self._expected(work, nodes)

    def _factor(self, simulation: str, stage: str) -> float:
        widths = self._expected.of(simulation)
        known = widths.known[widths.gang]
        # Guesses are off for all stages of a simulation alike, in part.
        alike, apart = (
            float(self._draws.generator(Purpose.COST, *place).standard_normal())
            for place in ((simulation,), (simulation, stage))
        )
        off = known.shared**0.5 * alike + (1 - known.shared) ** 0.5 * apart
        return math.exp(known.common * off)


def with_luck(costs: Costs, seed: int) -> Costs:
    """Let what is not known for sure be as a seed will have it.

    Parameters
    ----------
    costs : Costs
        As `learn` returns them; what the user gave stays as it is.
    seed : int
        Of the run.

    Returns
    -------
    Costs
        The same for the same seed.
    """
    draws = Draws(seed)
    stages = {
        stage: Lucky(cost, draws) if isinstance(cost, Expected) else cost
        for stage, cost in costs.stages.items()
    }
    return dataclasses.replace(costs, stages=stages)


def learn(
    site: TwinSite,
    state: CampaignState,
    facts: Iterable[Fact],
    workflows: Mapping[str, Workflow],
) -> TwinSite:
    """Fill in what a site leaves open.

    Parameters
    ----------
    site : TwinSite
        As the user gave it; what it says goes first.
    state : CampaignState
        With its measurements.
    facts : iterable of Fact
        Submissions that the state does not have.
    workflows : mapping of str to Workflow
        Whose templates may come into it by rules.

    Returns
    -------
    TwinSite
        With costs for every stage that may run, and with overheads.

    Raises
    ------
    InvalidInputError
        If nothing is known of a stage, by the site, by a guess or by
        measurement; names all such stages.
    """
    given = site.costs or Costs()
    known = _known(state, given, _needed(state, facts, workflows))
    stages: dict[Place, StageCost] = {
        stage: Expected(
            own={name: widths for name, widths in of.items() if name is not None},
            others=of.get(None),
        )
        for stage, of in known.items()
    }
    noise = given.noise_cv if site.costs else _noise_cv(known.values())
    costs = dataclasses.replace(
        given, stages={**stages, **given.stages}, noise_cv=noise
    )
    return dataclasses.replace(
        site, costs=costs, overheads=site.overheads or overheads_of(state)
    )


def _known(
    state: CampaignState,
    given: Costs,
    needed: Iterable[tuple[str | None, SimulationPlan]],
) -> dict[Place, dict[str | None, Widths]]:
    """Find what is known of each stage without a given cost, by simulation."""
    known: dict[Place, dict[str | None, Widths]] = {}
    unknown: set[Place] = set()
    for name, plan in needed:
        places = [(plan.workflow, stage.name) for stage in plan.stages]
        wanted = [place for place in places if given.of(*place) is None]
        found = _widths(state, name, plan) if wanted else {}
        for place in wanted:
            if place[1] in found:
                known.setdefault(place, {})[name] = found[place[1]]
            else:
                unknown.add(place)
    if unknown:
        faults = [
            Fault(
                place=f"workflow {workflow!r}, stage {stage!r}",
                problem="it has no segment_s and no segment of it was measured",
                remedy="give Resources(segment_s=...) or TwinSite(costs=...)",
            )
            for workflow, stage in sorted(unknown)
        ]
        raise InvalidInputError("nobody knows how long this takes", faults=faults)
    return known


def _needed(
    state: CampaignState, facts: Iterable[Fact], workflows: Mapping[str, Workflow]
) -> Iterator[tuple[str | None, SimulationPlan]]:
    """Yield what may have segments to compute; without a name: by a rule."""
    plans = {s.name: s.plan for s in state.simulations.values() if not s.complete}
    for fact in facts:
        if isinstance(fact, SimulationSubmitted | SimulationChanged):
            plans[fact.simulation] = fact.plan
    yield from plans.items()
    ahead = [plan.workflow for plan in plans.values() if plan.rules]
    ahead += [
        s.plan.workflow
        for s in state.simulations.values()
        if not s.settled and s.plan.rules
    ]
    seen: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name in seen or name not in workflows:
            continue
        seen.add(name)
        for template in workflows[name].templates:
            yield None, make_plan(template, Scenario("by-a-rule"))
            ahead.append(template.name)


def _widths(
    state: CampaignState, name: str | None, plan: SimulationPlan
) -> dict[str, Widths]:
    """Return what is known of each stage of a simulation."""
    own: SimulationState | None = state.simulations.get(name or "")
    others = siblings(state, plan, name or "")
    by_stage: dict[str, dict[int, Duration]] = {}
    for nodes in range(plan.nodes, max(plan.most_nodes, plan.nodes) + 1):
        for s in plan.sets:
            found = durations(plan, s, nodes=nodes, own=own, others=others)
            for stage, duration in found.items():
                if duration is not None:
                    by_stage.setdefault(stage, {})[nodes] = duration
    parts = {stage.name: stage.parts for stage in plan.stages}
    return {
        stage: Widths(gang=plan.nodes, known=known, parts=parts[stage])
        for stage, known in by_stage.items()
    }


def _noise_cv(known: Iterable[Mapping[str | None, Widths]]) -> float:
    noises = [w.known[w.gang].noise for of in known for w in of.values()]
    return math.sqrt(math.expm1(median(noises) ** 2)) if noises else 0.0


def overheads_of(state: CampaignState) -> Overheads:
    """Take checkpoints and restores as they were, and what is usual otherwise.

    Parameters
    ----------
    state : CampaignState
        With its measurements.
    """
    usual = Overheads()
    written = [s.writing for _, s in state.sets() if s.writing is not None]
    restored = [s.restoring for _, s in state.sets() if s.restoring is not None]
    stalls = [s.cost_s for _, s in state.sets() if s.cost_s is not None]
    if restored:
        # From the start to the states: nothing comes on top of it.
        restore_s = _typical_s(restored)
        usual = dataclasses.replace(
            usual, restart_s=0.0, restore_s=restore_s, init_s=restore_s
        )
    if written:
        usual = dataclasses.replace(usual, checkpoint_s=_typical_s(written))
    if stalls:
        usual = dataclasses.replace(usual, stall_s=median(stalls))
    copies = [s.held.cost_s for _, s in state.sets() if s.held.cost_s is not None]
    if copies:
        usual = dataclasses.replace(usual, copy_stall_s=median(copies))
    return usual


def _typical_s(learned: Iterable[Learned]) -> float:
    return math.exp(median(x.centre for x in learned))
