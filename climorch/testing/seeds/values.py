"""What sets compute, write and are restored with in a virtual world: numbers.

As the engine would: from what is on the nodes and on the disk. Whether that is what it
should be says `climorch.testing.invariants.courses`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.core.remedying import changes_of
from climorch.core.state import CampaignState
from climorch.model import events as e
from climorch.testing.invariants import courses as holds
from climorch.testing.invariants.courses import Courses, inputs_of, mixed

__all__ = ["Values"]

Place = tuple[str, str, int]


@dataclass(slots=True)
class _Live:
    """What an attempt has on its nodes, by stage and segment."""

    attempt: int
    numbers: dict[tuple[str, int], int] = field(default_factory=dict)


class Values:
    """The numbers of all sets.

    Parameters
    ----------
    courses : Courses
        What they should be.

    Attributes
    ----------
    stored : dict
        By checkpoint on the disk: the number of each stage.
    """

    def __init__(self, courses: Courses) -> None:
        self.courses = courses
        self.stored: dict[Place, dict[str, int]] = {}
        self._live: dict[tuple[str, str], _Live] = {}

    def restored(self, state: CampaignState, fact: e.SetRestored) -> None:
        """Bring states to the nodes."""
        place = fact.simulation, fact.set, fact.boundary
        if fact.boundary == 0:
            self.courses.begins(fact.simulation, fact.set)
            states = self._first(state, fact)
        else:
            states = self.stored[place]
        holds.what_is_restored_is_of_its_course(self.courses, place, states)
        s = state.simulations[fact.simulation].sets[fact.set]
        counts = s.plan.segments_at[fact.boundary]
        self._live[fact.simulation, fact.set] = _Live(
            fact.attempt,
            {(stage, count - 1): states[stage] for stage, count in counts.items()},
        )

    def _first(self, state: CampaignState, fact: e.SetRestored) -> dict[str, int]:
        """Return the first states, from those of other stages where it begins so."""
        simulation = state.simulations[fact.simulation]
        plan, branch = simulation.sets[fact.set].plan, simulation.branch
        branched: list[object] = []
        if branch is not None:
            branched = [
                sorted(self.stored[branch.simulation, name, boundary].items())
                for name, boundary in sorted(branch.boundaries.items())
            ]
        found = {}
        for stage in plan.stages:
            before = []
            for other in sorted(stage.after):
                own = simulation.sets[simulation.plan.set_of[other]]
                last = fact.simulation, own.name, own.plan.last
                before.append((other, self.stored[last][other]))
            found[stage.name] = mixed(fact.simulation, stage.name, before, branched)
        return found

    def computed(self, state: CampaignState, fact: e.SegmentFinished) -> int:
        """Compute a segment; return its number."""
        simulation = state.simulations[fact.simulation]
        s = simulation.sets[simulation.plan.set_of[fact.stage]]
        numbers = self._live[fact.simulation, s.name].numbers
        stages = {stage.name: stage for stage in s.plan.stages}
        params, salt = changes_of(s, fact.stage, fact.segment)
        number = mixed(
            numbers[fact.stage, fact.segment - 1],
            [numbers[x] for x in inputs_of(stages, stages[fact.stage], fact.segment)],
            sorted(params.items()),
            salt,
        )
        numbers[fact.stage, fact.segment] = number
        place = fact.simulation, fact.stage, fact.segment
        holds.what_is_computed_is_of_its_course(self.courses, place, number)
        return number

    def written(self, state: CampaignState, fact: e.CheckpointCommitted) -> None:
        """Write the states of a boundary."""
        place = fact.simulation, fact.set, fact.boundary
        self.stored[place] = self._states(state, fact)

    def differs(self, state: CampaignState, fact: e.CheckpointCommitted) -> bool:
        """Tell whether another checkpoint than this one lies where it would."""
        place = fact.simulation, fact.set, fact.boundary
        return self.stored[place] != self._states(state, fact)

    def _states(
        self, state: CampaignState, fact: e.CheckpointCommitted
    ) -> dict[str, int]:
        s = state.simulations[fact.simulation].sets[fact.set]
        live = self._live[fact.simulation, fact.set]
        assert live.attempt == fact.attempt, (fact, live.attempt)
        counts = s.plan.segments_at[fact.boundary]
        return {g: live.numbers[g, count - 1] for g, count in counts.items()}
