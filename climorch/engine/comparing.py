"""Scores of all simulations beside each other, at equal model time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from climorch.core.state import CampaignState, SimulationState
from climorch.errors import InvalidInputError, NotFoundError
from climorch.intake.calendar import model_time
from climorch.model.plan import StagePlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compared"]

NAMES = ("value", "sd", "samples")


def compared(state: CampaignState, stage: str) -> xr.Dataset:
    """Return what the scores of a stage said of every simulation.

    Parameters
    ----------
    state : CampaignState
        What is known.
    stage : str
        Whose results were judged.

    Returns
    -------
    xarray.Dataset, dims (scenario, metric, model_time)
        As `Campaign.compare`.

    Raises
    ------
    NotFoundError
        If no simulation has a score of that stage.
    InvalidInputError
        If their calendars differ.
    """
    judged = [
        simulation
        for simulation in state.simulations.values()
        if any(score.stage == stage for score in simulation.plan.scores)
    ]
    scenarios = [simulation.name for simulation in judged]
    calendars = {_planned(simulation, stage).calendar for simulation in judged}
    found, thresholds = _told(judged, stage)
    if not scenarios:
        raise NotFoundError(
            f"no simulation has a score of stage {stage!r}; declare one with "
            "Workflow.score"
        )
    if len(calendars) > 1:
        raise InvalidInputError(
            f"stage {stage!r} has the calendars {', '.join(sorted(calendars))}; scores "
            "can be compared within one"
        )
    times = sorted({at for _, _, at in found})
    values = _filled(found, (scenarios, [*thresholds], times))
    dims = ("scenario", "metric", "model_time")
    return xr.Dataset(
        {name: (dims, array) for name, array in values.items()},
        coords={
            "scenario": scenarios,
            "metric": list(thresholds),
            "model_time": xr.CFTimeIndex(
                [model_time(at, calendar) for at in times for calendar in calendars]
            )
            if times
            else [],
            "threshold": ("metric", list(thresholds.values())),
        },
        attrs={"stage": stage},
    )


def _filled(
    found: Mapping[tuple[str, str, int], tuple[float, ...]],
    axes: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
) -> dict[str, NDArray[np.float64]]:
    """Return an array for each name, NaN where nothing was found."""
    places = [{key: i for i, key in enumerate(axis)} for axis in axes]
    shape = tuple(len(axis) for axis in axes)
    values = {name: np.full(shape, np.nan) for name in NAMES}
    for keys, told in found.items():
        place = tuple(known[key] for known, key in zip(places, keys, strict=True))
        for name, number in zip(NAMES, told, strict=True):
            values[name][place] = number
    return values


def _planned(simulation: SimulationState, stage: str) -> StagePlan:
    return next(s for s in simulation.plan.stages if s.name == stage)


def _told(
    judged: Iterable[SimulationState], stage: str
) -> tuple[dict[tuple[str, str, int], tuple[float, ...]], dict[str, float]]:
    """Return what was told by scenario, metric and model time; and all thresholds."""
    found: dict[tuple[str, str, int], tuple[float, ...]] = {}
    thresholds: dict[str, float] = {}
    for simulation in judged:
        ends = _planned(simulation, stage).boundaries
        for score in simulation.plan.scores:
            if score.stage != stage:
                continue
            limit = math.nan if score.threshold is None else score.threshold
            thresholds.setdefault(score.name, limit)
            for mark, scored in simulation.scores.get(score.name, {}).items():
                at = ends[mark]
                if scored.value is not None:
                    told = scored.value, scored.sd, float(scored.samples)
                    found[simulation.name, score.name, at] = told
                for name, value in scored.metrics.items():
                    label = f"{score.name}.{name}"
                    thresholds.setdefault(label, math.nan)
                    found[simulation.name, label, at] = value, math.nan, math.nan
    return found, thresholds
