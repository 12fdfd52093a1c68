"""How fast a simulation is, when it will end, what is at risk.

Pure estimates from measured durations of segments. Checkpoints, restores and
waiting for nodes are left out: the forecast is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, ValuesView

from climorch.core.dropping import drops
from climorch.core.rhythm import steady_s
from climorch.core.state import (
    CampaignState,
    Phase,
    SetState,
    SimulationState,
    Status,
)

__all__ = [
    "Exposures",
    "checkpoint_age_s",
    "expected_end_s",
    "exposure_s",
    "nothing",
    "period_s",
    "rate_sypd",
    "written_for_s",
]

DAY_S = 86_400.0

# CF calendars; all others have the mean year of the Gregorian one.
YEAR_DAYS = {
    "noleap": 365.0,
    "365_day": 365.0,
    "all_leap": 366.0,
    "366_day": 366.0,
    "360_day": 360.0,
    "julian": 365.25,
}
GREGORIAN_YEAR_DAYS = 365.2425


def period_s(s: SetState) -> float | None:
    """Estimate the time from one common boundary of a set to the next.

    Stages of a set run side by side or in turn, as their reads allow; each
    takes the mean duration of its segments, recent ones weighing more.

    Parameters
    ----------
    s : SetState
        The set.

    Returns
    -------
    float or None
        Seconds; None while some stage has not finished a segment.
    """
    plan = s.plan
    if not s.pace_s.keys() >= plan.counts.keys():
        return None
    return steady_s(
        plan,
        {g: s.pace_s[g] * plan.segments_at[-1][g] / plan.last for g in plan.counts},
    )


def rate_sypd(simulation: SimulationState) -> float | None:
    """Estimate how fast a simulation is: its slowest set that may run now.

    Parameters
    ----------
    simulation : SimulationState
        Which.

    Returns
    -------
    float or None
        Simulated years per day of wall time (SYPD); None while it holds no
        node or nothing was measured.
    """
    if simulation.status is not Status.RUNNING:
        return None
    rates = []
    for s in simulation.sets.values():
        before = simulation.plan.prerequisites[s.name]
        if s.complete or drops(simulation, s):
            continue
        if not all(simulation.sets[name].complete for name in before):
            continue
        takes_s = period_s(s)
        if takes_s:
            calendar = s.plan.stages[0].calendar
            year_s = YEAR_DAYS.get(calendar, GREGORIAN_YEAR_DAYS) * DAY_S
            model_s = (s.plan.commons[-1] - s.plan.commons[0]) / s.plan.last
            rates.append(model_s / year_s / (takes_s / DAY_S))
    return min(rates, default=None)


def expected_end_s(simulation: SimulationState, now_s: float) -> float | None:
    """Estimate when a simulation will be computed to its end.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    now_s : float
        UTC seconds.

    Returns
    -------
    float or None
        UTC seconds, right to about the time between two boundaries if it keeps
        its nodes; None while it holds none, or where a stage that is still to
        come has not been measured.
    """
    if simulation.status is not Status.RUNNING:
        return None
    left_s: dict[str, float] = {}
    for phase in simulation.plan.phases:
        for plan in phase:
            s = simulation.sets[plan.name]
            boundaries = 0 if drops(simulation, s) else plan.last - s.reached
            takes_s = period_s(s) if boundaries else 0.0
            if takes_s is None:
                return None
            before = simulation.plan.prerequisites[plan.name]
            first_s = max((left_s[name] for name in before), default=0.0)
            left_s[plan.name] = first_s + boundaries * takes_s
    return now_s + max(left_s.values())


def checkpoint_age_s(simulation: SimulationState, now_s: float) -> float | None:
    """Age of the newest verified checkpoint of a simulation.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    now_s : float
        UTC seconds.

    Returns
    -------
    float or None
        Seconds since its commit; None without one.
    """
    times = [
        c.committed_s
        for s in simulation.sets.values()
        for c in s.commits.values()
        if c.good and not c.deleting
    ]
    return max(now_s - max(times), 0.0) if times else None


def written_for_s(s: SetState, now_s: float) -> float | None:
    """Say for how long a checkpoint has been under way.

    Parameters
    ----------
    s : SetState
        The set.
    now_s : float
        UTC seconds.

    Returns
    -------
    float or None
        Seconds; None: none is.
    """
    if s.checkpoint is None or s.phase is Phase.IDLE:
        return None
    return max(now_s - s.since_s, 0.0)


def exposure_s(simulation: SimulationState, now_s: float) -> float:
    """Compute that would be lost if everything died now.

    Parameters
    ----------
    simulation : SimulationState
        Which.
    now_s : float
        UTC seconds.

    Returns
    -------
    float
        Seconds, summed over stages, what is being computed included.
    """
    found = 0.0
    for s in simulation.sets.values():
        found += sum(s.seconds.values())
        for began_s in s.started_s.values():
            found += max(now_s - began_s, 0.0)
    return found


def nothing() -> None:
    """Do nothing before it is looked at what would be lost."""


class Exposures(Mapping[str, float]):
    """Compute that each simulation with nodes would lose now, in seconds.

    Added up when it is asked for: of thousands, few passes ask. So it holds only as
    long as the state stays as it is.

    Parameters
    ----------
    state : CampaignState
        What is known.
    before : callable
        Called once, before the first look: who went on by itself may tell then.
    """

    def __init__(
        self, state: CampaignState, before: Callable[[], None] = nothing
    ) -> None:
        self._state = state
        self._before = before

    def _look(self) -> None:
        before, self._before = self._before, nothing
        before()

    def __getitem__(self, simulation: str) -> float:
        self._look()
        found = self._state.simulations[simulation]
        if not found.lease:
            raise KeyError(simulation)
        return exposure_s(found, self._state.now_s)

    def __iter__(self) -> Iterator[str]:
        self._look()
        return (s.name for s in self._state.simulations.values() if s.lease)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def values(self) -> ValuesView[float]:
        """Return all of them, added up at once."""
        self._look()
        now_s = self._state.now_s
        simulations = self._state.simulations.values()
        found = {s.name: exposure_s(s, now_s) for s in simulations if s.lease}
        return found.values()
