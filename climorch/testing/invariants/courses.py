"""What simulations compute, as numbers that tell where they come from.

Every segment has a number that follows from all that it was computed from: the state
before, what it reads, parameters and seeds as they were. What an undisturbed run would
have is worked out here anew, one segment after the other, from plans and tries alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xxhash

from climorch.model.plan import Coupling, RulePlan, RuleTime, StagePlan
from climorch.testing.invariants.auditor import Auditor
from climorch.testing.invariants.books import Book, SetBook

__all__ = [
    "Courses",
    "a_stage_ends_where_it_would_undisturbed",
    "drift",
    "inputs_of",
    "mixed",
    "what_a_condition_sees_is_what_was_committed",
    "what_is_archived_is_of_its_course",
    "what_is_committed_is_of_its_course",
    "what_is_computed_is_of_its_course",
    "what_is_restored_is_of_its_course",
]

Own = tuple[str, str]
Numbers = Mapping[str, int]


def mixed(*parts: Any) -> int:
    """Return a number that follows from all of these."""
    return xxhash.xxh3_64_intdigest(repr(parts).encode())


def drift(number: int) -> float:
    """Return what a segment tells as its metric, in [0, 1)."""
    return number % 997 / 997


def inputs_of(
    stages: Mapping[str, StagePlan], stage: StagePlan, segment: int
) -> list[tuple[str, int]]:
    """List which segments of others one reads; -1: their first state."""
    start, end = stage.boundaries[segment : segment + 2]
    found = []
    for name, coupling in sorted(stage.reads.items()):
        ends = stages[name].boundaries[1:]
        if coupling is Coupling.SAME:
            found += [(name, k) for k, time in enumerate(ends) if start < time <= end]
        else:
            found.append((name, sum(time <= start for time in ends) - 1))
    return found


class Courses:
    """What each segment would be if nothing had ever gone wrong.

    But for blow-ups, whose tries are part of the course.

    Parameters
    ----------
    auditor : Auditor
        The books of what is computed, with the tries that hold.
    """

    def __init__(self, auditor: Auditor) -> None:
        self.auditor = auditor
        self._first: dict[Own, dict[str, int]] = {}
        self._known: dict[Own, tuple[object, dict[tuple[str, int], int]]] = {}

    def at(self, simulation: str, name: str, boundary: int) -> dict[str, int]:
        """Return the number of each stage of a set at a boundary."""
        s = self.auditor.books[simulation].sets[name]
        return {
            stage: self.number(simulation, stage, s.ended(stage, boundary) - 1)
            for stage in s.stages
        }

    def number(self, simulation: str, stage: str, segment: int) -> int:
        """Return that of a segment; of -1: of the first state."""
        book = self.auditor.books[simulation]
        s = book.of(stage)
        own = simulation, next(iter(s.stages))
        tried = tuple((t.number, t.boundary) for t in s.tried)
        if self._known.get(own, (None, {}))[0] != tried:
            self._known[own] = tried, {}
        return self._number(own, s, stage, segment)

    def begins(self, simulation: str, name: str) -> dict[str, int]:
        """Work out anew from what a set begins, and return that."""
        book = self.auditor.books[simulation]
        own = simulation, name
        self._known.pop(own, None)
        self._first[own] = self._beginning(simulation, book, book.sets[name])
        return self._first[own]

    def _beginning(self, simulation: str, book: Book, s: SetBook) -> dict[str, int]:
        parent = book.branch
        branched: list[object] = []
        if parent is not None:
            branched = [
                sorted(self.at(parent.simulation, name, boundary).items())
                for name, boundary in sorted(parent.boundaries.items())
            ]
        found = {}
        for stage in s.stages.values():
            before = [
                (
                    other,
                    self.number(
                        simulation, other, book.of(other).stages[other].segments - 1
                    ),
                )
                for other in sorted(stage.after)
            ]
            found[stage.name] = mixed(simulation, stage.name, before, branched)
        return found

    def _number(self, own: Own, s: SetBook, stage: str, segment: int) -> int:
        if segment < 0:
            if own not in self._first:
                self.begins(*own)
            return self._first[own][stage]
        known = self._known.setdefault(own, ((), {}))[1]
        found = known.get((stage, segment))
        if found is None:
            plan = s.stages[stage]
            params: dict[str, Any] = {}
            salt = 0
            for tried in s.changes(stage, segment):
                params |= tried.params
                salt = tried.number if tried.reseed else salt
            found = known[stage, segment] = mixed(
                self._number(own, s, stage, segment - 1),
                [self._number(own, s, *x) for x in inputs_of(s.stages, plan, segment)],
                sorted(params.items()),
                salt,
            )
        return found


def what_is_computed_is_of_its_course(
    courses: Courses, place: tuple[str, str, int], number: int
) -> None:
    """A segment is computed from what an undisturbed run would compute it from."""
    assert number == courses.number(*place), place


def what_is_restored_is_of_its_course(
    courses: Courses, place: tuple[str, str, int], states: Numbers
) -> None:
    """A set is restored with the states that an undisturbed run would have there."""
    expected = courses.at(*place)
    assert {g: states.get(g) for g in expected} == expected, place


def what_is_committed_is_of_its_course(
    courses: Courses, place: tuple[str, str, int], states: Numbers
) -> None:
    """Where it ended it has the states that an undisturbed run would have there."""
    expected = courses.at(*place)
    assert {g: states.get(g) for g in expected} == expected, place


def what_is_archived_is_of_its_course(
    courses: Courses, place: tuple[str, str, int], states: Numbers
) -> None:
    """What the archive has is what an undisturbed run would have there."""
    expected = courses.at(*place)
    assert {g: states.get(g) for g in expected} == expected, place


def what_a_condition_sees_is_what_was_committed(
    courses: Courses,
    place: tuple[str, str, int],
    window_s: float,
    seen: Sequence[tuple[int, Mapping[str, float]]],
) -> float:
    """A condition is told what the newest committed segments returned; their mean.

    Parameters
    ----------
    courses : Courses
        What they would return.
    place : tuple of str, str and int
        Simulation, stage, committed segments.
    window_s : float
        Of model time that it looks back.
    seen : sequence
        What it is told.
    """
    simulation, stage, count = place
    expected = course_of(courses, simulation, stage, count, window_s)
    assert [(k, m["drift"]) for k, m in seen if k < count] == expected, (place, seen)
    return sum(value for _, value in expected) / len(expected)


def course_of(
    courses: Courses, simulation: str, stage: str, count: int, window_s: float
) -> list[tuple[int, float]]:
    """Return what the newest segments return in an undisturbed run."""
    ends = courses.auditor.books[simulation].original[stage].boundaries
    return [
        (k, drift(courses.number(simulation, stage, k)))
        for k in range(count)
        if ends[k + 1] > ends[count] - window_s
    ]


def a_stage_ends_where_it_would_undisturbed(
    courses: Courses, simulation: str, name: str, level: float
) -> None:
    """Where a set ends by its conditions depends on what it computes alone."""
    book = courses.auditor.books[simulation]
    stages = {g: book.original[g] for g in book.sets[name].stages}
    rules = [r for r in book.plan.rules if r.on is RuleTime.UNTIL and r.when in stages]
    commons = sorted(set.intersection(*(set(s.boundaries) for s in stages.values())))
    end = len(commons) - 1
    for boundary in range(1, len(commons) - 1):
        if any(
            _holds(courses, simulation, rule, stages, commons, boundary, level)
            for rule in rules
        ):
            end = boundary
            break
    found = book.sets[name].commons
    assert found == commons[: end + 1], (simulation, name, found, commons, end)


def _holds(
    courses: Courses,
    simulation: str,
    rule: RulePlan,
    stages: Mapping[str, StagePlan],
    commons: Sequence[int],
    boundary: int,
    level: float,
) -> bool:
    ends = stages[rule.when].boundaries[1:]
    count, before = (
        sum(t <= commons[b] for t in ends) for b in (boundary, boundary - 1)
    )
    if count // rule.every <= before // rule.every:
        return False
    course = course_of(courses, simulation, rule.when, count, rule.window_s)
    return sum(value for _, value in course) / len(course) <= level
