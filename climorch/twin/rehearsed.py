"""What a rehearsal found, as values, tables and datasets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from climorch.errors import NotFoundError
from climorch.twin.ledger import DAY_S, Span

__all__ = ["Fate", "Rehearsal", "Rehearsed"]

QUANTILES = (0.1, 0.5, 0.9)

# What a table tells of each simulation, with the unit of the attribute.
NUMBERS = (
    "lost_s",
    "worst_loss_s",
    "waited_s",
    "longest_wait_s",
    "interruptions",
    "segments",
    "useful_node_s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of one simulation under one seed.

    Attributes
    ----------
    simulation : str
        Its name.
    status : str
        At the end of the rehearsal, as `SimulationStatus` has it.
    finished_s : float
        When it was committed to its end, UTC seconds; NaN: it was not, or had
        been before.
    segments : int
        Segments committed.
    useful_node_s : float
        Node-seconds of these.
    lost_s, worst_loss_s : float
        Seconds of computing lost in all, and at one failure, at most.
    waited_s, longest_wait_s : float
        Seconds without nodes in all, and in one go, at most.
    interruptions : tuple of (float, str)
        When and why its lease went though there was work to do.
    project : str
        Who pays for it, at the end.
    """

    simulation: str
    status: str
    finished_s: float
    segments: int
    useful_node_s: float
    lost_s: float
    worst_loss_s: float
    waited_s: float
    longest_wait_s: float
    interruptions: tuple[tuple[float, str], ...] = ()
    project: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What became of a campaign under one seed.

    Attributes
    ----------
    seed : int
        Of its luck.
    ended : bool
        Whether nothing was left to do before its time was over.
    stop_s : float
        Clock at its end, UTC seconds.
    up_node_s : float
        Node-seconds that were up and ours.
    spent : mapping of str to float
        Node-seconds by what they were spent on; they sum to ``up_node_s``.
    days : tuple of (float, float)
        Node-seconds up and useful, by day from the beginning.
    fates : tuple of Fate
        Of every simulation, in order of submission.
    spans : tuple of Span
        Leases, by their end.
    notes : tuple of str
        What could not be rehearsed, and why.
    """

    seed: int
    ended: bool
    stop_s: float
    up_node_s: float
    spent: Mapping[str, float]
    days: tuple[tuple[float, float], ...]
    fates: tuple[Fate, ...]
    spans: tuple[Span, ...]
    notes: tuple[str, ...] = ()

    @property
    def utilisation(self) -> float:
        """Useful node-seconds over those that were up and ours; NaN: none were."""
        return self.spent["useful"] / self.up_node_s if self.up_node_s else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What may become of a campaign: one run for each seed.

    Attributes
    ----------
    begin_s : float
        Clock at the beginning, UTC seconds.
    until_s : float
        Seconds that were rehearsed, at most.
    runs : tuple of Rehearsed
        One for each seed.
    """

    begin_s: float
    until_s: float
    runs: tuple[Rehearsed, ...]

    @property
    def simulations(self) -> tuple[str, ...]:
        """Names of all simulations of any run, in order of their submission."""
        names = (fate.simulation for run in self.runs for fate in run.fates)
        return tuple(dict.fromkeys(names))

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be rehearsed, and why; each once."""
        return tuple(dict.fromkeys(note for run in self.runs for note in run.notes))

    def to_pandas(self, quantiles: Iterable[float] = QUANTILES) -> pd.DataFrame:
        """Return a table with one row per simulation.

        Parameters
        ----------
        quantiles : iterable of float
            Over the seeds, in [0, 1].

        Returns
        -------
        pandas.DataFrame
            ``finished``: share of seeds in which it was committed to its end;
            ``end_p50`` and so on: when, UTC, NaT where that many seeds did not
            get so far; then quantiles of lost and waited seconds, interruptions
            and segments.
        """
        chosen = tuple(quantiles)
        rows = [self._row(name, chosen) for name in self.simulations]
        return pd.DataFrame(rows).set_index("simulation") if rows else pd.DataFrame()

    def to_xarray(self) -> xr.Dataset:
        """Return everything but the timelines along ``seed``.

        Returns
        -------
        xarray.Dataset
            Dimensions ``seed``, ``simulation``, ``spent_on`` and ``day``. The
            utilisation of a month is the sum of ``useful_node_s_of_day`` over
            that of ``up_node_s_of_day``.
        """
        seeds = [run.seed for run in self.runs]
        parts = list(self.runs[0].spent) if self.runs else []
        days = max((len(run.days) for run in self.runs), default=0)
        each = ("seed", "simulation")
        table = np.array([[run.spent[part] for part in parts] for run in self.runs])
        table = table.reshape(len(seeds), len(parts))
        values: dict[str, Any] = {
            "utilisation": ("seed", [run.utilisation for run in self.runs]),
            "ended": ("seed", [run.ended for run in self.runs]),
            "up_node_s": ("seed", [run.up_node_s for run in self.runs]),
            "node_s": (("seed", "spent_on"), table),
            "up_node_s_of_day": (("seed", "day"), self._days(days, 0)),
            "useful_node_s_of_day": (("seed", "day"), self._days(days, 1)),
            "finished": (each, self._numbers("finished_s").astype("M8[s]")),
        }
        values |= {name: (each, self._numbers(name)) for name in NUMBERS}
        dataset = xr.Dataset(
            values,
            coords={
                "seed": seeds,
                "simulation": list(self.simulations),
                "spent_on": parts,
                "day": (
                    "day",
                    np.array(
                        [self.begin_s + day * DAY_S for day in range(days)]
                    ).astype("M8[s]"),
                ),
            },
        )
        for name in ("lost_s", "worst_loss_s", "waited_s", "longest_wait_s"):
            dataset[name].attrs["units"] = "s"
        for variable in dataset.data_vars.values():
            if "node_s" in str(variable.name):
                variable.attrs["units"] = "node s"
        return dataset

    def timelines(self) -> pd.DataFrame:
        """Return a table with one row per lease and change of it.

        Returns
        -------
        pandas.DataFrame
            Columns ``seed``, ``simulation``, ``nodes``, ``start``, ``stop`` (UTC).
        """
        rows = [
            (run.seed, s.simulation, s.nodes, s.start_s, s.stop_s)
            for run in self.runs
            for s in run.spans
        ]
        columns = ["seed", "simulation", "nodes", "start", "stop"]
        table = pd.DataFrame(rows, columns=columns)
        for column in ("start", "stop"):
            table[column] = pd.to_datetime(table[column], unit="s", utc=True)
        return table

    def end(self, quantile: float = 0.5) -> pd.Timestamp:
        """Tell when the campaign is over.

        Parameters
        ----------
        quantile : float
            Share of seeds in which it is over by then, in [0, 1].

        Returns
        -------
        pandas.Timestamp
            UTC; NaT where it is not over in so many.
        """
        ends = [run.stop_s if run.ended else math.inf for run in self.runs]
        return _date(_quantile(ends, quantile))

    def utilisation(self, quantile: float = 0.5) -> float:
        """Return the share of node-time up and ours that became committed work.

        Parameters
        ----------
        quantile : float
            Over the seeds, in [0, 1].

        Returns
        -------
        float
            In [0, 1]; NaN without seeds.
        """
        shares = [run.utilisation for run in self.runs]
        return float(np.quantile(shares, quantile)) if shares else math.nan

    def __str__(self) -> str:
        ended = sum(run.ended for run in self.runs)
        lines = [
            f"rehearsed with {len(self.runs)} seeds, over in {ended} of them; "
            f"median end {self.end():%Y-%m-%d %H:%M} UTC, "
            f"utilisation {self.utilisation():.1%}"
            if ended * 2 > len(self.runs)
            else f"rehearsed with {len(self.runs)} seeds, over in {ended} of them; "
            f"utilisation {self.utilisation():.1%}"
        ]
        notes = [*self._unfinished(), *self.notes]
        return "\n".join([*lines, *(f"  {note}" for note in notes)])

    def _unfinished(self) -> Iterator[str]:
        """Name those that are not finished under some seed, or under none."""
        seeds = len(self.runs)
        never: dict[str, list[str]] = {}
        for name in self.simulations:
            fates = self._fates(name)
            finished = sum(fate.status == "finished" for fate in fates)
            if not finished:
                ends = "/".join(dict.fromkeys(fate.status for fate in fates))
                never.setdefault(ends, []).append(name)
            elif finished < seeds:
                yield f"{name} is finished in {finished} of {seeds}"
        for ends, names in never.items():
            yield f"never finished, but {ends} at the end: {', '.join(names)}"

    def _fates(self, name: str) -> list[Fate]:
        return [f for run in self.runs for f in run.fates if f.simulation == name]

    def _row(self, name: str, quantiles: tuple[float, ...]) -> dict[str, Any]:
        fates = self._fates(name)
        ends = [math.inf if math.isnan(f.finished_s) else f.finished_s for f in fates]
        # One that a rule did not add under some seed did not finish there.
        ends += [math.inf] * (len(self.runs) - len(ends))
        row: dict[str, Any] = {
            "simulation": name,
            "finished": sum(f.status == "finished" for f in fates) / len(self.runs),
        }
        for q in quantiles:
            row[f"end_p{q * 100:g}"] = _date(_quantile(ends, q))
        for number in NUMBERS:
            found = [_number(fate, number) for fate in fates]
            for q in quantiles:
                row[f"{number}_p{q * 100:g}"] = float(np.quantile(found, q))
        return row

    def _numbers(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        places = {n: i for i, n in enumerate(self.simulations)}
        table = np.full((len(self.runs), len(places)), np.nan)
        for row, run in enumerate(self.runs):
            for fate in run.fates:
                table[row, places[fate.simulation]] = _number(fate, name)
        return table

    def _days(self, count: int, place: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        table = np.zeros((len(self.runs), count))
        for row, run in enumerate(self.runs):
            table[row, : len(run.days)] = [day[place] for day in run.days]
        return table

    def __getitem__(self, seed: int) -> Rehearsed:
        for run in self.runs:
            if run.seed == seed:
                return run
        raise NotFoundError(f"seed {seed} was not rehearsed", seed=seed)


def _number(fate: Fate, name: str) -> float:
    value = getattr(fate, name)
    return float(len(value) if isinstance(value, tuple) else value)


def _quantile(values: list[float], quantile: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    ordered = sorted(values)
    place = max(math.ceil(quantile * len(ordered)) - 1, 0)
    return ordered[place] if ordered else math.inf


def _date(at_s: float) -> Any:
    return pd.Timestamp(at_s, unit="s", tz="UTC") if math.isfinite(at_s) else pd.NaT
