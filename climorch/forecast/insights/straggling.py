"""Nodes that hold up the others of their leases."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study

__all__ = ["stragglers"]

# Segments in which a node was compared with others; ours.
LEAST_SEGMENTS = 10
# Share of these in which it was the slowest, which two of equal speed are in half.
MOSTLY = 0.8
LEAST_GAIN = 0.02


def stragglers(study: Study) -> Iterator[Finding]:
    """Find nodes that were the slowest of their leases nearly always, and by much.

    Only leases of several nodes tell: what is found is what the others waited.
    """
    whole = study.held_node_s
    for node, found in study.times.nodes.items():
        if found.segments < LEAST_SEGMENTS:
            continue
        share = found.slowest / found.segments
        gain = found.node_s / whole if whole else 0.0
        if share < MOSTLY or gain < LEAST_GAIN:
            continue
        yield Finding(
            kind=Kind.STRAGGLER,
            about=f"node {node!r}",
            message=f"it was the slowest in {share:.0%} of {found.segments} segments, "
            "and the others waited for it",
            evidence={
                "segments": float(found.segments),
                "slowest_share": share,
                "waited_node_s": found.node_s,
            },
            gain=gain,
            of=Gain.NODE_HOURS,
            change=f"drain({node!r}), and have it looked at",
        )
