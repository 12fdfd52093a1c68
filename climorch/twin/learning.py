"""What a virtual cluster costs, as far as the real one has shown it.

Decides what is taken from measurements and what a user has to say. Knows the
state of the orchestrator only; ignores how well a stage scales: between as many
nodes as were measured and others it is taken to share all its work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean, median

from climorch.core.state import CampaignState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.model.events import Fact, SimulationChanged, SimulationSubmitted
from climorch.model.plan import SimulationPlan
from climorch.model.workflow import Workflow
from climorch.twin.costs import Costs, Overheads, StageCost, Work
from climorch.twin.site import TwinSite

__all__ = ["Measured", "learn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds of the segments of one stage, as they were.

    Attributes
    ----------
    own : mapping of str to float
        By simulation, on the nodes that the stage asks for.
    mean : float
        For simulations that have not run yet.
    """

    own: Mapping[str, float]
    mean: float

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment, all of it shared among the nodes."""
        return self.own.get(work.simulation, self.mean) * work.base / nodes


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
        If segments of a stage were never measured and the site has no cost for
        them; names all such stages.
    """
    given = site.costs or Costs()
    measured = _measured(state)
    stages: dict[tuple[str, str], StageCost] = dict(given.stages)
    faults = []
    for workflow, stage in sorted(set(_needed(state, facts, workflows))):
        if given.of(workflow, stage) is not None:
            continue
        found = measured.get((workflow, stage))
        if found is None:
            faults.append(
                Fault(
                    place=f"workflow {workflow!r}, stage {stage!r}",
                    problem="no segment of it was ever measured",
                    remedy="give TwinSite(costs=Costs(...)) a cost for it",
                )
            )
        else:
            stages[workflow, stage] = found
    if faults:
        raise InvalidInputError("nobody knows how long this takes", faults=faults)
    return dataclasses.replace(
        site,
        costs=dataclasses.replace(given, stages=stages),
        overheads=site.overheads or _overheads(state),
    )


def _needed(
    state: CampaignState, facts: Iterable[Fact], workflows: Mapping[str, Workflow]
) -> Iterator[tuple[str, str]]:
    """Name the stages that may have segments to compute."""
    plans: dict[str, SimulationPlan] = {
        s.name: s.plan for s in state.simulations.values() if not s.complete
    }
    for fact in facts:
        if isinstance(fact, SimulationSubmitted | SimulationChanged):
            plans[fact.simulation] = fact.plan
    for plan in plans.values():
        for stage in plan.stages:
            yield plan.workflow, stage.name
    ahead = {plan.workflow for plan in plans.values() if plan.rules}
    ahead |= {
        s.plan.workflow
        for s in state.simulations.values()
        if any(rule.name not in s.rules_done for rule in s.plan.rules)
    }
    seen: set[str] = set()
    while ahead:
        name = ahead.pop()
        seen.add(name)
        bound = workflows.get(name)
        for template in bound.templates if bound is not None else ():
            for declared in template.stages:
                yield template.name, declared.name
            if template.rules and template.name not in seen:
                ahead.add(template.name)


def _measured(state: CampaignState) -> dict[tuple[str, str], Measured]:
    own: dict[tuple[str, str], dict[str, float]] = {}
    for simulation in state.simulations.values():
        for stage, pace_s in _paces(simulation):
            own.setdefault((simulation.plan.workflow, stage), {})[simulation.name] = (
                pace_s
            )
    return {
        stage: Measured(own=paces, mean=fmean(paces.values()))
        for stage, paces in own.items()
    }


def _paces(simulation: SimulationState) -> Iterator[tuple[str, float]]:
    """Yield the pace of each stage, as on the nodes that it asks for."""
    # One that holds no lease is taken to have run on its gang.
    nodes = len(simulation.lease) or simulation.plan.nodes
    for s in simulation.sets.values():
        for stage, pace_s in s.pace_s.items():
            if pace_s > 0:
                yield stage, pace_s * nodes / simulation.plan.nodes


def _overheads(state: CampaignState) -> Overheads:
    """Take checkpoints as they were; reading is taken to be as fast as writing."""
    written = [
        c.seconds for _, s in state.sets() for c in s.commits.values() if c.seconds
    ]
    if not written:
        return Overheads()
    stalls = [s.cost_s for _, s in state.sets() if s.cost_s is not None]
    seconds = median(written)
    return Overheads(
        checkpoint_s=seconds,
        stall_s=median(stalls),
        restore_s=seconds,
        init_s=seconds,
    )
