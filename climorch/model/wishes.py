"""Wishes: what a user asks of a campaign that runs. Facts like any others.

They come through the inbox from any process, wrapped as `WishTaken`, or from the
driver's own.
"""

from __future__ import annotations

import msgspec

from climorch.model.windows import Window

__all__ = [
    "CancelRequested",
    "DrainRequested",
    "PauseRequested",
    "PinRequested",
    "PriorityRequested",
    "ResumeRequested",
    "UndrainRequested",
    "UnpinRequested",
    "WindowDeclared",
    "WindowWithdrawn",
    "Wish",
]


class _Wish(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class PauseRequested(_Wish, frozen=True, kw_only=True):
    """Checkpoint at the next common boundary and give the nodes back."""

    simulation: str


class ResumeRequested(_Wish, frozen=True, kw_only=True):
    """Go on after a pause or a failure."""

    simulation: str


class CancelRequested(_Wish, frozen=True, kw_only=True):
    """Stop for good; what is committed stays."""

    simulation: str


class PriorityRequested(_Wish, frozen=True, kw_only=True):
    """Change the priority."""

    simulation: str
    priority: int


class DrainRequested(_Wish, frozen=True, kw_only=True):
    """A node gets no new lease; who holds it checkpoints and gives it back."""

    node: str


class UndrainRequested(_Wish, frozen=True, kw_only=True):
    """A node may be leased again."""

    node: str


class PinRequested(_Wish, frozen=True, kw_only=True):
    """A checkpoint is not to be deleted, whatever retention says."""

    simulation: str
    set: str
    boundary: int


class UnpinRequested(_Wish, frozen=True, kw_only=True):
    """Retention may decide about a checkpoint again."""

    simulation: str
    set: str
    boundary: int


class WindowDeclared(_Wish, frozen=True, kw_only=True):
    """Nodes are serviced, or kept for somebody; again: as it says now."""

    window: Window


class WindowWithdrawn(_Wish, frozen=True, kw_only=True):
    """A window is not to be, or ends now."""

    name: str


Wish = (
    PauseRequested
    | PinRequested
    | ResumeRequested
    | CancelRequested
    | PriorityRequested
    | DrainRequested
    | UndrainRequested
    | UnpinRequested
    | WindowDeclared
    | WindowWithdrawn
)
