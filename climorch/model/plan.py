"""A simulation as it is journaled: stages, boundaries, couplings, no functions.

Decides what a simulation consists of and derives its sets, common boundaries
and size. A plan outlives the script that declared it, so it holds only values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from enum import Enum
from functools import cached_property
from typing import Any

import msgspec

from climorch.errors import InternalError
from climorch.model.membership import at_hand
from climorch.model.resources import Resources
from climorch.model.rule_plan import Branch, RulePlan, RuleTime
from climorch.model.scoring import ScorePlan

__all__ = [
    "Branch",
    "Coupling",
    "Provenance",
    "RulePlan",
    "RuleTime",
    "SetPlan",
    "SimulationPlan",
    "StagePlan",
]


@at_hand
class Coupling(Enum):
    """Which exports of another stage a segment reads."""

    SAME = "same"
    PREVIOUS = "previous"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a function came from; recorded, compared, never executed.

    Attributes
    ----------
    qualname : str
        Module and qualified name.
    source_digest : str
        xxh3_128 of its source text, hex; empty where there is no source.
    """

    qualname: str
    source_digest: str = ""


class StagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a simulation.

    Attributes
    ----------
    name : str
        Its name.
    calendar : str
        CF calendar of its boundaries.
    boundaries : tuple of int
        Model time of the start and of the end of every segment, ascending,
        seconds since 0001-01-01 in ``calendar``; one more than segments. Where
        segments have parts, each part is counted as a segment is, here and in
        the journal.
    reads : dict of str to Coupling
        Coupled stages.
    after : tuple of str
        Stages that must be committed to their end before this one starts.
    chunks : dict of str to int
        Chunk length per dimension; a dimension that is not named is whole.
    resources : Resources
        What it needs.
    initial : bool
        Whether the script gives an ``init``; otherwise other stages or a branch do.
    parts : int
        Into which the step cuts each segment, >= 1.
    transforms : bool
        Whether its first state is made from those of other stages.
    optional : bool
        Whether its simulation goes on without it once it has failed for good.
    together : bool
        Whether its program is started by a launcher that may reach no further than
        one job of a batch system.
    """

    name: str
    calendar: str
    boundaries: tuple[int, ...]
    reads: dict[str, Coupling] = {}
    after: tuple[str, ...] = ()
    chunks: dict[str, int] = {}
    resources: Resources = Resources()
    initial: bool = True
    parts: int = 1
    transforms: bool = False
    optional: bool = False
    together: bool = False

    @property
    def segments(self) -> int:
        """Number of segments; of their parts, where they have any."""
        return len(self.boundaries) - 1


class SetPlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Stages coupled through ``reads``; they are checkpointed together.

    Attributes
    ----------
    name : str
        Name of its first stage in order of declaration.
    stages : tuple of StagePlan
        In order of declaration.
    """

    name: str
    stages: tuple[StagePlan, ...]

    @cached_property
    def commons(self) -> tuple[int, ...]:
        """Model times that are boundaries of every stage, ascending."""
        common = set(self.stages[0].boundaries)
        for stage in self.stages[1:]:
            common &= set(stage.boundaries)
        return tuple(sorted(common))

    @cached_property
    def segments_at(self) -> tuple[dict[str, int], ...]:
        """Per common boundary: stage name to segments done there."""
        places = {
            s.name: {b: k for k, b in enumerate(s.boundaries)} for s in self.stages
        }
        return tuple(
            {name: index[time] for name, index in places.items()}
            for time in self.commons
        )

    @cached_property
    def counts(self) -> dict[str, tuple[int, ...]]:
        """Stage name to segments done at each common boundary, ascending."""
        return {
            stage.name: tuple(at[stage.name] for at in self.segments_at)
            for stage in self.stages
        }

    @cached_property
    def last(self) -> int:
        """Index of the last common boundary."""
        return len(self.commons) - 1

    @cached_property
    def parts(self) -> int:
        """Common boundaries from the end of a segment to the next end."""
        # Stages that exchange have none: `intake.check` refuses them.
        return self.stages[0].parts

    @cached_property
    def nodes(self) -> int:
        """Nodes that its stages ask for which may run side by side."""
        return _together(self, lambda stage: stage.resources.nodes)

    @cached_property
    def optional(self) -> bool:
        """Whether its simulation goes on without it: so of all of its stages."""
        return all(stage.optional for stage in self.stages)

    @cached_property
    def transforms(self) -> bool:
        """Whether a first state is made from those of other stages."""
        return any(stage.transforms for stage in self.stages)

    @cached_property
    def after(self) -> frozenset[str]:
        """Stages outside the set that must be committed first."""
        own = {stage.name for stage in self.stages}
        return frozenset(a for s in self.stages for a in s.after) - own

    @cached_property
    def previous_read(self) -> frozenset[str]:
        """Stages whose exports some other stage reads as PREVIOUS."""
        return frozenset(
            name
            for stage in self.stages
            for name, coupling in stage.reads.items()
            if coupling is Coupling.PREVIOUS
        )

    def stage(self, name: str) -> StagePlan:
        """Return one of its stages by name."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise InternalError(f"set {self.name!r} has no stage {name!r}")


class SimulationPlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A workflow instantiated for a scenario.

    Attributes
    ----------
    workflow : str
        Name by which functions bind.
    stages : tuple of StagePlan
        In order of declaration.
    rules : tuple of RulePlan
        Its rules.
    params : dict
        Parameters of the scenario.
    scores : tuple of ScorePlan
        Its scores; the first with a threshold is what promise is judged by.
    """

    workflow: str
    stages: tuple[StagePlan, ...]
    rules: tuple[RulePlan, ...] = ()
    params: dict[str, Any] = {}
    scores: tuple[ScorePlan, ...] = ()

    @cached_property
    def sets(self) -> tuple[SetPlan, ...]:
        """Connected components through ``reads``, in order of declaration."""
        leader = {stage.name: stage.name for stage in self.stages}

        def find(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        for stage in self.stages:
            for other in stage.reads:
                leader[find(other)] = find(stage.name)
        groups: dict[str, list[StagePlan]] = {}
        for stage in self.stages:
            groups.setdefault(find(stage.name), []).append(stage)
        return tuple(
            SetPlan(name=group[0].name, stages=tuple(group))
            for group in groups.values()
        )

    @cached_property
    def set_of(self) -> dict[str, str]:
        """Stage name to the name of its set."""
        return {stage.name: s.name for s in self.sets for stage in s.stages}

    @cached_property
    def rules_of(self) -> dict[str, tuple[RulePlan, ...]]:
        """Set name to the rules that look at one of its stages."""
        return {
            s.name: tuple(r for r in self.rules if self.set_of.get(r.when) == s.name)
            for s in self.sets
        }

    @cached_property
    def checks(self) -> dict[str, tuple[int, ...]]:
        """Set name to the boundaries at which one of its stages may end early."""
        return {
            s.name: tuple(
                boundary
                for boundary in range(1, s.last)
                if any(rule.asks_at(s, boundary) for rule in rules)
            )
            for s in self.sets
            if (rules := [r for r in self.rules_of[s.name] if r.on is RuleTime.UNTIL])
        }

    @cached_property
    def prerequisites(self) -> dict[str, tuple[str, ...]]:
        """Set name to the sets that must be committed to their end first."""
        return {
            s.name: tuple(sorted({self.set_of[stage] for stage in s.after}))
            for s in self.sets
        }

    @cached_property
    def phases(self) -> tuple[tuple[SetPlan, ...], ...]:
        """Sets by the longest chain of prerequisites before them."""
        depth: dict[str, int] = {}

        def deep(name: str) -> int:
            if name not in depth:
                before = self.prerequisites[name]
                depth[name] = 1 + max((deep(b) for b in before), default=-1)
            return depth[name]

        levels: dict[int, list[SetPlan]] = {}
        for s in self.sets:
            levels.setdefault(deep(s.name), []).append(s)
        return tuple(tuple(levels[level]) for level in sorted(levels))

    @cached_property
    def nodes(self) -> int:
        """Nodes of the lease: of the largest phase, what may run together."""
        return max(sum(s.nodes for s in phase) for phase in self.phases)

    @cached_property
    def most_nodes(self) -> int:
        """Most nodes that the largest phase can use."""
        return max(
            sum(_together(s, lambda stage: stage.resources.most_nodes) for s in phase)
            for phase in self.phases
        )

    @cached_property
    def memory_bytes(self) -> int:
        """Memory that every node of the lease must have, in bytes."""
        return max(stage.resources.memory_bytes for stage in self.stages)

    @cached_property
    def cores(self) -> int:
        """Cores that every node of the lease must have."""
        return max(stage.resources.cores for stage in self.stages)

    @cached_property
    def scratch_bytes(self) -> int:
        """Disk of its own that every node of the lease must have, in bytes."""
        return max(stage.resources.scratch_bytes for stage in self.stages)

    @cached_property
    def together(self) -> bool:
        """Whether all nodes of the lease must be of one job, where there are jobs."""
        return self.most_nodes > 1 and any(stage.together for stage in self.stages)


# Above this many stages all are taken to run together: trying every subset
# would take too long.
MOST_STAGES_TRIED = 12


def _together(s: SetPlan, need: Callable[[StagePlan], int]) -> int:
    """Return the most that stages of a set which can run side by side need."""
    if len(s.stages) > MOST_STAGES_TRIED:
        return sum(need(stage) for stage in s.stages)
    waits = {
        (a.name, b.name)
        for a, b in itertools.combinations(s.stages, 2)
        if _alternate(s, a, b)
    }
    return max(
        sum(need(stage) for stage in group)
        for size in range(1, len(s.stages) + 1)
        for group in itertools.combinations(s.stages, size)
        if not any(
            (a.name, b.name) in waits for a, b in itertools.combinations(group, 2)
        )
    )


def _alternate(s: SetPlan, a: StagePlan, b: StagePlan) -> bool:
    """Whether two stages can only run in turn: each waits for the other.

    So it is where one reads the other in the same segment, however indirectly,
    and is read back. Of stages with unequal boundaries the finer may go on
    while the coarser computes.
    """
    if a.boundaries != b.boundaries:
        return False
    return (_reaches(s, a, b, same=True) and _reaches(s, b, a, same=False)) or (
        _reaches(s, b, a, same=True) and _reaches(s, a, b, same=False)
    )


def _reaches(s: SetPlan, a: StagePlan, b: StagePlan, *, same: bool) -> bool:
    """Whether ``a`` reads ``b``, directly or through stages of equal boundaries."""
    seen: set[str] = set()
    ahead = [a]
    while ahead:
        stage = ahead.pop()
        for name, coupling in stage.reads.items():
            other = s.stage(name)
            if name in seen or other.boundaries != a.boundaries:
                continue
            if same and coupling is not Coupling.SAME:
                continue
            if name == b.name:
                return True
            seen.add(name)
            ahead.append(other)
    return False
