"""Members of enumerations that are asked for millions of times.

In CPython 3.11 ``Phase.ACTIVE`` calls a function of Python, which takes as long as half
a dozen comparisons; from 3.12 on it is an attribute as any other.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

__all__ = ["at_hand"]

Kind = TypeVar("Kind", bound=Enum)


def at_hand(kind: type[Kind]) -> type[Kind]:
    """Let the members of an enumeration be plain attributes of it.

    Parameters
    ----------
    kind : type of Enum
        Which; changed in nothing else.

    Returns
    -------
    type of Enum
        The same.
    """
    for name, member in kind.__members__.items():
        # Enumerations let nobody set a member; this is the one that is there.
        type.__setattr__(kind, name, member)
    return kind
