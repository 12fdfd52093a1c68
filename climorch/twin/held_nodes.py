"""What all leases together have held, at any time since it was last looked at.

A set that goes on by itself asks this of times that have passed: the state knows only
what was used until now.
"""

from __future__ import annotations

from bisect import bisect_right

from climorch.core.state import CampaignState

__all__ = ["HeldNodes"]


class HeldNodes:
    """Node-seconds of all leases, by time.

    Parameters
    ----------
    state : CampaignState
        The orchestrator's; only read.
    """

    __slots__ = ("_from_s", "_node_s", "_nodes", "_state")

    def __init__(self, state: CampaignState) -> None:
        self._state = state
        # From when on how many nodes were held, and what had been used by then.
        self._from_s = [state.now_s]
        self._node_s = [state.held_node_s(state.now_s)]
        self._nodes = [self._held()]

    def note(self) -> None:
        """See what is held from now on."""
        now_s, nodes = self._state.now_s, self._held()
        if nodes != self._nodes[-1]:
            self._from_s.append(now_s)
            self._node_s.append(self._state.held_node_s(now_s))
            self._nodes.append(nodes)

    def until(self, at_s: float) -> float:
        """Return the node-seconds until a time.

        Parameters
        ----------
        at_s : float
            Driver's clock, seconds; not before what was forgotten.
        """
        at = bisect_right(self._from_s, at_s) - 1
        if at < 0:
            return self._node_s[0]
        return self._node_s[at] + self._nodes[at] * (at_s - self._from_s[at])

    def forget(self, before_s: float) -> None:
        """Keep only what tells of times from one on.

        Parameters
        ----------
        before_s : float
            Driver's clock, seconds.
        """
        at = max(bisect_right(self._from_s, before_s) - 1, 0)
        del self._from_s[:at], self._node_s[:at], self._nodes[:at]

    def __len__(self) -> int:
        return len(self._from_s)

    def _held(self) -> int:
        return sum(used.nodes for used in self._state.usage.values())
