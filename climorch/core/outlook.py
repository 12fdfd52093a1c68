"""How fast a simulation is, when it will end, what is at risk.

Pure estimates from measured durations of segments. Checkpoints, restores and
waiting for nodes are left out: the forecast is another matter.
"""

from __future__ import annotations

from climorch.core.rhythm import steady_s
from climorch.core.state import SetState, SimulationState, Status

__all__ = ["checkpoint_age_s", "expected_end_s", "exposure_s", "period_s", "rate_sypd"]

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
        if s.complete or not all(simulation.sets[name].complete for name in before):
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
            boundaries = plan.last - s.reached
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
