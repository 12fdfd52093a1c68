"""Worlds that may come, played by the twin: the very code that will run the campaign.

Decides how a drawn world becomes a virtual site. Ignores what it is drawn from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from climorch.forecast.costing import CostDraw, Place
from climorch.forecast.failing import FailureDraw
from climorch.forecast.unfolded import Hold, Unfolded, unfolded
from climorch.forecast.worlds import Prospect, World
from climorch.policy.durations import speedup
from climorch.twin.costs import Costs, StageCost, Work
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.pooling import side_by_side
from climorch.twin.rehearsal import Play, rehearse_once
from climorch.twin.site import TwinSite

__all__ = ["Foreseen", "foresee", "foresee_once", "site_in"]

OTHERS = "(others)"
"""Whose use it is where nobody knows of the simulation; there should be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What is played in every world.

    Attributes
    ----------
    known : Prospect
        What worlds are drawn from.
    play : Play
        The campaign and its site; what the site leaves open each world draws.
    """

    known: Prospect
    play: Play


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The cost of a stage in one world."""

    place: Place
    costs: CostDraw
    gangs: Mapping[str, int]
    parts: int

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the mean seconds of a segment on its share of a lease."""
        workflow, stage = self.place
        mean_s = self.costs.mean_s(workflow, stage, work.simulation) * self.parts
        gang = self.gangs.get(work.simulation, work.base)
        return mean_s * speedup(gang) / speedup(nodes * gang / work.base)


class _Kept:
    """Remembers what a stage costs: the twin asks for every segment."""

    def __init__(self, cost: _Drawn) -> None:
        self._cost = cost
        self._known: dict[tuple[str, float], float] = {}

    def __call__(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment on so many nodes."""
        key = (work.simulation, nodes)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._cost(work, nodes)
        return found


def foresee(
    foreseen: Foreseen, seeds: Iterable[int], *, processes: int = 1
) -> tuple[Unfolded, ...]:
    """Play several worlds.

    Parameters
    ----------
    foreseen : Foreseen
        What.
    seeds : iterable of int
        One world each.
    processes : int
        How many side by side; see `side_by_side`.

    Returns
    -------
    tuple of Unfolded
        The same with any number of processes.
    """
    return side_by_side(foresee_once, foreseen, tuple(seeds), processes=processes)


def foresee_once(foreseen: Foreseen, seed: int) -> Unfolded:
    """Play a world.

    Parameters
    ----------
    foreseen : Foreseen
        What.
    seed : int
        Of it.
    """
    known, play = foreseen.known, foreseen.play
    world = known.world(seed)
    site = site_in(play.site, known, world)
    script = tuple((a.after_s, a.fact) for a in world.arrivals)
    run = rehearse_once(
        dataclasses.replace(play, site=site, script=(*play.script, *script)), seed
    )
    projects = {fate.simulation: fate.project or OTHERS for fate in run.fates}
    return unfolded(
        seed,
        (
            Hold(s.simulation, projects[s.simulation], s.nodes, s.start_s, s.stop_s)
            for s in run.spans
        ),
        edges_s=known.edges_s,
        ended_s={
            fate.simulation: fate.finished_s
            for fate in run.fates
            if fate.finished_s == fate.finished_s
        },
        projects=projects,
        notes=run.notes,
    )


def site_in(site: TwinSite, known: Prospect, world: World) -> TwinSite:
    """Fill in what a site leaves open; what the user said of it stays.

    Parameters
    ----------
    site : TwinSite
        As given.
    known : Prospect
        What is left to do.
    world : World
        Which world.
    """
    given = site.costs or Costs()
    plans = {x.name: x.plan for x in known.left}
    plans |= {a.name: a.plan for a in known.plan}
    gangs = {name: plan.nodes for name, plan in plans.items()}
    parts = {
        (plan.workflow, stage.name): stage.parts
        for plan in plans.values()
        for stage in plan.stages
    }
    stages: dict[Place, StageCost] = {
        place: _Kept(_Drawn(place, world.costs, gangs, parts.get(place, 1)))
        for place in world.costs.seconds
        if given.of(*place) is None
    }
    noise, drift = world.costs.noise_cv, world.costs.drift_per_day
    return dataclasses.replace(
        site,
        costs=dataclasses.replace(
            given,
            stages={**stages, **given.stages},
            noise_cv=noise if site.costs is None else given.noise_cv,
            drift_per_day=drift if site.costs is None else given.drift_per_day,
        ),
        failures=site.failures or _failures(world.failures),
        outages=site.outages or _outages(site, world.failures),
        absences=(*site.absences, *_waits(world.wait_s)),
    )


def _failures(drawn: FailureDraw) -> Failures | None:
    if drawn.mtbf_s is None:
        return None
    return Failures(
        mtbf_s=drawn.mtbf_s, repair_median_s=drawn.repair_s, repair_sigma=drawn.sigma
    )


def _outages(site: TwinSite, drawn: FailureDraw) -> tuple[Outages, ...]:
    if drawn.outage is None:
        return ()
    count = max(round(drawn.outage.share * site.nodes), 1)
    return (
        Outages(
            every_s=drawn.outage.every_s,
            lasts_s=drawn.outage.lasts_s,
            sigma=drawn.outage.sigma,
            nodes=site.node_names[:count] if count < site.nodes else (),
        ),
    )


def _waits(wait_s: float) -> tuple[Absence, ...]:
    if not wait_s > 0:
        return ()
    return (Absence(start_s=0.0, stop_s=wait_s, reason="nodes wait in a queue"),)
