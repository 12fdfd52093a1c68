"""The books of the auditor: what it knows of each simulation, counted by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.model.plan import SimulationPlan, StagePlan

__all__ = ["Book", "SetBook", "commons", "components"]


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
    # Good ones that were found damaged, or missing.
    spoilt: set[int] = field(default_factory=set)

    @property
    def newest(self) -> int:
        """Newest boundary to fall back to."""
        return max((b for b in self.good if b not in self.deleting), default=0)

    def spoil(self, boundary: int) -> None:
        """Let a checkpoint be good no more."""
        if self.good.pop(boundary, None) is not None:
            self.spoilt.add(boundary)

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
    lease: tuple[str, ...] = ()
    ended: bool = False
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
