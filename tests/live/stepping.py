"""The same campaign twice: foretold by the twin, then live in steps.

The twin says in which order segments end, nodes come and go and wishes are
given. The live run is led through the same order: every segment waits at a gate,
nodes live and die when told, and the driver's clock shows the twin's time. What
follows from that order is up to the engine.
"""

from __future__ import annotations

import asyncio
import functools
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch import Advance, Campaign, LocalSite, Policies, Project, Run, Scenario
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.state import CampaignState, Phase, SetState
from climorch.engine.facts import FactQueue
from climorch.engine.runner import SetRunner
from climorch.engine.services import Services
from climorch.errors import NotFoundError
from climorch.intake.planning import make_plan, provenance
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.advance import Segment
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.testing.faults import until
from climorch.twin.costs import Costs, Overheads, Work
from climorch.twin.driver import Twin
from climorch.twin.hazards import Absence
from climorch.twin.site import TwinSite
from tests.live.cases import zeros

Label = tuple[str, str, int]
Told = tuple[float, c.Record]

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

WISHES = (
    e.PauseRequested,
    e.ResumeRequested,
    e.CancelRequested,
    e.PriorityRequested,
    e.DrainRequested,
    e.UndrainRequested,
    e.WindowDeclared,
    e.WindowWithdrawn,
)
STEPS = (
    e.SegmentFinished,
    e.NodeJoined,
    e.NodeLost,
    e.SimulationSubmitted,
    *WISHES,
)


class Gates:
    """Where segments wait until a test lets them end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here: Counter[Label] = Counter()
        self._open: set[Label] = set()
        self._let_go: defaultdict[Label, int] = defaultdict(int)

    def wait(self, label: Label) -> None:
        """Wait until a segment may end; on a node."""
        with self._changed:
            mine = self._let_go[label]
            self._here[label] += 1
            opened = self._changed.wait_for(
                lambda: label in self._open or self._let_go[label] > mine, 60
            )
            self._here[label] -= 1
        assert opened, f"nobody let {label} end"

    def waiting(self, label: Label) -> bool:
        """Whether a segment stands at its gate."""
        with self._changed:
            return self._here[label] > 0

    def open(self, label: Label) -> None:
        """Let a segment end, wherever it is computed."""
        with self._changed:
            self._open.add(label)
            self._changed.notify_all()

    def close(self, label: Label) -> None:
        """Let it wait if it is computed again."""
        with self._changed:
            self._open.discard(label)

    def let_go(self, simulation: str = "") -> None:
        """Free the threads of segments that nobody wants any more."""
        with self._changed:
            for label in list(self._here):
                if simulation in ("", label[0]):
                    self._let_go[label] += 1
            self._changed.notify_all()


GATES = Gates()


def _held(block: Any, *, label: Label) -> Any:
    GATES.wait(label)
    return block + 1.0


def _step(
    state: xr.Dataset, inputs: Mapping[str, Any], segment: Segment, *, stage: str
) -> Advance:
    heat = state["heat"].data.map_blocks(
        _held,
        label=(segment.params["name"], stage, segment.index),
        dtype=float,
        meta=np.empty((0,)),
    )
    return Advance(state=state.assign(heat=("lat", heat)), output=None)


def stepped(
    name: str,
    *stages: str,
    segments: int,
    nodes: int = 1,
    most: int | None = None,
) -> Workflow:
    """Stages that read each other's segment before, all of which wait at gates."""
    wf = Workflow(name)
    span = Span(
        "2000-01-01", f"{2000 + segments}-01-01", every="1YS", calendar="noleap"
    )
    for stage in stages:
        wf.stage(
            stage,
            functools.partial(_step, stage=stage),
            init=zeros,
            span=span,
            reads={o: Coupling.PREVIOUS for o in stages if o != stage},
            chunks={"lat": 4},
            resources=Resources(nodes=nodes, max_nodes=most),
        )
    return wf


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
    window = wish.window
    return e.WindowDeclared(
        window=type(window)(
            name=window.name,
            start_s=window.start_s + by_s,
            stop_s=window.stop_s + by_s,
            nodes=window.nodes,
            count=window.count,
            holder=window.holder,
            hard=window.hard,
        )
    )


class SteppedSite(LocalSite):
    """Nodes in this process that join and die one by one, when told."""

    async def start_nodes(self) -> None:
        """Start none."""

    def join(self, node: str) -> None:
        """Let a node join."""
        self._on_loop(self._join(node))

    def die(self, node: str) -> None:
        """Let a node die, with all that it holds."""
        self._on_loop(self._die(node))

    async def _join(self, node: str) -> None:
        self._workers[node] = await self._node(node, here=True)

    async def _die(self, node: str) -> None:
        del self._workers[node]
        assert self.scheduler is not None
        address = self.scheduler.aliases[node]
        await self.scheduler.remove_worker(address, stimulus_id="died", close=True)

    def _on_loop(self, work: Any) -> None:
        assert self.scheduler is not None
        loop = self.scheduler.loop.asyncio_loop  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(work, loop).result(30)


class PartedError(Exception):
    """The live run is not where the twin was: it cannot be led any further."""


