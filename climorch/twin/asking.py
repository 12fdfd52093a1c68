"""Questions about months to come, and how they are answered from a campaign's past.

Checks what is asked, says what is assumed, draws worlds and lets them be played.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from climorch.core.lifecycle import Control
from climorch.core.progress import Policies
from climorch.errors import Fault, InvalidInputError
from climorch.forecast.activities import Activity, plan_faults, slippage
from climorch.forecast.assembling import assemble
from climorch.forecast.backtesting import forecast_series
from climorch.forecast.entries import Power
from climorch.forecast.history import History, history_of_ledger
from climorch.forecast.past import Past
from climorch.forecast.projection import Forecast
from climorch.forecast.series import LEVEL_MONTHS, Outlook
from climorch.forecast.unfolded import Unfolded, edges_of
from climorch.forecast.worlds import Left, Prospect, left_of, prospect, quickly
from climorch.model.events import Fact, PauseRequested, ProjectDeclared
from climorch.model.scenario import DEFAULT_PROJECT
from climorch.model.workflow import Workflow
from climorch.twin.costs import Costs
from climorch.twin.forecasting import Foreseen, foresee
from climorch.twin.learning import overheads_of
from climorch.twin.pooling import side_by_side
from climorch.twin.rehearsal import Play
from climorch.twin.site import TwinSite

__all__ = [
    "Asked",
    "Question",
    "forecast_from",
    "prospect_from",
    "site_of",
    "worlds_from",
]

SEEDS, QUICK_SEEDS = 20, 200
UNIT = "node h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of months to come.

    Attributes
    ----------
    months : int
        Whole ones, in [1, 120], beside the rest of the present one.
    plan : tuple of Activity
        What is to be submitted.
    site : TwinSite or None
        Where; None: on nodes as they have been.
    seeds : tuple of int
        One world each; empty: 20 of the twin, 200 of the quick sum.
    quick : bool
        Whether without the twin.
    processes : int
        Worlds side by side.
    wait_s : tuple of float
        Least and most seconds until nodes are there.
    history : History or None
        Of past use in node-hours, for the top-down half; None: the campaign's own.
    power : Power or None
        What a node draws.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    months: int = 6
    plan: tuple[Activity, ...] = ()
    site: TwinSite | None = None
    seeds: tuple[int, ...] = ()
    quick: bool = False
    processes: int = 1
    wait_s: tuple[float, float] = (0.0, 0.0)
    history: History | None = None
    power: Power | None = None

    def __post_init__(self) -> None:
        low, high = self.wait_s
        unit = UNIT if self.history is None else self.history.unit
        checks = (
            ("months", self.months, 1 <= self.months <= 120, "give 1 to 120"),
            ("seeds", self.seeds, all(s >= 0 for s in self.seeds), "give 0 or more"),
            ("queue_wait", self.wait_s, 0 <= low <= high < 1e9, "give least and most"),
            ("history, unit", unit, unit == UNIT, "convert it to node-hours first"),
        )
        faults = [
            Fault(place=place, problem=f"got {found!r}", remedy=remedy)
            for place, found, fine, remedy in checks
            if not fine
        ]
        if faults:
            raise InvalidInputError("this cannot be forecast", faults=faults)

    @property
    def worlds(self) -> tuple[int, ...]:
        """Seeds of all worlds."""
        return self.seeds or tuple(range(QUICK_SEEDS if self.quick else SEEDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of which campaign, beside its past.

    Attributes
    ----------
    campaign : str
        Its name.
    facts : tuple of Fact
        What the script submitted and the past does not have.
    policies : Policies
        The rules.
    workflows : mapping of str to Workflow
        Where the user's rules bind.
    """

    campaign: str
    facts: tuple[Fact, ...]
    policies: Policies
    workflows: Mapping[str, Workflow]


def site_of(past: Past, question: Question) -> TwinSite:
    """Return where the months to come are played.

    Parameters
    ----------
    past : Past
        What is known.
    question : Question
        What is asked.

    Returns
    -------
    TwinSite
        As given, or nodes as many and as large as they have been; with overheads.

    Raises
    ------
    InvalidInputError
        If there was never a node.
    """
    site, seen = question.site, past.seen.nodes
    if site is None:
        if not seen.usual:
            fault = Fault(
                place="site",
                problem="no node was ever up, so nobody knows how many there will be",
                remedy="give site=TwinSite(nodes=...)",
            )
            raise InvalidInputError("this cannot be forecast", faults=[fault])
        site = TwinSite(
            nodes=seen.usual,
            # Windows name nodes, so they keep their names where they can.
            names=seen.names if len(seen.names) == seen.usual else (),
            cores=max(seen.cores, 1),
            memory=seen.memory_bytes,
        )
    overheads = site.overheads or overheads_of(past.state)
    return dataclasses.replace(site, overheads=overheads)


def forecast_from(
    past: Past, question: Question, asked: Asked, *, begin_s: float
) -> Forecast:
    """Forecast from a past.

    Parameters
    ----------
    past : Past
        All that is known.
    question : Question
        What is asked.
    asked : Asked
        Of which campaign.
    begin_s : float
        Now, UTC seconds, not before the past ends.

    Returns
    -------
    Forecast
        Of the rest of the month and whole ones after it.

    Raises
    ------
    InvalidInputError
        With every fault of plan and site, or every stage nobody knows the cost of.
    BackendError
        If a process died.
    """
    edges_s = edges_of(begin_s, question.months)
    known, notes = prospect_from(past, question, asked, edges_s)
    outlook = _outlook(past, question)
    return assemble(
        known,
        worlds_from(past, known, question, asked),
        campaign=asked.campaign,
        mode="quick" if question.quick else "twin",
        outlook=outlook,
        power=question.power,
        notes=notes,
    )


