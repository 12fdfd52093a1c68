"""From what a campaign knows to the worlds that may come, and from those to a forecast.

Decides what is left to do, what of it nobody can tell, and what each world draws. The
worlds are played elsewhere: by the twin, or quickly here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from climorch.core.lifecycle import Control
from climorch.core.state import CampaignState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.forecast.activities import Activity, Arrival, Slippage, arrivals
from climorch.forecast.booked import Ledger
from climorch.forecast.costing import CostDraw, Costing, Place, learn_costs
from climorch.forecast.failing import FailureDraw, draw_failures
from climorch.forecast.fluid import Demand, duration_s, played
from climorch.forecast.parts import Part
from climorch.forecast.unfolded import Unfolded, unfolded
from climorch.forecast.witness import Seen
from climorch.forecast.work import DRIVER_ENDED
from climorch.intake.planning import make_plan
from climorch.model.causes import Cause
from climorch.model.events import Fact, SimulationChanged, SimulationSubmitted
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario
from climorch.model.workflow import Workflow

__all__ = ["Left", "Prospect", "World", "left_of", "prospect", "quickly"]

# What the twin plays itself; all else that was lost makes segments dearer.
PLAYED = {Cause.NODE_LOST.value, Cause.WALLTIME.value, DRIVER_ENDED}
MOST_RETRY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A simulation with something left to do.

    Attributes
    ----------
    name, project : str
        Which, and who pays.
    plan : SimulationPlan
        What it consists of.
    priority : int
        Within its project.
    own : SimulationState or None
        How far it is; None: not begun.
    """

    name: str
    project: str
    plan: SimulationPlan
    priority: int = 0
    own: SimulationState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is drawn of one world.

    Attributes
    ----------
    costs : CostDraw
        Of segments.
    failures : FailureDraw
        Of nodes.
    arrivals : tuple of Arrival
        Planned activities that come.
    wait_s : float
        Until the nodes are there, seconds.
    """

    costs: CostDraw
    failures: FailureDraw
    arrivals: tuple[Arrival, ...]
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What a forecast is made from.

    Attributes
    ----------
    state : CampaignState
        The campaign as it is; only read.
    left : tuple of Left
        What is submitted and not done.
    plan : tuple of Activity
        What is planned, past ones too.
    seen : Seen
        What the journal shows.
    costing : Costing
        What segments cost.
    slips : Slippage
        How late activities are.
    nodes : int
        That there are.
    edges_s : tuple of float
        Of the pieces of time, from now on, UTC seconds.
    retry : float
        What segments take in all over what they would, by faults that the twin does
        not play; >= 1.
    overhead : float
        The same by everything, for the quick sum; >= 1.
    wait_s : tuple of float
        Least and most seconds until nodes are there.
    """

    state: CampaignState
    left: tuple[Left, ...]
    plan: tuple[Activity, ...]
    seen: Seen
    costing: Costing
    slips: Slippage
    nodes: int
    edges_s: tuple[float, ...]
    retry: float = 1.0
    overhead: float = 1.0
    wait_s: tuple[float, float] = (0.0, 0.0)

    @property
    def planned(self) -> tuple[Activity, ...]:
        """Activities that are not submitted yet."""
        gone = {x.name for x in self.left} | self.state.simulations.keys()
        return tuple(a for a in self.plan if a.name not in gone)

    @property
    def needed(self) -> tuple[Place, ...]:
        """Configurations of which something is left to do, each once."""
        plans = [x.plan for x in self.left] + [a.plan for a in self.planned]
        return tuple(
            dict.fromkeys((p.workflow, stage.name) for p in plans for stage in p.stages)
        )

    def world(self, seed: int) -> World:
        """Draw a world; the same seed gives the same."""
        costs = self.costing.draw(seed)
        low, high = self.wait_s
        # Even over the bounds, by the golden ratio: few draws fill them well.
        return World(
            costs=dataclasses.replace(
                costs, seconds={p: s * self.retry for p, s in costs.seconds.items()}
            ),
            failures=draw_failures(self.seen.nodes, seed),
            arrivals=arrivals(
                self.plan,
                self.slips,
                submitted=[*self.state.simulations, *(x.name for x in self.left)],
                now_s=self.edges_s[0],
                seed=seed,
            ),
            wait_s=low + (high - low) * ((seed * 0.618034 + 0.5) % 1.0),
        )


