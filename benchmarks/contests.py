"""What contests on a virtual cluster share: who takes part, and what is looked at.

Read `benchmarks/competition.py` first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.bench import Figures
from benchmarks.campaign_months import DAY_S, HOUR_S, services, site_of
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.protection import Protection
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.sharing import Sharing
from climorch.twin.driver import Twin
from climorch.twin.ledger import Part

MONTH_DAYS = 30

Told = dict[str, Any]


@dataclass(slots=True)
class Watch:
    """Looks at every decision.

    Attributes
    ----------
    state : CampaignState
        The orchestrator's; only read.
    windows : tuple of Window
        In which nobody may hold a node.
    shares : list of (float, dict)
        Once an hour: parts of the decayed usage.
    asked : Counter
        How often each simulation was asked to leave.
    losses : dict of str to list of float
        When something that a simulation had computed was lost.
    trespasses : int
        Decisions during a service after which somebody held a node.
    """

    state: CampaignState
    windows: tuple[Window, ...] = ()
    shares: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    losses: dict[str, list[float]] = field(default_factory=dict)
    trespasses: int = 0

    def __call__(self, outcome: Outcome, now_s: float) -> None:
        """Note what was decided, and the shares once an hour."""
        for record in outcome.records:
            if isinstance(record, c.PreemptPlanned):
                self.asked[record.simulation] += 1
            elif isinstance(record, c.RolledBack) and record.lost_s > 0:
                self.losses.setdefault(record.simulation, []).append(now_s)
        if any(w.start_s < now_s < w.stop_s for w in self.windows):
            held = any(s.lease for s in self.state.simulations.values())
            self.trespasses += held
        if self.shares and now_s < self.shares[-1][0] + HOUR_S:
            return
        used = self.state.usage_at(now_s)
        whole = sum(u.decayed_node_s for u in used.values()) or 1.0
        self.shares.append(
            (now_s, {name: u.decayed_node_s / whole for name, u in used.items()})
        )


def simulations(
    told: Told, terms: Callable[[str], Protection], priority: int = 0
) -> list[e.SimulationSubmitted]:
    """Draw simulations that never end, until enough nodes are asked for.

    Parameters
    ----------
    told : dict
        The scenario.
    terms : callable
        ``terms(institution)`` returns the protection of its simulations.
    priority : int
        Of all of them.
    """
    sims, houses = told["simulations"], told["institutions"]
    rng = np.random.default_rng(told["seed"])
    asked = dict.fromkeys(houses, 0)
    found: list[e.SimulationSubmitted] = []
    while sum(asked.values()) < sims["asked"] * told["nodes"]:
        gang = int(rng.integers(sims["least_nodes"], sims["most_nodes"] + 1))
        owner = min(houses, key=lambda name: asked[name] / houses[name]["part"])
        asked[owner] += gang
        found.append(
            submission(
                told,
                f"s{len(found):04d}",
                nodes=gang,
                segments=2 * told["days"] * 24,
                project=owner,
                protection=terms(owner),
                priority=priority,
            )
        )
    return found


def submission(
    told: Told, name: str, *, nodes: int, segments: int, **scenario: Any
) -> e.SimulationSubmitted:
    """Make one submission; `scenario` are fields of its scenario."""
    minutes = told["simulations"]["segment_minutes"]
    stage = StagePlan(
        name="earth",
        calendar="noleap",
        boundaries=tuple(range(segments + 1)),
        resources=Resources(nodes=nodes, segment_s=minutes * 60.0),
    )
    return e.SimulationSubmitted(
        simulation=name,
        scenario=Scenario(name, **scenario),
        plan=SimulationPlan(workflow="contest", stages=(stage,)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A contest that was run.

    Attributes
    ----------
    twin : Twin
        With its books.
    watch : Watch
        What was seen.
    facts : tuple of SimulationSubmitted
        Who took part.
    """

    twin: Twin
    watch: Watch
    facts: tuple[e.SimulationSubmitted, ...]

    @property
    def state(self) -> CampaignState:
        """What is known at the end."""
        return self.twin.orchestrator.state


def play(
    told: Told,
    facts: Sequence[e.SimulationSubmitted],
    *,
    budgets: dict[str, float] | None = None,
) -> Run:
    """Run a contest of simulations that are there from the beginning."""
    sharing = Sharing(half_life_s=told["half_life_days"] * DAY_S)
    orchestrator = Orchestrator(Policies(sharing=sharing))
    declared = services(told)
    watch = Watch(orchestrator.state, tuple(w.window for _, w in declared))
    twin = Twin(orchestrator, site_of(told), seed=told["seed"], watcher=watch)
    twin.post(e.DriverStarted(epoch=1, host="twin", pid=0))
    for name, house in told["institutions"].items():
        project = Project(
            name,
            share=house["share"],
            budget_node_hours=(budgets or {}).get(name),
        )
        twin.post(e.ProjectDeclared(project=project))
    twin.post(*facts)
    for at_s, window in declared:
        twin.post(window, after_s=at_s)
    twin.run(told["days"] * DAY_S)
    return Run(twin=twin, watch=watch, facts=tuple(facts))


def points_off(told: Told, run: Run) -> float:
    """Return how far usage ever was off the shares from two half-lives on."""
    from_s = 2 * told["half_life_days"] * DAY_S
    houses = told["institutions"]
    whole = sum(house["share"] for house in houses.values())
    off = [
        abs(parts.get(name, 0.0) - house["share"] / whole)
        for now_s, parts in run.watch.shares
        if now_s >= from_s
        for name, house in houses.items()
    ]
    return float(max(off))


def service_part(told: Told, run: Run) -> float:
    """Return the dearest maintenance as a part of a month's node-hours.

    All that was not put to use on the day before, while it lasted, and on the day
    after: also what would have been lost without it.
    """
    days = run.twin.ledger.days
    dearest = 0.0
    for window in run.watch.windows:
        first, last = int(window.start_s // DAY_S) - 1, int(window.stop_s // DAY_S)
        wasted = sum(
            day.parts[part]
            for day in days[first : last + 1]
            for part in (Part.DRAIN, Part.IDLE, Part.FREE, Part.LOST, Part.RESTORE)
        )
        dearest = max(dearest, wasted / (MONTH_DAYS * told["nodes"] * DAY_S))
    return dearest


def common(told: Told, run: Run) -> Figures:
    """Return what is reported of every contest of months."""
    ledger = run.twin.ledger
    accounts = ledger.accounts.values()
    end_s = told["days"] * DAY_S
    return {
        "simulations": len(run.facts),
        "segments": ledger.segments,
        "utilisation": ledger.utilisation,
        "worst_wait_days": max(max(a.all_waits(end_s), default=0.0) for a in accounts)
        / DAY_S,
        "asked_to_leave_per_day_mean": run.watch.asked.total()
        / len(run.facts)
        / told["days"],
        "asked_to_leave_per_day_worst": max(run.watch.asked.values(), default=0)
        / told["days"],
        "points_off": points_off(told, run),
        "trespasses": run.watch.trespasses,
        "service_part": service_part(told, run),
    }
