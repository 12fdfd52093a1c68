"""A forecast: what months to come will use, by project, and when what will be done.

Holds all draws, so that sums and quantiles are of the same worlds. Ignores how they
were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from climorch.core.estimating import Interval
from climorch.forecast.entries import Power
from climorch.forecast.series import Outlook
from climorch.forecast.trust import Trust
from climorch.forecast.unfolded import labels_of

__all__ = ["LEVELS", "Completion", "Forecast"]

LEVELS = (0.1, 0.5, 0.9)
HOUR_S = 3600.0

Array = npt.NDArray[np.float64]
Draws = tuple[tuple[tuple[float, ...], ...], ...]
"""By draw, project and month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """When a scenario will be done.

    Attributes
    ----------
    simulation, project : str
        Which, and who pays.
    planned : bool
        Whether it is an activity that is not submitted yet.
    share : float
        Of draws in which it is done before the forecast ends.
    p10_s, p50_s, p90_s : float
        UTC seconds before which it is done with that chance; infinite: later than
        the forecast, or never.
    """

    simulation: str
    project: str
    planned: bool
    share: float
    p10_s: float
    p50_s: float
    p90_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return a row of a table; NaT: later than the forecast."""
        return {
            "simulation": self.simulation,
            "project": self.project,
            "planned": self.planned,
            "share": self.share,
            "p10": _date(self.p10_s),
            "p50": _date(self.p50_s),
            "p90": _date(self.p90_s),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is expected of the months to come.

    Attributes
    ----------
    campaign : str
        Its name.
    mode : str
        ``"twin"`` or ``"quick"``.
    edges_s : tuple of float
        Where pieces of time begin and end, UTC seconds: what is left of the present
        month, then whole months.
    projects : tuple of str
        Who.
    node_hours : tuple, by draw, project and piece
        That leases hold.
    tb_months : tuple, by draw, project and piece
        That checkpoints take on the disk; NaN: no checkpoint was measured yet.
    capacity_node_hours : tuple of float
        Most that there can be, by piece.
    completions : tuple of Completion
        Of each scenario that is not done.
    trust : Trust
        Which case it is in, and what it rests on.
    outlook : Outlook or None
        What use so far says of whole months; None: less than six of them.
    power : Power or None
        What a node draws.
    notes : tuple of str
        What was assumed.
    """

    campaign: str
    mode: str
    edges_s: tuple[float, ...]
    projects: tuple[str, ...]
    node_hours: Draws
    tb_months: Draws
    capacity_node_hours: tuple[float, ...]
    completions: tuple[Completion, ...]
    trust: Trust
    outlook: Outlook | None = None
    power: Power | None = None
    notes: tuple[str, ...] = ()

    @property
    def months(self) -> tuple[str, ...]:
        """Names of the pieces, ``YYYY-MM``; the first may be the rest of a month."""
        return labels_of(self.edges_s)

    def total(
        self, *, project: str | None = None, months: int | None = None
    ) -> Interval:
        """Return the node-hours of several months together.

        Parameters
        ----------
        project : str or None
            Whose; None: everybody's.
        months : int or None
            Of how many pieces, from the first on; None: all.
        """
        drawn = self._hours(project)[:, :months].sum(axis=1)
        p10, p50, p90 = (float(x) for x in _quantiles(drawn))
        return Interval(p10=p10, p50=p50, p90=p90)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per month and project, and ``(all)``.

        Returns
        -------
        pandas.DataFrame
            Node-hours, TB-months and, with `Power`, kWh: each P10, P50 and P90. Months
            of one draw go together, so quantiles of sums are in `total`, not here.
        """
        rows = []
        for at, month in enumerate(self.months):
            for project in (*self.projects, None):
                row: dict[str, Any] = {"month": month, "project": project or "(all)"}
                hours = self._hours(project)[:, at]
                row |= _named("node_hours", hours)
                row |= _named("tb_months", self._bytes(project)[:, at])
                if self.power is not None:
                    row |= _named("kwh", hours * self.power.kwh(HOUR_S))
                rows.append(row)
        return pd.DataFrame(rows).set_index(["month", "project"])

    def completions_to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per scenario; NaT: later than the forecast."""
        columns = ["simulation", "project", "planned", "share", "p10", "p50", "p90"]
        rows = [completion.to_dict() for completion in self.completions]
        return pd.DataFrame(rows, columns=columns).set_index("simulation")

    def to_xarray(self) -> xr.Dataset:
        """Return everything with CF attributes.

        Returns
        -------
        xarray.Dataset
            Dimensions ``draw``, ``project``, ``month``, ``quantile``, ``simulation``.
            Draws are whole worlds: add up over months or projects first, then take
            quantiles.
        """
        each = ("draw", "project", "month")
        shape = (len(self.node_hours), len(self.projects), len(self.months))
        hours = np.array(self.node_hours, float).reshape(shape)
        values: dict[str, Any] = {
            "node_hours": (each, hours, {"units": "node h"}),
            "tb_months": (
                each,
                np.array(self.tb_months, float).reshape(shape),
                {"units": "TB month"},
            ),
            "capacity": ("month", list(self.capacity_node_hours), {"units": "node h"}),
            "total_node_hours": (
                ("quantile", "month"),
                _quantiles(hours.sum(axis=1)),
                {"units": "node h"},
            ),
            "completed": (
                ("quantile", "simulation"),
                np.array(
                    [
                        [getattr(c, name) for c in self.completions]
                        for name in ("p10_s", "p50_s", "p90_s")
                    ]
                ).reshape(len(LEVELS), len(self.completions)),
                {"units": "seconds since 1970-01-01", "long_name": "inf: later"},
            ),
            "share_completed": ("simulation", [c.share for c in self.completions]),
        }
        if self.power is not None:
            kwh = hours * self.power.kwh(HOUR_S)
            values["kwh"] = (each, kwh, {"units": "kWh"})
        return xr.Dataset(
            values,
            coords={
                "project": list(self.projects),
                "month": list(self.months),
                "quantile": list(LEVELS),
                "simulation": [c.simulation for c in self.completions],
            },
            attrs={
                "title": f"Forecast of campaign {self.campaign}",
                "mode": self.mode,
                "basis": self.trust.basis.value,
                "notes": " ".join(self.notes),
            },
        )

    def __str__(self) -> str:
        total = self.total()
        lines = [
            f"{self.campaign}, {self.months[0]} to {self.months[-1]}: "
            f"{total.p50:,.0f} node h ({total.p10:,.0f} to {total.p90:,.0f}) of "
            f"{sum(self.capacity_node_hours):,.0f}",
            str(self.trust),
            *self.notes,
        ]
        return "\n".join(lines)

    def _hours(self, project: str | None) -> Array:
        return self._drawn(self.node_hours, project)

    def _bytes(self, project: str | None) -> Array:
        return self._drawn(self.tb_months, project)

    def _drawn(self, draws: Draws, project: str | None) -> Array:
        shape = (len(draws), len(self.projects), len(self.months))
        table = np.array(draws, float).reshape(shape)
        if project is None:
            whole: Array = table.sum(axis=1)
            return whole
        own: Array = table[:, self.projects.index(project)]
        return own