def left_of(state: CampaignState, facts: Iterable[Fact]) -> tuple[Left, ...]:
    """Return what is submitted and neither done nor given up.

    Parameters
    ----------
    state : CampaignState
        What is known.
    facts : iterable of Fact
        Submissions that it does not have.
    """
    found = {
        s.name: Left(
            name=s.name,
            project=s.scenario.project,
            plan=s.plan,
            priority=s.priority,
            own=s,
        )
        for s in state.simulations.values()
    }
    for fact in facts:
        if isinstance(fact, SimulationSubmitted | SimulationChanged):
            found[fact.simulation] = Left(
                name=fact.simulation,
                project=fact.scenario.project,
                plan=fact.plan,
                priority=fact.scenario.priority,
                own=state.simulations.get(fact.simulation),
            )
    return tuple(x for x in found.values() if x.own is None or _goes_on(x.own))


def _goes_on(own: SimulationState) -> bool:
    runs = own.control is Control.RUN and own.failed is None
    return runs and not own.complete


def prospect(
    state: CampaignState,
    left: tuple[Left, ...],
    *,
    plan: tuple[Activity, ...],
    workflows: Mapping[str, Workflow],
    ledger: Ledger,
    seen: Seen,
    slips: Slippage,
    nodes: int,
    edges_s: tuple[float, ...],
    given: Iterable[Place] = (),
    wait_s: tuple[float, float] = (0.0, 0.0),
) -> Prospect:
    """Learn what there is to learn.

    Parameters
    ----------
    state, left, plan, seen, slips, nodes, edges_s, wait_s
        As `Prospect` has them.
    workflows, ledger
        Whose templates rules may add; of everybody, so far.
    given : iterable of (str, str)
        Configurations whose cost the user says.

    Returns
    -------
    Prospect
        With costs of everything that may run.

    Raises
    ------
    InvalidInputError
        With every stage of which nobody knows how long it takes.
    """
    plans = {x.name: x.plan for x in left}
    plans |= {a.name: a.plan for a in plan}
    known = {s.name: s.plan for s in state.simulations.values()} | plans
    guesses = _guesses(plans.values(), workflows)
    costing = learn_costs(
        seen.pieces,
        gangs={name: p.nodes for name, p in known.items()},
        guesses={place: s for place, s in guesses.items() if s is not None},
        as_of_s=seen.as_of_s,
    )
    _require_known(guesses.keys() - costing.centre.keys() - set(given))
    retry, overhead = _factors(ledger)
    return Prospect(
        state=state,
        left=left,
        plan=plan,
        seen=seen,
        costing=costing,
        slips=slips,
        nodes=nodes,
        edges_s=edges_s,
        retry=retry,
        overhead=overhead,
        wait_s=wait_s,
    )


def _require_known(unknown: Iterable[Place]) -> None:
    """Refuse stages of which nobody knows how long they take."""
    faults = [
        Fault(
            place=f"workflow {workflow!r}, stage {stage!r}",
            problem="it has no segment_s and no segment of it was measured",
            remedy="give Resources(segment_s=...), or run a pilot",
        )
        for workflow, stage in sorted(unknown)
    ]
    if faults:
        raise InvalidInputError("nobody knows how long this takes", faults=faults)


def _guesses(
    plans: Iterable[SimulationPlan], workflows: Mapping[str, Workflow]
) -> dict[Place, float | None]:
    """Return what users say of every stage that may run; None: nothing."""
    several = list(plans)
    return {
        (p.workflow, stage.name): stage.resources.segment_s
        for p in [*several, *_templates(several, workflows)]
        for stage in p.stages
    }


