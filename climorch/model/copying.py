"""Facts about copies of a set's state in the memory of other nodes.

None draws on a retry budget: without a copy, an older checkpoint does.
"""

from __future__ import annotations

import msgspec

__all__ = ["CopyFailed", "CopyHeld", "SalvageFailed"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class CopyHeld(_Fact, frozen=True, kw_only=True):
    """Every block of a set's state at a boundary is in the memory of two nodes.

    Its outputs until then are written, though not committed.

    Attributes
    ----------
    seconds : float
        From its start until it was held.
    cost_s : float
        Time that the nodes of the lease could not compute because of it, in
        seconds: until the attempt could go on, and the share of their cores
        that carrying the bytes took.
    bytes_copied : int
        Bytes that went to other nodes.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    seconds: float
    cost_s: float = 0.0
    bytes_copied: int = 0


class CopyFailed(_Fact, frozen=True, kw_only=True):
    """A state is not in the memory of two nodes; the copy before stays."""

    simulation: str
    set: str
    boundary: int
    attempt: int
    message: str


class SalvageFailed(_Fact, frozen=True, kw_only=True):
    """A copy did not become a checkpoint and is gone; older ones serve."""

    simulation: str
    set: str
    boundary: int
    attempt: int
    message: str