def completion_of(
    simulation: str,
    project: str,
    ends_s: Iterable[float],
    *,
    planned: bool,
) -> Completion:
    """Say when a scenario will be done from its ends in all draws; infinite: later."""
    ordered = sorted(ends_s)
    p10, p50, p90 = (
        ordered[max(math.ceil(level * len(ordered)) - 1, 0)] for level in LEVELS
    )
    return Completion(
        simulation=simulation,
        project=project,
        planned=planned,
        share=sum(map(math.isfinite, ordered)) / len(ordered),
        p10_s=p10,
        p50_s=p50,
        p90_s=p90,
    )


def _quantiles(drawn: Array) -> Array:
    # Plain quantiles of 20 draws would hold 72 % of what comes, not 80: these are such
    # that the next draw is below with just that chance.
    found: Array = np.quantile(drawn, LEVELS, axis=0, method="weibull")
    return found


def _named(name: str, drawn: Array) -> dict[str, float]:
    found = (float(x) for x in _quantiles(drawn))
    return dict(zip((f"{name}_p10", f"{name}_p50", f"{name}_p90"), found, strict=True))


def _date(at_s: float) -> Any:
    if not math.isfinite(at_s):
        return pd.NaT
    return pd.Timestamp(datetime.fromtimestamp(at_s, UTC))
