"""What a state must be like, and what is tried when it is not.

Declared by users, bound by the script like every function; what was tried is
journaled as `RemedyGiven`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.plain import CHANGES, json_problem

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "BlowUp",
    "Checks",
    "Remedy",
    "RemedyGiven",
    "Retry",
]

CheckFunction = Callable[[str, "npt.NDArray[np.generic]"], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What is checked of a stage's state wherever it is written or computed.

    Attributes
    ----------
    bounds : mapping of str to (float, float)
        Least and largest value of a field of the state, both allowed, checked on
        the nodes whenever it is checkpointed; or of a metric that the step
        returns, checked after each segment. ``inf`` for one that is open. NaN is
        not within bounds of a metric; of a field it is what ``check_finite``
        looks for.
    function : callable or None
        ``function(variable, block) -> str or None``: called on the nodes with each
        block of each field, read-only, whenever it is checkpointed; says what is
        wrong. Pure; its time counts as cost of the checkpoint.

    Raises
    ------
    InvalidInputError
        If bounds are none, or the function cannot be called.
    """

    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    function: CheckFunction | None = None

    def __post_init__(self) -> None:
        """Check the bounds."""
        faults = [
            Fault(
                place=f"Checks.bounds[{name!r}]",
                problem=f"got {bounds!r}, expected two numbers, the lower first",
                remedy="give (least, largest), with inf for one that is open",
            )
            for name, bounds in self.bounds.items()
            if not (len(bounds) == 2 and bounds[0] <= bounds[1])
        ]
        # Users without a type checker may pass anything.
        function: object = self.function
        if not (function is None or callable(function)):
            faults.append(
                Fault(
                    place="Checks.function",
                    problem=f"{type(function).__name__} cannot be called",
                    remedy="pass a function of a variable's name and a block",
                )
            )
        if faults:
            raise InvalidInputError("these checks cannot be made", faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlowUp:
    """What a remedy is told.

    Attributes
    ----------
    simulation, set : str
        Which.
    number : int
        Of this try, from 1, over the whole simulation.
    message : str
        What was found, with stage and variable.
    params : mapping
        That it was computed with.
    boundary, reached : int
        Common boundary of the newest checkpoint, and of what was computed.
    """

    simulation: str
    set: str
    number: int
    message: str
    params: Mapping[str, Any]
    boundary: int
    reached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a simulation that blew up is tried again.

    Attributes
    ----------
    params : mapping of str to number, str, bool, None or list of these
        Parameters that are others from there on; all else stays.
    reseed : bool
        Whether segments get other seeds from there on.
    back : int
        To the how-many-newest checkpoint it goes back, >= 1. With fewer: to the
        beginning, or to the oldest that is kept if any was deleted.

    Raises
    ------
    InvalidInputError
        If a parameter cannot be journaled, or ``back`` is below 1.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    reseed: bool = False
    back: int = 1

    def __post_init__(self) -> None:
        """Check that it can be journaled."""
        faults = []
        if json_problem(self.params) is not None:
            faults.append(
                Fault(
                    place="Retry.params",
                    problem=CHANGES,
                    remedy="use numbers, strings, booleans, None, lists and "
                    "string-keyed dicts of these",
                )
            )
        if self.back < 1:
            faults.append(
                Fault(
                    place="Retry.back",
                    problem=f"got {self.back!r}, expected >= 1",
                    remedy="1 goes back to the newest checkpoint",
                )
            )
        if faults:
            raise InvalidInputError("this retry cannot be made", faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What is done when numbers blow up.

    Attributes
    ----------
    change : callable
        ``change(blow_up) -> Retry or None``; None: there is nothing to try. Called
        in the driver's process, at most once for each blow-up that is journaled:
        where the driver died before, once more.
    tries : int
        How often, before it gets beyond the place where it blew up, >= 1.
    """

    change: Callable[[BlowUp], Retry | None]
    tries: int = 3

    def __post_init__(self) -> None:
        """Check the number."""
        if self.tries < 1:
            raise InvalidInputError(
                "this remedy cannot be tried",
                faults=[
                    Fault(
                        place="Remedy.tries",
                        problem=f"got {self.tries!r}, expected >= 1",
                        remedy="leave the remedy out for none",
                    )
                ],
            )


class RemedyGiven(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A remedy answered; a fact.

    Attributes
    ----------
    number : int
        Of the try, as it was asked for.
    retry : bool
        Whether there is anything to try.
    params : dict
        Parameters that are others from there on.
    reseed : bool
        Whether seeds are others from there on.
    back : int
        As in `Retry`.
    message : str
        Why there is nothing to try; empty otherwise.
    """

    simulation: str
    set: str
    number: int
    retry: bool
    params: dict[str, Any] = {}
    reseed: bool = False
    back: int = 1
    message: str = ""
