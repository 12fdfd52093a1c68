"""Which part of a stage's state lives on from segment to segment, and how precisely.

What is left out or rounded is so at every boundary, whether a checkpoint is taken
there or not: else a run that was resumed would differ from one that was not. So a
scope is part of the step, and nothing that stores or restores needs to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Advance, Segment
from climorch.model.codec import LZ4, Codec, Storing
from climorch.model.steps import taken

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Scope", "ScopedInit", "ScopedStep", "rounded"]

_MANTISSA = {"float32": (np.uint32, 23), "float64": (np.uint64, 52)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What of a state is kept.

    Attributes
    ----------
    leave_out : tuple of str
        Variables that are dropped at the end of each segment.
    rebuild : callable or None
        ``rebuild(state, segment)`` returns the state with them, made from what
        is kept; called at the beginning of each segment, it must depend on
        nothing else. None: the step does without.
    keep_bits : mapping of str to int
        Floating variable to the explicit bits of its mantissa that are kept, of
        23 or 52; the others become zero, which compresses well. Seven keep a
        relative error below 0.4 %, ten below 0.05 %. Where stages of a coupled
        set name the same variable, the most bits count for all of them.
    codecs : mapping of str to Codec
        How variables are compressed in checkpoints; others as by default.
        Changes no value.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    leave_out: tuple[str, ...] = ()
    rebuild: Callable[[xr.Dataset, Segment], xr.Dataset] | None = None
    keep_bits: Mapping[str, int] = field(default_factory=dict)
    codecs: Mapping[str, Codec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [
            Fault(
                place=f"Scope.keep_bits[{name!r}]",
                problem=f"got {bits!r}, expected 1 to 52",
                remedy="leave the variable out of keep_bits to keep all of it",
            )
            for name, bits in self.keep_bits.items()
            if not 1 <= bits <= 52
        ]
        faults += [
            Fault(
                place=f"Scope.keep_bits[{name!r}]",
                problem="it is left out",
                remedy="name it in one of the two",
            )
            for name in self.leave_out
            if name in self.keep_bits
        ]
        faults += [
            Fault(
                place=f"Scope.codecs[{name!r}]",
                problem=f"got {codec!r}, expected a Codec",
                remedy="pass one such as Codec('zstd', 3)",
            )
            for name, codec in self.codecs.items()
            # Users without a type checker may pass anything.
            if not isinstance(codec, Codec)
        ]
        # Users without a type checker may pass anything.
        rebuild: object = self.rebuild
        if rebuild is not None and not callable(rebuild):
            faults.append(
                Fault(
                    place="Scope.rebuild",
                    problem=f"{type(rebuild).__name__} cannot be called",
                    remedy="pass a function of (state, segment)",
                )
            )
        if faults:
            raise InvalidInputError("this scope cannot be kept", faults=faults)

    @property
    def storing(self) -> dict[str, Storing]:
        """How the variables that anything is said about are stored."""
        return {
            name: Storing(
                codec=self.codecs.get(name, LZ4), keep_bits=self.keep_bits.get(name)
            )
            for name in sorted({*self.codecs, *self.keep_bits})
        }

    def met(self, scopes: Sequence[Scope]) -> Scope:
        """Return what counts in a coupled set: of a variable, the finest precision.

        A variable that two stages have by one name is one quantity that they
        exchange: rounded coarser in one, it would be coarse in the other too.

        Parameters
        ----------
        scopes : sequence of Scope
            Of the stages of the set that have one, this one's included.
        """
        bits = {
            name: max(s.keep_bits.get(name, 0) for s in [self, *scopes])
            for name in self.keep_bits
        }
        return self if bits == dict(self.keep_bits) else replace(self, keep_bits=bits)

    def kept(self, state: xr.Dataset) -> xr.Dataset:
        """Return what lives on of a state.

        Parameters
        ----------
        state : xarray.Dataset
            Whole; chunked fields stay lazy.

        Returns
        -------
        xarray.Dataset
            Without what is left out, rounded where that is asked for.

        Raises
        ------
        InvalidInputError
            If a variable that is to be rounded is missing or not floating.
        """
        left = state.drop_vars(self.leave_out, errors="ignore")
        _require(
            (
                name
                for name in self.keep_bits
                if name not in left.variables
                or left.variables[name].dtype.name not in _MANTISSA
            ),
            "is no variable of float32 or float64",
        )
        return left.assign(
            {
                name: left[name].copy(data=rounded(left[name].data, bits))
                for name, bits in self.keep_bits.items()
            }
        )

    def whole(self, state: xr.Dataset, segment: Segment) -> xr.Dataset:
        """Return the state that a segment starts from.

        Parameters
        ----------
        state : xarray.Dataset
            What lived on.
        segment : Segment
            Which begins.

        Raises
        ------
        InvalidInputError
            If a variable that is left out was not rebuilt.
        """
        if self.rebuild is None:
            return state
        found = self.rebuild(state, segment)
        _require(
            (name for name in self.leave_out if name not in found.variables),
            "is left out and was not rebuilt",
        )
        return found


@dataclass(frozen=True, slots=True)
class ScopedStep:
    """A step between what lives on and what it computes with.

    Attributes
    ----------
    func : callable
        The user's step.
    scope : Scope
        What is kept.
    """

    func: Callable[..., Any]
    scope: Scope

    def __call__(
        self, state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> Advance:
        """Advance a segment; what coupled stages read by default is what is kept."""
        given = self.scope.whole(state, segment)
        found = taken(self.func(given, inputs, segment), segment)
        if isinstance(found, Advance):
            return replace(found, state=self.scope.kept(found.state))
        return Advance(state=self.scope.kept(found))


@dataclass(frozen=True, slots=True)
class ScopedInit:
    """What makes the first state, of which only what is kept counts.

    Attributes
    ----------
    func : callable
        The user's ``init`` or ``transform``.
    scope : Scope
        What is kept.
    """

    func: Callable[..., Any]
    scope: Scope

    def __call__(self, *given: Any) -> xr.Dataset | Advance:
        """Make the first state from what the user's function takes."""
        found = self.func(*given)
        if isinstance(found, Advance):
            return replace(found, state=self.scope.kept(found.state))
        return self.scope.kept(found)


def rounded(values: Any, bits: int) -> Any:
    """Round floats to so many explicit bits of the mantissa, to nearest, ties to even.

    Parameters
    ----------
    values : array of float32 or float64
        Of NumPy, or chunked; NaN and infinities stay.
    bits : int
        Bits that are kept; all, if there are no more.

    Returns
    -------
    array
        Of the same kind; relative error at most ``2 ** -(bits + 1)``.
    """
    kind, mantissa = _MANTISSA[values.dtype.name]
    drop = mantissa - bits
    if drop <= 0:
        return values
    shift, one = kind(drop), kind(1)
    whole = values.view(kind)
    tie = (whole >> shift) & one
    up = whole + kind((1 << (drop - 1)) - 1) + tie
    found = ((up >> shift) << shift).view(values.dtype)
    return np.where(np.isfinite(values) & np.isfinite(found), found, values)


def _require(names: Iterable[str], problem: str) -> None:
    faults = [
        Fault(
            place=f"variable {name!r}",
            problem=problem,
            remedy="name variables of the state, and return them from rebuild",
        )
        for name in names
    ]
    if faults:
        raise InvalidInputError("the scope does not fit the state", faults=faults)
