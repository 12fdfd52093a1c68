"""What becomes of the answers of a virtual world before the driver hears them.

Each trouble befalls the n-th answer of its kind, whatever came before: what is left
out of a case changes as little else as can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import msgspec

from climorch.core.state import CampaignState, Phase
from climorch.model import events as e
from climorch.model.events import Cause, Fact
from climorch.model.plan import RuleTime
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants.courses import drift
from climorch.testing.invariants.durable import what_is_restored_is_what_was_written
from climorch.testing.seeds.actions import scrubbed
from climorch.testing.seeds.befalling import Blowing, ruled, scored, spoilt_origins
from climorch.testing.seeds.case import ANSWERS, KINDS, Case, Trouble
from climorch.testing.seeds.values import Values

__all__ = ["Relay", "Shelf", "Surroundings"]

# A hang is found after so long, seconds.
HANG_S = 900.0
Place = tuple[str, str, int]
WALLTIME_GAP_S = 300.0
Answer = (
    e.SegmentFinished
    | e.SegmentFailed
    | e.SetRestored
    | e.RestoreFailed
    | e.CheckpointCommitted
    | e.CheckpointFailed
    | e.CopyHeld
    | e.CopyFailed
    | e.RemedyGiven
    | e.ScoreEvaluated
    | e.ScoreFailed
    | e.CheckpointArchived
    | e.CheckpointRecalled
)


class Shelf(Protocol):
    """Where checkpoints and results really lie."""

    def commit(self, fact: e.CheckpointCommitted) -> None:
        """Write and commit one, durably."""

    def break_off(self, fact: e.CheckpointCommitted) -> None:
        """Write a part of one, and give it up."""

    def delete(self, fact: e.CheckpointDeleted) -> None:
        """Delete one."""

    def restores(self, fact: e.SetRestored) -> bool:
        """Read one; tell whether every value is the one that was written."""


class Surroundings(Protocol):
    """What a relay can do to the world besides answering."""

    @property
    def now_s(self) -> float:
        """Driver's clock, seconds."""

    @property
    def state(self) -> CampaignState:
        """The orchestrator's; only read."""

    def later(self, delay_s: float, fact: Fact) -> None:
        """Let a fact arrive after a delay."""

    def strike(self, nodes: tuple[str, ...], lasts_s: float) -> None:
        """Take nodes down for a while."""

    def schedule(self, delay_s: float, do: Callable[[], None]) -> None:
        """Let something be done after a delay, unless the driver dies before."""


