"""Promise in the core: asks the rule, project by project, and tells what changed.

The answer is a decision in the journal. So replay has it, a restart keeps it, and
`explain` can say which numbers nodes went by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from climorch.core.prospecting import prospects_of
from climorch.core.standing import Standing
from climorch.core.state import CampaignState, SimulationState
from climorch.errors import InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.promising import Correlated, Promised, PromiseRanked
from climorch.policy.prospects import (
    Promise,
    PromiseRule,
    Prospect,
    Ranking,
)
from climorch.policy.simple_promise import SubmissionOrder

__all__ = ["Ranks", "promise_factors", "rank_project"]

DIGITS = 6


# What may change what is promised. Others of a kind that is not here: nodes, windows,
# segments that are not committed.
TELLING = (
    e.CancelRequested,
    e.PauseRequested,
    e.PriorityRequested,
    e.RemedyGiven,
    e.ResumeRequested,
    e.ScoreEvaluated,
    e.ScoreFailed,
    e.SetAdvanced,
    e.SimulationChanged,
    e.SimulationSubmitted,
    c.AskRemedy,
    c.RolledBack,
    c.SegmentCommitted,
    c.SetDropped,
    c.SetLease,
    c.SimulationFailed,
)


class Ranks:
    """Knows of which projects the promise must be judged again.

    None of it is memory: a driver that starts judges all of them.

    Parameters
    ----------
    rule : PromiseRule or None
        None: there is no promise; what an earlier rule left is taken back.
    """

    def __init__(self, rule: PromiseRule | None) -> None:
        self._rule = rule
        self._due: set[str] = set()

    def note(self, state: CampaignState, record: c.Record) -> None:
        """See whether a record that was applied may change what is promised."""
        match record:
            case e.DriverStarted():
                self._due |= state.promises.keys()
                if self._rule is not None:
                    own = state.simulations.values()
                    self._due |= {s.scenario.project for s in own}
            case _ if self._rule is None:
                pass
            case e.WishTaken():
                self.note(state, record.wish)
            case e.RuleEvaluated():
                for consequence in record.consequences:
                    self.note(state, consequence)
            case _ if isinstance(record, TELLING):
                simulation = state.simulations.get(record.simulation)
                if simulation is not None:
                    self._due.add(simulation.scenario.project)
            case _:
                pass

    def due(self, state: CampaignState) -> Iterator[PromiseRanked]:
        """Judge whatever is due.

        Parameters
        ----------
        state : CampaignState
            Must have every yielded decision applied before the next is asked for.

        Yields
        ------
        PromiseRanked
            Where anything is new.
        """
        projects, self._due = sorted(self._due), set()
        for project in projects:
            yield from rank_project(state, project, self._rule)


def rank_project(
    state: CampaignState, project: str, rule: PromiseRule | None
) -> Iterator[PromiseRanked]:
    """Ask the rule about a project; tell where that is something new.

    Parameters
    ----------
    state : CampaignState
        What is known.
    project : str
        Which.
    rule : PromiseRule or None
        None: turns decide, as without promise.

    Yields
    ------
    PromiseRanked
        At most one.
    """
    if rule is None:
        if project in state.promises:
            yield PromiseRanked(project=project, on=False)
        return
    own = state.of_project(project)
    ranking, fault = _asked(rule, [*prospects_of(state, project)], state.now_s)
    found = {p.simulation: _promised(p) for p in ranking.order}
    by_name = {s.name: s for s in own}
    decided = PromiseRanked(
        project=project,
        order=tuple(by_name[p.simulation].serial for p in ranking.order),
        promises={
            name: promised
            for name, promised in found.items()
            if not _alike(by_name[name].standing, promised)
        },
        pauses=dict(ranking.pauses),
        correlations=tuple(
            Correlated(mark=c.mark, rank=_rounded(c.rank), samples=c.samples)
            for c in ranking.correlations
        ),
        fault=fault,
    )
    if decided.promises or _differs(state, own, decided):
        yield decided


def _differs(
    state: CampaignState, own: Sequence[SimulationState], decided: PromiseRanked
) -> bool:
    before = state.promises.get(decided.project)
    if before is None:
        return True
    places = sorted((s.standing.place, s.serial) for s in own if s.standing is not None)
    yields = {s.name: s.standing.yields for s in own if s.standing is not None}
    return (
        tuple(serial for _, serial in places),
        {name for name, why in yields.items() if why},
        before.correlations,
        before.fault,
    ) != (
        decided.order,
        set(decided.pauses),
        decided.correlations,
        decided.fault,
    )


def _asked(
    rule: PromiseRule, prospects: Sequence[Prospect], now_s: float
) -> tuple[Ranking, str]:
    """Ask the rule; where it fails, go by submission and say why."""
    try:
        ranking = rule.rank(prospects, now_s=now_s)
        _require_sound(ranking, prospects)
    # It may be a user's: whatever it raises must not stop the campaign.
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        return SubmissionOrder().rank(prospects, now_s=now_s), fault
    return ranking, ""


def _require_sound(ranking: object, prospects: Iterable[Prospect]) -> None:
    if not isinstance(ranking, Ranking):
        raise InvalidInputError(
            f"a rule of promise returned {type(ranking).__name__}, expected a Ranking"
        )
    named = sorted(p.simulation for p in ranking.order)
    wanted = sorted(p.simulation for p in prospects if p.open)
    if named != wanted:
        raise InvalidInputError(
            f"a rule of promise ranks {named}, expected each open one once: {wanted}"
        )
    holding = {p.simulation for p in prospects if p.open and p.holding}
    strange = sorted(ranking.pauses.keys() - holding)
    if strange:
        raise InvalidInputError(
            f"a rule of promise pauses {strange}, which hold no nodes"
        )


def _promised(promise: Promise) -> Promised:
    belief = promise.belief
    if belief is None:
        return Promised(
            reason=promise.reason,
            worth=_rounded(promise.worth),
            cost_node_s=_rounded(promise.cost_node_s),
        )
    return Promised(
        reason=promise.reason,
        worth=_rounded(promise.worth),
        mean=_rounded(belief.mean),
        sd=_rounded(belief.sd),
        chance=_rounded(belief.chance),
        known=belief.known,
        cost_node_s=_rounded(promise.cost_node_s),
    )


def _alike(standing: Standing | None, promised: Promised) -> bool:
    """Whether what was journaled still says why.

    Worth and cost change with every second of computing: they are told with the
    rest when anything else does.
    """
    if standing is None:
        return False
    before = standing.promised
    return (before.reason, before.mean, before.sd, before.chance, before.known) == (
        promised.reason,
        promised.mean,
        promised.sd,
        promised.chance,
        promised.known,
    )


def _rounded(number: float) -> float | None:
    # JSON knows neither NaN nor infinity.
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None


def promise_factors(
    state: CampaignState, simulation: SimulationState, rule: PromiseRule | None
) -> dict[str, Any]:
    """Say what a simulation promises, and what follows for its nodes.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    rule : PromiseRule or None
        The rule of the script.

    Returns
    -------
    dict
        Empty where promise was never judged.
    """
    project = simulation.scenario.project
    known, standing = state.promises.get(project), simulation.standing
    if known is None:
        return {}
    told: dict[str, Any] = {
        "rule": repr(rule),
        "judged at": known.at_s,
        "correlations": {
            f"mark {c.mark}": f"{c.rank} of {c.samples}" for c in known.correlations
        },
    }
    if known.fault:
        told["fault"] = known.fault
    if standing is not None:
        own = state.of_project(project)
        promised = standing.promised
        told |= {
            "place": standing.place + 1,
            "of": sum(other.standing is not None for other in own),
            "because of": promised.reason,
            "expected final margin, scaled": promised.mean,
            "standard deviation": promised.sd,
            "chance to be good enough": promised.chance,
            "finished simulations known": promised.known,
            "expected cost of the rest, node-hours": None
            if promised.cost_node_s is None
            else promised.cost_node_s / 3600,
            "worth per node-hour": promised.worth,
            "gives way": standing.yields or None,
            "nodes": len(simulation.lease),
        }
    return {"promise": told}
