"""Which nodes a campaign leased when, as its journal has it."""

from __future__ import annotations

import math
from pathlib import Path

from climorch.engine.session import read_records
from climorch.model import commands as c
from climorch.model import events as e

__all__ = ["Held", "held", "overlaps"]

Held = tuple[str, float, float]
"""A node, and from when until when it was leased, UTC seconds."""


def held(root: Path, campaign: str = "c") -> list[Held]:
    """Return all leases of nodes, in the order in which they began.

    Parameters
    ----------
    root : Path
        Of the campaign.
    campaign : str
        Its name.
    """
    since: dict[tuple[str, str], float] = {}
    found: list[Held] = []

    def end(simulation: str, node: str, at_s: float) -> None:
        found.append((node, since.pop((simulation, node)), at_s))

    last_s = -math.inf
    for record, at_s in read_records(root, campaign):
        match record:
            case c.SetLease(simulation=simulation, nodes=nodes):
                for name, node in list(since):
                    if name == simulation and node not in nodes:
                        end(name, node, at_s)
                for node in nodes:
                    since.setdefault((simulation, node), at_s)
            case e.NodeLost(node=gone):
                for name, node in list(since):
                    if node == gone:
                        end(name, node, at_s)
            case e.DriverStarted():
                # The one before died then or earlier: its last record is the latest
                # at which it is known to have held anything.
                for name, node in list(since):
                    end(name, node, last_s)
        last_s = at_s
    for name, node in list(since):
        end(name, node, last_s)
    return sorted(found, key=lambda lease: lease[1])


def overlaps(one: list[Held], other: list[Held]) -> list[tuple[Held, Held]]:
    """Return pairs of leases of one node that two campaigns had at the same time.

    Parameters
    ----------
    one, other : list of (str, float, float)
        From `held`.
    """
    return [
        (a, b)
        for a in one
        for b in other
        if a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
    ]
