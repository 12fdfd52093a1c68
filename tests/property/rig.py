"""A campaign on a fake world, audited at every step."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.events import Fact
from climorch.model.plan import Branch
from climorch.model.scenario import Scenario
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.fake_world import Chances, FakeWorld
from climorch.testing.invariants import states as holds
from climorch.testing.invariants.audit import Audit
from climorch.testing.invariants.refusing import refusing
from climorch.testing.strategies import PROJECTS

__all__ = ["Rig"]

# Enough for every campaign that is drawn, many times over.
MOST_STEPS = 5000


class Rig:
    """Drives an orchestrator on a fake world and audits each step.

    Parameters
    ----------
    policies : Policies
        The rules of the campaign.
    seed : int
        Of the world's random numbers.
    chances : Chances
        How often what goes wrong.
    disk : FakeDisk or None
        What is on the disk.
    """

    def __init__(
        self,
        policies: Policies,
        *,
        seed: int,
        chances: Chances,
        disk: FakeDisk | None = None,
    ) -> None:
        self.policies = policies
        self.orchestrator = Orchestrator(policies)
        self.replica = Orchestrator(refusing())
        self.world = FakeWorld(
            np.random.default_rng(seed), chances=chances, rule=self._children, disk=disk
        )
        self.audit = Audit(self.world.disk, policies)
        self.journal: list[tuple[Record, float]] = []
        # Length of the journal after each call of handle.
        self.ends: list[int] = []
        self.now_s = 0.0
        self.epoch = 0
        self.wake_at_s: float | None = None
        self.children = 2
        self.storm = 0.0

    def resume(self, other: Rig, end: int) -> None:
        """Start from a prefix of another one's journal, as a new driver would."""
        begin = 0
        for stop in (x for x in other.ends if x <= end):
            records = [record for record, _ in other.journal[begin:stop]]
            self.world.disk.remember(records)
            self.world.learn(records)
            for record, now_s in other.journal[begin:stop]:
                self.audit.read((record,), now_s)
            begin = stop
        self.journal = other.journal[:end]
        self.orchestrator.replay(self.journal)
        self.replica.replay(self.journal)
        self.now_s = max((now_s for _, now_s in self.journal), default=0.0)
        self.epoch = self.orchestrator.state.epoch

    def start(self, *facts: Fact) -> None:
        """Start a driver: it finds what is on the disk."""
        self.epoch += 1
        self.handle(
            (
                e.DriverStarted(epoch=self.epoch, host="fake", pid=self.epoch),
                *self.world.disk.found(self.orchestrator.state),
                *facts,
            )
        )

    def handle(self, facts: Sequence[Fact], *, executed: int | None = None) -> Outcome:
        """Decide, audit, journal, then execute all or the first commands."""
        outcome = self.orchestrator.handle(facts, self.now_s)
        stamp_s = self.orchestrator.state.now_s
        self.audit.read(outcome.records, stamp_s)
        stamped = [(record, stamp_s) for record in outcome.records]
        self.journal += stamped
        self.ends.append(len(self.journal))
        self.wake_at_s = outcome.wake_at_s
        self.replica.replay(stamped)
        state = self.orchestrator.state
        self.audit.settle(state)
        self.audit.balance(state)
        holds.replay_gives_an_equal_state(self.replica.state, state)
        holds.deciding_again_gives_nothing(self.orchestrator, self.now_s)
        self.world.learn(outcome.records)
        for command in outcome.commands[:executed]:
            self.world.execute(command, self.now_s)
        return outcome

    def step(self) -> bool:
        """Go on to the next instant; tell whether there was one."""
        if self.world.rng.random() < self.storm:
            self._strike()
        times = [t for t in (self.world.next_at_s, self.wake_at_s) if t is not None]
        if not times:
            return False
        self.now_s = max(self.now_s, min(times))
        self.handle(self.world.due(self.now_s))
        return True

    def crash(self, facts: Sequence[Fact] = (), *, executed: int | None = None) -> None:
        """Let the driver die after journaling and executing some commands."""
        if facts:
            self.handle(facts, executed=executed)
        self.world.crash()
        self.orchestrator = Orchestrator(self.policies)
        self.orchestrator.replay(self.journal)
        holds.replay_gives_an_equal_state(self.replica.state, self.orchestrator.state)
        self.now_s += 100.0
        self.start()

    def finish(self) -> None:
        """Let nothing go wrong any more and see that all that may ends, ends."""
        self.world.calm()
        self.storm = 0.0
        drained = sorted(self.orchestrator.state.draining)
        self.handle([e.UndrainRequested(node=node) for node in drained])
        windows = sorted(self.orchestrator.state.windows)
        self.handle([e.WindowWithdrawn(name=name) for name in windows])
        if self.orchestrator.state.stopping:
            self.run_dry()
            self.handle([e.DriverStopped(reason="stop")])
            self.crash()
        plans = [s.plan for s in self.orchestrator.state.simulations.values()]
        needed = max((plan.nodes for plan in plans), default=0)
        memory = max((plan.memory_bytes for plan in plans), default=0)
        able = sum(m == 0 or m >= memory for m in self.world.up.values())
        # Just enough for the largest one, so that all must get out of its way.
        for i in range(needed - able):
            self.world.join(f"more{i}", self.now_s)
        self.run_dry()
        holds.everything_that_may_has_ended(self.orchestrator)

    def run_dry(self) -> None:
        """Go on until nothing is due any more."""
        for _ in range(MOST_STEPS):
            if not self.step():
                return
        raise AssertionError(f"not over after {MOST_STEPS} steps")

    def _strike(self) -> None:
        """Let something happen to a node or to a simulation, as chance has it."""
        rng, known = self.world.rng, list(self.orchestrator.state.simulations)
        node, name = f"n{rng.integers(6)}", known[rng.integers(len(known))]
        match rng.integers(8):
            case 0 | 1:
                self.world.lose(node, self.now_s)
            case 2 | 3:
                self.world.join(node, self.now_s)
            case 4:
                self.handle([e.PauseRequested(simulation=name)])
            case 5 | 6:
                # While it runs, which is when it matters whom it is charged to.
                self.handle([self._moved(name, PROJECTS[rng.integers(3)])])
            case _:
                self.handle([e.ResumeRequested(simulation=name)])

    def _moved(self, name: str, project: str) -> Fact:
        simulation = self.orchestrator.state.simulations[name]
        scenario = msgspec.structs.replace(simulation.scenario, project=project)
        return e.SimulationChanged(
            simulation=name, scenario=scenario, plan=simulation.plan
        )

    def _children(
        self, simulation: str, rule: str
    ) -> tuple[e.SimulationSubmitted, ...]:
        """Answer of every rule: a copy of the plan, without its rules."""
        parent = self.orchestrator.state.simulations[simulation]
        name = f"{simulation}-{rule}"
        if parent.branch is not None or self.children == 0:
            return ()
        self.children -= 1
        return (
            e.SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name),
                plan=parent.plan,
                branch=Branch(simulation=simulation, rule=rule),
            ),
        )
