"""Ready-made measures for ``wf.score``: model against observations, with uncertainty.

Plain functions of xarray fields; each gives a number that a score may return, or that
another one takes. Means are weighted by area where weights are given. Whatever is
missing in one of both is left out of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable
from typing import Any

import numpy as np
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.model.judging import Judged
from climorch.model.measures import area_weights

__all__ = [
    "aligned",
    "area_weights",
    "bias",
    "block_bootstrap",
    "by_members",
    "correlation",
    "crps",
    "mean",
    "rmse",
    "trend",
]

Dims = str | Collection[Hashable] | None
Measure = Callable[..., xr.DataArray]

DECADE = 10.0


def mean(
    field: xr.DataArray, *, weights: xr.DataArray | None = None, over: Dims = None
) -> xr.DataArray:
    """Return a weighted mean of what is not missing.

    Parameters
    ----------
    field : xarray.DataArray
        Of which.
    weights : xarray.DataArray or None
        Such as from `area_weights`; None: all count the same.
    over : str, iterable of str or None
        Dimensions; None: all.

    Returns
    -------
    xarray.DataArray
        In units of the field; NaN where everything is missing.
    """
    if weights is None:
        found: xr.DataArray = field.mean(over)
    else:
        found = field.weighted(weights).mean(over)
    return found.assign_attrs(_units(field))


def bias(
    model: xr.DataArray,
    observed: xr.DataArray,
    *,
    weights: xr.DataArray | None = None,
    over: Dims = None,
) -> xr.DataArray:
    """Return the mean of model minus observation.

    Parameters
    ----------
    model, observed : xarray.DataArray
        On the same grid and times, in the same units; see `aligned`.
    weights, over
        As for `mean`.

    Returns
    -------
    xarray.DataArray
        In units of both.

    Raises
    ------
    InvalidInputError
        If both say their units, and these are others.
    """
    return mean(_difference(model, observed), weights=weights, over=over)


def rmse(
    model: xr.DataArray,
    observed: xr.DataArray,
    *,
    weights: xr.DataArray | None = None,
    over: Dims = None,
) -> xr.DataArray:
    """Return the root of the mean squared difference of model and observation.

    Parameters
    ----------
    model, observed, weights, over
        As for `bias`.

    Returns
    -------
    xarray.DataArray
        In units of both, >= 0.

    Raises
    ------
    InvalidInputError
        As for `bias`.
    """
    difference = _difference(model, observed)
    found: xr.DataArray = mean(difference**2, weights=weights, over=over) ** 0.5
    return found.assign_attrs(_units(difference))


def correlation(
    model: xr.DataArray,
    observed: xr.DataArray,
    *,
    weights: xr.DataArray | None = None,
    over: Dims = None,
) -> xr.DataArray:
    """Return Pearson's correlation of model and observation.

    Parameters
    ----------
    model, observed, weights, over
        As for `bias`; units do not matter.

    Returns
    -------
    xarray.DataArray
        In [-1, 1]; NaN where one of both does not vary.
    """
    there = model.notnull() & observed.notnull()
    x, y = model.where(there), observed.where(there)
    dx = x - mean(x, weights=weights, over=over)
    dy = y - mean(y, weights=weights, over=over)

    def moment(product: xr.DataArray) -> xr.DataArray:
        return mean(product, weights=weights, over=over)

    spread: xr.DataArray = (moment(dx**2) * moment(dy**2)) ** 0.5
    found: xr.DataArray = moment(dx * dy) / spread.where(spread > 0)
    return found.drop_attrs()


def crps(
    members: xr.DataArray,
    observed: xr.DataArray,
    *,
    member: str = "member",
    weights: xr.DataArray | None = None,
    over: Dims = None,
) -> xr.DataArray:
    """Return the continuous ranked probability score of an ensemble, averaged.

    Of the empirical distribution of the members, not corrected for their number.

    Parameters
    ----------
    members : xarray.DataArray
        Along ``member``.
    observed, weights, over
        As for `bias`; ``over`` without the members.
    member : str
        Name of their dimension.

    Returns
    -------
    xarray.DataArray
        In units of both, >= 0; lower is better. Of a single member the mean
        absolute error.

    References
    ----------
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, 359-378, eq. 21.
    """
    error = abs(_difference(members, observed)).mean(member)
    count = members.sizes[member]
    # The mean distance of two members, from their order: no pairs are made.
    order = xr.DataArray(2 * np.arange(1, count + 1) - count - 1, dims=member)
    ranked = members.copy(
        data=np.sort(members.to_numpy(), axis=members.get_axis_num(member))
    )
    between = 2 * (ranked * order).sum(member, skipna=False) / count**2
    found: xr.DataArray = error - between / 2
    return mean(found, weights=weights, over=over).assign_attrs(_units(members))


def trend(series: xr.DataArray, *, time: str = "time") -> xr.DataArray:
    """Return the slope of a straight line by least squares, per decade.

    Parameters
    ----------
    series : xarray.DataArray
        Along dates of any calendar.
    time : str
        Their dimension.

    Returns
    -------
    xarray.DataArray
        In units of the series per ten years; NaN for fewer than two dates.
    """
    years = series[time].dt.decimal_year.where(series.notnull())
    about = years - years.mean(time)
    scatter = (about**2).sum(time)
    slope: xr.DataArray = (about * series).sum(time) / scatter.where(scatter > 0)
    return (slope * DECADE).drop_attrs()


def aligned(
    model: xr.DataArray, observed: xr.DataArray, *, by: str = "month"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Take of both what falls into the same years, months or days of model time.

    So that what was simulated so far is compared with its own past, whatever the
    calendars and whether dates are those of the beginning or the middle.

    Parameters
    ----------
    model, observed : xarray.DataArray
        Along ``time``, with at most one date in each.
    by : str
        ``"year"``, ``"month"`` or ``"day"``.

    Returns
    -------
    tuple of xarray.DataArray
        Both along the model's ``time``.

    Raises
    ------
    InvalidInputError
        If they have nothing in common, or several dates fall together.
    """
    parts = ("year", "month", "day")
    if by not in parts:
        raise InvalidInputError(f"by={by!r}: align by one of {', '.join(parts)}")
    wanted = parts[: parts.index(by) + 1]
    keys = [_keys(each, wanted) for each in (model, observed)]
    for name, found in zip(("model", "observed"), keys, strict=True):
        if len({*found}) < len(found):
            raise InvalidInputError(
                f"{name} has several dates in one {by}; average them before, or align "
                "by something shorter"
            )
    places = {key: i for i, key in enumerate(keys[1])}
    ours = [i for i, key in enumerate(keys[0]) if key in places]
    if not ours:
        raise InvalidInputError(
            f"model and observed have no {by} in common: {_ends(model)} and "
            f"{_ends(observed)}"
        )
    theirs = [places[keys[0][i]] for i in ours]
    mine = model.isel(time=ours)
    return mine, observed.isel(time=theirs).assign_coords(time=mine["time"])


