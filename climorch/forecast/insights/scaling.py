"""Leases wider than is used well."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.stretch import way_of
from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.timings import SetTimes, SimulationTimes, Width

__all__ = ["scaling"]

# Segments of each stage on a width that must have been computed; ours.
LEAST_SEGMENTS = 3
LEAST_GAIN = 0.05
# Share of what the narrowest lease gives per node that a wider one must give.
EFFICIENT = 0.7

Group = list[tuple[SimulationTimes, SetTimes]]


def scaling(study: Study) -> Iterator[Finding]:
    """Find sets that were computed on widths of which the narrower is used better."""
    for about, group in _by_set(study):
        widths = _measured(group)
        if len(widths) < 2:
            continue
        narrow = min(widths)
        # Nodes times seconds of one stretch: what the same work costs on each width.
        costs = {n: n * s for n, s in widths.items()}
        efficiency = {n: costs[narrow] / cost for n, cost in costs.items()}
        best = max(n for n, share in efficiency.items() if share >= EFFICIENT)
        wider = [n for n in widths if n > best]
        spent = {n: _node_s(group, n) for n in widths}
        spared = sum(spent[n] * (1 - costs[best] / costs[n]) for n in wider)
        whole = sum(spent.values())
        gain = spared / whole if whole else 0.0
        if not wider or gain < LEAST_GAIN:
            continue
        widest = max(widths)
        yield Finding(
            kind=Kind.SCALING,
            about=about,
            message=f"{widest} nodes give {efficiency[widest]:.0%} of what "
            f"{narrow} give, per node",
            evidence={f"stretch_s_on_{n}": s for n, s in sorted(widths.items())}
            | {f"efficiency_on_{n}": efficiency[n] for n in sorted(widths)},
            gain=gain,
            of=Gain.NODE_HOURS,
            change=f"let leases have no more than {best} nodes: max_nodes={best}; "
            f"a stretch takes {widths[best] / widths[widest]:.1f} times as long then",
            settings={"max_nodes": float(best)},
        )


def _by_set(study: Study) -> Iterator[tuple[str, Group]]:
    """Return sets of one workflow, whatever nodes they ask for."""
    found: dict[str, Group] = {}
    for about, group in study.groups():
        found.setdefault(about, []).extend(group)
    yield from found.items()


def _measured(group: Group) -> dict[int, float]:
    """Return the seconds of a stretch, by the widths that every stage was on."""
    plan = group[0][1].plan
    if plan.last < 1:
        return {}
    of_stage: dict[str, dict[int, Width]] = {}
    for simulation, s in group:
        for stage in s.plan.stages:
            of = of_stage.setdefault(stage.name, {})
            for nodes, width in simulation.stages[stage.name].widths.items():
                sums = of.setdefault(nodes, Width())
                sums.count += width.count
                sums.seconds += width.seconds
    known = [
        {n for n, width in of.items() if n and width.count >= LEAST_SEGMENTS}
        for of in of_stage.values()
    ]
    return {
        n: way_of(plan, 0, {name: of[n].mean_s for name, of in of_stage.items()})
        for n in sorted(set.intersection(*known))
    }


def _node_s(group: Group, nodes: int) -> float:
    return nodes * sum(
        width.seconds
        for simulation, s in group
        for stage in s.plan.stages
        if (width := simulation.stages[stage.name].widths.get(nodes)) is not None
    )
