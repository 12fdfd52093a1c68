"""The quick sum: what simulations hold if each runs through once it has its nodes.

No twin: who is there first and fits goes first, a project that has used its budget
waits, failures only slow everybody down. Seconds where the twin takes minutes; ends
are those of a patient machine, so take the twin for dates.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from climorch.core.rhythm import steady_s
from climorch.core.state import SimulationState
from climorch.forecast.costing import CostDraw
from climorch.forecast.unfolded import Hold
from climorch.model.plan import SimulationPlan

__all__ = ["Demand", "duration_s", "played"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a simulation still needs.

    Attributes
    ----------
    simulation, project : str
        Whose.
    nodes : int
        At once, >= 1.
    takes_s : float
        With these nodes, seconds, >= 0.
    arrives_s : float
        UTC seconds.
    priority : int
        Higher goes first.
    """

    simulation: str
    project: str
    nodes: int
    takes_s: float
    arrives_s: float
    priority: int = 0


def duration_s(
    plan: SimulationPlan,
    costs: CostDraw,
    *,
    name: str,
    own: SimulationState | None = None,
) -> float:
    """Say how long a simulation needs for the rest of its way.

    Parameters
    ----------
    plan : SimulationPlan
        What it consists of.
    costs : CostDraw
        Of a world.
    name : str
        Its own.
    own : SimulationState or None
        How far it is; None: it has not begun.

    Returns
    -------
    float
        Seconds with the nodes that it asks for; sets of one phase side by side, phases
        one after the other, coupled stages in their rhythm.
    """
    whole_s = 0.0
    for phase in plan.phases:
        longest_s = 0.0
        for s in phase:
            state = own.sets.get(s.name) if own is not None else None
            reached = state.committed if state is not None else 0
            boundaries = s.last - reached
            if boundaries <= 0:
                continue
            takes_s = {
                stage: costs.mean_s(plan.workflow, stage, name)
                * ((counts[-1] - counts[reached]) / boundaries)
                for stage, counts in s.counts.items()
            }
            longest_s = max(longest_s, boundaries * steady_s(s, takes_s))
        whole_s += longest_s
    return whole_s


def played(
    demands: Iterable[Demand],
    *,
    nodes: int,
    begin_s: float,
    until_s: float,
    budgets: Mapping[str, float],
) -> tuple[list[Hold], dict[str, float]]:
    """Let simulations have their nodes, one after the other.

    Parameters
    ----------
    demands : iterable of Demand
        Who needs what.
    nodes : int
        That there are.
    begin_s, until_s : float
        UTC seconds.
    budgets : mapping of str to float
        Node-seconds left, by project; those without are not limited.

    Returns
    -------
    tuple of (list of Hold, dict of str to float)
        Who held nodes until the end; who was done when.
    """
    coming = sorted(demands, key=lambda d: (d.arrives_s, -d.priority))
    table = _Table(nodes, dict(budgets))
    now_s = begin_s
    while True:
        while coming and coming[0].arrives_s <= now_s:
            table.waiting.append(coming.pop(0))
        table.admit(now_s)
        upcoming = list(_next(table.running, coming))
        if not upcoming or min(upcoming) > until_s:
            ended_s = {n: at_s for n, at_s in table.ends_s.items() if at_s <= until_s}
            return table.holds, ended_s
        now_s = min(upcoming)
        table.release(now_s)


class _Table:
    """Who waits, who holds nodes, and what projects have left."""

    def __init__(self, nodes: int, left: dict[str, float]) -> None:
        self.waiting: list[Demand] = []
        self.running: list[tuple[float, int, int]] = []
        self.holds: list[Hold] = []
        self.ends_s: dict[str, float] = {}
        self._free = nodes
        self._left = left

    def admit(self, now_s: float) -> None:
        """Give nodes to all who fit, by priority and age."""
        self.waiting.sort(key=lambda d: -d.priority)
        for d in list(self.waiting):
            if d.nodes > self._free:
                continue
            paid_s = max(self._left.get(d.project, math.inf), 0.0) / d.nodes
            takes_s = min(d.takes_s, paid_s)
            self.waiting.remove(d)
            if takes_s <= 0 < d.takes_s:
                continue
            stop_s = now_s + takes_s
            if d.project in self._left:
                self._left[d.project] -= takes_s * d.nodes
            self._free -= d.nodes
            heapq.heappush(self.running, (stop_s, len(self.holds), d.nodes))
            self.holds.append(Hold(d.simulation, d.project, d.nodes, now_s, stop_s))
            if takes_s == d.takes_s:
                self.ends_s[d.simulation] = stop_s

    def release(self, now_s: float) -> None:
        """Take nodes back from those who are done."""
        while self.running and self.running[0][0] <= now_s:
            self._free += heapq.heappop(self.running)[2]


def _next(
    running: list[tuple[float, int, int]], coming: list[Demand]
) -> Iterator[float]:
    if running:
        yield running[0][0]
    if coming:
        yield coming[0].arrives_s
