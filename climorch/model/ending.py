"""Conditions by which a stage ends before the end of its span.

A condition is a pure function of what a stage's segments returned as metrics, as far
as they are committed. The span's end stays the latest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from climorch.errors import Fault, InvalidInputError
from climorch.model.plain import is_finite_number
from climorch.model.scenario import Scenario

__all__ = [
    "Condition",
    "Course",
    "Equilibrium",
    "Until",
    "seconds_per_year",
    "until_of",
]

DAY_S = 86_400
_DAYS = {
    "360_day": 360.0,
    "noleap": 365.0,
    "365_day": 365.0,
    "all_leap": 366.0,
    "366_day": 366.0,
    "julian": 365.25,
}
# Of the Gregorian calendar and of those that differ from it in the past only.
_OTHERS = 365.2425


def seconds_per_year(calendar: str) -> float:
    """Return the seconds of a mean year of a CF calendar."""
    return _DAYS.get(calendar, _OTHERS) * DAY_S


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What a condition looks at: the newest committed segments of a stage.

    Attributes
    ----------
    simulation, stage : str
        Which.
    scenario : Scenario
        Its scenario.
    segments : int
        Committed in all.
    years : tuple of float
        When each of the newest ended, in mean years of the calendar since the
        stage began; ascending.
    since : float
        When the first of these began.
    metrics : dict of str to tuple of float
        What they returned, in the same order; NaN where one did not return it.
    """

    simulation: str
    stage: str
    scenario: Scenario
    segments: int
    years: tuple[float, ...] = ()
    since: float = 0.0
    metrics: dict[str, tuple[float, ...]] = {}


Condition = Callable[[Course], "bool | tuple[bool, str]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equilibrium:
    """The trend of a metric has become small.

    The slope of the least-squares line through a metric over a window of model time.
    Judged only where the window is full, with three values or more and none missing.

    Attributes
    ----------
    metric : str
        Which; usually an area-weighted mean, see `measures.area_mean`.
    bound : float
        Largest absolute trend, in the metric's unit per model year, >= 0.
    window : float
        Model years over which it is taken, > 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    metric: str
    bound: float
    window: float

    def __post_init__(self) -> None:
        """Refuse what could never hold, or always would."""
        numbers = (("bound", self.bound, 0.0), ("window", self.window, math.ulp(0.0)))
        faults = [
            Fault(
                place=f"Equilibrium.{name}",
                problem=f"got {value!r}",
                remedy=f"give a finite number {'>= 0' if name == 'bound' else '> 0'}",
            )
            for name, value, least in numbers
            if not (is_finite_number(value) and value >= least)
        ]
        if faults:
            raise InvalidInputError("this is no equilibrium", faults=faults)

    def __call__(self, course: Course) -> tuple[bool, str]:
        """Say whether it is reached, and why.

        Parameters
        ----------
        course : Course
            The newest segments.
        """
        values = course.metrics.get(self.metric, (math.nan,) * len(course.years))
        begin = course.years[-1] - self.window if course.years else math.inf
        # Ends of segments are sums of days: compared with a minute to spare.
        if course.since > begin + 1e-6:
            return False, f"the window of {self.window:g} years is not full"
        found = [
            (year, value)
            for year, value in zip(course.years, values, strict=True)
            if year > begin + 1e-6
        ]
        if len(found) < 3:
            return False, f"{len(found)} values of {self.metric!r} in the window"
        years, heights = np.asarray(found, float).T
        if not np.isfinite(heights).all():
            return False, f"{self.metric!r} is missing in the window"
        away = years - years.mean()
        trend = float(away @ (heights - heights.mean()) / (away @ away))
        told = f"|trend| of {self.metric!r} is {abs(trend):.3g} a year over "
        told += f"{self.window:g} years, bound {self.bound:g}"
        return abs(trend) <= self.bound, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When a stage ends early, and how often that is asked.

    Attributes
    ----------
    condition : callable
        ``condition(course) -> bool``, or a pair of that and why; pure.
    every : int
        Segments after which it is asked, >= 1. There the stage is checkpointed, and
        goes on when the answer is journaled.
    window : float
        Model years of metrics that it is told, > 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    condition: Condition
    every: int = 1
    window: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what could never be asked."""
        every: object = self.every
        whole = isinstance(every, int) and not isinstance(every, bool)
        checks = (
            ("condition", callable(self.condition), "a function of a Course"),
            ("every", whole and self.every >= 1, "a whole number >= 1"),
            ("window", is_finite_number(self.window) and self.window > 0, "years, > 0"),
        )
        faults = [
            Fault(
                place=f"Until.{name}",
                problem=f"got {getattr(self, name)!r}",
                remedy=f"give {expected}",
            )
            for name, good, expected in checks
            if not good
        ]
        if faults:
            raise InvalidInputError("this cannot be asked", faults=faults)


def until_of(given: Until | Equilibrium | Condition) -> Until:
    """Return when a stage ends early, as a user may say it.

    Parameters
    ----------
    given : Until, Equilibrium or callable
        The latter two are asked after each segment.
    """
    if isinstance(given, Until):
        return given
    if isinstance(given, Equilibrium):
        return Until(condition=given, window=given.window)
    return Until(condition=given)
