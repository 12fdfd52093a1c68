"""Stages that ask for more memory than they use, or for less."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study

__all__ = ["memory"]

# Segments of which the memory was measured; ours.
LEAST_SEGMENTS = 3
# What is asked for should be this many times what was used at most.
SPARE = 1.25
# Above so many times it is too much; less than `TIGHT` times is too little.
TOO_MUCH = 2.0
TIGHT = 1.05


def memory(study: Study) -> Iterator[Finding]:
    """Find stages whose `Resources(memory=...)` is far from what they used."""
    nodes = study.times.memory.values()
    for about, group in study.groups():
        for stage in group[0][1].plan.stages:
            of = [simulation.stages[stage.name] for simulation, _ in group]
            used = max(x.usage.memory_bytes for x in of)
            if not used or sum(x.measured for x in of) < LEAST_SEGMENTS:
                continue
            asked = stage.resources.memory_bytes
            better = int(used * SPARE)
            place = f"{about}, stage {stage.name!r}"
            evidence = {"asked_bytes": float(asked), "used_bytes": float(used)}
            may = sum(not size or size >= asked for size in nodes)
            could = sum(not size or size >= better for size in nodes)
            whole = study.held_node_s
            if asked > TOO_MUCH * used and could > may:
                yield Finding(
                    kind=Kind.MEMORY_OVER,
                    about=place,
                    message=f"it asks for {_gib(asked)} and used {_gib(used)} at most",
                    evidence=evidence | {"nodes_now": may, "nodes_then": could},
                    gain=(could - may) / may if may else 1.0,
                    of=Gain.NODES,
                    change=f"memory={better}: {could} nodes will do instead of {may}",
                    settings={"memory_bytes": float(better)},
                )
            elif asked < TIGHT * used and could < may and whole:
                lost = study.lost_to_memory_s / whole
                yield Finding(
                    kind=Kind.MEMORY_UNDER,
                    about=place,
                    message=f"it asks for {_gib(asked)} and used {_gib(used)}",
                    evidence=evidence | {"nodes_now": may, "nodes_then": could},
                    gain=lost,
                    of=Gain.NODE_HOURS,
                    change=f"memory={better}, so that it runs on nodes that have that",
                    settings={"memory_bytes": float(better)},
                )


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
