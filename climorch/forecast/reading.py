"""Reads past use from tables, and refuses what would be a silent number.

Decides what a row means: when, how much, in which unit. All faults are told at once;
what is assumed stands in the notes of the history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from climorch.errors import BackendError, Fault, InvalidInputError, NotFoundError
from climorch.forecast.history import DAY_S, History, usage_by_month
from climorch.forecast.periods import month_begin_s

__all__ = ["read_usage"]

FAULTS_SHOWN = 20
# Factors to hours; and whose hours they are.
TIMES = {"s": 1 / 3600.0, "min": 1 / 60.0, "h": 1.0, "d": 24.0}
LONG = {
    "second": "s",
    "seconds": "s",
    "sec": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "hrs": "h",
    "day": "d",
    "days": "d",
}
MONTH_CHARS = 7


def read_usage(
    source: str | Path | pd.DataFrame | pd.Series,
    *,
    time: str = "month",
    used: str = "used",
    unit: str = "",
    tz: str | None = None,
    missing_is_zero: bool = False,
    capacity_per_day: float | None = None,
) -> History:
    """Read past use, one row per month, day or job.

    Parameters
    ----------
    source : path, DataFrame or Series
        A CSV file, a table, or a series by time. A column ``unit`` says the unit of
        each row, if there is one.
    time, used : str
        Columns: when, as ``YYYY-MM``, ISO 8601 or timestamps; and how much.
    unit : str
        Of all rows, such as ``"node h"`` or ``"core s"``, where no column says it.
    tz : str or None
        Time zone of times without one, such as ``"Europe/Berlin"``. Months and days
        need none: they are taken as UTC.
    missing_is_zero : bool
        Whether nothing was used in months that have no row; otherwise these are
        faults.
    capacity_per_day : float or None
        Most that there is to use a day, in the unit of the history.

    Returns
    -------
    History
        In hours. Of rows finer than months the first and the last month are left out
        where they are not there from their first to their last day.

    Raises
    ------
    NotFoundError, BackendError
        If there is no such file, or it cannot be read.
    InvalidInputError
        With every fault and its row; the first twenty are shown.
    """
    table = _table(source, time, used)
    reading = _Reading(unit=unit, zone=_zone(tz))
    for number, row in enumerate(table.to_dict("records")):
        reading.take(number, row, time, used)
    reading.finish(missing_is_zero=missing_is_zero)
    return reading.history(capacity_per_day)


def _zone(tz: str | None) -> ZoneInfo | None:
    try:
        return None if tz is None else ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError) as error:
        fault = Fault(
            place="tz",
            problem=f"there is no time zone {tz!r}",
            remedy='give one of the IANA names, such as "Europe/Berlin"',
        )
        raise InvalidInputError("this usage cannot be read", faults=[fault]) from error


def _table(source: Any, time: str, used: str) -> pd.DataFrame:
    """Return a table with the two columns; dates stay text as they were written."""
    if isinstance(source, pd.Series):
        index = source.index
        times = index.astype(str) if isinstance(index, pd.PeriodIndex) else index
        return pd.DataFrame({time: list(times), used: source.to_list()})
    table = source if isinstance(source, pd.DataFrame) else _csv(Path(source), time)
    lacking = [name for name in (time, used) if name not in table.columns]
    if lacking:
        faults = [
            Fault(
                place=f"column {name!r}",
                problem=f"there is none; found {list(table.columns)}",
                remedy="name the columns with time= and used=",
            )
            for name in lacking
        ]
        raise InvalidInputError("this usage cannot be read", faults=faults)
    return table


def _csv(path: Path, time: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={time: str})
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}", path=str(path)) from error
    except OSError as error:
        raise BackendError(f"cannot read {path}: {error}") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        fault = Fault(
            place=path.name, problem=str(error), remedy="give a CSV file with a header"
        )
        raise InvalidInputError("this usage cannot be read", faults=[fault]) from error


@dataclass(slots=True)
class _Reading:
    """Rows as they are read, and all that is wrong with them."""

    unit: str
    zone: ZoneInfo | None
    rows: list[tuple[float, float]] = field(default_factory=list)
    seen: dict[float, int] = field(default_factory=dict)
    whose: dict[str, int] = field(default_factory=dict)
    coarse: bool = True
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    more: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def take(self, number: int, row: dict[Any, Any], time: str, used: str) -> None:
        """Take a row; its number counts from 0, as pandas does."""
        place = f"row {number}"
        at_s = self._when(row[time], f"{place}, {time}")
        amount = self._amount(row[used], f"{place}, {used}")
        factor = self._factor(str(row.get("unit", self.unit)), number)
        if at_s is None or amount is None or factor is None:
            return
        if at_s in self.seen:
            self._fault(
                f"{place}, {time}",
                f"{row[time]!s} is that of row {self.seen[at_s]}, too",
                "add such rows up, or leave one out",
            )
            return
        self.seen[at_s] = number
        self.rows.append((at_s, amount * factor))

    def finish(self, *, missing_is_zero: bool) -> None:
        """Add up months, see to gaps, then raise if anything is wrong."""
        if len(self.whose) > 1:
            self._fault(
                "unit",
                f"found {', '.join(repr(w) for w in sorted(self.whose))}",
                "convert to one: how many cores a node has nobody knows here",
            )
        if not self.rows and not self.faults:
            self._fault("table", "it has no rows", "give some past use")
        if self.rows:
            times, amounts = zip(*self.rows, strict=True)
            self.sums, missing = usage_by_month(times, amounts)
            if missing and missing_is_zero:
                self.notes.append(f"nothing was used in {', '.join(missing)}, as said")
                self.sums |= dict.fromkeys(missing, 0.0)
                self.sums = dict(sorted(self.sums.items()))
            elif missing:
                self._fault(
                    "table",
                    f"no row for {', '.join(missing[:6])}"
                    + (" and more" if len(missing) > 6 else ""),
                    "add the rows, or say missing_is_zero=True if that is so",
                )
            if not self.coarse:
                self._leave_out(min(times), max(times))
        if self.faults:
            more = f" ({self.more} more faults are not shown)" if self.more else ""
            raise InvalidInputError(
                f"this usage cannot be read{more}", faults=self.faults
            )

    def history(self, capacity_per_day: float | None) -> History:
        """Return what was read."""
        begins = [
            datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC).timestamp()
            for month in self.sums
        ]
        whose = next(iter(self.whose), "")
        return History(
            unit=f"{whose} h".strip(),
            months=tuple(self.sums),
            days=tuple((month_begin_s(b, later=1) - b) / DAY_S for b in begins),
            used=tuple(self.sums.values()),
            capacity_per_day=capacity_per_day,
            notes=tuple(self.notes),
        )

    def _leave_out(self, first_s: float, last_s: float) -> None:
        """Leave out a first or last month that is there in part only."""
        names = list(self.sums)
        partial = []
        if first_s - month_begin_s(first_s) >= DAY_S:
            partial.append(names[0])
        if month_begin_s(last_s, later=1) - last_s > DAY_S:
            partial.append(names[-1])
        for name in dict.fromkeys(partial):
            del self.sums[name]
            self.notes.append(f"{name} left out: it is there in part only")

    def _when(self, found: Any, place: str) -> float | None:
        text = found.strip() if isinstance(found, str) else None
        month = text is not None and len(text) == MONTH_CHARS
        try:
            at = pd.Timestamp(f"{text}-01" if month else found)
        except (ValueError, TypeError):
            at = pd.NaT
        if isinstance(found, bool | int | float) or at is pd.NaT:
            # Bare numbers would be nanoseconds to pandas, and anything to a user.
            self._fault(place, f"got {found!r}", "give YYYY-MM or ISO 8601")
            return None
        self.coarse = self.coarse and (month or at.day == 1) and at == at.normalize()
        if at.tzinfo is None:
            if self.zone is not None and not month:
                at = self._local(at, place)
                if at is None:
                    return None
            elif at == at.normalize():
                at = at.tz_localize(UTC)
            else:
                self._fault(
                    place, f"{found} has no time zone", 'say tz="UTC" or which one'
                )
                return None
        elif at.utcoffset():
            self._note("times with an offset were taken to UTC")
        return float(at.timestamp())

    def _local(self, at: pd.Timestamp, place: str) -> pd.Timestamp | None:
        try:
            return at.tz_localize(self.zone)
        except ValueError as error:
            # Where clocks are set forward or back.
            self._fault(place, f"{at}: {error}", "give it with its offset")
            return None

    def _amount(self, found: Any, place: str) -> float | None:
        try:
            amount = math.nan if isinstance(found, bool) else float(found)
        except (ValueError, TypeError):
            amount = math.nan
        if math.isfinite(amount) and amount >= 0:
            return amount
        problem = f"got {found!r}, expected a number, finite and >= 0"
        self._fault(place, problem, "correct it, or leave the row out")
        return None

    def _factor(self, unit: str, number: int) -> float | None:
        """Return what a unit is in hours, and note whose hours they are."""
        words = unit.replace("-", " ").replace("_", " ").lower().split()
        base = LONG.get(words[-1], words[-1]) if words else ""
        if base not in TIMES:
            self._fault(
                f"row {number}, unit",
                f"got {unit!r}",
                'say unit="node h", "core h", "processor s", ...',
            )
            return None
        whose = " ".join(word.removesuffix("s") for word in words[:-1])
        self.whose.setdefault(whose, number)
        if base != "h":
            self._note("amounts were converted to hours")
        return TIMES[base]

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _fault(self, place: str, problem: str, remedy: str) -> None:
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(Fault(place=place, problem=problem, remedy=remedy))
        else:
            self.more += 1
