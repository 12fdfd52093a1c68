"""What a node-second may be spent on: the one definition, of journals and the twin."""

from __future__ import annotations

from enum import IntEnum

from climorch.model.membership import at_hand

__all__ = ["Part"]


@at_hand
class Part(IntEnum):
    """What a node-second may be spent on; each on exactly one thing."""

    USEFUL = 0
    """Committed segments. In the twin on the nodes that they asked for only; a
    journal does not know what fewer nodes would have taken, so it tells no `WIDE`."""
    WIDE = 1
    """What committed segments took beyond that, on more nodes than they use well."""
    STALL = 2
    """Committed segments that could not compute because of a checkpoint."""
    LOST = 3
    """Computed and not committed: to be computed again."""
    RESTORE = 4
    """Lease held while states are brought to it."""
    DRAIN = 5
    """Lease held for nothing but a checkpoint, before its nodes go back."""
    IDLE = 6
    """Leased and doing nothing: coupled stages that wait for each other."""
    FREE = 7
    """Leased to nobody."""
    PENDING = 8
    """Computed and not committed yet."""
    RECOMPUTED = 9
    """Committed segments that had been committed before: their checkpoint was
    damaged or gone. So `USEFUL` has each segment once. The twin does not tell them
    apart."""
