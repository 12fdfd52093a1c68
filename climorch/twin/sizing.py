"""How many nodes are enough, and how late is early enough, answered by worlds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.activities import Activity
from climorch.forecast.capacity import Chance, LatestStart, NodesNeeded, least, most
from climorch.forecast.past import Past
from climorch.forecast.unfolded import edges_of
from climorch.forecast.worlds import left_of
from climorch.twin.asking import Asked, Question, prospect_from, site_of, worlds_from
from climorch.twin.site import TwinSite

__all__ = ["latest_start_from", "nodes_needed_from"]

DAY_S = 86_400.0
LONGEST_MONTHS = 120


def nodes_needed_from(
    past: Past,
    question: Question,
    asked: Asked,
    *,
    by: datetime,
    chance: float,
    begin_s: float,
) -> NodesNeeded:
    """Find the fewest nodes with which all is done in time.

    Parameters
    ----------
    past, question, asked, begin_s
        As for `forecast_from`; nodes of the site are what is searched.
    by : datetime
        Until when, with a time zone.
    chance : float
        Share of worlds in which it must be, in (0, 1].

    Returns
    -------
    NodesNeeded
        Checked in the twin: with one less it is not enough, as far as worlds tell.

    Raises
    ------
    InvalidInputError
        If no number is enough, or of what is asked.
    """
    by_s = _checked(by, chance, begin_s)
    asking = dataclasses.replace(question, months=_months(begin_s, by_s))
    names = [a.name for a in question.plan] or None
    base = question.site or TwinSite(nodes=1)
    gangs = [x.plan.nodes for x in left_of(past.state, asked.facts)]
    gangs += [a.plan.nodes for a in question.plan]
    low = max(gangs, default=1)
    if question.site is None and past.seen.nodes.usual:
        # As large as nodes have been.
        base = site_of(past, question)

    def of(quick: bool) -> Chance:
        def chance_with(nodes: int) -> float:
            site = dataclasses.replace(base, nodes=nodes, names=())
            ask = dataclasses.replace(asking, site=site, quick=quick)
            return _share(past, ask, asked, names, begin_s, by_s)

        return chance_with

    number, tried = least(
        of(True), of(False), low=low, high=max(sum(gangs), low), enough=chance
    )
    return NodesNeeded(nodes=number, by=by, chance=dict(tried)[number], tried=tried)


def latest_start_from(
    past: Past,
    question: Question,
    asked: Asked,
    *,
    activity: Activity,
    by: datetime,
    chance: float,
    begin_s: float,
) -> LatestStart:
    """Find the last day on which a scenario can be submitted and is done in time.

    Parameters
    ----------
    past, question, asked, by, chance, begin_s
        As for `nodes_needed_from`.
    activity : Activity
        Which; its own start is not looked at.

    Returns
    -------
    LatestStart
        Taken to be submitted on that day, not later. Checked in the twin.

    Raises
    ------
    InvalidInputError
        If today is too late, or of what is asked.
    """
    by_s = _checked(by, chance, begin_s)
    begin = datetime.fromtimestamp(begin_s, UTC)
    others = tuple(a for a in question.plan if a.name != activity.name)
    asking = dataclasses.replace(question, months=_months(begin_s, by_s))

    def of(quick: bool) -> Chance:
        def chance_on(day: int) -> float:
            then = dataclasses.replace(
                activity,
                start=begin + timedelta(days=day),
                probability=1.0,
                punctual=True,
            )
            ask = dataclasses.replace(asking, plan=(*others, then), quick=quick)
            return _share(past, ask, asked, [activity.name], begin_s, by_s)

        return chance_on

    days = max(int((by_s - begin_s) // DAY_S), 0)
    number, tried = most(of(True), of(False), low=0, high=days, enough=chance)
    return LatestStart(
        start=begin + timedelta(days=number),
        by=by,
        chance=dict(tried)[number],
        tried=tried,
    )


def _share(
    past: Past,
    question: Question,
    asked: Asked,
    names: Iterable[str] | None,
    begin_s: float,
    by_s: float,
) -> float:
    """Return the share of worlds in which some, or all, are done in time."""
    edges_s = edges_of(begin_s, question.months)
    known, _ = prospect_from(past, question, asked, edges_s)
    wanted = set(names) if names is not None else None
    gone = {s.name for s in past.state.simulations.values() if s.complete}
    several = worlds_from(past, known, question, asked)
    done = 0
    for unfolded in several:
        # One that does not come in a world keeps nobody waiting there.
        all_of = unfolded.projects.keys() - gone
        if wanted is not None:
            all_of &= wanted
        done += all(unfolded.ended_s.get(name, math.inf) <= by_s for name in all_of)
    return done / len(several)


def _months(begin_s: float, by_s: float) -> int:
    """Return how many months reach a date."""
    return next(
        (n for n in range(1, LONGEST_MONTHS) if edges_of(begin_s, n)[-1] >= by_s),
        LONGEST_MONTHS,
    )


def _checked(by: datetime, chance: float, begin_s: float) -> float:
    """Return a date in UTC seconds, if it can be one."""
    naive = by.tzinfo is None
    by_s = math.nan if naive else by.timestamp()
    faults = []
    if not begin_s < by_s < edges_of(begin_s, LONGEST_MONTHS)[-1]:
        faults.append(
            Fault(
                place="by",
                problem=f"got {by!r}, expected a time zone and a time to come",
                remedy="such as datetime(2027, 3, 1, tzinfo=UTC), within ten years",
            )
        )
    if not 0 < chance <= 1:
        faults.append(
            Fault(
                place="chance",
                problem=f"got {chance!r}, expected a share in (0, 1]",
                remedy="0.9 means in nine of ten worlds",
            )
        )
    if faults:
        raise InvalidInputError("this cannot be searched for", faults=faults)
    return by_s
