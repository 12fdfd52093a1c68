"""Checkpoints that wait for each other at the storage."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.parts import Part

__all__ = ["storage_bound"]

# Checkpoints of each kind that must have been written; ours.
LEAST_CHECKPOINTS = 5
# How many times longer one takes beside others.
SLOWER = 1.5
LEAST_GAIN = 0.02


def storage_bound(study: Study) -> Iterator[Finding]:
    """Find that checkpoints beside others take longer, and that leases wait for them.

    Computing goes on beside a checkpoint; what is lost are leases that wait for
    nothing else before they give up their nodes, or for states to come back, and what
    failures undo because the checkpoint was not there yet.
    """
    sets = [s for x in study.times.of.values() for s in x.sets.values()]
    alone_s = sum(s.alone.seconds for s in sets)
    alone = sum(s.alone.count for s in sets)
    crowded_s = sum(s.crowded.seconds for s in sets)
    crowded = sum(s.crowded.count for s in sets)
    whole = study.held_node_s
    if min(alone, crowded) < LEAST_CHECKPOINTS or not (alone_s and whole):
        return
    ratio = (crowded_s / crowded) / (alone_s / alone)
    waits = study.node_s(Part.DRAIN, Part.RESTORE)
    excess_s = crowded_s - crowded * alone_s / alone
    # Leases wait as often in a crowd as checkpoints are in one. What fails while a
    # checkpoint is written loses that time, too.
    spared = waits * excess_s / (crowded_s + alone_s)
    late = sum(s.losses * s.plan.nodes for s in sets) * excess_s / (crowded + alone)
    spared += min(late, study.node_s(Part.LOST))
    gain = spared / whole
    if ratio < SLOWER or gain < LEAST_GAIN:
        return
    yield Finding(
        kind=Kind.STORAGE,
        about="campaign",
        message=f"a checkpoint beside others takes {ratio:.1f} times as long as one "
        f"alone, and leases waited for the storage {waits / whole:.0%} of the time",
        evidence={
            "alone_s": alone_s / alone,
            "crowded_s": crowded_s / crowded,
            "alone": float(alone),
            "crowded": float(crowded),
            "waiting_share": waits / whole,
            "late_share": late / whole,
        },
        gain=gain,
        of=Gain.NODE_HOURS,
        change="write less (Scope, keep_bits, a longer interval), take longer turns, "
        "or use storage that bears more at once",
    )