def worlds_from(
    past: Past, known: Prospect, question: Question, asked: Asked
) -> tuple[Unfolded, ...]:
    """Play all worlds of a question.

    Parameters
    ----------
    past, question, asked
        As for `forecast_from`.
    known : Prospect
        What worlds are drawn from.
    """
    if question.quick:
        once = partial(side_by_side, quickly, known)
        return once(question.worlds, processes=question.processes)
    site = site_of(past, question)
    play = Play(
        state=past.state,
        # A new driver tries again what has failed, and nobody has said that there is
        # to be one.
        facts=(*asked.facts, *(PauseRequested(simulation=n) for n in _failed(past))),
        policies=asked.policies,
        workflows=_bound(question, asked),
        site=site,
        begin_s=known.edges_s[0],
        until_s=known.edges_s[-1] - known.edges_s[0],
        # Strides look ahead by what segments have taken, not by what a user says.
        coarse=site.loads is None and site.costs is None,
    )
    return foresee(
        Foreseen(known=known, play=play),
        question.worlds,
        processes=question.processes,
    )


def prospect_from(
    past: Past, question: Question, asked: Asked, edges_s: tuple[float, ...]
) -> tuple[Prospect, list[str]]:
    """Check what is asked, and learn what there is to learn.

    Parameters
    ----------
    past, question, asked
        As for `forecast_from`.
    edges_s : tuple of float
        Of the pieces of time, UTC seconds.

    Returns
    -------
    tuple of (Prospect, list of str)
        What worlds are drawn from; what was assumed.

    Raises
    ------
    InvalidInputError
        As for `forecast_from`.
    """
    site = site_of(past, question)
    left = left_of(past.state, asked.facts)
    projects = {DEFAULT_PROJECT, *past.state.projects, *(x.project for x in left)}
    projects |= {f.project.name for f in asked.facts if isinstance(f, ProjectDeclared)}
    _require_fit(question.plan, left, site.nodes, projects)
    slips = slippage(question.plan, past.seen.submitted_s)
    given = site.costs or Costs()
    places = [
        (plan.workflow, stage.name)
        for plan in (*(x.plan for x in left), *(a.plan for a in question.plan))
        for stage in plan.stages
    ]
    known = prospect(
        past.state,
        left,
        plan=question.plan,
        workflows=_bound(question, asked),
        ledger=past.ledger,
        seen=past.seen,
        slips=slips,
        nodes=site.nodes,
        edges_s=edges_s,
        given=[place for place in places if given.of(*place) is not None],
        wait_s=question.wait_s,
    )
    return known, list(_notes(past, question, known, site))


def _require_fit(
    plan: tuple[Activity, ...], left: Iterable[Left], nodes: int, projects: set[str]
) -> None:
    """Refuse what can never run, all of it at once."""
    faults = [
        *plan_faults(plan, most_nodes=nodes, projects=projects),
        *(
            Fault(
                place=f"simulation {x.name!r}, nodes",
                problem=f"needs {x.plan.nodes} nodes at once, there are {nodes}",
                remedy="give a site that is large enough, or cancel it",
            )
            for x in left
            if x.plan.nodes > nodes
        ),
    ]
    if faults:
        raise InvalidInputError("this cannot be forecast", faults=faults)


def _notes(
    past: Past, question: Question, known: Prospect, site: TwinSite
) -> Iterable[str]:
    """Say what was assumed."""
    if question.site is None:
        yield f"On {site.nodes} nodes, as many as there mostly were lately."
    if past.ledger.gaps:
        yield (
            f"{len(past.ledger.gaps)} times a driver died while nodes were held: what "
            "they did then is not known, and taken as nothing."
        )
    if not past.seen.pieces:
        yield "No segment was ever finished: everything rests on guesses."
    still = [*_failed(past)]
    still += [
        s.name
        for s in past.state.simulations.values()
        if s.control is Control.PAUSED and not s.complete
    ]
    if still:
        yield f"Paused or failed, and taken to stay so: {', '.join(sorted(still))}."
    if known.planned and not known.slips.seen:
        yield "Nobody knows how late plans are here: a week, give or take two."
    if question.quick:
        yield "Without the twin: each simulation runs through once it has its nodes."


def _bound(question: Question, asked: Asked) -> dict[str, Workflow]:
    """Return the workflows of the script and those of its plan, templates included."""
    found = dict(asked.workflows)
    for activity in question.plan:
        for workflow in (activity.workflow, *activity.workflow.templates):
            found.setdefault(workflow.name, workflow)
    return found


def _failed(past: Past) -> Iterable[str]:
    """Name what has failed and is not tried again."""
    for s in past.state.simulations.values():
        if s.failed is not None and s.control is Control.RUN and not s.complete:
            yield s.name


def _outlook(past: Past, question: Question) -> Outlook | None:
    history = question.history or history_of_ledger(past.ledger)
    if len(history) < LEVEL_MONTHS:
        return None
    return forecast_series(history, months=question.months)
