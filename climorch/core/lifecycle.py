"""Where things stand in their lives: what a user wants, an attempt, a simulation."""

from __future__ import annotations

from enum import Enum

from climorch.model.membership import at_hand

__all__ = ["Control", "Phase", "Status"]


@at_hand
class Control(Enum):
    """What the user wants of a simulation."""

    RUN = "run"
    PAUSED = "paused"
    CANCELLED = "cancelled"


@at_hand
class Phase(Enum):
    """Where the present attempt of a set stands."""

    IDLE = "idle"
    RESTORING = "restoring"
    ACTIVE = "active"
    BROKEN = "broken"
    SALVAGING = "salvaging"


class Status(Enum):
    """Lifecycle of a simulation as a user sees it."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