def _templates(
    plans: Iterable[SimulationPlan], workflows: Mapping[str, Workflow]
) -> Iterator[SimulationPlan]:
    """Yield the plans that rules may add."""
    ahead, met = [p.workflow for p in plans if p.rules], set[str]()
    while ahead:
        name = ahead.pop()
        if name in met or name not in workflows:
            continue
        met.add(name)
        for template in workflows[name].templates:
            yield make_plan(template, Scenario("by-a-rule"))
            ahead.append(template.name)


def _factors(ledger: Ledger) -> tuple[float, float]:
    """Say what segments take beyond computing: by odd faults, and by everything."""
    computed = ledger.node_s(Part.USEFUL, Part.WIDE)
    if not computed > 0:
        return 1.0, 1.0
    odd = sum(x.node_s for x in ledger.losses if x.cause not in PLAYED)
    again = ledger.node_s(Part.RECOMPUTED)
    busy = computed + ledger.node_s(Part.IDLE, Part.PENDING)
    beside = max(ledger.held_node_s - busy, 0.0)
    return (
        min(1 + max(odd + again, 0.0) / computed, MOST_RETRY),
        min(1 + beside / busy, MOST_RETRY),
    )


def quickly(known: Prospect, seed: int) -> Unfolded:
    """Play a world without the twin.

    Parameters
    ----------
    known : Prospect
        What it is drawn from.
    seed : int
        Of the world.
    """
    world = known.world(seed)
    begin_s, until_s = known.edges_s[0], known.edges_s[-1]
    coming = [
        Left(
            name=a.fact.simulation,
            project=a.fact.scenario.project,
            plan=a.fact.plan,
            priority=a.fact.scenario.priority,
        )
        for a in world.arrivals
    ]
    at_s = [0.0] * len(known.left) + [a.after_s for a in world.arrivals]
    several = [*known.left, *coming]
    # What is lost to odd faults is in the overhead already.
    slower = known.overhead / known.retry
    # Half of the way lies behind, half of the drift before.
    drift = (1 + world.costs.drift_per_day) ** ((until_s - begin_s) / 86_400.0 / 2)
    demands = [
        Demand(
            simulation=x.name,
            project=x.project,
            nodes=x.plan.nodes,
            takes_s=slower
            * drift
            * duration_s(x.plan, world.costs, name=x.name, own=x.own),
            arrives_s=begin_s + max(after_s, world.wait_s),
            priority=x.priority,
        )
        for x, after_s in zip(several, at_s, strict=True)
    ]
    widest = max((d.nodes for d in demands), default=1)
    holds, ended_s = played(
        demands,
        nodes=max(round(known.nodes * _available(world.failures)), widest),
        begin_s=begin_s,
        until_s=until_s,
        budgets=_budgets(known.state, begin_s),
    )
    return unfolded(
        seed,
        holds,
        edges_s=known.edges_s,
        ended_s=ended_s,
        projects={x.name: x.project for x in several},
    )


def _available(failures: FailureDraw) -> float:
    """Return the share of nodes that is up in the long run."""
    up = 1.0
    if failures.mtbf_s is not None:
        mean_s = failures.repair_s * math.exp(min(failures.sigma, 2.0) ** 2 / 2)
        up *= failures.mtbf_s / (failures.mtbf_s + mean_s)
    if failures.outage is not None:
        o = failures.outage
        up *= 1 - o.share * o.lasts_s / (o.every_s + o.lasts_s)
    return up


def _budgets(state: CampaignState, now_s: float) -> dict[str, float]:
    """Return the node-seconds that projects with a budget have left."""
    used = state.usage_at(now_s)
    return {
        name: project.budget_node_hours * 3600.0
        - (used[name].node_s if name in used else 0.0)
        for name, project in state.projects.items()
        if project.budget_node_hours is not None
    }
