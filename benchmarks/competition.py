"""Contests that a shared cluster must survive: protection, greed, crowds, budgets.

Four contests on the virtual cluster of `benchmarks/scenarios/competition.toml`, which
is asked for half as many nodes again as it has, fails and is serviced:

protected   everybody is protected and of the highest priority
selfish     one of three projects marks all that it has as never to be interrupted
crowd       ten thousand small simulations wait, and a gang larger than the site
budget      the budget of a project ends in the middle of segments

The bar: every simulation commits segments (of the selfish project: as many as its
share has room for), usage is within 3 points of the shares from two half-lives on,
nobody is asked to leave more than twice a day, at least 95 % of the node-hours went
into committed segments, nobody is on serviced nodes, and each maintenance costs at
most 1 % of a month around it. The gang is told at once that it cannot run, and no
node waits for it. A budget is overdrawn by no more than a segment and its checkpoint
on what its project held, nothing of it is lost. ``--quick``: three weeks.

    uv run python benchmarks/competition.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import Figures, report
from benchmarks.campaign_months import DAY_S, HOUR_S, services, site_of
from climorch.core.explain import explain
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.core.state import CampaignState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.protection import Protection
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window
from climorch.policy.allocation import allocate
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.sharing import Sharing
from climorch.twin.driver import Twin
from climorch.twin.ledger import Part

SCENARIO = Path(__file__).parent / "scenarios" / "competition.toml"
BARS = {"utilisation": 0.95, "points": 0.03, "per_day": 2.0, "service": 0.01}
MONTH_DAYS = 30
GANG = "gang"

Told = dict[str, Any]


def scenario(*, quick: bool) -> Told:
    """Read the scenario; quick: for three weeks and a smaller crowd."""
    told = tomllib.loads(SCENARIO.read_text())
    if quick:
        told["days"] = 21
        told["crowd"] |= {"simulations": 2000, "hours": 4}
        told["budget"]["node_hours"] /= 2
    return told


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


@dataclass(slots=True)
class Timed:
    """The usual allocation; notes what its passes cost."""

    passes: int = 0
    cpu_s: float = 0.0

    def __call__(
        self,
        claims: Sequence[Claim],
        offers: Sequence[NodeOffer],
        contest: Contest | None = None,
        *,
        tell_all: bool = True,
    ) -> Allocation:
        """Decide as usual."""
        begin_s = time.process_time()
        decided = allocate(claims, offers, contest, tell_all=tell_all)
        self.cpu_s += time.process_time() - begin_s
        self.passes += 1
        return decided


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


def common_bars(figures: Figures, *, shares: bool = True) -> dict[str, bool]:
    """Judge what every contest is judged by."""
    return {
        "utilisation": float(figures["utilisation"]) >= BARS["utilisation"],
        "no thrashing": float(figures["asked_to_leave_per_day_worst"])
        <= BARS["per_day"],
        "nobody on serviced nodes": figures["trespasses"] == 0,
        "service": float(figures["service_part"]) <= BARS["service"],
    } | ({"shares": float(figures["points_off"]) <= BARS["points"]} if shares else {})


Verdict = tuple[Figures, dict[str, bool]]


def all_protected(told: Told) -> Verdict:
    """Let everybody be protected and of the highest priority."""
    terms = told["protection"]
    protection = Protection(
        level=terms["level"],
        exempt_for_s=terms["exempt_hours"] * HOUR_S,
        min_between_s=terms["between_hours"] * HOUR_S,
        max_preemptions=terms["max_preemptions"],
    )
    facts = simulations(told, lambda _: protection, terms["priority"])
    run = play(told, facts)
    figures = common(told, run)
    figures["least_segments"] = min(
        account.segments for account in run.twin.ledger.accounts.values()
    )
    return figures, {
        "all advance": int(figures["least_segments"]) > 0,
        **common_bars(figures),
    }


def one_selfish(told: Told) -> Verdict:
    """Let one project mark all that it has as never to be interrupted."""
    selfish = told["selfish"]

    def terms(owner: str) -> Protection:
        if owner != selfish["institution"]:
            return Protection()
        return Protection(level=selfish["level"], max_preemptions=0)

    run = play(told, simulations(told, terms))
    figures = common(told, run)
    accounts = run.twin.ledger.accounts
    others = {
        f.simulation for f in run.facts if f.scenario.project != selfish["institution"]
    }
    figures["least_segments_of_others"] = min(accounts[o].segments for o in others)
    # Those of its own that it keeps out: nobody takes turns with who never leaves.
    figures["selfish_never_ran"] = sum(
        not account.segments for name, account in accounts.items() if name not in others
    )
    return figures, {
        "others advance": int(figures["least_segments_of_others"]) > 0,
        **common_bars(figures),
    }


def crowd(told: Told) -> Verdict:
    """Let thousands wait, and a gang that no site has."""
    many = told["crowd"]
    timed = Timed()
    orchestrator = Orchestrator(Policies(allocation=timed))
    twin = Twin(orchestrator, site_of(told), seed=told["seed"])
    facts = [
        submission(told, f"s{i:05d}", nodes=many["nodes"], segments=many["segments"])
        for i in range(many["simulations"])
    ]
    gang = submission(told, GANG, nodes=many["gang_nodes"], segments=9)
    twin.post(e.DriverStarted(epoch=1, host="twin", pid=0), gang, *facts)
    begin_s = time.process_time()
    twin.run(60.0)
    why = orchestrator.allocation.waits.get(GANG, "")
    explained = explain(orchestrator.state, GANG, 60.0).status.why
    began_s = time.process_time()
    ledger = twin.run(many["hours"] * HOUR_S)
    cpu_s = time.process_time() - began_s
    told_why = f"needs {many['gang_nodes']} nodes; {told['nodes']} such are up"
    spent = ledger.spent()
    # So short a run ends with much that is not committed yet: it counts as use.
    busy = (spent[Part.USEFUL] + spent[Part.PENDING]) / ledger.up_node_s
    figures: Figures = {
        "simulations": len(facts),
        "done": sum(a.completed_s is not None for a in ledger.accounts.values()),
        "busy": busy,
        "gang_told": why,
        "cpu_of_first_minute_s": began_s - begin_s,
        "passes": timed.passes,
        "allocation_ms_per_pass": timed.cpu_s / timed.passes * 1e3,
        "all_ms_per_pass": cpu_s / timed.passes * 1e3,
    }
    return figures, {
        "gang is told": why == explained == told_why,
        "gang blocks nobody": busy >= BARS["utilisation"],
        "those that wait get on": int(figures["done"]) > told["nodes"],
    }


def lost_at_the_end(run: Run, simulation: SimulationState) -> bool:
    """Whether anything was lost in the last hours in which it held nodes."""
    left_s = simulation.left_s or 0.0
    return any(
        left_s - 2 * HOUR_S <= at_s <= left_s
        for at_s in run.watch.losses.get(simulation.name, ())
    )


def poor(told: Told) -> Verdict:
    """Let the budget of a project end in the middle of segments."""
    budget = told["budget"]
    name, hours = budget["institution"], budget["node_hours"]
    run = play(told, simulations(told, lambda _: Protection()), budgets={name: hours})
    figures = common(told, run)
    # Its share is that of the others from then on, and its own wait has no end.
    del figures["points_off"], figures["worst_wait_days"]
    own = {f.simulation: f for f in run.facts if f.scenario.project == name}
    used = run.state.usage_at(told["days"] * DAY_S)
    most = sum(f.plan.nodes for f in own.values())
    minutes = told["simulations"]["segment_minutes"] * (
        1 + 4 * told["simulations"]["noise_cv"]
    )
    grace_hours = minutes / 60 + told["storage"]["checkpoint_seconds"] / 3600
    accounts = run.twin.ledger.accounts
    poor_ones = [run.state.simulations[simulation] for simulation in own]
    figures |= {
        "overdrawn_node_hours": used[name].node_s / 3600 - hours,
        "allowed_node_hours": most * grace_hours,
        "uncommitted_segments": sum(
            s.done["earth"] - s.committed_segments.get("earth", 0)
            for simulation in poor_ones
            for s in simulation.sets.values()
        ),
        "least_segments_of_others": min(
            account.segments for n, account in accounts.items() if n not in own
        ),
    }
    return figures, {
        "budget kept": 0
        <= float(figures["overdrawn_node_hours"])
        <= float(figures["allowed_node_hours"]),
        "all is committed": figures["uncommitted_segments"] == 0,
        "nothing is lost": not any(lost_at_the_end(run, s) for s in poor_ones),
        "nodes are given back": not any(s.lease for s in poor_ones),
        "others advance": int(figures["least_segments_of_others"]) > 0,
        **common_bars(figures, shares=False),
    }


CONTESTS: dict[str, Callable[[Told], Verdict]] = {
    "protected": all_protected,
    "selfish": one_selfish,
    "crowd": crowd,
    "budget": poor,
}


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three weeks")
    told = scenario(quick=parser.parse_args().quick)
    figures: Figures = {}
    missed = []
    begin_s = time.process_time()
    for name, contest in CONTESTS.items():
        found, bars = contest(told)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        missed += [f"{name}: {bar}" for bar, holds in bars.items() if not holds]
    figures["cpu_s"] = time.process_time() - begin_s
    report("competition", figures)
    print("bar: what each contest promises, see above")
    print(f"falls short: {'; '.join(missed)}" if missed else "holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
