"""What a set does while nobody has to hear of it: a fact that stands for many.

Facts and decisions between two moments at which something was to be decided, so that
months of a virtual cluster cost no more than what happened in them.
"""

from __future__ import annotations

import msgspec

__all__ = ["SetAdvanced", "Written"]


class Written(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A checkpoint of which is told in one with what its set computed."""

    boundary: int
    committed_s: float
    seconds: float
    independent: bool


class SetAdvanced(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What an active set did, undisturbed, since anything was told of it.

    Only a twin in coarse mode tells it; no live cluster does.

    Attributes
    ----------
    seconds : dict of str to tuple of float
        What each segment took that was finished, by stage, in order.
    nodes : int
        Nodes of the lease meanwhile.
    running : dict of str to float
        When the segment that a stage computes now was started, driver's clock.
    planned, checkpoint : int or None
        Boundary of the next checkpoint; of the one that is being written.
    since_s, from_boundary : float, int
        When and where the newest checkpoint was begun.
    binds, binds_why, put_off : str, str, bool
        Which cap has changed what the strategy wanted when it last had a say, and
        whether a checkpoint was put off since the last one.
    written : tuple of Written
        Checkpoints that were committed and published, in order.
    cost_s : float
        As for `CheckpointCommitted`, of each.
    deleted : tuple of int
        Boundaries of checkpoints that were deleted.
    """

    simulation: str
    set: str
    attempt: int
    seconds: dict[str, tuple[float, ...]]
    nodes: int
    running: dict[str, float]
    since_s: float
    from_boundary: int
    planned: int | None = None
    why: str = ""
    checkpoint: int | None = None
    binds: str = ""
    binds_why: str = ""
    put_off: bool = False
    written: tuple[Written, ...] = ()
    cost_s: float = 0.0
    deleted: tuple[int, ...] = ()
