"""Nodes that go when a window begins and come back when it is over.

In a window that nobody of the campaign may use, the machine room or other people
have the nodes: they are down. In a hard one at its start; in a soft one each once
nobody holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from climorch.core.state import CampaignState
from climorch.model.windows import Window
from climorch.twin.cluster import VirtualCluster

if TYPE_CHECKING:
    import simpy

__all__ = ["Closures"]

# How often it is looked whether the nodes of a soft window are free, in seconds.
LOOK_S = 60.0


class Closures:
    """Takes nodes as windows say.

    Parameters
    ----------
    env : simpy.Environment
        The kernel.
    cluster : VirtualCluster
        Its nodes.
    state : CampaignState
        The orchestrator's; only read.
    holder_of : callable
        Returns who holds a node, or None.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cluster: VirtualCluster,
        state: CampaignState,
        holder_of: Callable[[str], str | None],
    ) -> None:
        self._env = env
        self._cluster = cluster
        self._state = state
        self._holder_of = holder_of
        self._planned: set[Window] = set()

    def look(self) -> None:
        """Take note of the windows that the orchestrator knows now."""
        for window in self._state.windows.values():
            if window.placed and window not in self._planned and self._closes(window):
                self._planned.add(window)
                self._after(window.start_s, self._begin, window, [])

    def _closes(self, window: Window) -> bool:
        state = self._state
        return window.holder not in state.projects.keys() | state.simulations.keys()

    def _after(self, at_s: float, do: Callable[..., None], *args: object) -> None:
        timeout = self._env.timeout(max(at_s - float(self._env.now), 0.0))
        timeout.callbacks.append(lambda _: do(*args))

    def _begin(self, window: Window, taken: list[str]) -> None:
        """Take what can be had; look again for the rest of a soft window."""
        now_s = float(self._env.now)
        if self._state.windows.get(window.name) != window or now_s >= window.stop_s:
            # Withdrawn, declared anew or over.
            self._end(window, taken)
            return
        left = [n for n in self._cluster.names if window.covers(n) and n not in taken]
        free = [n for n in left if window.hard or self._holder_of(n) is None]
        self._cluster.take(free, "in a window")
        taken += free
        if len(free) < len(left):
            self._after(now_s + LOOK_S, self._begin, window, taken)
        else:
            self._watch(window, taken)

    def _watch(self, window: Window, taken: list[str]) -> None:
        """Give the nodes back at the end, or soon after a window was withdrawn."""
        now_s = float(self._env.now)
        gone = self._state.windows.get(window.name) != window
        if gone or now_s >= window.stop_s:
            self._end(window, taken)
        else:
            at_s = min(now_s + LOOK_S, window.stop_s)
            self._after(at_s, self._watch, window, taken)

    def _end(self, window: Window, taken: list[str]) -> None:
        self._planned.discard(window)
        self._cluster.give_back(taken)
