"""The books of the auditor: what it knows of each simulation, counted by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from climorch.model import events as e
from climorch.model.commands import AskRemedy
from climorch.model.plan import Branch, SimulationPlan, StagePlan

__all__ = ["Book", "SetBook", "Try", "branch", "commons", "components", "pin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What was other from a boundary on, after numbers had blown up."""

    number: int
    boundary: int
    params: dict[str, Any]
    reseed: bool


@dataclass(slots=True)
class SetBook:
    """The books of one set."""

    stages: dict[str, StagePlan]
    commons: list[int]
    attempt: int = 0
    alive: bool = False
    restored: bool = False
    done: dict[str, int] = field(default_factory=dict)
    computing: dict[str, int] = field(default_factory=dict)
    writing: int | None = None
    barrier: int | None = None
    copying: int | None = None
    copy: int | None = None
    good: dict[int, int] = field(default_factory=dict)
    deleting: set[int] = field(default_factory=set)
    committed: dict[str, int] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)
    # Good ones that were found damaged, or missing, or are of a course given up.
    spoilt: set[int] = field(default_factory=set)
    # All that exist, damaged ones too, and of which attempts.
    there: dict[int, int] = field(default_factory=dict)
    deleted: int = 0
    pins: set[int] = field(default_factory=set)
    # Tries that hold, and how many there were; what is asked.
    tried: list[Try] = field(default_factory=list)
    tries: int = 0
    asked: AskRemedy | None = None
    # All places gone back to, and the newest attempts before.
    turns: list[tuple[int, int]] = field(default_factory=list)
    # Whether it still has to get rid of what it gave up then.
    going_back: bool = False

    @property
    def newest(self) -> int:
        """Newest boundary to fall back to."""
        return max((b for b in self.good if b not in self.deleting), default=0)

    def spoil(self, boundary: int) -> None:
        """Let a checkpoint be good no more."""
        if self.good.pop(boundary, None) is not None:
            self.spoilt.add(boundary)

    def keep(self, boundary: int, attempt: int) -> None:
        """Let a checkpoint exist, which may be of a course that was given up."""
        if boundary in self.good:
            return
        self.there[boundary] = attempt
        # A deletion that is under way is of the one before.
        self.deleting.discard(boundary)
        if not self.given_up(boundary):
            self.good[boundary] = attempt

    def lose(self, boundary: int, attempt: int = 0) -> None:
        """Let a checkpoint exist no more, if it is of an attempt, or whoever's."""
        if attempt not in (0, self.there.get(boundary, 0)):
            return
        if boundary not in self.deleting:
            # Somebody else took it away.
            self.spoil(boundary)
        self.good.pop(boundary, None)
        self.deleting.discard(boundary)
        self.deleted += self.there.pop(boundary, None) is not None
        self.went_back()

    def went_back(self) -> None:
        """Be done with going back once nothing is left of what was given up."""
        if not any(self.given_up(boundary) for boundary in self.there):
            self.going_back = False

    def given_up(self, boundary: int) -> bool:
        """Tell whether what lies at a boundary is of a course that was given up."""
        attempt = self.there.get(boundary)
        return attempt is not None and any(
            boundary > to and attempt <= former for to, former in self.turns
        )

    def changes(self, stage: str, segment: int) -> Iterator[Try]:
        """Yield the tries that hold for a segment."""
        for tried in self.tried:
            if self.ended(stage, tried.boundary) <= segment:
                yield tried

    def passed(self, boundary: int) -> bool:
        """Tell whether a stage has begun, or computed, something beyond a boundary."""
        return any(
            self.done[stage] > self.ended(stage, boundary)
            or self.computing.get(stage, -1) >= self.ended(stage, boundary)
            for stage in self.stages
        )

    def ended(self, stage: str, boundary: int) -> int:
        """Count the segments of a stage that have ended at a boundary."""
        ends = self.stages[stage].boundaries[1:]
        return sum(end <= self.commons[boundary] for end in ends)


@dataclass(slots=True)
class Book:
    """The books of one simulation."""

    plan: SimulationPlan
    sets: dict[str, SetBook]
    # Its stages as they were submitted.
    original: dict[str, StagePlan] = field(default_factory=dict)
    branch: Branch | None = None
    lease: tuple[str, ...] = ()
    ended: bool = False
    cancelled: bool = False
    # Why it may start nothing new.
    held: set[str] = field(default_factory=set)
    # Sets that it goes on without.
    dropped: set[str] = field(default_factory=set)

    def of(self, stage: str) -> SetBook:
        """Return the books of the set of a stage."""
        return next(s for s in self.sets.values() if stage in s.stages)


def components(plan: SimulationPlan) -> list[dict[str, StagePlan]]:
    """Group stages that read each other, by growing from each."""
    stages = {stage.name: stage for stage in plan.stages}
    groups: list[dict[str, StagePlan]] = []
    for name in stages:
        if any(name in group for group in groups):
            continue
        members = {name}
        while True:
            more = {
                other
                for other in stages
                if members & set(stages[other].reads)
                or any(other in stages[m].reads for m in members)
            }
            if more <= members:
                break
            members |= more
        groups.append({n: stages[n] for n in stages if n in members})
    return groups


def commons(stages: dict[str, StagePlan]) -> list[int]:
    """Return the model times at which all stages have a boundary."""
    return sorted(set.intersection(*(set(s.boundaries) for s in stages.values())))


def branch(books: Mapping[str, Book], simulation: str, parent: Branch) -> None:
    """Keep what a simulation begins with; where it is gone, it has ended."""
    for name, boundary in parent.boundaries.items():
        s = books[parent.simulation].sets[name]
        if boundary in s.good and not (boundary in s.deleting or s.given_up(boundary)):
            s.pins.add(boundary)
        else:
            books[simulation].ended = True


def pin(books: Mapping[str, Book], fact: e.PinRequested | e.UnpinRequested) -> None:
    """Let somebody want a checkpoint to be kept, or not any more."""
    pins = books[fact.simulation].sets[fact.set].pins
    if isinstance(fact, e.PinRequested):
        pins.add(fact.boundary)
    else:
        pins.discard(fact.boundary)