class Relay:
    """Hears what the world tells, and says what arrives of it.

    Parameters
    ----------
    case : Case
        With its troubles.
    disk : FakeDisk
        Which checkpoints there are.
    values : Values
        What is computed and written.
    around : Surroundings
        The world.
    shelf : Shelf or None
        Where they really lie, in cases with a real disk.

    Attributes
    ----------
    calm : bool
        Whether nothing goes wrong any more.
    fired : Counter
        Troubles that befell an answer, by kind.
    rotten : set of (str, str, int)
        Checkpoints that went bad, and nobody has looked yet.
    """

    def __init__(
        self,
        case: Case,
        disk: FakeDisk,
        values: Values,
        around: Surroundings,
        shelf: Shelf | None = None,
    ) -> None:
        self.calm = False
        self.fired: Counter[str] = Counter()
        self.rotten: set[tuple[str, str, int]] = set()
        self._disk = disk
        self._values = values
        self._shelf = shelf
        self._around = around
        self._walltime_s = case.walltime_s
        self._ends_s: dict[str, float] = {}
        self._due: dict[str, dict[int, Trouble]] = {
            kind: {} for kind in (*KINDS, *ANSWERS)
        }
        for trouble in case.troubles:
            self._due[trouble.kind].setdefault(trouble.nth, trouble)
        self._seen: Counter[str] = Counter()
        self._poison = {(p.simulation, p.stage, p.segment): p for p in case.poison}
        self._blowing = Blowing(case.blows)
        # Until when it is not heard what became of a checkpoint that has its name.
        self._unheard_s: dict[tuple[str, str], float] = {}
        # What segments return is looked at by conditions alone.
        self._metered = any(
            rule.on is RuleTime.UNTIL for plan in case.plans for rule in plan.rules
        )

    def begin(self) -> None:
        """Serve another driver: none before it has anything under way any more."""
        self._unheard_s.clear()

    def __call__(self, fact: Fact) -> Iterable[Fact]:
        """Say what arrives of a fact."""
        match fact:
            case e.SegmentFinished():
                return self._computed(fact)
            case e.SetRestored():
                return self._restored(fact)
            case e.CheckpointCommitted():
                return self._written(fact)
            case e.CheckpointDeleted():
                self._disk.delete(fact)
                self.rotten.discard((fact.simulation, fact.set, fact.boundary))
                if self._shelf is not None:
                    self._shelf.delete(fact)
            case e.CopyHeld():
                return self._copied(fact)
            case e.RuleEvaluated():
                return (ruled(fact, self._hit("rule")),)
            case e.ScoreEvaluated():
                failed, infinite = self._hit("score"), self._hit("infinite")
                return self._in_time(scored(fact, failed, infinite))
            case e.RemedyGiven():
                hopeless = self._hit("remedy") is not None
                retry = fact.retry and not hopeless
                return self._in_time(msgspec.structs.replace(fact, retry=retry))
            case e.NodeJoined() if self._walltime_s is not None and not self.calm:
                return (self._hired(fact, self._walltime_s),)
            case _:
                pass
        return (fact,)

    def _hit(self, kind: str) -> Trouble | None:
        """Count an answer; return what befalls it."""
        number, self._seen[kind] = self._seen[kind], self._seen[kind] + 1
        found = None if self.calm else self._due[kind].get(number)
        self.fired[kind] += found is not None
        return found

    def unreadable(self) -> bool:
        """Tell whether what is asked back from the archive cannot be read."""
        return self._hit("unreadable") is not None

    def tell(self, fact: Fact) -> None:
        """Let the driver hear of something, now or late."""
        told: tuple[Fact, ...] = (fact,)
        if isinstance(fact, e.CheckpointArchived | e.CheckpointRecalled):
            told = self._in_time(fact)
        for arrives in told:
            self._around.later(0.0, arrives)

    def _in_time(self, fact: Answer) -> tuple[Fact, ...]:
        """Let an answer arrive once, twice or late."""
        again, late = self._hit("again"), self._hit("late")
        if isinstance(fact, e.CheckpointCommitted):
            late = late or self._hit("unheard")
            if late:
                # Nothing else of the set is written before that is over.
                own = fact.simulation, fact.set
                self._unheard_s[own] = self._around.now_s + late.late_s
        for trouble in {id(x): x for x in (again, late) if x}.values():
            self._around.later(trouble.late_s, fact)
        return () if late else (fact,)

    def _computed(self, fact: e.SegmentFinished) -> tuple[Fact, ...]:
        place, state = (fact.simulation, fact.stage, fact.segment), self._around.state
        poison = None if self.calm else self._poison.get(place)
        if poison is not None and self.fired["poison"] < poison.times:
            self.fired["poison"] += 1
            lease = state.simulations[fact.simulation].lease
            # A quarter of a lease is more than Dask heals.
            self._around.strike(lease[: -(-len(lease) // 4)], 60.0)
            return ()
        failed, hung = self._hit("segment"), self._hit("hang")
        cause = Cause.HANG if hung else failed.cause if failed else None
        if cause is None and not self.calm and self._blowing(state, fact):
            self.fired["blow-up"] += 1
            cause = Cause.NUMERICAL
        if cause is None:
            number = self._values.computed(state, fact)
            if self._metered:
                metrics = {"drift": drift(number)}
                fact = msgspec.structs.replace(fact, metrics=metrics)
            return self._in_time(fact)
        answer = e.SegmentFailed(
            simulation=fact.simulation,
            stage=fact.stage,
            segment=fact.segment,
            attempt=fact.attempt,
            cause=cause,
            message="made to",
            node=self._some_node(fact.simulation) if hung else "",
        )
        if hung:
            self._around.later(HANG_S, answer)
            return ()
        return self._in_time(answer)

    def spoil(self, simulation: str, name: str, boundary: int) -> None:
        """Let a checkpoint go bad."""
        self.rotten.add((simulation, name, boundary))

    def _some_node(self, simulation: str) -> str:
        return next(iter(self._around.state.simulations[simulation].lease), "")

    def _restored(self, fact: e.SetRestored) -> tuple[Fact, ...]:
        place = fact.simulation, fact.set
        stored = self._disk.of(*place).get(fact.boundary)
        damaged, failed = self._hit("damage"), self._hit("restore")
        if damaged and stored is not None:
            self.spoil(*place, fact.boundary)
        if stored is not None and (*place, fact.boundary) in self.rotten:
            self.rotten.discard((*place, fact.boundary))
            stored.damaged = True
        bad = fact.boundary > 0 and (stored is None or stored.damaged)
        state = self._around.state
        for spoilt in spoilt_origins(state, self._disk, self.rotten, fact):
            failed = Trouble(kind="restore", nth=0, cause=Cause.CORRUPT)
            # What is found bad is told first, as a scrub would tell it.
            self._around.later(0.0, self._found(spoilt))
        if self._shelf is not None and fact.boundary > 0 and not (bad or failed):
            what_is_restored_is_what_was_written(self._shelf.restores(fact), fact)
        if not (bad or failed):
            self._values.restored(state, fact)
            return self._in_time(fact)
        cause = Cause.CORRUPT if bad or failed is None else failed.cause
        return self._in_time(_not_restored(fact, cause, damaged=bad))

    def _found(self, place: Place) -> e.CheckpointScrubbed:
        """Set a checkpoint aside that is found bad; return how that is told."""
        stored = self._disk.of(place[0], place[1]).get(place[2])
        if stored is not None:
            stored.damaged = True
        self.rotten.discard(place)
        return scrubbed(place)

    def _written(self, fact: e.CheckpointCommitted) -> tuple[Fact, ...]:
        wait_s = self._unheard_s.get((fact.simulation, fact.set), 0.0)
        if wait_s > self._around.now_s:
            wait_s -= self._around.now_s
            self._around.schedule(wait_s, partial(self._waited, fact))
            return ()
        failed = self._hit("checkpoint")
        known = self._disk.of(fact.simulation, fact.set).get(fact.boundary)
        there = known is not None and not known.damaged
        # What an attempt wrote once it writes alike again, though it is over.
        own = known is not None and known.attempt == fact.attempt
        if there and not own and self._values.differs(self._around.state, fact):
            # As the disk refuses it: of another course, and about to be deleted.
            self.fired["refused"] += 1
            failed = failed or Trouble(kind="checkpoint", nth=0)
        if failed is None:
            # The rename has happened, whoever hears of it.
            if not there:
                # Before the power may go.
                self._values.written(self._around.state, fact)
                if self._shelf is not None:
                    self._shelf.commit(fact)
            self._disk.commit(fact)
            return self._in_time(fact)
        if self._shelf is not None:
            self._shelf.break_off(fact)
        return self._in_time(_not_written(fact, failed.cause))

    def _waited(self, fact: e.CheckpointCommitted) -> None:
        """Write what waited for the one before, unless it was cancelled meanwhile."""
        s = self._around.state.simulations[fact.simulation].sets[fact.set]
        if s.phase is not Phase.IDLE and s.attempt == fact.attempt:
            for arrives in self._written(fact):
                self._around.later(0.0, arrives)

    def _copied(self, fact: e.CopyHeld) -> tuple[Fact, ...]:
        if self._hit("copy") is None:
            return self._in_time(fact)
        return self._in_time(_not_copied(fact))

    def _hired(self, fact: e.NodeJoined, walltime_s: float) -> e.NodeJoined:
        """Let a node go when its job ends, and another job bring it back."""
        ends_s = self._ends_s[fact.node] = self._around.now_s + walltime_s

        def end() -> None:
            # Unless it died before, and is there as part of another job.
            if self._ends_s[fact.node] == ends_s:
                self._around.strike((fact.node,), WALLTIME_GAP_S)

        self._around.schedule(walltime_s, end)
        return msgspec.structs.replace(fact, deadline_s=ends_s)


def _not_written(fact: e.CheckpointCommitted, cause: Cause) -> e.CheckpointFailed:
    return e.CheckpointFailed(
        simulation=fact.simulation,
        set=fact.set,
        boundary=fact.boundary,
        attempt=fact.attempt,
        cause=cause,
        message="made to",
    )


def _not_copied(fact: e.CopyHeld) -> e.CopyFailed:
    return e.CopyFailed(
        simulation=fact.simulation,
        set=fact.set,
        boundary=fact.boundary,
        attempt=fact.attempt,
        message="made to",
    )


def _not_restored(
    fact: e.SetRestored, cause: Cause, *, damaged: bool
) -> e.RestoreFailed:
    return e.RestoreFailed(
        simulation=fact.simulation,
        set=fact.set,
        attempt=fact.attempt,
        boundary=fact.boundary,
        cause=cause,
        message="made to",
        damaged=damaged,
    )
