"""What is planned and not submitted yet: activities, and how late they tend to be.

Decides what a plan is refused for, and draws which of its activities come, and when.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, stdev

import numpy as np

from climorch.errors import Fault, InvalidInputError
from climorch.intake.planning import make_plan
from climorch.model.events import SimulationSubmitted
from climorch.model.plain import is_finite_number
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario
from climorch.model.workflow import Workflow

__all__ = ["Activity", "Arrival", "Slippage", "arrivals", "plan_faults", "slippage"]

DAY_S = 86_400.0
# Before anybody was late: a week, give or take two, as if one had been seen. Ours.
LATE_S, SPREAD_S = 7 * DAY_S, 14 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A scenario that is to be submitted.

    Attributes
    ----------
    workflow : Workflow
        Its stages.
    scenario : Scenario
        Its name, parameters, project and priority.
    start : datetime
        When it is to be submitted, with a time zone. Leave those in that have been
        submitted: how late they were says how late others will be.
    probability : float
        That it comes at all, in (0, 1].
    punctual : bool
        Whether it comes on the very day, however late others have been.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    workflow: Workflow
    scenario: Scenario
    start: datetime
    probability: float = 1.0
    punctual: bool = False

    def __post_init__(self) -> None:
        place = f"activity {self.scenario.name!r}"
        faults = []
        start: object = self.start
        if not (isinstance(start, datetime) and start.tzinfo is not None):
            faults.append(
                Fault(
                    place=f"{place}, start",
                    problem=f"got {start!r}, expected a datetime with a time zone",
                    remedy="such as datetime(2027, 3, 1, tzinfo=UTC)",
                )
            )
        if not (is_finite_number(self.probability) and 0 < self.probability <= 1):
            faults.append(
                Fault(
                    place=f"{place}, probability",
                    problem=f"got {self.probability!r}, expected a number in (0, 1]",
                    remedy="leave out what will not come",
                )
            )
        if faults:
            raise InvalidInputError("this activity cannot be planned", faults=faults)

    @property
    def name(self) -> str:
        """Name of the simulation that it becomes."""
        return self.scenario.name

    @property
    def start_s(self) -> float:
        """When it is to be submitted, UTC seconds."""
        return self.start.timestamp()

    @property
    def plan(self) -> SimulationPlan:
        """What it consists of."""
        return make_plan(self.workflow, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """How late activities were submitted.

    Attributes
    ----------
    seen : int
        Of how many it is known.
    mean_s, spread_s : float
        What was seen, with what is assumed before; seconds.
    """

    seen: int = 0
    mean_s: float = LATE_S
    spread_s: float = SPREAD_S

    @property
    def days(self) -> float:
        """Mean, in days."""
        return self.mean_s / DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An activity that comes, in one world.

    Attributes
    ----------
    after_s : float
        Seconds from now.
    fact : SimulationSubmitted
        Its submission.
    """

    after_s: float
    fact: SimulationSubmitted


def plan_faults(
    plan: Sequence[Activity], *, most_nodes: int | None, projects: Iterable[str]
) -> Iterator[Fault]:
    """Say what is wrong with a plan as a whole.

    Parameters
    ----------
    plan : sequence of Activity
        Each of which is fine.
    most_nodes : int or None
        Nodes that there are; None: not known.
    projects : iterable of str
        Who is declared.

    Yields
    ------
    Fault
        One for each name that is twice there, each gang that is too large and each
        project that nobody knows.
    """
    known = set(projects)
    for name, count in Counter(activity.name for activity in plan).items():
        if count > 1:
            yield Fault(
                place=f"activity {name!r}",
                problem=f"is planned {count} times",
                remedy="plan each scenario once, under a name of its own",
            )
    for activity in plan:
        place = f"activity {activity.name!r}"
        nodes = activity.plan.nodes
        if most_nodes is not None and nodes > most_nodes:
            yield Fault(
                place=f"{place}, nodes",
                problem=f"needs {nodes} nodes at once, there are {most_nodes}",
                remedy="plan it for fewer nodes, or give another site",
            )
        if activity.scenario.project not in known:
            yield Fault(
                place=f"{place}, project",
                problem=f"{activity.scenario.project!r} is not declared",
                remedy=f"take one of {', '.join(sorted(known))}, or declare it",
            )


def slippage(plan: Iterable[Activity], submitted_s: Mapping[str, float]) -> Slippage:
    """Learn how late activities are from those that were submitted.

    Parameters
    ----------
    plan : iterable of Activity
        All of it, past ones too.
    submitted_s : mapping of str to float
        When simulations were submitted, UTC seconds.

    Returns
    -------
    Slippage
        One that was early counts as such.
    """
    late = [submitted_s[a.name] - a.start_s for a in plan if a.name in submitted_s]
    if not late:
        return Slippage()
    spread = stdev(late) if len(late) > 1 else 0.0
    count = len(late)
    return Slippage(
        seen=count,
        mean_s=fmean([LATE_S, *late]),
        spread_s=math.sqrt((SPREAD_S**2 + (count - 1) * spread**2) / max(count, 1)),
    )


def arrivals(
    plan: Iterable[Activity],
    slips: Slippage,
    *,
    submitted: Iterable[str],
    now_s: float,
    seed: int,
) -> tuple[Arrival, ...]:
    """Draw which activities come, and when.

    Parameters
    ----------
    plan : iterable of Activity
        What is planned.
    slips : Slippage
        How late they are.
    submitted : iterable of str
        Those that were submitted already.
    now_s : float
        UTC seconds.
    seed : int
        The same gives the same.

    Returns
    -------
    tuple of Arrival
        By time. One that should have come already comes from now on, by its spread.
    """
    gone, found = set(submitted), []
    rng = np.random.default_rng((seed, 4))
    common = float(rng.standard_normal()) / math.sqrt(1 + slips.seen)
    for activity in plan:
        comes, off = float(rng.random()), float(rng.standard_normal())
        if activity.name in gone or comes >= activity.probability:
            continue
        late_s = slips.mean_s + slips.spread_s * (common + off)
        if activity.punctual:
            late_s = 0.0
        after_s = activity.start_s + late_s - now_s
        if after_s < 0 and activity.punctual:
            after_s = 0.0
        elif after_s < 0:
            # Nobody comes in the past: how late it is says that it is still later.
            after_s = slips.spread_s * abs(off)
        fact = SimulationSubmitted(
            simulation=activity.name, scenario=activity.scenario, plan=activity.plan
        )
        found.append(Arrival(after_s=after_s, fact=fact))
    return tuple(sorted(found, key=lambda arrival: arrival.after_s))
