"""What a score's function is told, what it may answer, and how a score is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from climorch.model.scoring import Direction, ScorePlan

if TYPE_CHECKING:
    import cftime
    import xarray as xr

__all__ = ["Judged", "Partial", "Score", "ScoreFunction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """How far the results go that a score is to judge.

    Attributes
    ----------
    simulation, stage : str
        Whose they are.
    params : mapping
        Parameters of its scenario.
    segments : int
        Segments of the stage that are in them: the mark.
    end : cftime.datetime
        Model time up to which they go.
    complete : bool
        Whether that is the end of the stage.
    needs : mapping of str to xarray.Dataset
        Results of the other stages that the score reads, up to the same model time;
        without a stage that has returned no output.
    """

    simulation: str
    stage: str
    params: Mapping[str, Any]
    segments: int
    end: cftime.datetime
    complete: bool
    needs: Mapping[str, xr.Dataset] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a score's function may answer, where a number is not enough.

    Attributes
    ----------
    value : float
        In units of the score.
    sd : float
        Standard deviation of its uncertainty, in the same units, >= 0.
    samples : int
        Members or blocks that the uncertainty rests on, >= 0.
    metrics : mapping of str to float
        What else was computed; kept and compared, never steered by.
    """

    value: float
    sd: float = 0.0
    samples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


ScoreFunction = Callable[
    ["xr.Dataset", Partial], "float | tuple[float, float] | xr.DataArray | Judged"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A function that judges the committed results of a stage.

    Attributes
    ----------
    name, stage, every, threshold, needs
        As for `ScorePlan`; segments are whole ones here, whatever parts they have.
    function : callable
        ``function(results, partial)``; pure. Returns the value, or ``(value, sd)``,
        or an array of members or blocks, whose mean counts, or a `Judged`.
    direction : str
        Which values are better: ``"max"`` or ``"min"``.
    limit_s : float
        Seconds after which it is given up, > 0.
    """

    name: str
    stage: str
    function: ScoreFunction
    threshold: float | None = None
    direction: str = Direction.MAX.value
    every: int | str = 1
    needs: tuple[str, ...] = ()
    limit_s: float = 600.0

    def plan(self, parts: int) -> ScorePlan:
        """Return what is journaled of it.

        Parameters
        ----------
        parts : int
            Of each segment of its stage.
        """
        every = self.every
        return ScorePlan(
            name=self.name,
            stage=self.stage,
            every=every * parts if isinstance(every, int) else every,
            threshold=None if self.threshold is None else float(self.threshold),
            direction=Direction(self.direction),
            needs=self.needs,
        )
