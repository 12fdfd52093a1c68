"""Scores as users write them: what is wrong with one, and what its answer means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import model_time
from climorch.model.judging import Judged, Partial, Score, ScoreFunction
from climorch.model.plain import is_finite_number
from climorch.model.scoring import Direction
from climorch.model.workflow import Workflow
from climorch.policy.calendar import frequency_faults

__all__ = ["Answer", "NotFiniteError", "answer_of", "asked_of", "score_faults"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a score's function answered, as plain data.

    Attributes
    ----------
    value, sd, samples, metrics
        As in `ScoreEvaluated`.
    """

    value: float
    sd: float = 0.0
    samples: int = 0
    metrics: dict[str, float] = {}


class NotFiniteError(ValueError):
    """A score was computed and is not a finite number."""


def score_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    """Yield what is wrong with the scores of a workflow, but for their names.

    Parameters
    ----------
    workflow : Workflow
        Whose.
    place : str
        Where, for the messages.
    """
    known = {stage.name for stage in workflow.stages}
    for score in workflow.scores:
        here = f"{place}, score {score.name!r}"
        for what, name in (
            ("stage", score.stage),
            *(("needs", name) for name in score.needs),
        ):
            if name not in known:
                yield Fault(
                    place=f"{here}, {what}",
                    problem=f"stage {name!r} does not exist",
                    remedy=f"name one of {', '.join(sorted(map(str, known)))}",
                )
        yield from _value_faults(score, here)


def _value_faults(score: Score, here: str) -> Iterator[Fault]:
    # Users without a type checker may pass anything.
    function: object = score.function
    threshold: object = score.threshold
    every: object = score.every
    if not callable(function):
        yield Fault(
            place=f"{here}, function",
            problem=f"{type(function).__name__} cannot be called",
            remedy="pass a function of (results, partial)",
        )
    if score.direction not in [direction.value for direction in Direction]:
        yield Fault(
            place=f"{here}, direction",
            problem=f"got {score.direction!r}",
            remedy='say which values are better: "max" or "min"',
        )
    if threshold is not None and not is_finite_number(threshold):
        yield Fault(
            place=f"{here}, threshold",
            problem=f"got {threshold!r}, expected a finite number or None",
            remedy="say from which value on it is good enough",
        )
    if isinstance(every, str):
        yield from frequency_faults(f"{here}, every", every)
    elif isinstance(every, bool) or not isinstance(every, int) or every < 1:
        yield Fault(
            place=f"{here}, every",
            problem=f"got {every!r}, expected a whole number >= 1",
            remedy="count segments, or give a frequency such as '5YS'",
        )
    if not (is_finite_number(score.limit_s) and score.limit_s > 0):
        yield Fault(
            place=f"{here}, limit_s",
            problem=f"got {score.limit_s!r}, expected seconds > 0",
            remedy="say after how long it is given up",
        )


def asked_of(
    function: ScoreFunction,
    stage: str,
    told: Mapping[str, Any],
    results: Mapping[str, xr.Dataset],
) -> Answer | str:
    """Ask a score's function; runs where the results are read.

    Parameters
    ----------
    function : callable
        The user's.
    stage : str
        Whose results it judges.
    told : mapping
        What a `Partial` needs but the other stages; ``end`` as seconds and
        ``calendar`` beside it.
    results : mapping of str to xarray.Dataset
        By stage.

    Returns
    -------
    Answer or str
        As `answer_of`; in words where it is not a finite number.

    Raises
    ------
    InvalidInputError
        As `answer_of`.
    """
    given = dict(told)
    calendar = given.pop("calendar")
    partial = Partial(
        stage=stage,
        **(given | {"end": model_time(given["end"], calendar)}),
        needs={name: found for name, found in results.items() if name != stage},
    )
    try:
        return answer_of(function(results[stage], partial))
    except NotFiniteError as error:
        return str(error)


def answer_of(returned: object) -> Answer:
    """Read what a score's function returned.

    Parameters
    ----------
    returned : object
        A number, ``(value, sd)``, an array of members or blocks, or a `Judged`.

    Returns
    -------
    Answer
        Of an array: its mean, the standard error of that (independent members or
        blocks; 0 for a single one), and their number.

    Raises
    ------
    NotFiniteError
        If the value, or a part of it, is NaN or infinite.
    InvalidInputError
        If it is nothing of that kind.
    """
    match returned:
        case Judged():
            found = Answer(
                value=float(returned.value),
                sd=float(returned.sd),
                samples=int(returned.samples),
                metrics={
                    str(name): number
                    for name, metric in returned.metrics.items()
                    if math.isfinite(number := float(metric))
                },
            )
        case tuple() if len(returned) == 2:
            value, sd = map(_number, returned)
            found = Answer(value=value, sd=sd)
        case xr.DataArray() | np.ndarray() if np.size(returned) > 1:
            found = _of_several(np.asarray(returned, dtype=np.float64).ravel())
        case _:
            found = Answer(value=_number(returned))
    if not math.isfinite(found.value):
        raise NotFiniteError(f"the score is {found.value}")
    if not (math.isfinite(found.sd) and found.sd >= 0):
        raise InvalidInputError(
            f"the uncertainty of a score is {found.sd}, expected a finite number >= 0"
        )
    return found


def _number(returned: object) -> float:
    try:
        return float(np.asarray(returned).item())
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"a score returned {type(returned).__name__}, expected a number, "
            "(value, sd), an array of members or blocks, or a Judged"
        ) from error


def _of_several(values: np.ndarray[Any, np.dtype[np.float64]]) -> Answer:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise NotFiniteError(f"{bad} of {len(values)} values are not finite")
    return Answer(
        value=float(values.mean()),
        sd=float(values.std(ddof=1) / math.sqrt(len(values))),
        samples=len(values),
    )
