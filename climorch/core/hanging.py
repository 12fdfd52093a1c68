"""What is known of a segment that hung, and which node is left for it or an error.

Pure views of the state: for `explain`, alarms and the next lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from climorch.model.decisions import MovePlanned
from climorch.model.events import Cause, SegmentFailed

if TYPE_CHECKING:
    from climorch.core.sets import SetState
    from climorch.core.state import CampaignState, SimulationState

__all__ = [
    "Hang",
    "go_elsewhere",
    "hang_factors",
    "hang_told",
    "noted",
    "try_elsewhere",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """A segment that hung.

    Attributes
    ----------
    at_s : float
        When it was found, driver's clock, seconds.
    stage : str
        Whose segment.
    segment, attempt : int
        Which.
    node : str
        Where; empty: nobody knows.
    message : str
        What was found, in words.
    stack : str
        Call stacks of all that computed for the simulation then; empty: unknown.
    beside : tuple of str
        Other stages that computed then: two that hang may wait for each other.
    """

    at_s: float
    stage: str
    segment: int
    attempt: int
    node: str
    message: str
    stack: str
    beside: tuple[str, ...] = ()


def noted(fact: SegmentFailed, s: SetState, now_s: float) -> Hang:
    """Return what a fact tells of a hang.

    Parameters
    ----------
    fact : SegmentFailed
        Its cause is a hang.
    s : SetState
        The set, as it was when the fact came.
    now_s : float
        Driver's clock, seconds.
    """
    return Hang(
        at_s=now_s,
        stage=fact.stage,
        segment=fact.segment,
        attempt=fact.attempt,
        node=fact.node,
        message=fact.message,
        stack=fact.stack,
        beside=tuple(stage for stage in s.running if stage != fact.stage),
    )


def go_elsewhere(
    state: CampaignState, simulation: SimulationState, s: SetState
) -> Iterator[MovePlanned]:
    """Let a simulation leave the node on which it hung, if another one is free."""
    hang = s.hang
    if hang is not None and hang.node:
        why = f"stage {hang.stage}, segment {hang.segment} hung on {hang.node}"
        yield from _leave(state, simulation, hang.node, why)


def try_elsewhere(
    state: CampaignState, simulation: SimulationState, s: SetState
) -> Iterator[MovePlanned]:
    """Let a segment that raised be tried on another node, if one is free.

    On the same node it would tell nothing new: it may be the node.
    """
    if not s.doubts or len(simulation.lease) != 1:
        return
    (stage, segment), doubt = max(s.doubts.items(), key=lambda item: item[1].at_s)
    if doubt.nodes == simulation.lease:
        why = f"stage {stage}, segment {segment} failed on {doubt.nodes[0]}"
        yield from _leave(state, simulation, doubt.nodes[0], why)


def _leave(
    state: CampaignState, simulation: SimulationState, node: str, why: str
) -> Iterator[MovePlanned]:
    if not simulation.wants_nodes:
        return
    moved = simulation.moved
    if moved is not None and not moved.over and node in moved.leave:
        return
    held = {node for other in state.simulations.values() for node in other.lease}
    if state.nodes.keys() - state.draining - held:
        yield MovePlanned(simulation=simulation.name, leave=(node,), why=why)


def hang_told(simulation: SimulationState) -> str:
    """Say that a simulation hung since its newest checkpoint; empty: it did not."""
    sets = simulation.sets.values()
    budgets = [simulation.failures, *(s.failures for s in sets if s.dropped is None)]
    count = sum(failures.get(Cause.HANG, 0) for failures in budgets)
    hangs = [s.hang for s in sets if s.hang is not None]
    if not count or not hangs:
        return ""
    newest = max(hangs, key=lambda hang: hang.at_s)
    times = "once" if count == 1 else f"{count} times"
    return f"hung {times} since the last checkpoint: {newest.message}"


def hang_factors(simulation: SimulationState) -> dict[str, Any]:
    """Say of each set that hung where it last did.

    Parameters
    ----------
    simulation : SimulationState
        Whose sets.

    Returns
    -------
    dict
        By set: stage, segment, node, when (UTC seconds), which stages computed
        beside it, and the call stacks.
    """
    return {
        f"newest hang of {s.name}": {
            "stage": s.hang.stage,
            "segment": s.hang.segment,
            "attempt": s.hang.attempt,
            "node": s.hang.node or None,
            "found at": s.hang.at_s,
            "found": s.hang.message,
            "computing beside it": s.hang.beside,
            "call stacks": s.hang.stack or None,
        }
        for s in simulation.sets.values()
        if s.hang is not None
    }
