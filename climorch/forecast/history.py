"""Past use of a machine, an allocation or a project, month by month.

Decides what is a whole month and says what it assumed. Ignores who used what for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.booked import Ledger
from climorch.forecast.periods import month_begin_s
from climorch.forecast.swf import Jobs

__all__ = ["History", "history_of_jobs", "history_of_ledger", "usage_by_month"]

DAY_S = 86_400.0
HOUR_S = 3600.0
TRACE_DAYS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Use by month, without a gap.

    Attributes
    ----------
    unit : str
        Of ``used``, such as ``node h``.
    months : tuple of str
        ``YYYY-MM``; or, in a trace without dates, ``+000`` and so on.
    days : tuple of float
        Of each month, > 0: months are compared by what they used a day.
    used : tuple of float
        Finite, >= 0.
    capacity_per_day : float or None
        Most that there is to use a day; None: not known.
    notes : tuple of str
        What was assumed when it was read.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    unit: str
    months: tuple[str, ...]
    days: tuple[float, ...]
    used: tuple[float, ...]
    capacity_per_day: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if not len(self.months) == len(self.days) == len(self.used):
            faults.append(
                Fault(
                    place="History",
                    problem=f"{len(self.months)} months, {len(self.days)} lengths and "
                    f"{len(self.used)} values",
                    remedy="give one of each for every month",
                )
            )
        for what, values, least in (("days", self.days, 1e-9), ("used", self.used, 0)):
            faults += [
                Fault(
                    place=f"History.{what}, month {month}",
                    problem=f"got {value!r}, expected finite and >= 0",
                    remedy="say nothing of a month of which nothing is known",
                )
                for month, value in zip(self.months, values, strict=False)
                if not (math.isfinite(value) and value >= least)
            ]
        limit = self.capacity_per_day
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            faults.append(
                Fault(
                    place="History.capacity_per_day",
                    problem=f"got {limit!r}, expected finite and > 0, or None",
                    remedy="give what there is to use a day",
                )
            )
        if faults:
            raise InvalidInputError("this is no history", faults=faults)

    def __len__(self) -> int:
        return len(self.months)

    @property
    def per_day(self) -> npt.NDArray[np.float64]:
        """Use a day, by month."""
        per_day: npt.NDArray[np.float64] = np.array(self.used) / np.array(self.days)
        return per_day

    def until(self, count: int) -> History:
        """Return its first months."""
        return replace(
            self,
            months=self.months[:count],
            days=self.days[:count],
            used=self.used[:count],
        )

    def ahead(self, count: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Return names and days of the months after it."""
        last = self.months[-1]
        if last.startswith("+"):
            first = int(last) + 1
            names = tuple(f"+{first + k:03d}" for k in range(count))
            return names, (self.days[-1],) * count
        begin = datetime.fromisoformat(f"{last}-01").replace(tzinfo=UTC).timestamp()
        edges = [month_begin_s(begin, later=k + 1) for k in range(count + 1)]
        names = tuple(f"{datetime.fromtimestamp(e, UTC):%Y-%m}" for e in edges[:-1])
        return names, tuple(float(x) for x in np.diff(edges) / DAY_S)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per month."""
        return pd.DataFrame(
            {"month": self.months, "days": self.days, "used": self.used}
        ).set_index("month")


def usage_by_month(
    times_s: Sequence[float], used: Sequence[float]
) -> tuple[dict[str, float], list[str]]:
    """Add up amounts by calendar month in UTC.

    Parameters
    ----------
    times_s : sequence of float
        UTC seconds, in any order.
    used : sequence of float
        What was used then.

    Returns
    -------
    tuple of (dict of str to float, list of str)
        Sums by month, ascending; months between them that have none.
    """
    sums: dict[str, float] = {}
    begins = sorted({month_begin_s(at_s) for at_s in times_s})
    names = {b: f"{datetime.fromtimestamp(b, UTC):%Y-%m}" for b in begins}
    for at_s, amount in sorted(zip(times_s, used, strict=True)):
        name = names[month_begin_s(at_s)]
        sums[name] = sums.get(name, 0.0) + amount
    missing: list[str] = []
    at = begins[0] if begins else 0.0
    while begins and at < begins[-1]:
        if at not in names:
            missing.append(f"{datetime.fromtimestamp(at, UTC):%Y-%m}")
        at = month_begin_s(at, later=1)
    return sums, missing


def history_of_ledger(ledger: Ledger, *, project: str | None = None) -> History:
    """Return the node-hours that leases held, month by month.

    The first and the last month of a campaign are in part only, and are left out.

    Parameters
    ----------
    ledger : Ledger
        Of a campaign, not cut by a period.
    project : str or None
        Whose; None: everybody's.

    Returns
    -------
    History
        In node-hours; months in which nothing was held are there with 0.
    """
    entries = ledger.select(project=project).entries
    begins = sorted({month_begin_s(entry.since_s) for entry in ledger.entries})
    whole: list[float] = []
    if begins:
        at = month_begin_s(begins[0], later=1)
        end_s = month_begin_s(ledger.as_of_s)
        while at < end_s:
            whole.append(at)
            at = month_begin_s(at, later=1)
    sums = dict.fromkeys(whole, 0.0)
    for entry in entries:
        begin = month_begin_s(entry.since_s)
        if begin in sums:
            sums[begin] += entry.held_node_s / HOUR_S
    return History(
        unit="node h",
        months=tuple(f"{datetime.fromtimestamp(b, UTC):%Y-%m}" for b in whole),
        days=tuple((month_begin_s(b, later=1) - b) / DAY_S for b in whole),
        used=tuple(sums.values()),
        notes=("first and last month left out: they are there in part only",),
    )


def history_of_jobs(jobs: Jobs, *, user: int | None = None) -> History:
    """Return the processor-hours of a trace by months of 30 days from its start.

    Parameters
    ----------
    jobs : Jobs
        As read from a trace. A job counts where it arrives: what is forecast is what
        people ask for, whatever the scheduler of those days made of it.
    user : int or None
        Whose jobs; None: everybody's.

    Returns
    -------
    History
        Without the last month, which a trace has in part only.
    """
    whole = int(jobs.submit_s[-1] // (TRACE_DAYS * DAY_S)) if len(jobs) else 0
    month = (jobs.submit_s // (TRACE_DAYS * DAY_S)).astype(np.int64)
    chosen = month < whole
    if user is not None:
        chosen &= jobs.user == user
    hours = jobs.run_s[chosen] * jobs.processors[chosen] / HOUR_S
    sums = np.bincount(month[chosen], weights=hours, minlength=whole)
    return History(
        unit="processor h",
        months=tuple(f"+{k:03d}" for k in range(whole)),
        days=(TRACE_DAYS,) * whole,
        used=tuple(float(x) for x in sums),
        capacity_per_day=24.0 * jobs.machine if jobs.machine and user is None else None,
        notes=(
            "months of 30 days; a job counts in the month in which it arrives; "
            "the last month is left out: it is there in part only",
        ),
    )
