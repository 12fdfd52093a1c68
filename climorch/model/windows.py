"""Spans of wall time in which nodes are not there for everybody.

Decides what a window is and whom it shuts out. Ignores whether work fits before
one: that is the policy's.
"""

from __future__ import annotations

import math

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault

__all__ = ["MOST_WINDOW_S", "Window"]

MOST_WINDOW_S = 366 * 86400.0
"""Longest window, in seconds: what is longer is a node to be drained."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that are serviced, or kept for somebody, for a while.

    Attributes
    ----------
    name : str
        Its name, unique in the campaign.
    start_s, stop_s : float
        First second within, first second after; UTC seconds.
    nodes : tuple of str
        Which nodes; empty: as many as ``count`` says.
    count : int
        With no names: how many nodes, chosen once they are up; 0: all nodes of
        the site, those that join later included.
    holder : str
        Project or simulation that may use the nodes; empty: nobody, they are
        serviced.
    hard : bool
        True: the nodes go at ``start_s`` whatever runs on them, so nothing is
        started that would not have ended, checkpoint included. False: what runs
        at ``start_s`` goes on to its next common boundary.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    name: str
    start_s: float
    stop_s: float
    nodes: tuple[str, ...] = ()
    count: int = 0
    holder: str = ""
    hard: bool = True

    def __post_init__(self) -> None:
        faults = [_name_fault(self.name), *self._time_faults()]
        if self.count < 0:
            faults.append(
                Fault(
                    place="Window.count",
                    problem=f"got {self.count}, expected >= 0",
                    remedy="say how many nodes, or name them",
                )
            )
        if self.count and self.nodes:
            faults.append(
                Fault(
                    place="Window.nodes",
                    problem="nodes are named and counted",
                    remedy="give one of both",
                )
            )
        if len(set(self.nodes)) != len(self.nodes):
            faults.append(
                Fault(
                    place="Window.nodes",
                    problem="a node is named twice",
                    remedy="name each once",
                )
            )
        found = [fault for fault in faults if fault is not None]
        if found:
            raise InvalidInputError("this window cannot be kept", faults=found)

    def _time_faults(self) -> list[Fault | None]:
        if not (math.isfinite(self.start_s) and math.isfinite(self.stop_s)):
            problem = f"from {self.start_s} to {self.stop_s} is no span of time"
        elif self.stop_s <= self.start_s:
            problem = "it stops before it starts"
        elif self.stop_s - self.start_s > MOST_WINDOW_S:
            problem = f"it takes {(self.stop_s - self.start_s) / 86400:.0f} days"
        else:
            return []
        remedy = "give UTC times, the stop after the start and within a year of it"
        return [Fault(place="Window.start_s", problem=problem, remedy=remedy)]

    @property
    def placed(self) -> bool:
        """Whether it is known which nodes are meant."""
        return bool(self.nodes) or not self.count

    def covers(self, node: str) -> bool:
        """Whether a node is one of those meant."""
        return node in self.nodes if self.nodes else not self.count


def _name_fault(name: str) -> Fault | None:
    return name_fault(name, place="Window.name")
