"""Names that may become folders, keys and labels.

Decides which names are allowed. Every name that a user gives passes here once,
so nothing further in needs to escape or check a path.
"""

from __future__ import annotations

import re
from typing import NewType

from climorch.errors import Fault

__all__ = [
    "CampaignName",
    "NodeName",
    "SetName",
    "SimulationName",
    "StageName",
    "name_fault",
]

CampaignName = NewType("CampaignName", str)
SimulationName = NewType("SimulationName", str)
StageName = NewType("StageName", str)
SetName = NewType("SetName", str)
NodeName = NewType("NodeName", str)

# 64 characters keep every path that is built from three of them below the
# 255-byte limit of a component and far below PATH_MAX.
PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def name_fault(name: object, *, place: str) -> Fault | None:
    """Say what is wrong with a name, if anything.

    Parameters
    ----------
    name : object
        Candidate; anything but a matching ``str`` is a fault.
    place : str
        Where the name was given.

    Returns
    -------
    Fault or None
        None where the name may be used.
    """
    if isinstance(name, str) and PATTERN.fullmatch(name):
        return None
    return Fault(
        place=place,
        problem=f"name {name!r} cannot be a file name everywhere",
        remedy="use 1 to 64 letters, digits, '.', '_' or '-', first a letter or digit",
    )