class Conductor:
    """Leads a live run, by the clock that its driver sees.

    Parameters
    ----------
    begin_s : float
        What the clock shows first.
    """

    def __init__(self, begin_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = begin_s
        self.rounds = 0
        self.wake_at_s = math.inf
        self.queue: _Queue | None = None
        abandon = SetRunner.abandon

        def abandon_all(runner: SetRunner) -> None:
            # A thread cannot be killed: it would stand at its gate for ever.
            abandon(runner)
            GATES.let_go(runner.simulation)

        monkeypatch.setattr(SetRunner, "abandon", abandon_all)
        driver = "climorch.engine.driver"
        monkeypatch.setattr(f"{driver}.time", SimpleNamespace(time=self.clock))
        monkeypatch.setattr(
            f"{driver}.Services", functools.partial(Services, clock=self.clock)
        )
        monkeypatch.setattr(f"{driver}.FactQueue", functools.partial(_Queue, self))

    def clock(self) -> float:
        """Return what the clock shows, in seconds."""
        return self.now_s

    def lead(
        self, campaign: Campaign, script: Script, steps: Forecast
    ) -> tuple[list[Told], str]:
        """Run a campaign in steps; return its journal and where it parted."""
        site = SteppedSite(nodes=script.nodes, in_process=True, threads=2)
        run, parted = campaign.start(site), ""
        try:
            until(lambda: site.scheduler is not None, what="the site is open")
            for now_s, fact in steps.steps:
                self._wait(run, now_s)
                self.now_s = now_s
                self._step(run, script, campaign, site, fact)
            assert run.wait(30)
        except PartedError as error:
            parted = str(error)
        finally:
            run.kill()
            GATES.let_go()
            until(lambda: not run.alive, what="the driver leaves")
        return [(now_s, record) for record, now_s in run.facts()], parted

    def _step(
        self,
        run: Run,
        script: Script,
        campaign: Campaign,
        site: SteppedSite,
        fact: e.Fact,
    ) -> None:
        match fact:
            case e.SegmentFinished():
                self._end(run, fact)
            case e.NodeJoined():
                site.join(fact.node)
                until(lambda: fact.node in run.state().nodes, what="it is known")
            case e.NodeLost():
                site.die(fact.node)
                until(lambda: fact.node not in run.state().nodes, what="it is missed")
            case e.SimulationSubmitted():
                (workflow,) = [w for _, w, x in script.late if x == fact.scenario]
                campaign.submit(workflow, scenario=fact.scenario)
                until(
                    lambda: fact.simulation in run.state().simulations,
                    what="it is known",
                )
            case _:
                before = len(run.state().wishes)
                _wish(campaign, fact)
                until(lambda: len(run.state().wishes) > before, what="it is taken")

    def _end(self, run: Run, fact: e.SegmentFinished) -> None:
        label = (fact.simulation, fact.stage, fact.segment)
        if not GATES.waiting(label):
            raise PartedError(f"{label} does not run; the twin says that it ends")

        def over() -> bool:
            s = _set(run.state(), fact)
            return s.done[fact.stage] > fact.segment

        GATES.open(label)
        try:
            until(over, what=f"{label} ends")
        finally:
            GATES.close(label)

    def _wait(self, run: Run, until_s: float) -> None:
        """Let the clock go on to a time; the driver is woken when it wanted to be."""
        self._settled(run)
        while run.alive and self.wake_at_s < until_s:
            self.now_s = max(self.now_s, self.wake_at_s)
            self._look(run)
            self._settled(run)

    def _look(self, run: Run) -> None:
        queue, before = self.queue, self.rounds
        assert queue is not None
        assert run._loop is not None
        run._loop.call_soon_threadsafe(queue.put, None)
        until(lambda: self.rounds > before, what="the driver looks")

    def _settled(self, run: Run) -> None:
        """Wait until nothing goes on but segments, which stand at their gates."""

        def quiet() -> bool:
            queue = self.queue
            return _quiet(run.state()) and queue is not None and queue.idle

        until(lambda: not run.alive or quiet(), what="all is quiet")


class _Queue(FactQueue):
    """Facts of a driver whose clock only a test moves."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self._asked = False
        conductor.queue = self

    async def next(self, wake_at_s: float | None) -> list[e.Fact]:
        """Wait for something; or take what is there, if the time has come."""
        self._conductor.wake_at_s = math.inf if wake_at_s is None else wake_at_s
        self._conductor.rounds += 1
        due = wake_at_s is not None and wake_at_s <= self._conductor.now_s
        self._asked = not due
        try:
            return await super().next(0.0 if due else None)
        finally:
            self._asked = False

    @property
    def idle(self) -> bool:
        """Whether the driver waits, and nothing waits for it."""
        return self._asked and self._queue.empty()


def _quiet(state: CampaignState) -> bool:
    for simulation, s in state.sets():
        if s.phase is Phase.RESTORING or s.checkpoint is not None:
            return False
        if any(k.deleting or not k.published for k in s.commits.values()):
            return False
        for stage, segment in s.running.items():
            if not GATES.waiting((simulation.name, stage, segment)):
                return False
    return state.epoch > 0


def _set(state: CampaignState, fact: e.SegmentFinished) -> SetState:
    simulation = state.simulations[fact.simulation]
    return simulation.sets[simulation.plan.set_of[fact.stage]]


def _wish(campaign: Campaign, wish: object) -> None:
    """Wish through the public API."""
    match wish:
        case e.PauseRequested():
            campaign.pause(wish.simulation)
        case e.ResumeRequested():
            campaign.resume(wish.simulation)
        case e.CancelRequested():
            campaign.cancel(wish.simulation)
        case e.PriorityRequested():
            campaign.prioritize(wish.simulation, priority=wish.priority)
        case e.DrainRequested():
            campaign.drain(wish.node)
        case e.UndrainRequested():
            campaign.undrain(wish.node)
        case e.WindowDeclared(window=w) if w.holder:
            campaign.reserve(
                w.count or w.nodes, w.start_s, w.stop_s, holder=w.holder, name=w.name
            )
        case e.WindowDeclared(window=w):
            campaign.maintenance(
                w.nodes or "all", w.start_s, w.stop_s, hard=w.hard, name=w.name
            )
        case _:
            raise NotFoundError(f"no way to wish for {wish}")
