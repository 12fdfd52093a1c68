"""What a site tells of the nodes that it has asked for and has not got."""

from __future__ import annotations

import msgspec

__all__ = ["JobsWaiting", "SiteTold"]


class JobsWaiting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Jobs that wait for the same reason.

    Attributes
    ----------
    jobs, nodes : int
        How many; nodes of each of them.
    since_s : float or None
        When the first of them was submitted, UTC seconds; None: not known.
    reason : str
        In the words of the batch system; empty: it says none.
    meaning : str
        What that means, and the remedy if there is one; empty: nobody knows.
    lasting : bool
        Whether no waiting ends it.
    """

    jobs: int
    nodes: int
    since_s: float | None = None
    reason: str = ""
    meaning: str = ""
    lasting: bool = False


class SiteTold(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Why nodes of a site do not come, told when that changes.

    Attributes
    ----------
    system : str
        Name of the batch system.
    place : str
        Where in it they are asked for, in words; empty: where it puts them.
    waiting : tuple of JobsWaiting
        Jobs that have no nodes yet.
    troubles : dict of str to str
        What is wrong, by subject, in words.
    """

    system: str
    place: str = ""
    waiting: tuple[JobsWaiting, ...] = ()
    troubles: dict[str, str] = {}
