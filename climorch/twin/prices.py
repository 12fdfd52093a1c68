"""What segments take on a virtual cluster: costs, luck, drift, nodes that are slow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from climorch.errors import Fault, InvalidInputError
from climorch.model.plan import SimulationPlan
from climorch.twin.costs import Costs, StageCost, Work
from climorch.twin.draws import Draws, SegmentNoise
from climorch.twin.lab import UNMEASURED, Price
from climorch.twin.ledger import DAY_S
from climorch.twin.loads import LoadedNodes
from climorch.twin.site import TwinSite

__all__ = ["Prices"]


class _Stage(NamedTuple):
    """What does not change from one segment of a stage to the next."""

    plan: SimulationPlan
    base: int
    cost: StageCost
    parts: int
    takes_bytes: int


class Prices:
    """Durations of segments, the same for a seed in whatever order they are asked.

    Parameters
    ----------
    site : TwinSite
        What there is.
    draws : Draws
        Random numbers.
    speeds : mapping of str to float
        Of the nodes.
    begin_s : float
        Clock at the beginning of the run, seconds.
    """

    def __init__(
        self, site: TwinSite, draws: Draws, speeds: Mapping[str, float], begin_s: float
    ) -> None:
        self._costs = site.costs or Costs()
        self._noise = SegmentNoise(draws, self._costs.noise_cv)
        self._loads = LoadedNodes(site.loads, site.node_names, draws, begin_s)
        self._paced = site.loads is not None
        self._speeds = speeds
        self._memory = {node: site.memory_of(node) for node in site.node_names}
        self._begin_s = begin_s
        self._stages: dict[tuple[str, str], _Stage] = {}

    def of(
        self,
        plan: SimulationPlan,
        place: tuple[str, str, int],
        nodes: Sequence[str],
        slowest: float,
        now_s: float,
    ) -> Price:
        """Say what a segment takes, or one of its parts.

        Parameters
        ----------
        plan : SimulationPlan
            Of its simulation.
        place : tuple of str, str and int
            Simulation, stage and segment.
        nodes : sequence of str
            Nodes of the lease that are up.
        slowest : float
            Speed of the slowest of them, loads left out.
        now_s : float
            When it starts; clock of the run, seconds.

        Raises
        ------
        InvalidInputError
            If its cost is not known, or none.
        """
        simulation, stage, segment = place
        found = self._stages.get((simulation, stage))
        if found is None or found.plan is not plan:
            found = self._stages[simulation, stage] = self._look_up(plan, stage)
        base = found.base
        whole = segment // found.parts
        work = Work(simulation, plan.workflow, stage, whole, base, plan.params)
        paced = self._paced and bool(nodes)
        if paced:
            slowest = self._loads.slowest(nodes, self._speeds, now_s)
        factor = self._noise.factor(simulation, stage, segment)
        factor /= slowest * found.parts
        if self._costs.drift_per_day:
            days = (now_s - self._begin_s) / DAY_S
            factor *= (1 + self._costs.drift_per_day) ** days
        base_s = found.cost(work, base) * factor
        width = len(nodes)
        if width == plan.nodes or not width:
            seconds = base_s
        else:
            seconds = found.cost(work, width * base / plan.nodes) * factor
        if not (math.isfinite(base_s) and base_s > 0 and seconds > 0):
            raise InvalidInputError(
                f"the cost of stage {stage!r} of {simulation!r}, segment {segment}, "
                f"is {seconds!r} s on {width} nodes; expected finite and > 0"
            )
        paces = UNMEASURED
        if paced:
            paces = self._loads.paces(place, nodes, self._speeds, seconds, now_s)
        takes = found.takes_bytes
        fits = not takes or self._fits(takes, nodes)
        return Price(seconds, base_s, base, paces, takes, fits)

    def _fits(self, takes_bytes: int, nodes: Sequence[str]) -> bool:
        return not any(0 < self._memory[node] < takes_bytes for node in nodes)

    def _look_up(self, plan: SimulationPlan, stage: str) -> _Stage:
        cost = self._costs.of(plan.workflow, stage)
        if cost is None:
            raise InvalidInputError(
                "a segment has no duration",
                faults=[
                    Fault(
                        place=f"workflow {plan.workflow!r}, stage {stage!r}",
                        problem="nobody knows how long its segments take",
                        remedy="give TwinSite(costs=Costs(...)) a cost for it",
                    )
                ],
            )
        found = next(s for s in plan.stages if s.name == stage)
        takes_bytes = self._costs.memory_bytes.get((plan.workflow, stage), 0)
        return _Stage(plan, found.resources.nodes, cost, found.parts, takes_bytes)
