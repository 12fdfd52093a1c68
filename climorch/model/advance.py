"""What a step is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cftime
    import xarray as xr

__all__ = ["Advance", "Segment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A span of model time that a stage advances in one go.

    Attributes
    ----------
    start, end : cftime.datetime
        Model time, start inclusive, end exclusive, in the stage's calendar.
    index : int
        Number of this segment within its stage, from 0.
    params : mapping
        Parameters of the scenario.
    seed : int
        The same for the same (simulation, stage, index), on every attempt;
        in [0, 2**63).
    part, parts : int
        Of a stage with ``parts``: which part of the segment begins, from 0, and
        how many there are. The state is that at the beginning of this part.
    """

    start: cftime.datetime
    end: cftime.datetime
    index: int
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    part: int = 0
    parts: int = 1

    @property
    def place(self) -> int:
        """Number of this part among all parts of its stage, from 0."""
        return self.index * self.parts + self.part


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What a step returns when there is more to tell than the next state.

    Attributes
    ----------
    state : xarray.Dataset
        Restart state at the end of the segment.
    exports : xarray.Dataset or None
        What coupled stages read; None: the state. May carry a time axis.
    output : xarray.Dataset or None
        Diagnostics appended to the results along their ``time`` dimension.
    metrics : mapping of str to float or 0-d array, or None
        Scalars for rules and scores; may be lazy.
    """

    state: xr.Dataset
    exports: xr.Dataset | None = None
    output: xr.Dataset | None = None
    metrics: Mapping[str, Any] | None = None
