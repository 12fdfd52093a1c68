"""Whether simulations wait for nodes, or nodes for simulations."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.parts import Part

__all__ = ["bound"]

# Share of the time that simulations want nodes in which they have none; ours.
MUCH_QUEUE, LITTLE_QUEUE = 0.25, 0.02
# Share of the node-time in which nobody has a lease; ours.
LITTLE_FREE, MUCH_FREE = 0.1, 0.2


def bound(study: Study) -> Iterator[Finding]:
    """Find that more nodes would help, or that fewer would do."""
    of = study.times.of.values()
    queue_s = sum(x.queue_s for x in of)
    held_s = sum(x.held_s for x in of)
    whole = study.node_s()
    if not (held_s and whole):
        return
    free = study.node_s(Part.FREE) / whole
    queue = queue_s / (queue_s + held_s)
    begin_s = min(x.submitted_s for x in of)
    end_s = max(study.ends.get(name, study.as_of_s) for name in study.times.of)
    span_s = end_s - begin_s
    nodes = whole / span_s
    evidence = {"queue_share": queue, "free_share": free, "mean_nodes": nodes}
    if queue >= MUCH_QUEUE and free <= LITTLE_FREE:
        wanted = _most_wanted(study)
        # No simulation is done before it has computed as long as it does now.
        longest_s = max(x.held_s for x in of)
        then_s = max(span_s * nodes / wanted, longest_s)
        gain = 1 - then_s / span_s
        if wanted > nodes and gain > 0:
            yield Finding(
                kind=Kind.QUEUE,
                about="campaign",
                message=f"simulations waited for nodes {queue:.0%} of the time",
                evidence=evidence | {"wanted_nodes": float(wanted)},
                gain=gain,
                of=Gain.TIME,
                change=f"have {wanted} nodes instead of {nodes:.1f}; more would not "
                "be used",
                settings={"nodes": float(wanted)},
            )
    elif queue <= LITTLE_QUEUE and free >= MUCH_FREE:
        most = _most_leased(study)
        gain = 1 - most / nodes
        if gain > 0:
            yield Finding(
                kind=Kind.COMPUTE,
                about="campaign",
                message=f"nobody had a lease on {free:.0%} of the node-time, and "
                "nobody waited",
                evidence=evidence | {"most_leased": float(most)},
                gain=gain,
                of=Gain.NODE_HOURS_UP,
                change=f"have {most} nodes instead of {nodes:.1f}, run more "
                "simulations side by side, or let stages be wider (max_nodes)",
                settings={"nodes": float(most)},
            )


def _most_wanted(study: Study) -> int:
    """Return the most nodes that simulations asked for at the same time."""
    edges = []
    for name, x in study.times.of.items():
        edges.append((x.submitted_s, x.plan.nodes))
        edges.append((study.ends.get(name, study.as_of_s), -x.plan.nodes))
    return _most(edges)


def _most_leased(study: Study) -> int:
    """Return the most nodes that were in leases at the same time."""
    edges = []
    for x in study.times.of.values():
        for span in x.spans:
            edges += [(span.since_s, span.nodes), (span.until_s, -span.nodes)]
    return _most(edges)


def _most(edges: list[tuple[float, int]]) -> int:
    most = now = 0
    # What ends at a moment makes room for what begins then.
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most
