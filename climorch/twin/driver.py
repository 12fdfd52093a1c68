"""The virtual driver: the loop of the live one, on a virtual clock.

Takes all facts of one instant, lets the orchestrator decide once, carries the
commands out. Journals nothing: who wants the records asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import simpy

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.state import Control
from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.account import Interruption
from climorch.twin.closures import Closures
from climorch.twin.ledger import Ledger
from climorch.twin.site import TwinSite
from climorch.twin.world import RuleAnswer, World, no_edits

__all__ = ["Twin", "Watcher"]

Watcher = Callable[[Outcome, float], None]
"""``watcher(outcome, now_s)`` is given every decision, before it is carried out."""

# These change whether a simulation waits for nodes.
CHANGING = (
    e.WishTaken,
    e.PauseRequested,
    e.ResumeRequested,
    e.CancelRequested,
    e.SimulationChanged,
    c.SimulationFailed,
    e.RuleFailed,
)


class Twin:
    """Runs an orchestrator on a virtual cluster.

    The same orchestrator, site, facts and seed give the same records.

    Parameters
    ----------
    orchestrator : Orchestrator
        With its policies and its state; changed as the run goes on.
    site : TwinSite
        What it runs on.
    seed : int
        Of every random number, >= 0.
    begin_s : float
        Driver's clock at the beginning, seconds.
    rules : callable
        ``rules(state, command)`` answers for the user's rules.
    watcher : callable or None
        Given every decision.
    pending : iterable of Command
        What the orchestrator wanted done before the run.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        site: TwinSite,
        *,
        seed: int = 0,
        begin_s: float = 0.0,
        rules: RuleAnswer = no_edits,
        watcher: Watcher | None = None,
        pending: Iterable[c.Command] = (),
    ) -> None:
        self.orchestrator = orchestrator
        self.begin_s = begin_s
        self._watcher = watcher
        self._env = simpy.Environment(begin_s)
        self._facts: list[e.Fact] = []
        self._script = 0
        self._wake: simpy.Timeout | None = None
        self._wake_at_s: float | None = None
        self._woken = False
        self._ended = False
        self.world = World(
            self._env,
            site,
            orchestrator.state,
            seed=seed,
            post=self._facts.append,
            rules=rules,
        )
        self._closures = Closures(
            self._env, self.world.cluster, orchestrator.state, self.world.holder_of
        )
        self._note: dict[type[Any], Callable[[Any], None]] = {
            c.SegmentCommitted: self._committed,
            c.RolledBack: self._rolled_back,
            c.SetLease: self._leased,
            e.SimulationSubmitted: self._submitted,
            e.RuleEvaluated: self._evaluated,
            **dict.fromkeys(CHANGING, self._changed),
            e.WindowDeclared: self._windowed,
            c.WindowPlaced: self._windowed,
        }
        for simulation in orchestrator.state.simulations.values():
            self.ledger.open(simulation.name, simulation.plan.nodes, begin_s)
            self._look(simulation.name)
        for command in pending:
            self.world.execute(command)
        for after_s, window in site.announced(begin_s):
            self.post(e.WindowDeclared(window=window), after_s=after_s)
        self._started = False

    @property
    def ledger(self) -> Ledger:
        """The books, as of the end of the last `run`."""
        return self.world.ledger

    @property
    def now_s(self) -> float:
        """Driver's clock, seconds."""
        return float(self._env.now)

    @property
    def ended(self) -> bool:
        """Whether the campaign had nothing left to do."""
        return self._ended

    def post(self, *facts: e.Fact, after_s: float = 0.0) -> None:
        """Let facts arrive at a time.

        Parameters
        ----------
        *facts : Fact
            Of any kind: submissions, wishes, windows.
        after_s : float
            Seconds from the beginning of the run; a time that has passed: now.
        """
        at_s = max(self.begin_s + after_s, self.now_s)
        self._script += 1

        def arrive(_: object) -> None:
            self._script -= 1
            self._facts.extend(facts)

        self._env.timeout(at_s - self.now_s).callbacks.append(arrive)

    def run(self, until_s: float) -> Ledger:
        """Go on until a time or until nothing is left to do.

        Parameters
        ----------
        until_s : float
            Seconds from the beginning of the run.

        Returns
        -------
        Ledger
            Closed at the end.
        """
        env, end_s = self._env, self.begin_s + until_s
        if not self._started:
            self._started = True
            # After what was posted for the beginning: a driver starts, then nodes
            # join it.
            env.timeout(0.0).callbacks.append(lambda _: self.world.cluster.start())
            self._closures.look()
        peek, step = env.peek, env.step
        while not self._ended:
            now_s = peek()
            if now_s > end_s:
                break
            step()
            while peek() == now_s:
                step()
            while self._facts or self._woken:
                self._decide(now_s)
        self.ledger.close(self.now_s if self._ended else end_s)
        return self.ledger

    def _decide(self, now_s: float) -> None:
        facts = self._facts[:]
        self._facts.clear()
        self._woken = False
        outcome = self.orchestrator.handle(facts, now_s)
        if self._watcher is not None:
            self._watcher(outcome, now_s)
        note = self._note
        for record in outcome.records:
            take = note.get(type(record))
            if take is not None:
                take(record)
        execute = self.world.execute
        for command in outcome.commands:
            execute(command)
        for fact in facts:
            if isinstance(fact, e.NodeLost):
                self.world.noticed(fact.node)
        self._set_alarm(outcome.wake_at_s)
        if not (self.world.leased or self._script or self._facts):
            self._ended = self.orchestrator.over

    def _set_alarm(self, wake_at_s: float | None) -> None:
        if wake_at_s == self._wake_at_s:
            return
        if self._wake is not None and self._wake.callbacks:
            self._wake.callbacks.clear()
        self._wake, self._wake_at_s = None, wake_at_s
        if wake_at_s is not None:
            self._wake = self._env.timeout(max(wake_at_s - self.now_s, 0.0))
            self._wake.callbacks.append(self._ring)

    def _ring(self, _: object) -> None:
        self._wake = self._wake_at_s = None
        self._woken = True

    def _committed(self, record: c.SegmentCommitted) -> None:
        plan = self.orchestrator.state.simulations[record.simulation].plan
        self.ledger.committed(
            record.simulation,
            plan.set_of[record.stage],
            record.stage,
            record.segment,
        )

    def _rolled_back(self, record: c.RolledBack) -> None:
        self.ledger.rolled_back(
            record.simulation, record.set, record.lost_s, self.now_s
        )

    def _submitted(self, fact: e.SimulationSubmitted) -> None:
        self.ledger.open(fact.simulation, fact.plan.nodes, self.now_s)
        self._look(fact.simulation)

    def _evaluated(self, fact: e.RuleEvaluated) -> None:
        for added in fact.added:
            self._submitted(added)

    def _changed(self, record: Any) -> None:
        told = record.wish if isinstance(record, e.WishTaken) else record
        if isinstance(told, e.WindowDeclared):
            self._closures.look()
        name = getattr(told, "simulation", None)
        if name in self.ledger.accounts:
            self._look(name)

    def _windowed(self, record: e.WindowDeclared | c.WindowPlaced) -> None:
        self._closures.look()

    def _look(self, name: str) -> None:
        """See whether a simulation waits for nodes now."""
        simulation = self.orchestrator.state.simulations[name]
        account = self.ledger.accounts[name]
        if not simulation.wants_nodes:
            account.leased(self.now_s)
        elif not simulation.lease and account.waits_since_s is None:
            account.waits_since_s = self.now_s

    def _leased(self, command: c.SetLease) -> None:
        simulation = self.orchestrator.state.simulations[command.simulation]
        account = self.ledger.accounts[command.simulation]
        if command.nodes:
            short = len(command.nodes) < account.nodes
            account.short_why = command.why if short else ""
            account.leased(self.now_s)
        elif simulation.complete:
            account.completed_s = self.now_s
        elif simulation.control is Control.RUN and simulation.failed is None:
            # What is left of a lease goes because of what it was left by.
            why = account.short_why or command.why
            account.interruptions.append(Interruption(self.now_s, why))
            account.short_why = ""
            account.waits_since_s = self.now_s
