"""What people want beside what is drawn everywhere: one part of `drawing`.

Wishes from other processes, which may be told again; pins; budgets that change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from climorch.model import events as e
from climorch.testing.seeds.case import Case, Event, Tell
from climorch.testing.seeds.features import Shares

if TYPE_CHECKING:
    import numpy as np

__all__ = ["wished"]

T = TypeVar("T")
HOUR_S = 3600.0
SPAN_S = 6 * HOUR_S


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def wished(case: Case, rng: np.random.Generator, shares: Shares) -> Case:
    """Let people ask for more, from other processes too, and change budgets.

    Parameters
    ----------
    case : Case
        With the wishes that were drawn before.
    rng : numpy.random.Generator
        Says what.
    shares : Shares
        In which share of the cases there is what.
    """
    events: list[Event] = list(case.events)
    if rng.random() < shares.inbox:
        events = _through_the_inbox(case, rng)
    if rng.random() < shares.pins:
        events += _pins(case, rng)
    if rng.random() < shares.budgets:
        events += _budgets(case, rng)
    events.sort(key=lambda event: event.at_s)
    return dataclasses.replace(case, events=tuple(events))


def _names(case: Case) -> list[str]:
    return [x.simulation for x in case.facts if isinstance(x, e.SimulationSubmitted)]


def _through_the_inbox(case: Case, rng: np.random.Generator) -> list[Event]:
    """Let wishes come from other processes, and be told again later."""
    events: list[Event] = []
    wishes = [*case.events, *_more_wishes(case, rng)]
    for serial, event in enumerate(wishes):
        wish = event.fact if isinstance(event, Tell) else None
        if not isinstance(wish, e.Wish) or rng.random() < 0.3:
            events.append(event)
            continue
        taken = e.WishTaken(
            id=f"{serial:020d}-0123456789ab", by="me", given_s=event.at_s, wish=wish
        )
        events.append(Tell(at_s=event.at_s, fact=taken))
        if rng.random() < 0.3:
            again_s = event.at_s + _pick(rng, (1.0, HOUR_S))
            events.append(Tell(at_s=again_s, fact=taken))
    return events


def _more_wishes(case: Case, rng: np.random.Generator) -> list[Tell]:
    """Let somebody pause, resume, cancel and prefer simulations in mid-run."""
    found = []
    names = _names(case)
    for _ in range(rng.poisson(1.5)):
        name, at_s = _pick(rng, names), rng.random() * SPAN_S
        wishes: tuple[e.Wish, ...] = (
            e.PauseRequested(simulation=name),
            e.PauseRequested(simulation=name),
            e.ResumeRequested(simulation=name),
            e.CancelRequested(simulation=name),
            e.PriorityRequested(simulation=name, priority=int(rng.integers(-2, 3))),
            e.DrainRequested(node=_pick(rng, case.site.node_names)),
        )
        found.append(Tell(at_s=at_s, fact=_pick(rng, wishes)))
    return found


def _pins(case: Case, rng: np.random.Generator) -> list[Event]:
    """Let somebody keep a checkpoint for a while."""
    found: list[Event] = []
    facts = [x for x in case.facts if isinstance(x, e.SimulationSubmitted)]
    for _ in range(int(rng.integers(1, 4))):
        fact = _pick(rng, facts)
        own = _pick(rng, fact.plan.sets)
        boundary, at_s = int(rng.integers(1, own.last + 1)), rng.random() * SPAN_S
        pinned = e.PinRequested(
            simulation=fact.simulation, set=own.name, boundary=boundary
        )
        found.append(Tell(at_s=at_s, fact=pinned))
        if rng.random() < 0.5:
            unpinned = e.UnpinRequested(
                simulation=fact.simulation, set=own.name, boundary=boundary
            )
            found.append(Tell(at_s=at_s + HOUR_S, fact=unpinned))
    return found


def _budgets(case: Case, rng: np.random.Generator) -> list[Event]:
    """Let budgets of node-hours be cut to what ends half-way, and be raised again."""
    found: list[Event] = []
    for fact in case.facts:
        if not isinstance(fact, e.ProjectDeclared):
            continue
        project, at_s = fact.project, rng.random() * SPAN_S / 2
        for more in (1.0, _pick(rng, (1.0, 4.0, 1000.0))):
            budget = more * _pick(rng, (0.5, 2.0, 5.0))
            changed = msgspec.structs.replace(project, budget_node_hours=budget)
            found.append(Tell(at_s=at_s, fact=e.ProjectDeclared(project=changed)))
            at_s += _pick(rng, (600.0, 2 * HOUR_S))
    return found
