"""What a checkpoint strategy is asked, and what it is.

Here and not beside the strategies, since a workflow may name one for a stage.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

__all__ = ["CheckpointStrategy", "Pace"]


class Pace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about a set when it reaches a common boundary.

    Attributes
    ----------
    since_s : float
        Seconds since the newest commit of this attempt or since its start.
    boundaries : int
        Common boundaries passed since then, the present one included; those
        between parts of a segment do not count.
    next_s : float
        Seconds that the way to the next common boundary will probably take, be
        it between parts.
    cost_s : float or None
        Measured time lost to one checkpoint, in seconds; None: none yet.
    mtbf_s : float
        Mean time between failures of the whole lease, in seconds.
    spent_s : float
        Time lost to checkpoints lately, in seconds: those of an hour ago count
        by 1/e.
    ends_in_s : float
        Seconds until the first node of the lease goes, as announced (walltime,
        maintenance, reservation); infinite: none does.
    model_s, since_model_s : int
        Model time of this boundary, and of the one from which ``since_s``
        counts; seconds since 0001-01-01 in ``calendar``.
    calendar : str
        CF calendar of the set.
    nodes : int
        Of the lease, >= 1.
    copied : bool
        Whether a state of this attempt is in the memory of two nodes.
    torn, up_s : float, float
        Events so far that took a node and its partner, each as the share of the
        leases that it did this to; seconds in which any node was up.
    """

    since_s: float
    boundaries: int
    next_s: float
    cost_s: float | None
    mtbf_s: float
    spent_s: float = 0.0
    ends_in_s: float = math.inf
    model_s: int = 0
    since_model_s: int = 0
    calendar: str = "standard"
    nodes: int = 1
    copied: bool = False
    torn: float = 0.0
    up_s: float = 0.0


class CheckpointStrategy(Protocol):
    """Says whether a set is checkpointed at the boundary it has reached."""

    def due(self, pace: Pace) -> str | None:
        """Decide at a common boundary.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """
