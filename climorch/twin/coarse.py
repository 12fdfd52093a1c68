"""Coarse mode: sets of which nothing is to be decided go on in strides.

Decides who goes on by itself, when what it did is told and when that ends: with a
fact about it, a node of it that dies, a window that comes near, its end. What is
told is told before anything is decided on it, so decisions rest on the same state
as in fine mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from climorch.core.calm import calm_until_s
from climorch.core.horizon import roughly_s
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.state import Phase, SimulationState
from climorch.core.upkeep import strategy_of
from climorch.errors import InternalError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.strides import SetAdvanced
from climorch.policy.partnering import partner_copy_of
from climorch.twin.held_nodes import HeldNodes
from climorch.twin.storage import ENDED_S, Storage
from climorch.twin.stride import Stride
from climorch.twin.world import World

if TYPE_CHECKING:
    import simpy

__all__ = ["Coarse"]

# Common boundaries that a stride must be good for.
WORTH = 2.0
# Share of the storage's streams that may be busy on average with checkpoints of
# strides: these do not see each other's, so there must be room for all.
CROWD = 0.5
# By how much sooner than its pace says a set may get to its end; a lease that has
# just grown is faster by as much as it may grow.
HASTE = 0.5
# Common boundaries before that, from where on each one is awaited; as all are while
# nothing is known of its pace.
FEW = 6
# Changes of leases after which those are forgotten that nobody asks for any more.
MANY = 10_000

# A simulation may go on by itself although this was decided on it.
HARMLESS = (c.SetLease, c.PublishResults, c.DeleteCheckpoint)
# These change until when others go on by themselves.
TIMELY = (e.WindowDeclared, e.WindowWithdrawn, c.WindowPlaced, c.WindowEnded)


@dataclass(slots=True)
class _Team:
    """All sets of a simulation that compute, side by side."""

    simulation: SimulationState
    strides: list[Stride]
    until_s: float
    load: float
    number: int
    # Until when it is known what its sets did.
    seen_s: float
    alarm: simpy.Timeout | None = None

    def run(self, until_s: float) -> None:
        """Go on up to a time; what happens first in any set comes first."""
        self.seen_s = until_s
        if len(self.strides) == 1:
            self.strides[0].run(until_s)
            return
        while not self.ended:
            first = min(self.strides, key=lambda stride: stride.next_s)
            if first.next_s > until_s:
                return
            first.step()

    @property
    def next_s(self) -> float:
        """When something happens to any set next; clock of the run, seconds."""
        return min(stride.next_s for stride in self.strides)

    @property
    def ended(self) -> bool:
        """Whether a set is near its end."""
        return any(stride.ended for stride in self.strides)

    def look_s(self) -> float:
        """Say when it must be looked after, at the latest."""
        plan = self.simulation.plan
        haste = HASTE * plan.nodes / max(plan.most_nodes, plan.nodes)
        ends_s = (
            s.next_s
            if s.left <= FEW or not s.period_s
            else self.seen_s + haste * s.left * s.period_s
            for s in self.strides
        )
        return min(self.until_s, *ends_s)


class Coarse:
    """Everything that goes on by itself.

    Parameters
    ----------
    env : simpy.Environment
        The kernel.
    storage : Storage
        Whose bad spells change how long checkpoints take.
    world : World
        Whose sets leave what is under way to strides.
    orchestrator : Orchestrator
        Is told how far all are before it gives nodes to anybody.
    """

    def __init__(
        self,
        env: simpy.Environment,
        storage: Storage,
        world: World,
        orchestrator: Orchestrator,
    ) -> None:
        self._env = env
        self._world = world
        self._orchestrator = orchestrator
        self._teams: dict[str, _Team] = {}
        # When something happens to whom next, the first first; also what was noted
        # before and is so no more.
        self._due: list[tuple[float, int, str]] = []
        self._number = count()
        self._held = HeldNodes(orchestrator.state)
        self._load = 0.0
        world.disturbed = self.disturb
        orchestrator.asked = self.told
        for edge_s in sorted(
            {t for s in storage.spells for t in (s.start_s, s.stop_s)}
        ):
            # Just after the storage has noticed.
            env.timeout(edge_s + ENDED_S).callbacks.append(self._spell)

    def before(self, facts: Iterable[e.Fact]) -> list[e.Fact]:
        """Tell how those are that a decision may concern.

        Parameters
        ----------
        facts : iterable of Fact
            That will be decided on.

        Returns
        -------
        list of Fact
            To be decided on before these.
        """
        names = {getattr(fact, "simulation", None) for fact in facts}
        if None in names:
            return self.told(self._env.now)
        return self.told(self._env.now, (n for n in names if n is not None))

    def told(self, now_s: float, names: Iterable[str] | None = None) -> list[e.Fact]:
        """Tell how far some are.

        Parameters
        ----------
        now_s : float
            Clock of the run, seconds.
        names : iterable of str or None
            Simulations; None: all.

        Returns
        -------
        list of Fact
            Of those who went on by themselves and did anything.
        """
        if names is not None:
            asked = [self._teams[n] for n in names if n in self._teams]
            asked.sort(key=lambda team: team.number)
            return [f for team in asked for f in self._told(team, now_s)]
        due: dict[int, _Team] = {}
        while self._due and self._due[0][0] <= now_s:
            _, number, name = heappop(self._due)
            team = self._teams.get(name)
            # It may have gone on or ended since that was noted.
            if team is not None and team.number == number and team.next_s <= now_s:
                due[number] = team
        return [f for number in sorted(due) for f in self._told(due[number], now_s)]

    def heed(self, outcome: Outcome, facts: Iterable[e.Fact]) -> None:
        """End the strides of whoever a decision concerns, before it is carried out.

        Parameters
        ----------
        outcome : Outcome
            What was decided.
        facts : iterable of Fact
            On what.
        """
        self._held.note()
        if len(self._held) > MANY and self._teams:
            self._held.forget(min(team.seen_s for team in self._teams.values()))
        if not self._teams:
            return
        state = self._orchestrator.state
        concerned: dict[str, bool] = {}
        for record in outcome.records:
            if type(record) is SetAdvanced:
                continue
            name = getattr(record, "simulation", None)
            if name in self._teams:
                harmless = isinstance(record, HARMLESS)
                concerned[name] = concerned.get(name, True) and harmless
            elif isinstance(record, TIMELY):
                concerned |= dict.fromkeys(self._teams.keys() - concerned.keys(), True)
        if any(not hasattr(fact, "simulation") for fact in facts):
            concerned |= dict.fromkeys(self._teams.keys() - concerned.keys(), True)
        for name, harmless in concerned.items():
            team = self._teams[name]
            team.until_s = calm_until_s(state, team.simulation)
            if not harmless or team.until_s <= self._env.now:
                if self._told(team):
                    raise InternalError(f"decided on {name!r} before it was told of")
                self._end(name)
            else:
                for stride in team.strides:
                    stride.see_ends()
                self._set_alarm(name, team)

    def begin(self, outcome: Outcome) -> None:
        """Let go on by itself whoever can, of those on whom something was decided."""
        names = dict.fromkeys(getattr(r, "simulation", "") for r in outcome.records)
        simulations = self._orchestrator.state.simulations
        for name in names:
            if name in simulations and name not in self._teams:
                self._begin(simulations[name])

    def disturb(self, name: str) -> None:
        """End the strides of a simulation to which something happens now."""
        team = self._teams.get(name)
        if team is not None:
            self._post(team)
            self._end(name)

    def _post(self, team: _Team) -> None:
        for fact in self._told(team):
            self._world.lab.post(fact)

    def _told(self, team: _Team, now_s: float | None = None) -> list[SetAdvanced]:
        team.run(self._env.now if now_s is None else now_s)
        self._note(team)
        facts = [stride.told() for stride in team.strides]
        return [fact for fact in facts if fact is not None]

    def _note(self, team: _Team) -> None:
        heappush(self._due, (team.next_s, team.number, team.simulation.name))

    def _begin(self, simulation: SimulationState) -> None:
        state, now_s = self._orchestrator.state, self._env.now
        until_s = calm_until_s(state, simulation)
        if until_s < now_s:
            return
        if until_s - now_s < WORTH * roughly_s(simulation.sets.values()) < math.inf:
            return
        name, world = simulation.name, self._world
        found = [s for s in simulation.sets.values() if s.phase is Phase.ACTIVE]
        rules = self._orchestrator.policies
        if any(partner_copy_of(strategy_of(rules, simulation, s)) for s in found):
            # Copies in memory are decided on at every boundary.
            return
        works = [world.work(name, s.name) for s in found]
        if not all(w.strides(s) for s, w in zip(found, works, strict=True)):
            return
        load = self._loads(simulation)
        if self._load + load > CROWD * world.lab.storage.streams:
            return
        self._load += load
        strides = [
            Stride(
                world.lab,
                self._orchestrator.policies,
                state,
                simulation,
                s,
                w.leave(),
                self._held,
                alone=len(found) == 1,
            )
            for s, w in zip(found, works, strict=True)
        ]
        team = _Team(simulation, strides, until_s, load, next(self._number), now_s)
        self._teams[name] = team
        self._note(team)
        self._set_alarm(name, team)

    def _loads(self, simulation: SimulationState) -> float:
        """Return how many transfers it has under way on average, at most."""
        lab = self._world.lab
        takes_s = lab.overheads.checkpoint_s * lab.storage.factor
        return takes_s / max(roughly_s(simulation.sets.values()), takes_s, 1e-9)

    def _end(self, name: str) -> None:
        team = self._teams.pop(name)
        self._load -= team.load
        self._silence(team)
        for stride in team.strides:
            self._world.work(name, stride.name).resume(stride.stop())

    def _set_alarm(self, name: str, team: _Team) -> None:
        self._silence(team)
        now_s = self._env.now
        team.alarm = self._env.timeout(max(team.look_s() - now_s, 0.0))
        team.alarm.callbacks.append(lambda _: self._look(name, team))

    def _silence(self, team: _Team) -> None:
        if team.alarm is not None and team.alarm.callbacks:
            team.alarm.callbacks.clear()
        team.alarm = None

    def _look(self, name: str, team: _Team) -> None:
        """See whether a stride has come to its end."""
        now_s = self._env.now
        self._post(team)
        if team.ended or now_s >= team.until_s:
            self._end(name)
        else:
            self._set_alarm(name, team)

    def _spell(self, _: object) -> None:
        """Let checkpoints take as long as they do from now on."""
        factor = self._world.lab.storage.factor
        for team in list(self._teams.values()):
            self._post(team)
            for stride in team.strides:
                stride.slowed(self._env.now, factor)
            self._note(team)
            self._load -= team.load
            team.load = self._loads(team.simulation)
            self._load += team.load
        for name in list(self._teams):
            if self._load > CROWD * self._world.lab.storage.streams:
                self._end(name)
