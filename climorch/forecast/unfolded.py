"""One world that may come: who holds how many nodes when, and what ends when.

What a twin, or the quick sum in `fluid`, hands over to `projection`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from climorch.forecast.periods import month_begin_s

__all__ = ["Hold", "Unfolded", "edges_of", "labels_of", "unfolded"]


class Hold(NamedTuple):
    """Nodes that a simulation holds from one moment to another, UTC seconds."""

    simulation: str
    project: str
    nodes: int
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    """One world.

    Attributes
    ----------
    seed : int
        Of it.
    node_s : mapping of str to tuple of float
        Node-seconds held, by project and piece of time.
    begun_s, ended_s : mapping of str to float
        When simulations first held nodes, and were done; UTC seconds.
    projects : mapping of str to str
        Of every simulation in it, whether it got anywhere or not.
    notes : tuple of str
        What could not be played.
    """

    seed: int
    node_s: Mapping[str, tuple[float, ...]]
    begun_s: Mapping[str, float]
    ended_s: Mapping[str, float]
    projects: Mapping[str, str]
    notes: tuple[str, ...] = ()


def edges_of(begin_s: float, months: int) -> tuple[float, ...]:
    """Cut the time to come at the begins of months.

    Parameters
    ----------
    begin_s : float
        Now, UTC seconds.
    months : int
        Whole months, >= 1.

    Returns
    -------
    tuple of float
        Now; the begin of the next month, unless a month begins now; and so on. So what
        is left of the present month is a piece of its own.
    """
    here = begin_s == month_begin_s(begin_s)
    later = [month_begin_s(begin_s, later=k + (not here)) for k in range(months + 1)]
    return tuple(later) if here else (begin_s, *later)


def labels_of(edges_s: tuple[float, ...]) -> tuple[str, ...]:
    """Name the pieces between edges: ``YYYY-MM``."""
    return tuple(f"{datetime.fromtimestamp(e, UTC):%Y-%m}" for e in edges_s[:-1])


def unfolded(
    seed: int,
    holds: Iterable[Hold],
    *,
    edges_s: tuple[float, ...],
    ended_s: Mapping[str, float],
    projects: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> Unfolded:
    """Add up a world.

    Parameters
    ----------
    seed : int
        Of it.
    holds : iterable of Hold
        Who held nodes.
    edges_s : tuple of float
        Of the pieces of time, ascending, UTC seconds.
    ended_s, projects, notes
        As `Unfolded` has them.
    """
    pieces = list(pairwise(edges_s))
    node_s: dict[str, list[float]] = {}
    begun_s: dict[str, float] = {}
    for hold in holds:
        sums = node_s.setdefault(hold.project, [0.0] * len(pieces))
        first_s = begun_s.get(hold.simulation, hold.start_s)
        begun_s[hold.simulation] = min(first_s, hold.start_s)
        for at, (since_s, until_s) in enumerate(pieces):
            span_s = min(hold.stop_s, until_s) - max(hold.start_s, since_s)
            if span_s > 0:
                sums[at] += hold.nodes * span_s
    return Unfolded(
        seed=seed,
        node_s={project: tuple(sums) for project, sums in node_s.items()},
        begun_s=begun_s,
        ended_s=dict(ended_s),
        projects=dict(projects),
        notes=notes,
    )
