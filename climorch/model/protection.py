"""What a simulation may count on when others want its nodes."""

from __future__ import annotations

import math

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import require_kinds

__all__ = ["Protection"]


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """Terms on which a simulation may be asked to give its nodes up.

    They hold against everybody as long as the protected simulations of its
    project hold no more than the project's share; beyond that, and between
    simulations of one project, they are terms, not a ban. Windows, budgets and
    nodes that die know no protection.

    Attributes
    ----------
    level : int
        Nobody of a lower level takes its turn, >= 0. 0 is what everybody has.
    exempt_for_s : float
        Seconds from each start in which it is not interrupted, >= 0.
    min_between_s : float
        Seconds from one interruption to the next, at least, >= 0.
    max_preemptions : int or None
        Interruptions in any 30 days, at most; 0: never; None: no limit.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    level: int = 0
    exempt_for_s: float = 0.0
    min_between_s: float = 0.0
    max_preemptions: int | None = None

    def __post_init__(self) -> None:
        require_kinds(self)
        numbers = {
            "level": self.level,
            "exempt_for_s": self.exempt_for_s,
            "min_between_s": self.min_between_s,
            "max_preemptions": self.max_preemptions or 0,
        }
        faults = [
            Fault(
                place=f"Protection.{name}",
                problem=f"got {number!r}, expected finite and >= 0",
                remedy="give seconds, or a count",
            )
            for name, number in numbers.items()
            if not (math.isfinite(number) and number >= 0)
        ]
        if faults:
            raise InvalidInputError("this protection cannot be given", faults=faults)
