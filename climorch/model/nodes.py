"""Facts about nodes: they come, they go, and it becomes known when."""

from __future__ import annotations

import msgspec

from climorch.model.causes import Cause

__all__ = ["NodeDeadline", "NodeJoined", "NodeLost"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class NodeJoined(_Fact, frozen=True, kw_only=True):
    """A node can be leased.

    Attributes
    ----------
    node : str
        Its name, kept over restarts of its process.
    cores : int
        Cores for compute.
    memory_bytes : int
        Memory; 0: unknown or unlimited.
    deadline_s : float or None
        When it goes, as a job's nodes do when its walltime ends; UTC seconds.
        None: it stays.
    scratch_bytes : int
        Disk of its own; 0: unknown or unlimited.
    job : str
        Job within which the site's launcher starts programs; empty: anywhere.
    """

    node: str
    cores: int
    memory_bytes: int = 0
    deadline_s: float | None = None
    scratch_bytes: int = 0
    job: str = ""


class NodeDeadline(_Fact, frozen=True, kw_only=True):
    """A node goes at another time than was known when it joined.

    Attributes
    ----------
    node : str
        Which.
    deadline_s : float or None
        UTC seconds, as in `NodeJoined`.
    reason : str
        Why, in words: a longer job, a warning, maintenance.
    recalled : bool
        Whether it is taken back: nothing is begun there any more, and who holds it
        leaves as soon as it can.
    """

    node: str
    deadline_s: float | None = None
    reason: str = ""
    recalled: bool = False


class NodeLost(_Fact, frozen=True, kw_only=True):
    """A node is gone with all that it held.

    Attributes
    ----------
    reason : str
        Why, in words.
    cause : Cause
        ``NODE_LOST``; or ``MEMORY``, where it was ended for what it used.
    """

    node: str
    reason: str = ""
    cause: Cause = Cause.NODE_LOST
