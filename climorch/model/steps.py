"""Steps that are no graphs: a model object kept alive, a step on its own.

Declares what is to run; the engine decides where its process lives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Advance, Segment
from climorch.model.kinds import value_faults

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BUILD_TIMEOUT_S",
    "Isolated",
    "LiveModel",
    "Model",
    "StepFunction",
    "function_of",
    "taken",
]

Yielding = Generator["xr.Dataset | Advance", None, "xr.Dataset | Advance"]
StepFunction = Callable[
    ["xr.Dataset", Mapping[str, "xr.Dataset"], Segment],
    "xr.Dataset | Advance | Yielding",
]


# Importing and compiling take seconds to minutes.
BUILD_TIMEOUT_S = 600.0


class Model(Protocol):
    """What a `LiveModel` keeps alive."""

    def load(self, state: xr.Dataset) -> None:
        """Replace all that the model remembers; the arrays are its own."""
        ...

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> Mapping[str, Any] | None:
        """Advance by a segment; may return ``exports``, ``output``, ``metrics``."""
        ...

    def dump(self) -> xr.Dataset:
        """Return all that `load` needs; copied before the model goes on."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LiveModel:
    """A step that keeps a model object alive from segment to segment.

    Lives in a process of its own, on its main thread, on one node of the lease.
    The state is given to it only when it does not hold it already: at the
    start, after a loss, on another node.

    Parameters
    ----------
    build : callable
        ``build()`` or ``build(segment)`` makes the model, an object with
        ``load(state)``, ``run(inputs, segment)`` and ``dump()``; see `Model`.
        Called in the model's process: only the function is sent there, never
        the model. ``segment`` is the one that the process starts with, so
        nothing but its ``params`` may shape the model.
    build_timeout_s : float
        Longest time to build, in seconds, > 0. The first segment after a build
        may take this much longer too: compilers work there.
    timeout_s : float or None
        Longest time for one segment, in seconds, > 0; None: no limit.

    Raises
    ------
    InvalidInputError
        If ``build`` cannot be called or a limit is not positive.

    Examples
    --------
    >>> import climorch as co
    >>> step = co.LiveModel(lambda: None, timeout_s=3600)
    >>> step.build_timeout_s
    600.0
    """

    build: Callable[..., Model]
    build_timeout_s: float = field(default=BUILD_TIMEOUT_S, kw_only=True)
    timeout_s: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _require(
            "LiveModel",
            {"build": self.build},
            {"build_timeout_s": self.build_timeout_s, "timeout_s": self.timeout_s},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Isolated:
    """A step that runs in a fresh process for each segment, on its main thread.

    Whatever it leaves behind (globals, signal handlers, threads, processes of
    its group) ends with the segment.

    Parameters
    ----------
    step : callable
        ``step(state, inputs, segment) -> Dataset | Advance`` on datasets in
        memory that are its own; computes at once, builds no graph.
    timeout_s : float or None
        Longest time for one segment, in seconds, > 0; None: no limit.

    Raises
    ------
    InvalidInputError
        If ``step`` cannot be called or the limit is not positive.

    Examples
    --------
    >>> import climorch as co
    >>> co.Isolated(lambda state, inputs, segment: state).timeout_s is None
    True
    """

    step: StepFunction
    timeout_s: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _require("Isolated", {"step": self.step}, {"timeout_s": self.timeout_s})


def function_of(step: object) -> Any:
    """Return the user's function behind a step of any kind."""
    match step:
        case LiveModel():
            return step.build
        case Isolated():
            return step.step
        case _:
            return step


def taken(returned: object, segment: Segment) -> Any:
    """Take from a step what it gives of the part of a segment that it was called for.

    A generator is run to its first ``yield`` and closed there: nothing but the
    state lives on from part to part. So a run that was resumed inside of a
    segment is what an undisturbed one is.

    Parameters
    ----------
    returned : object
        What the step returned; anything but a generator is taken as it is.
    segment : Segment
        What it was told.

    Returns
    -------
    object
        What it yielded or, in the last part, returned.

    Raises
    ------
    InvalidInputError
        If it yields in the last part, or returns in one before.
    """
    if not isinstance(returned, Generator):
        return returned
    last = segment.part == segment.parts - 1
    where = f"in part {segment.part} of {segment.parts}"
    try:
        found = next(returned)
    except StopIteration as end:
        if last:
            return end.value
        problem = f"returned {where}, expected a yield"
    else:
        if not last:
            return found
        problem = f"yielded {where}, expected that it returns the last state"
    finally:
        returned.close()
    fault = Fault(
        place="step",
        problem=problem,
        remedy="declare stage(..., parts=n), go on from segment.part, yield after "
        "each part but the last one and return after that",
    )
    raise InvalidInputError("a step does not keep to its parts", faults=[fault])


def _require(
    kind: str, functions: Mapping[str, object], limits: Mapping[str, float | None]
) -> None:
    faults = [
        Fault(
            place=f"{kind}.{name}",
            problem=f"{type(function).__name__} cannot be called",
            remedy="pass a function",
        )
        for name, function in functions.items()
        if not callable(function)
    ]
    for name, limit in limits.items():
        wrong = [*value_faults(f"{kind}.{name}", limit, float | None)]
        if not wrong and limit is not None and not limit > 0:
            wrong = [
                Fault(
                    place=f"{kind}.{name}",
                    problem=f"got {limit!r}, expected seconds > 0",
                    remedy="leave it out for the default",
                )
            ]
        faults += wrong
    if faults:
        raise InvalidInputError(f"this {kind} cannot be made", faults=faults)