def block_bootstrap(
    measure: Measure,
    *fields: xr.DataArray,
    block: int,
    time: str = "time",
    samples: int = 200,
    seed: int = 0,
) -> Judged:
    """Judge with an uncertainty from blocks of time that are drawn again.

    Circular blocks of one length, so that what follows itself stays together.

    Parameters
    ----------
    measure, *fields
        ``measure(*fields)`` gives one number; all along the same times.
    block : int
        Times in each block, >= 1: longer than their memory, a small part of them.
    time, samples, seed
        Their dimension; how often, >= 2; the same numbers for the same seed.

    Returns
    -------
    Judged
        Value of all times, its standard deviation, and the number of whole blocks.
        With fewer than about ten the deviation is too low.

    Raises
    ------
    InvalidInputError
        If there are not two whole blocks.

    References
    ----------
    Politis and Romano (1992), in: Exploring the Limits of Bootstrap, 263-270.
    """
    length = fields[0].sizes[time]
    blocks = length // block if block >= 1 else 0
    if blocks < 2 or samples < 2:
        raise InvalidInputError(
            f"{length} times give {blocks} blocks of {block}, {samples} samples; "
            "expected two of both at least"
        )
    loaded = [field.compute() for field in fields]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(samples):
        starts = rng.integers(length, size=math.ceil(length / block))
        places = (starts[:, None] + np.arange(block)).ravel()[:length] % length
        drawn = [field.isel({time: places}) for field in loaded]
        found.append(float(measure(*drawn)))
    return Judged(
        value=float(measure(*loaded)),
        sd=float(np.std(found, ddof=1)),
        samples=blocks,
    )


def by_members(
    measure: Measure, members: xr.DataArray, *fields: Any, member: str = "member"
) -> xr.DataArray:
    """Judge each member by itself; a score that returns this gets their scatter.

    Parameters
    ----------
    measure : callable
        ``measure(one_member, *fields)`` gives one number.
    members : xarray.DataArray
        Along ``member``.
    *fields, member
        Passed on, such as observations; name of the dimension.

    Returns
    -------
    xarray.DataArray, shape (member,)
        Independent members: the standard error of their mean is its uncertainty.
    """
    values = [
        float(measure(members.isel({member: i}), *fields))
        for i in range(members.sizes[member])
    ]
    return xr.DataArray(values, dims=member)


def _difference(model: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    units = [each.attrs.get("units") for each in (model, observed)]
    if None not in units and units[0] != units[1]:
        raise InvalidInputError(
            f"model {model.name!r} has units {units[0]!r}, observed {observed.name!r} "
            f"{units[1]!r}; convert one of them"
        )
    found: xr.DataArray = model - observed
    return found.assign_attrs(_units(model))


def _units(field: xr.DataArray) -> dict[str, Any]:
    return {"units": field.attrs["units"]} if "units" in field.attrs else {}


def _keys(field: xr.DataArray, parts: tuple[str, ...]) -> list[tuple[int, ...]]:
    dates = field["time"].dt
    columns = [getattr(dates, part).to_numpy().tolist() for part in parts]
    return list(zip(*columns, strict=True))


def _ends(field: xr.DataArray) -> str:
    times = field["time"].to_numpy()
    return f"{times[0]} to {times[-1]}" if len(times) else "no date"
