"""A campaign, what happens to it, and what the twin says will be decided."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from climorch import Campaign, Policies, Project, Scenario
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan, provenance
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.workflow import Workflow
from climorch.twin.costs import Costs, Overheads, Work
from climorch.twin.driver import Twin
from climorch.twin.hazards import Absence
from climorch.twin.site import TwinSite

Told = tuple[float, c.Record]
"""A record with the driver's clock, seconds."""

NOTHING = Overheads(
    checkpoint_s=0.0,
    stall_s=0.0,
    restore_s=0.0,
    init_s=0.0,
    restart_s=0.0,
    publish_s=0.0,
    delete_s=0.0,
)
"""Only segments take time: what follows from one happens at the same instant."""

STEPS = e.SegmentFinished | e.NodeJoined | e.NodeLost | e.SimulationSubmitted | e.Wish
"""What the world and the user do; the rest follows from it."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A campaign and what happens to it, in seconds from its beginning.

    Attributes
    ----------
    submitted : tuple of (Workflow, Scenario)
        In order.
    late : tuple of (float, Workflow, Scenario)
        What is submitted while the driver runs, and when.
    seconds : mapping of str to float
        Of a segment of each stage on the nodes that it asks for, by simulation;
        such that nothing happens at the same time as anything else.
    wishes : tuple of (float, Wish)
        What the user wants when; times of windows count from the beginning too.
    down : tuple of (str, float, float)
        Nodes that die, when, and when they come back.
    """

    submitted: tuple[tuple[Workflow, Scenario], ...]
    seconds: Mapping[str, float]
    policies: Policies
    nodes: int = 3
    late: tuple[tuple[float, Workflow, Scenario], ...] = ()
    projects: tuple[Project, ...] = ()
    wishes: tuple[tuple[float, e.Wish], ...] = ()
    down: tuple[tuple[str, float, float], ...] = ()

    def campaign(self, root: Path) -> Campaign:
        """Make the campaign as a user would."""
        made = Campaign(
            "c", root=root, policies=self.policies, projects=list(self.projects)
        )
        for workflow, scenario in self.submitted:
            made.submit(workflow, scenario=scenario)
        return made

    def arrivals(self) -> list[tuple[float, e.SimulationSubmitted]]:
        """Return what submissions become that come late."""
        return [
            (
                after_s,
                e.SimulationSubmitted(
                    simulation=scenario.name,
                    scenario=scenario,
                    plan=make_plan(workflow, scenario),
                    provenance=provenance(workflow),
                ),
            )
            for after_s, workflow, scenario in self.late
        ]

    def cost(self, work: Work, nodes: float) -> float:
        """Return the seconds of a segment; of several stages, each its own."""
        slower = 1.37 if work.stage == "sea" else 1.0
        return slower * self.seconds[work.simulation] * work.base / nodes

    def site(self) -> TwinSite:
        """Return the nodes of the live site: they join one after the other."""
        names = tuple(f"node{i:03d}" for i in range(self.nodes))
        joins = [
            Absence(start_s=0.0, stop_s=1.0 + i, nodes=(name,))
            for i, name in enumerate(names)
        ]
        deaths = [Absence(start_s=a, stop_s=b, nodes=(n,)) for n, a, b in self.down]
        return TwinSite(
            nodes=self.nodes,
            names=names,
            cores=2,
            absences=(*joins, *deaths),
            costs=Costs(default=self.cost),
            overheads=NOTHING,
            detect_s=0.0,
        )


@dataclass
class Forecast:
    """What the twin says.

    Attributes
    ----------
    records : list of (float, Record)
        With the clock.
    steps : list of (float, Fact)
        What happens in the world, in order.
    """

    begin_s: float
    records: list[Told] = field(default_factory=list)
    steps: list[tuple[float, e.Fact]] = field(default_factory=list)

    def watch(self, outcome: Outcome, now_s: float) -> None:
        """Take down a decision."""
        self.records += [(now_s, record) for record in outcome.records]
        found = [r for r in outcome.records if isinstance(r, STEPS)]
        if now_s == self.begin_s:
            # Submitted before: with the opening.
            found = []
        assert len(found) < 2, f"at the same time: {found}"
        self.steps += [(now_s, fact) for fact in found]


def foretell(script: Script, campaign: Campaign, policies: Policies) -> Forecast:
    """Let the twin run a campaign, by rules that need not be its own."""
    found = Forecast(begin_s=float(int(time.time())))
    twin = Twin(
        Orchestrator(policies),
        script.site(),
        begin_s=found.begin_s,
        watcher=found.watch,
    )
    twin.post(
        e.CampaignOpened(campaign="c", version="0"),
        e.DriverStarted(epoch=1, host="here", pid=1),
        *campaign._submissions.news(CampaignState()),
    )
    for after_s, wish in script.wishes:
        twin.post(_shifted(wish, found.begin_s), after_s=after_s)
    for after_s, fact in script.arrivals():
        twin.post(fact, after_s=after_s)
    twin.run(1e6)
    assert twin.ended
    return found


def _shifted(wish: e.Wish, by_s: float) -> e.Wish:
    if not isinstance(wish, e.WindowDeclared):
        return wish
    window = msgspec.structs.replace(
        wish.window,
        start_s=wish.window.start_s + by_s,
        stop_s=wish.window.stop_s + by_s,
    )
    return e.WindowDeclared(window=window)
