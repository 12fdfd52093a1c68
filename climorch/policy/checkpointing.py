"""When to checkpoint: strategies over what a set has measured so far.

A strategy is asked at every common boundary that a set reaches; the limits of
`climorch.policy.limits` stand above it. Whatever it says, a set is checkpointed
at its end and before its nodes are given back: for a drain, a preemption, a
pause, a stop, a window, a walltime end, a shrinking lease, a spent budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import require_kinds
from climorch.model.pace import CheckpointStrategy, Pace
from climorch.policy.calendar import frequency_faults, unit_number
from climorch.policy.daly import daly_interval

__all__ = [
    "AnyOf",
    "BeforeEvent",
    "CheckpointStrategy",
    "Daly",
    "EverySegments",
    "EveryWall",
    "ModelCalendar",
    "Overrides",
    "Pace",
    "daly_interval",
]


def either(one: CheckpointStrategy, other: CheckpointStrategy) -> AnyOf:
    """Return the strategy that checkpoints whenever one of two does; ``one | other``.

    Parameters
    ----------
    one, other : CheckpointStrategy
        Where both are due, the reasons of both are told.
    """
    parts: list[CheckpointStrategy] = []
    for strategy in (one, other):
        parts += strategy.strategies if isinstance(strategy, AnyOf) else [strategy]
    return AnyOf(strategies=tuple(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """Checkpoint whenever one of several strategies does.

    Attributes
    ----------
    strategies : tuple of CheckpointStrategy
        At least one.
    """

    strategies: tuple[CheckpointStrategy, ...]

    def __post_init__(self) -> None:
        _at_least("len(AnyOf.strategies)", len(self.strategies), 1)

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Checkpoint where any of them would; tells the reasons of all that do.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        reasons = [strategy.due(pace) for strategy in self.strategies]
        return "; ".join(dict.fromkeys(why for why in reasons if why)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Daly:
    """Checkpoint at Daly's interval, from measured cost and observed failures.

    Attributes
    ----------
    first_cost_s : float
        Cost assumed until one was measured, in seconds, > 0.
    """

    first_cost_s: float = 5.0

    def __post_init__(self) -> None:
        require_kinds(self)
        _at_least("Daly.first_cost_s", self.first_cost_s, 1e-3)

    __or__ = either

    def interval_s(self, pace: Pace) -> float:
        """Compute the interval that holds for a pace.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        float
            Seconds of compute between two checkpoints.
        """
        cost_s = self.first_cost_s if pace.cost_s is None else max(pace.cost_s, 1e-3)
        return daly_interval(cost_s=cost_s, mtbf_s=pace.mtbf_s)

    def due(self, pace: Pace) -> str | None:
        """Checkpoint where the next boundary would be further from the optimum.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        interval_s = self.interval_s(pace)
        if pace.since_s + pace.next_s / 2 < interval_s:
            return None
        return f"{pace.since_s:.0f} s since the last one, interval {interval_s:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class EverySegments:
    """Checkpoint at every so many common boundaries.

    Attributes
    ----------
    count : int
        Common boundaries from one checkpoint to the next, >= 1.
    """

    count: int = 1

    def __post_init__(self) -> None:
        require_kinds(self)
        _at_least("EverySegments.count", self.count, 1)

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Checkpoint once ``count`` boundaries were passed.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        if pace.boundaries < self.count:
            return None
        return f"every {self.count} boundaries"


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryWall:
    """Checkpoint at the first common boundary after a time.

    Attributes
    ----------
    seconds : float
        Seconds since the last checkpoint began.
    """

    seconds: float

    def __post_init__(self) -> None:
        require_kinds(self)
        _at_least("EveryWall.seconds", self.seconds, 0)

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Checkpoint once ``seconds`` have passed.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        if pace.since_s < self.seconds:
            return None
        return f"every {self.seconds:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalendar:
    """Checkpoint where a month, a year or the like of model time has ended.

    Attributes
    ----------
    every : str
        As for `Span`: ``"1YS"``, ``"10YS"``, ``"3MS"``, ``"5D"``, ``"12h"``.
        Counted from the year 0 (years, months) or from 0001-01-01 (days,
        hours), so that ``"10YS"`` means decades wherever a span begins. Where
        no common boundary falls on such a date, the next one counts.

    Raises
    ------
    InvalidInputError
        If this is no such frequency.
    """

    every: str = "1YS"

    def __post_init__(self) -> None:
        faults = frequency_faults("ModelCalendar.every", self.every)
        if faults:
            raise InvalidInputError("this strategy cannot work", faults=faults)

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Checkpoint where such a date was reached since the last checkpoint.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        here = unit_number(pace.model_s, pace.calendar, self.every)
        if here == unit_number(pace.since_model_s, pace.calendar, self.every):
            return None
        return f"every {self.every} of model time"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeEvent:
    """Checkpoint at every boundary from some time before nodes go.

    Without it, a set is checkpointed at the last boundary that fits before a
    node of its lease goes as announced. That rests on estimates; this strategy
    adds those before, for sites that end jobs early.

    Attributes
    ----------
    lead_s : float
        Seconds before the announced end, > 0.
    """

    lead_s: float = 3600.0

    def __post_init__(self) -> None:
        _at_least("BeforeEvent.lead_s", self.lead_s, 1e-3)

    __or__ = either

    def due(self, pace: Pace) -> str | None:
        """Checkpoint while an end lies within the lead.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
        if pace.ends_in_s > self.lead_s:
            return None
        return f"nodes go in {pace.ends_in_s:.0f} s, lead {self.lead_s:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Strategies that stages and scenarios ask for, in place of the campaign's.

    Kept by name, as functions are: they come from the script each time it runs.

    Attributes
    ----------
    stages : mapping of (str, str) to CheckpointStrategy
        By workflow and stage.
    scenarios : mapping of str to CheckpointStrategy
        By simulation.
    """

    stages: Mapping[tuple[str, str], CheckpointStrategy] = field(default_factory=dict)
    scenarios: Mapping[str, CheckpointStrategy] = field(default_factory=dict)

    def strategy_for(
        self,
        campaign: CheckpointStrategy,
        *,
        simulation: str,
        workflow: str,
        stages: Iterable[str],
    ) -> CheckpointStrategy:
        """Return the strategy of a set, where all wishes for it meet.

        Parameters
        ----------
        campaign : CheckpointStrategy
            Counts where nobody else asks for anything.
        simulation, workflow : str
            Whose set.
        stages : iterable of str
            Of the set.

        Returns
        -------
        CheckpointStrategy
            A set is checkpointed as one, so the strictest wins: whenever one of
            its stages, or the scenario, would be checkpointed, all of it is.
        """
        if not (self.stages or self.scenarios):
            return campaign
        asked = [self.stages.get((workflow, stage)) for stage in stages]
        asked.append(self.scenarios.get(simulation))
        found = [strategy for strategy in asked if strategy is not None]
        if len(found) > 1:
            return AnyOf(strategies=tuple(found))
        return found[0] if found else campaign


def _at_least(place: str, value: float, least: float) -> None:
    if not value >= least or value == math.inf:
        raise InvalidInputError(
            "this strategy cannot work",
            faults=[
                Fault(
                    place=place,
                    problem=f"got {value!r}, expected finite and >= {least}",
                    remedy="give a number in this range",
                )
            ],
        )
