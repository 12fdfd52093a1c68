"""A report for those who gave the hours: used, planned, left, lost, produced.

Everything in it is the ledger's, the campaign's plan or a forecast that exists; there
is no number without one of these behind it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from climorch.core.estimating import Interval
from climorch.errors import BackendError, NotAllowedError
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import HOUR_S, PARTS
from climorch.forecast.expecting import expected_of, expected_tables
from climorch.forecast.parts import Part
from climorch.forecast.projection import Forecast
from climorch.forecast.rendering import as_dataset, as_long_csv, as_markdown
from climorch.forecast.series import Outlook

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Planned", "Report"]

UNITS = {
    "node_hours": "node h",
    "core_hours": "core h",
    "model_years": "year",
    "segments": "1",
    "stored_tb_months": "TB month",
    "archived_tb_months": "TB month",
    "bytes_written": "byte",
    "bytes_read": "byte",
    "kwh": "kWh",
    "kg_co2": "kg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a project has planned, from the begin of the campaign to its end.

    Attributes
    ----------
    project, institution : str
        Whose.
    budget_node_hours : float or None
        What it may use in all; None: no limit.
    used_node_hours : float
        What it has used so far, in the whole campaign.
    simulations, completed : int
        Scenarios submitted; committed to their ends.
    segments, committed : int
        Of all of them; of these, committed.
    remaining_node_hours : Interval or None
        What the rest takes, as `Campaign.estimate` says, quantiles added up: as if
        all were off together. None: nothing is known of the cost of ``unknown``.
    unknown : tuple of str
        Simulations of which it cannot be told.
    """

    project: str
    institution: str
    budget_node_hours: float | None
    used_node_hours: float
    simulations: int
    completed: int
    segments: int
    committed: int
    remaining_node_hours: Interval | None
    unknown: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a row of a table; NaN: no limit, or not known."""
        budget = math.nan if self.budget_node_hours is None else self.budget_node_hours
        left = self.remaining_node_hours
        return {
            "project": self.project,
            "institution": self.institution,
            "budget_node_hours": budget,
            "used_node_hours": self.used_node_hours,
            "budget_left_node_hours": budget - self.used_node_hours,
            "simulations": self.simulations,
            "completed": self.completed,
            "segments": self.segments,
            "committed": self.committed,
            "remaining_p10_node_hours": math.nan if left is None else left.p10,
            "remaining_p50_node_hours": math.nan if left is None else left.p50,
            "remaining_p90_node_hours": math.nan if left is None else left.p90,
            "unknown": " ".join(self.unknown),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a campaign did in a period, for one project or all.

    Attributes
    ----------
    campaign : str
        Its name.
    project : str or None
        Whose; None: everybody's.
    since_s, until_s : float
        The period, UTC seconds; infinite where it has no end.
    ledger : Ledger
        Of the period and the project: every figure of use is from it.
    plans : tuple of Planned
        By project; as of now, not of the period.
    outlook : Outlook or None
        Node-hours of the months to come, from what was used so far; None: less
        than six whole months were.
    forecast : Forecast or None
        What plans will use and when they are done, if it was asked for.
    notes : tuple of str
        What must be known to read it.
    """

    campaign: str
    project: str | None
    since_s: float
    until_s: float
    ledger: Ledger
    plans: tuple[Planned, ...] = ()
    outlook: Outlook | None = None
    forecast: Forecast | None = None
    notes: tuple[str, ...] = ()

    @property
    def efficiency(self) -> float:
        """Useful node-seconds over those of leases; NaN: nothing was leased."""
        held_s = self.ledger.held_node_s
        useful_s = self.ledger.node_s(Part.USEFUL, Part.WIDE)
        return useful_s / held_s if held_s else math.nan

    @property
    def period(self) -> str:
        """The period in words."""
        since = _day(self.since_s, "its begin")
        until = _day(self.until_s, _day(self.ledger.as_of_s, "its begin"))
        return f"{since} to {until} (UTC, end not included)"

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables by name.

        Returns
        -------
        dict of str to DataFrame
            ``summary``, ``used`` by month and project, ``planned`` by project,
            ``lost`` by cause, ``produced`` by simulation; ``forecast`` by month from
            past use, ``expected`` by month and project and ``completions`` by scenario
            from plans, if there are such.
        """
        tables = {
            "summary": self.to_pandas(),
            "used": self.used(),
            "planned": self.planned(),
            "lost": self.lost(),
            "produced": self.produced(),
        }
        if self.outlook is not None:
            tables["forecast"] = self.outlook.to_pandas()
        if self.forecast is not None:
            tables |= expected_tables(self.forecast, self.project)
        return tables

    def to_pandas(self) -> pd.DataFrame:
        """Return the summary: one row per quantity, with its unit."""
        total = self.ledger.to_pandas()
        rows: list[tuple[str, float, str]] = [
            (name, float(total[name].sum()), unit)
            for name, unit in UNITS.items()
            if name in total
        ]
        rows += [
            (f"{part}_node_hours", float(total[f"{part}_node_hours"].sum()), "node h")
            for part in PARTS
        ]
        rows += [
            ("efficiency", self.efficiency, "1"),
            ("scenarios_done", float(len(self.ledger.completed)), "1"),
            ("setbacks", float(sum(x.count for x in self.ledger.setbacks)), "1"),
        ]
        return pd.DataFrame(rows, columns=["quantity", "value", "unit"]).set_index(
            "quantity"
        )

    def used(self) -> pd.DataFrame:
        """Return what was used, one row per month and project."""
        return self.ledger.by("month", "project")

    def planned(self) -> pd.DataFrame:
        """Return plans, one row per project; NaN: no limit, or not known.

        With a forecast, what it expects of all its months together stands beside them.
        """
        rows = [plan.to_dict() for plan in self.plans]
        if self.forecast is not None:
            for row in rows:
                row |= expected_of(self.forecast, row["project"])
        columns = None if rows else ["project"]
        return pd.DataFrame(rows, columns=columns).set_index("project")

    def lost(self) -> pd.DataFrame:
        """Return what was lost, one row per cause, the dearest first."""
        held_s = self.ledger.held_node_s
        node_s = {setback.cause: 0.0 for setback in self.ledger.setbacks}
        counts = dict.fromkeys(node_s, 0)
        for setback in self.ledger.setbacks:
            counts[setback.cause] += setback.count
        for loss in self.ledger.losses:
            node_s[loss.cause] = node_s.get(loss.cause, 0.0) + loss.node_s
        rows = [
            (cause or "not told", s / HOUR_S, s / held_s, counts.get(cause, 0))
            for cause, s in sorted(node_s.items(), key=lambda item: -item[1])
        ]
        columns = ["cause", "node_hours", "share", "setbacks"]
        return pd.DataFrame(rows, columns=columns).set_index("cause")

    def produced(self) -> pd.DataFrame:
        """Return what was produced, one row per simulation that used anything."""
        done = {x.simulation: _day(x.at_s, "") for x in self.ledger.completed}
        table = self.ledger.by("simulation")
        found = table[table.index != ""][["model_years", "segments", "node_hours"]]
        found = found.copy()
        per_year = found["node_hours"] / found["model_years"]
        found["node_hours_per_model_year"] = per_year.where(found["model_years"] > 0)
        found["completed"] = [done.get(name, "") for name in found.index]
        return found

    def to_xarray(self) -> xr.Dataset:
        """Return all tables as one dataset, with CF attributes."""
        return as_dataset(self.tables(), self._about())

    def to_netcdf(self, path: str | Path) -> None:
        """Write `to_xarray` as a NetCDF 4 file.

        Parameters
        ----------
        path : str or Path
            The file; one that is there is replaced.

        Raises
        ------
        NotAllowedError
            If nothing is installed that writes NetCDF.
        BackendError
            If the file cannot be written.
        """
        try:
            self.to_xarray().to_netcdf(path, engine="netcdf4")
        except (ImportError, ValueError) as error:
            raise NotAllowedError(
                f"no NetCDF can be written to {path}: {error}; install "
                "climorch[netcdf], or take to_csv or to_json",
                path=str(path),
            ) from error
        except OSError as error:
            raise BackendError(
                f"cannot write {path}: {error}", path=str(path)
            ) from error

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return all tables as one long table in CSV.

        Parameters
        ----------
        path : str or Path or None
            Where it is written, too.

        Returns
        -------
        str
            Columns ``table``, ``row``, ``quantity``, ``value``.
        """
        return _written(as_long_csv(self.tables()), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return everything as JSON, numbers in full precision, NaN as null.

        Parameters
        ----------
        path : str or Path or None
            Where it is written, too.
        """
        tables = {
            name: [_plain(row) for row in table.reset_index().to_dict("records")]
            for name, table in self.tables().items()
        }
        text = json.dumps({**self._about(), "tables": tables}, indent=2)
        return _written(text + "\n", path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return everything as Markdown, for people.

        Parameters
        ----------
        path : str or Path or None
            Where it is written, too.
        """
        title = f"Campaign {self.campaign}"
        if self.project is not None:
            title += f", project {self.project}"
        notes = [f"Period: {self.period}.", *self.notes]
        if self.outlook is not None:
            notes.append(f"Forecast: {self.outlook.case.value}.")
        if self.forecast is not None:
            notes += [f"Expected: {self.forecast.trust}.", *self.forecast.notes]
        return _written(as_markdown(title, notes, self.tables()), path)

    def __str__(self) -> str:
        return self.to_markdown()

    def _about(self) -> dict[str, str]:
        about = {
            "title": f"Use of campaign {self.campaign}",
            "history": "made by climorch from the journal of the campaign",
            "campaign": self.campaign,
            "project": self.project or "",
            "period": self.period,
            "notes": " ".join(self.notes),
        }
        if self.outlook is not None:
            about["forecast_case"] = self.outlook.case.value
        if self.forecast is not None:
            about["expected_basis"] = self.forecast.trust.basis.value
        return about


def _day(at_s: float, otherwise: str) -> str:
    if not math.isfinite(at_s):
        return otherwise
    at = datetime.fromtimestamp(at_s, UTC)
    # Whole days as such: most periods begin and end with one.
    return f"{at:%Y-%m-%d}" if at_s % 86_400 == 0 else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row for JSON, which has no NaN."""
    return {
        str(name): None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in row.items()
    }


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise BackendError(
                f"cannot write {path}: {error}", path=str(path)
            ) from error
    return text
