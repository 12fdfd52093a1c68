"""Windows that are over, and nodes for windows that were declared by number."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.state import CampaignState
from climorch.model.commands import WindowEnded, WindowPlaced
from climorch.model.windows import Window

__all__ = ["ended_windows", "place_windows"]


def ended_windows(state: CampaignState) -> Iterator[WindowEnded]:
    """Yield each window that is over.

    Parameters
    ----------
    state : CampaignState
        What is known.
    """
    for window in list(state.windows.values()):
        if window.stop_s <= state.now_s:
            yield WindowEnded(name=window.name)


def place_windows(state: CampaignState) -> Iterator[WindowPlaced]:
    """Yield the nodes of each window that has none yet and can have them.

    Chosen are nodes that no other window wants at that time: free ones first,
    then those of the holder, then whole leases of whoever came last, the least
    protected before the others, so that few have to move.

    Parameters
    ----------
    state : CampaignState
        Must have every yielded decision applied before the next is asked for.

    Yields
    ------
    WindowPlaced
        Nothing for a window for which too few nodes are up: it is looked at
        again when more are.
    """
    for window in list(state.windows.values()):
        if window.placed:
            continue
        nodes = _candidates(state, window)
        if len(nodes) >= window.count:
            yield WindowPlaced(name=window.name, nodes=tuple(nodes[: window.count]))


def _candidates(state: CampaignState, window: Window) -> list[str]:
    wanted = [
        other
        for other in state.windows.values()
        if other.placed
        and other.start_s < window.stop_s
        and window.start_s < other.stop_s
    ]
    holders = {node: s for s in state.simulations.values() for node in s.lease}

    def place(node: str) -> tuple[int, int, int]:
        holder = holders.get(node)
        if holder is None:
            return 0, 0, 0
        own = window.holder in (holder.name, holder.scenario.project)
        return 1 if own else 2, holder.scenario.protection.level, -holder.serial

    fit = [
        node.name
        for node in state.nodes.values()
        if node.name not in state.draining
        and not any(other.covers(node.name) for other in wanted)
        and (node.deadline_s is None or node.deadline_s >= window.stop_s)
    ]
    return sorted(fit, key=place)
