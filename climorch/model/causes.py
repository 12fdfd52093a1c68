"""Why something failed."""

from __future__ import annotations

from enum import Enum

from climorch.model.membership import at_hand

__all__ = ["Cause"]


@at_hand
class Cause(Enum):
    """Why something failed; every cause has its own retry budget."""

    NODE_LOST = "node lost"
    NOT_DURABLE = "state lost before its checkpoint was committed"
    MEMORY = "out of memory"
    MODEL = "error in the model"
    TRANSIENT = "error in the model that may pass"
    NUMERICAL = "numerical blow-up"
    HANG = "hang"
    STORAGE = "storage"
    CORRUPT = "damaged checkpoint"
    WALLTIME = "its nodes went before it had ended"
    POISON = "its nodes go while it computes"
