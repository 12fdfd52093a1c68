"""From worlds that were played to one forecast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from climorch.core.state import CampaignState
from climorch.forecast.entries import HOUR_S, TB_MONTH, Power
from climorch.forecast.projection import Completion, Forecast, completion_of
from climorch.forecast.reconciling import Reconciled, reconcile
from climorch.forecast.series import Outlook
from climorch.forecast.trust import trusted
from climorch.forecast.unfolded import Unfolded
from climorch.forecast.worlds import Prospect

__all__ = ["assemble"]

MONTH_S = 365.2425 / 12 * 86_400.0

Array = npt.NDArray[np.float64]


def assemble(
    known: Prospect,
    several: Sequence[Unfolded],
    *,
    campaign: str,
    mode: str,
    outlook: Outlook | None = None,
    power: Power | None = None,
    notes: Iterable[str] = (),
) -> Forecast:
    """Make a forecast of worlds.

    Parameters
    ----------
    known : Prospect
        What they were drawn from.
    several : sequence of Unfolded
        At least one.
    campaign, mode, outlook, power
        As `Forecast` has them.
    notes : iterable of str
        What was assumed.

    Returns
    -------
    Forecast
        Reconciled with ``outlook`` as far as that is of worth, never above what there
        is to use.
    """
    pieces = list(pairwise(known.edges_s))
    capacity = tuple(known.nodes * (b - a) / HOUR_S for a, b in pieces)
    projects = tuple(
        dict.fromkeys(
            [*known.state.projects, *(p for c in several for p in c.projects.values())]
        )
    )
    hours, moved = _hours(known, several, projects, capacity, outlook)
    told = [*notes, moved.note, _crowded(hours, capacity)]
    told += [note for c in several for note in c.notes]
    nodes = known.seen.nodes
    return Forecast(
        campaign=campaign,
        mode=mode,
        edges_s=known.edges_s,
        projects=projects,
        node_hours=_frozen(hours),
        tb_months=_frozen(_stored(known, several, projects)),
        capacity_node_hours=capacity,
        completions=tuple(_completions(known, several)),
        trust=trusted(
            known.costing,
            known.needed,
            slips=known.slips,
            failures=nodes.failures,
            outages=len(nodes.outages),
        ),
        outlook=outlook,
        power=power,
        notes=tuple(dict.fromkeys(note for note in told if note)),
    )


def _hours(
    known: Prospect,
    several: Sequence[Unfolded],
    projects: tuple[str, ...],
    capacity: tuple[float, ...],
    outlook: Outlook | None,
) -> tuple[Array, Reconciled]:
    """Add up node-hours by draw, project and piece, reconciled and within capacity."""
    empty = (0.0,) * len(capacity)
    hours = np.array(
        [[c.node_s.get(p, empty) for p in projects] for c in several], float
    ).reshape(len(several), len(projects), len(capacity))
    hours /= HOUR_S
    moved = reconcile(_as_long(hours.sum(axis=(1, 2)), known, outlook), outlook)
    hours *= moved.factor
    used = hours.sum(axis=1, keepdims=True)
    hours *= np.minimum(1.0, np.array(capacity) / np.maximum(used, 1e-9))
    return hours, moved


def _frozen(table: Array) -> tuple[tuple[tuple[float, ...], ...], ...]:
    return tuple(tuple(tuple(map(float, row)) for row in one) for one in table)


def _as_long(totals: Array, known: Prospect, outlook: Outlook | None) -> list[float]:
    """Return totals as of the months of an outlook, which are whole."""
    if outlook is None:
        return []
    months = (known.edges_s[-1] - known.edges_s[0]) / MONTH_S
    return [float(x) for x in totals * (len(outlook.months) / months)]


def _crowded(hours: Array, capacity: tuple[float, ...]) -> str:
    """Say so where there is more to do than there are nodes for."""
    full = np.median(hours.sum(axis=1), axis=0) > 0.9 * np.array(capacity)
    if not full.any():
        return ""
    return (
        f"{int(full.sum())} of {len(capacity)} months are limited by the nodes: what "
        "does not fit comes later, see the completions."
    )


def _completions(known: Prospect, several: Sequence[Unfolded]) -> Iterable[Completion]:
    names = {x.name: (x.project, False) for x in known.left}
    names |= {a.name: (a.scenario.project, True) for a in known.planned}
    for c in several:
        # Those that rules add.
        for name in c.projects:
            if name not in names and name not in known.state.simulations:
                names[name] = (c.projects[name], True)
    for name, (project, planned) in names.items():
        ends = [c.ended_s.get(name, math.inf) for c in several]
        yield completion_of(name, project, ends, planned=planned)


def _stored(
    known: Prospect, several: Sequence[Unfolded], projects: tuple[str, ...]
) -> Array:
    """Add up what checkpoints take: each simulation's, from its begin on.

    Retention keeps the newest few, so a simulation that has run for a while takes what
    it takes; one that has not takes what its kin do.
    """
    levels, usual = _levels(known.state)
    workflows = {x.name: x.plan.workflow for x in known.left}
    workflows |= {a.name: a.plan.workflow for a in known.plan}
    pieces = list(pairwise(known.edges_s))
    table = np.zeros((len(several), len(projects), len(pieces)))
    if not levels:
        return table * math.nan
    for draw, c in enumerate(several):
        owners = {s.name: s.scenario.project for s in known.state.simulations.values()}
        for name, project in (owners | dict(c.projects)).items():
            kin = usual.get(workflows.get(name, ""), 0.0)
            level = levels.get(name) or kin
            since_s = 0.0 if name in levels else c.begun_s.get(name, math.inf)
            for at, (start_s, stop_s) in enumerate(pieces):
                span_s = max(stop_s - max(start_s, since_s), 0.0)
                table[draw, projects.index(project), at] += level * span_s / TB_MONTH
    return table


def _levels(state: CampaignState) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the bytes that simulations take now, and those of a kind mostly do."""
    own = {
        s.name: float(sum(x.stored_bytes for x in s.sets.values()))
        for s in state.simulations.values()
    }
    levels = {name: size for name, size in own.items() if size > 0}
    kinds: dict[str, list[float]] = {}
    for name, size in levels.items():
        kinds.setdefault(state.simulations[name].plan.workflow, []).append(size)
    return levels, {kind: median(sizes) for kind, sizes in kinds.items()}
