"""A live run that is led through what the twin foretold.

The twin says in which order segments end, nodes come and go and wishes are
given. The live run is led through the same order: every segment waits at a gate,
nodes live and die when told, and the driver's clock shows the twin's time; the
driver is woken when it wants to be. What follows from that is up to the engine.
"""

from __future__ import annotations

import asyncio
import functools
import math
from types import SimpleNamespace
from typing import Any

import pytest

from climorch import Campaign, LocalSite, Run
from climorch.core.state import CampaignState, Phase, SetState
from climorch.engine.facts import FactQueue
from climorch.engine.runner import SetRunner
from climorch.engine.services import Services
from climorch.errors import NotFoundError
from climorch.model import events as e
from climorch.testing.faults import until
from tests.live.forecasts import Forecast, Script, Told
from tests.live.gates import GATES


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
            assert run.wait(240)
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
