"""The virtual driver: the loop of the live one, on a virtual clock.

Takes all facts of one instant, lets the orchestrator decide once, carries the
commands out. Journals nothing: who wants the records asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import simpy

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.errors import Fault, InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.twin.clerk import Clerk
from climorch.twin.closures import Closures
from climorch.twin.coarse import Coarse
from climorch.twin.ledger import Ledger
from climorch.twin.site import TwinSite
from climorch.twin.thrift import seldom_collected
from climorch.twin.world import (
    NOBODY,
    Carrying,
    RemedyAnswer,
    RuleAnswer,
    World,
    no_change,
    no_edits,
)

__all__ = ["Hearing", "Twin", "Watcher"]

Watcher = Callable[[Outcome, float], None]
"""``watcher(outcome, now_s)`` is given every decision, before it is carried out."""

Hearing = Callable[[e.Fact], Iterable[e.Fact]]
"""``hearing(fact)`` says what arrives of a fact of the world: it, others, nothing."""


LOADED = Fault(
    place="coarse",
    problem="nodes are loaded, which only single segments show",
    remedy="leave coarse out, or TwinSite(loads=...)",
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
    remedies : callable
        ``remedies(state, command)`` answers for the user's remedies.
    watcher : callable or None
        Given every decision.
    pending : iterable of Command
        What the orchestrator wanted done before the run.
    coarse : bool
        Whether sets of which nothing is to be decided go on in strides: several
        times faster, and the records leave out what is not decided on.
    hearing : callable or None
        Says what arrives of what the world tells; None: all of it, at once.
    carrying : mapping
        By kind of command, who carries out what a virtual world does not: archiving.

    Raises
    ------
    InvalidInputError
        If nodes are loaded in coarse mode: each segment is looked at then.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        site: TwinSite,
        *,
        seed: int = 0,
        begin_s: float = 0.0,
        rules: RuleAnswer = no_edits,
        remedies: RemedyAnswer = no_change,
        watcher: Watcher | None = None,
        pending: Iterable[c.Command] = (),
        coarse: bool = False,
        hearing: Hearing | None = None,
        carrying: Carrying = NOBODY,
    ) -> None:
        if coarse and site.loads is not None:
            raise InvalidInputError("this rehearsal cannot be coarse", faults=[LOADED])
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
            post=_heard(hearing, self._facts),
            rules=rules,
            remedies=remedies,
            carrying=carrying,
        )
        self._closures = Closures(
            self._env, self.world.cluster, orchestrator.state, self.world.holder_of
        )
        self._coarse = (
            Coarse(self._env, site.storage, self.world, orchestrator)
            if coarse
            else None
        )
        self._clerk = Clerk(
            self.ledger, orchestrator.state, begin_s, self._closures.look
        )
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
        self.at(after_s, lambda: self._facts.extend(facts))

    def at(
        self, after_s: float, do: Callable[[], None], *, awaited: bool = True
    ) -> None:
        """Let something be done at a time, before what is decided then.

        Parameters
        ----------
        after_s : float
            Seconds from the beginning of the run; a time that has passed: now.
        do : callable
            Whatever it is.
        awaited : bool
            Whether the run goes on until then though nothing else is left to do.
        """
        at_s = max(self.begin_s + after_s, self.now_s)
        self._script += awaited

        def arrive(_: object) -> None:
            self._script -= awaited
            do()

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
        with seldom_collected():
            return self._run(until_s)

    def _run(self, until_s: float) -> Ledger:
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
        if self._coarse is not None and not self._ended:
            self._tell(self._coarse, end_s)
        self.ledger.close(self.now_s if self._ended else end_s)
        return self.ledger

    def _tell(self, coarse: Coarse, now_s: float) -> None:
        """Let the state and the books be what they are at the end of a run."""
        outcome = self.orchestrator.handle(coarse.told(now_s), now_s)
        if self._watcher is not None:
            self._watcher(outcome, now_s)

    def _decide(self, now_s: float) -> None:
        facts = self._facts[:]
        self._facts.clear()
        coarse = self._coarse
        if coarse is not None:
            facts = [*coarse.before(facts), *facts]
        self._woken = False
        outcome = self.orchestrator.handle(facts, now_s)
        if self._watcher is not None:
            self._watcher(outcome, now_s)
        self._clerk.note(outcome.records, now_s)
        if coarse is not None:
            coarse.heed(outcome, facts)
        execute = self.world.execute
        for command in outcome.commands:
            execute(command)
        for fact in facts:
            if isinstance(fact, e.NodeLost):
                self.world.noticed(fact.node)
        if coarse is not None:
            coarse.begin(outcome)
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


def _heard(hearing: Hearing | None, facts: list[e.Fact]) -> Callable[[e.Fact], None]:
    """Return what takes a fact of the world, as it is heard."""
    if hearing is None:
        return facts.append
    return lambda fact: facts.extend(hearing(fact))
