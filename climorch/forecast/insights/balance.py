"""Coupled stages that wait for each other: how nodes should be split among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from climorch.core.stretch import way_of
from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.model.plan import SetPlan

__all__ = ["balance", "best_split"]

# Segments of each stage that must have been computed; ours.
LEAST_SEGMENTS = 3
LEAST_GAIN = 0.05


def balance(study: Study) -> Iterator[Finding]:
    """Find sets whose stages would be done earlier with other shares of the nodes.

    Stages are taken to scale: half of the nodes, twice the time. Stages that can only
    run in turn have all nodes already, and nothing is found about them.
    """
    for about, group in study.groups():
        plan = group[0][1].plan
        if len(plan.stages) < 2 or plan.last < 1:
            continue
        takes_s: dict[str, float] = {}
        for stage in plan.stages:
            of = [simulation.stages[stage.name] for simulation, _ in group]
            segments = sum(x.segments for x in of)
            if segments >= LEAST_SEGMENTS:
                seconds = sum(x.seconds - x.vain_s for x in of)
                takes_s[stage.name] = seconds / segments
        if len(takes_s) < len(plan.stages):
            continue
        asked = {stage.name: stage.resources.nodes for stage in plan.stages}
        split = best_split(plan, takes_s)
        before_s = way_of(plan, 0, takes_s)
        after_s = way_of(plan, 0, _scaled(takes_s, asked, split))
        gain = 1 - after_s / before_s
        if gain < LEAST_GAIN:
            continue
        whole = sum(s.whole_node_s for _, s in group)
        busy = sum(s.busy_node_s for _, s in group)
        said = ", ".join(f"{name!r} {nodes}" for name, nodes in split.items())
        yield Finding(
            kind=Kind.BALANCE,
            about=about,
            message=f"stages wait for each other: {1 - busy / whole:.0%} of the "
            "node-time is not used while some of them compute",
            evidence={f"{name}_segment_s": s for name, s in takes_s.items()}
            | {"coupling_cost": 1 - busy / whole, "stretch_s": before_s},
            gain=gain,
            of=Gain.TIME,
            change=f"give stages these nodes: {said}",
            settings={f"{name}.nodes": float(nodes) for name, nodes in split.items()},
        )


def best_split(plan: SetPlan, takes_s: Mapping[str, float]) -> dict[str, int]:
    """Return the shares of a set's nodes with which it is done earliest.

    Moves nodes from one stage to another while that helps, many at first.

    Parameters
    ----------
    plan : SetPlan
        The set, with the nodes that its stages ask for now.
    takes_s : mapping of str to float
        Seconds of a segment of each stage with these.

    Returns
    -------
    dict of str to int
        By stage; in all no more than now, each at least one.
    """
    asked = {stage.name: stage.resources.nodes for stage in plan.stages}
    best = dict(asked)
    best_s = way_of(plan, 0, takes_s)
    step = max(asked.values()) // 2 or 1
    while step:
        moved = False
        for giver in asked:
            for taker in asked:
                tried = dict(best)
                tried[giver] -= step
                tried[taker] += step
                if giver == taker or tried[giver] < 1:
                    continue
                if _nodes(plan, tried) > plan.nodes:
                    continue
                tried_s = way_of(plan, 0, _scaled(takes_s, asked, tried))
                if tried_s < best_s * (1 - 1e-9):
                    best, best_s, moved = tried, tried_s, True
        if not moved:
            step //= 2
    return best


def _scaled(
    takes_s: Mapping[str, float], asked: Mapping[str, int], split: Mapping[str, int]
) -> dict[str, float]:
    return {name: s * asked[name] / split[name] for name, s in takes_s.items()}


def _nodes(plan: SetPlan, split: Mapping[str, int]) -> int:
    """Return the nodes that a set asks for with other shares."""
    stages = tuple(
        msgspec.structs.replace(
            stage,
            resources=msgspec.structs.replace(
                stage.resources, nodes=split[stage.name], max_nodes=None
            ),
        )
        for stage in plan.stages
    )
    return SetPlan(name=plan.name, stages=stages).nodes
