"""Scores as they are planned and journaled: no functions, only values.

A score judges the committed results of one stage at marks. A mark is a number of
segments of that stage, so the same mark is the same model time wherever spans begin
alike.
"""

from __future__ import annotations

import math
from enum import Enum

import msgspec

__all__ = ["Direction", "ScoreEvaluated", "ScoreFailed", "ScorePlan"]


class Direction(Enum):
    """Which values of a score are better."""

    MAX = "max"
    MIN = "min"


class ScorePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A score of the workflow.

    Attributes
    ----------
    name : str
        Its name.
    stage : str
        The stage whose results it judges.
    every : int or str
        Marks: every so many segments, parts counted as such, or a frequency of
        model time such as ``"5YS"``; and always the last segment.
    threshold : float or None
        From here on a value is good enough; None: it is only told.
    direction : Direction
        Which values are better.
    needs : tuple of str
        Stages whose results it reads too.
    """

    name: str
    stage: str
    every: int | str = 1
    threshold: float | None = None
    direction: Direction = Direction.MAX
    needs: tuple[str, ...] = ()

    def margin(self, value: float) -> float:
        """Return by how much a value is better than the threshold.

        Parameters
        ----------
        value : float
            In units of the score.

        Returns
        -------
        float
            Likewise; NaN where there is no threshold.
        """
        if self.threshold is None:
            return math.nan
        better = value - self.threshold
        return better if self.direction is Direction.MAX else -better


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class ScoreEvaluated(_Fact, frozen=True, kw_only=True):
    """A score was computed.

    Attributes
    ----------
    simulation, score : str
        Whose, and which.
    mark : int
        Segments of its stage that it saw.
    value : float
        Finite, in units of the score.
    sd : float
        Standard deviation of its uncertainty, in the same units, >= 0; 0 too where
        nobody said.
    samples : int
        Members or blocks that the uncertainty rests on; 0: not said.
    metrics : dict of str to float
        What was computed beside it, finite.
    """

    simulation: str
    score: str
    mark: int
    value: float
    sd: float = 0.0
    samples: int = 0
    metrics: dict[str, float] = {}


class ScoreFailed(_Fact, frozen=True, kw_only=True):
    """A score could not be computed at a mark.

    Attributes
    ----------
    simulation, score, mark
        As in `ScoreEvaluated`.
    message : str
        Why.
    not_finite : bool
        Whether it was computed and is no finite number, which is a sign that the
        simulation itself went wrong.
    """

    simulation: str
    score: str
    mark: int
    message: str
    not_finite: bool = False
