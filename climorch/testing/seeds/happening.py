"""What happens to a campaign, drawn: faults of machines, wishes of people.

One part of `drawing`. Times lie where a small campaign is under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.windows import Window
from climorch.testing.seeds.case import (
    KINDS,
    Cut,
    Death,
    Event,
    Extend,
    Poison,
    Rot,
    Stop,
    Strike,
    Tell,
    Trouble,
)

if TYPE_CHECKING:
    import numpy as np

__all__ = ["draw_events", "draw_poison", "draw_troubles"]

T = TypeVar("T")
HOUR_S = 3600.0
# Most campaigns that are drawn are over by then.
SPAN_S = 6 * HOUR_S


def _pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    return values[int(rng.integers(len(values)))]


def draw_events(
    rng: np.random.Generator,
    nodes: Sequence[str],
    submitted: Sequence[e.SimulationSubmitted],
    later: Sequence[e.SimulationSubmitted],
    projects: Sequence[str],
    *,
    real: bool,
) -> tuple[Event, ...]:
    """Draw what happens, by time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Says what.
    nodes : sequence of str
        Of the site.
    submitted, later : sequence of SimulationSubmitted
        All simulations, and those that are submitted while others run.
    projects : sequence of str
        Theirs.
    real : bool
        Whether the power may go: once, then.
    """
    names = [s.simulation for s in submitted]
    events: list[Event] = [
        Tell(at_s=rng.random() * SPAN_S / 2, fact=fact) for fact in later
    ]
    events += [_strike(rng, nodes) for _ in range(rng.poisson(2.0))]
    events += [_wish(rng, nodes, names, projects) for _ in range(rng.poisson(2.5))]
    events += [_death(rng) for _ in range(rng.poisson(0.5))]
    if rng.random() < 0.1:
        at_s, away_s = rng.random() * SPAN_S, _pick(rng, (10.0, HOUR_S))
        events.append(Stop(at_s=at_s, away_s=away_s))
    if not real:
        events += [_rot(rng) for _ in range(rng.poisson(0.4))]
    if real:
        journal = bool(rng.random() < 0.3)
        events.append(
            Cut(
                at_s=rng.random() * SPAN_S / 3,
                operations=int(rng.integers(1, 30 if journal else 5)),
                journal=journal,
                away_s=_pick(rng, (10.0, HOUR_S)),
            )
        )
    return tuple(sorted(events, key=lambda event: event.at_s))


def _death(rng: np.random.Generator) -> Death:
    return Death(
        at_s=rng.random() * SPAN_S,
        decisions=int(rng.integers(1, 6)),
        journaled=bool(rng.random() < 0.5),
        away_s=_pick(rng, (1.0, 100.0, HOUR_S)),
    )


def _rot(rng: np.random.Generator) -> Rot:
    return Rot(
        at_s=rng.random() * SPAN_S,
        pick=int(rng.integers(4)),
        scrubbed=bool(rng.random() < 0.5),
    )


def _strike(rng: np.random.Generator, nodes: Sequence[str]) -> Strike:
    """Draw a loss: of one node, of a rack, of the system."""
    first = int(rng.integers(len(nodes)))
    size = _pick(rng, (1, 1, 1, 3, len(nodes)))
    return Strike(
        at_s=rng.random() * SPAN_S,
        nodes=tuple(nodes[first : first + size] if size < len(nodes) else nodes),
        lasts_s=_pick(rng, (2.0, 600.0, HOUR_S)),
    )


def _wish(
    rng: np.random.Generator,
    nodes: Sequence[str],
    names: Sequence[str],
    projects: Sequence[str],
) -> Event:
    """Draw what somebody asks for."""
    at_s, name = rng.random() * SPAN_S, _pick(rng, names)
    node = _pick(rng, nodes)
    match int(rng.integers(12)):
        case 0 | 1:
            return Tell(at_s=at_s, fact=e.PauseRequested(simulation=name))
        case 2 | 3 | 4:
            return Tell(at_s=at_s, fact=e.ResumeRequested(simulation=name))
        case 5:
            return Tell(at_s=at_s, fact=e.CancelRequested(simulation=name))
        case 6:
            priority = int(rng.integers(-2, 3))
            fact = e.PriorityRequested(simulation=name, priority=priority)
            return Tell(at_s=at_s, fact=fact)
        case 7:
            return Tell(at_s=at_s, fact=e.DrainRequested(node=node))
        case 8:
            return Tell(at_s=at_s, fact=e.UndrainRequested(node=node))
        case 9:
            more, gang = _pick(rng, (-1, 1, 2)), int(rng.integers(1, 3))
            return Extend(at_s=at_s, simulation=name, more=more, nodes=gang)
        case _:
            window = _window(rng, nodes, (*names, *projects, "others", ""), at_s)
            return Tell(at_s=at_s, fact=e.WindowDeclared(window=window))


def _window(
    rng: np.random.Generator,
    nodes: Sequence[str],
    holders: Sequence[str],
    at_s: float,
) -> Window:
    """Draw maintenance or a reservation."""
    start_s = at_s + _pick(rng, (0.0, 600.0, 2 * HOUR_S))
    few = sorted({_pick(rng, nodes) for _ in range(int(rng.integers(0, 3)))})
    return Window(
        name=_pick(rng, ("u", "v")),
        start_s=start_s,
        stop_s=start_s + _pick(rng, (900.0, 3 * HOUR_S)),
        nodes=tuple(few),
        count=0 if few else int(rng.integers(0, len(nodes))),
        hard=bool(rng.random() < 0.6),
        holder=_pick(rng, holders) if rng.random() < 0.5 else "",
    )


CAUSES = {
    "segment": (*3 * (Cause.NUMERICAL,), Cause.MODEL, Cause.MEMORY, Cause.NOT_DURABLE),
    "restore": (Cause.STORAGE, Cause.MEMORY, Cause.NODE_LOST),
    "checkpoint": (*2 * (Cause.STORAGE,), Cause.NOT_DURABLE, Cause.NUMERICAL),
}


def draw_troubles(rng: np.random.Generator) -> tuple[Trouble, ...]:
    """Draw what becomes of the answers of the world.

    Parameters
    ----------
    rng : numpy.random.Generator
        Says what.
    """
    found = []
    for _ in range(rng.poisson(3.0)):
        kind = _pick(rng, KINDS)
        rare = kind in ("restore", "damage", "copy", "rule")
        found.append(
            Trouble(
                kind=kind,
                nth=int(rng.integers(3 if rare else 25)),
                cause=_pick(rng, CAUSES.get(kind, (Cause.STORAGE,))),
            )
        )
    if rng.random() < 0.15:
        # The storage takes nothing for a while.
        first = int(rng.integers(6))
        found += [
            Trouble(kind="checkpoint", nth=n)
            for n in range(first, first + int(rng.integers(3, 12)))
        ]
    return tuple(found)


def draw_poison(
    rng: np.random.Generator, submitted: Sequence[e.SimulationSubmitted]
) -> tuple[Poison, ...]:
    """Draw, now and then, a segment that takes its nodes down.

    Parameters
    ----------
    rng : numpy.random.Generator
        Says which.
    submitted : sequence of SimulationSubmitted
        Whose it may be.
    """
    if rng.random() > 0.08:
        return ()
    victim = _pick(rng, submitted)
    stage = _pick(rng, victim.plan.stages)
    return (
        Poison(
            simulation=victim.simulation,
            stage=stage.name,
            segment=int(rng.integers(stage.segments)),
            times=_pick(rng, (1, 4, 60)),
        ),
    )
