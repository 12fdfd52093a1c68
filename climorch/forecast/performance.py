"""How well a campaign computes: times per stage, and the measures of CPMIP.

The measures are those of Balaji et al. (2017), Geosci. Model Dev. 10, 19-34, by which
climate models are compared. Where a journal knows less than they ask for, or more,
the attribute ``comment`` of the variable says what was taken instead. Time of a model
is time while some segment of it computes, and its cores are all of the lease, so that
``chsy * sypd == 24 * parallelization``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.accounts import year_s
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import HOUR_S, Entry
from climorch.forecast.parts import Part
from climorch.forecast.timings import SimulationTimes, StageTimes, Times

__all__ = ["Given", "lease_table", "performance"]

DAY_S = 86_400.0
GB = 1e9

STAGE: tuple[tuple[str, str, str, Callable[[StageTimes], float]], ...] = (
    ("segments", "1", "segments computed, again included", lambda t: t.segments),
    ("run_s", "s", "from begins of segments to their ends", lambda t: t.seconds),
    ("wait_s", "s", "between segments: coupled stages, cuts", lambda t: t.wait_s),
    ("stall_s", "s", "kept from computing by checkpoints", lambda t: t.stall_s),
    ("vain_s", "s", "of run_s, undone by losses", lambda t: t.vain_s),
    ("run_node_s", "node s", "run_s times nodes of the lease", lambda t: t.node_s),
    ("measured", "1", "segments of which the following is", lambda t: t.measured),
    ("task_s", "s", "tasks, of all threads", lambda t: t.usage.task_s),
    ("transfer_s", "s", "fetching blocks, of all", lambda t: t.usage.transfer_s),
    ("io_s", "s", "I/O threads, of all nodes", lambda t: t.usage.io_s),
    ("cpu_s", "s", "CPU of processes, children too", lambda t: t.usage.cpu_s),
    ("memory_bytes", "byte", "most on a node", lambda t: t.usage.memory_bytes),
    ("output_bytes", "byte", "diagnostics, raw", lambda t: t.usage.output_bytes),
)
"""Variables by stage: name, unit, what it is, and where it comes from."""

MEASURED = frozenset(
    {"task_s", "transfer_s", "io_s", "cpu_s", "memory_bytes", "output_bytes"}
)

SIMULATION: dict[str, tuple[str, str]] = {
    "sypd": ("year day-1", "model years computed per day of computing"),
    "asypd": (
        "year day-1",
        "model years committed per day since it was submitted, waits and losses "
        "included; times without a driver too",
    ),
    "chsy": (
        "core h year-1",
        "core-hours of the lease while some segment computed, per model year "
        "computed; what coupled stages wait for each other is in it",
    ),
    "parallelization": ("1", "cores of the lease while some segment computed, on mean"),
    "achsy": (
        "core h year-1",
        "core-hours of leases per model year committed, all of them; ours",
    ),
    "jpsy": ("J year-1", "energy of the core-hours of chsy, by a mean power per node"),
    "coupling_cost": (
        "1",
        "share of node-time not used by stages while some of their set computed",
    ),
    "memory_bloat": (
        "1",
        "most memory of a node times nodes of the lease, over the bytes of a whole "
        "state; the executable is not taken off",
    ),
    "data_output_cost": ("1", "node-time of segments over that without stalls"),
    "data_intensity": (
        "Gbyte h-1",
        "10^9 bytes of diagnostics per core-hour of chsy, before compression",
    ),
    "queue_s": ("s", "wanted nodes and had none"),
    "held_s": ("s", "held nodes"),
    "checkpoint_s": ("s", "checkpoints, from begin to commit, beside computing"),
    "restore_s": ("s", "states were brought back from checkpoints"),
    "state_bytes": ("byte", "of a whole state, raw"),
    "checkpoint_bytes": ("byte", "written for checkpoints"),
}

MONTH: dict[str, tuple[str, str]] = {
    "throughput": ("year day-1", "model years committed per day of the month"),
    "core_hours_per_year": ("core h year-1", "core-hours of leases per model year"),
    "useful_share": ("1", "useful part of node-time in leases"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a journal cannot know of stages.

    Attributes
    ----------
    resolution : mapping of str to float
        By stage, as CPMIP counts it: spatial degrees of freedom. Finite, > 0.
    complexity : mapping of str to float
        By stage: prognostic variables. Finite, > 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    resolution: Mapping[str, float] = field(default_factory=dict)
    complexity: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [
            Fault(
                place=f"Given.{name}[{stage!r}]",
                problem=f"got {value!r}, expected finite and > 0",
                remedy="give grid points, and numbers of prognostic variables",
            )
            for name in ("resolution", "complexity")
            for stage, value in getattr(self, name).items()
            if not (math.isfinite(value) and value > 0)
        ]
        if faults:
            raise InvalidInputError("these are no measures of stages", faults=faults)


def performance(ledger: Ledger, times: Times, given: Given | None = None) -> xr.Dataset:
    """Put together what is known of how well a campaign computes.

    Parameters
    ----------
    ledger : Ledger
        Of everybody, whole.
    times : Times
        Of the same journal.
    given : Given or None
        What else is known of stages.

    Returns
    -------
    xarray.Dataset
        By ``simulation`` and ``stage``, by ``simulation``, by ``month`` (UTC). NaN:
        it has no such stage, nothing was computed, or it was not measured.
    """
    stages = list(dict.fromkeys(n for t in times.of.values() for n in t.stages))
    of_month = _months(ledger)
    of_simulation = {name: _measures(name, t, ledger) for name, t in times.of.items()}
    values: dict[str, Any] = {
        name: (
            ("simulation", "stage"),
            _table(times, stages, name, value),
            {"units": units, "comment": text},
        )
        for name, units, text, value in STAGE
    }
    for name, (units, text) in SIMULATION.items():
        column = [found[name] for found in of_simulation.values()]
        values[name] = (
            "simulation",
            np.array(column, dtype=np.float64),
            {"units": units, "comment": text},
        )
    for name, (units, text) in MONTH.items():
        column = [found[name] for found in of_month.values()]
        attrs = {"units": units, "comment": text}
        values[name] = ("month", np.array(column, dtype=np.float64), attrs)
    for name in ("resolution", "complexity"):
        known = getattr(given or Given(), name)
        row = np.array([known.get(stage, math.nan) for stage in stages], dtype=float)
        values[name] = ("stage", row, {"units": "1", "comment": "as given"})
    return xr.Dataset(
        values,
        coords={
            "simulation": np.array(list(times.of), dtype=str),
            "stage": np.array(stages, dtype=str),
            "month": np.array(list(of_month), dtype=str),
        },
        attrs={
            "campaign": ledger.campaign,
            "as_of_s": ledger.as_of_s,
            "references": "Balaji et al. (2017), Geosci. Model Dev. 10, 19-34",
        },
    )


def lease_table(times: Times) -> pd.DataFrame:
    """Return a table of leases: ``simulation``, ``nodes``, ``start``, ``stop`` (UTC).

    Parameters
    ----------
    times : Times
        Of a journal.
    """
    rows = [
        (name, span.nodes, span.since_s, span.until_s)
        for name, found in times.of.items()
        for span in found.spans
    ]
    table = pd.DataFrame(rows, columns=["simulation", "nodes", "start", "stop"])
    for column in ("start", "stop"):
        table[column] = pd.to_datetime(table[column], unit="s", utc=True)
    return table


def _table(
    times: Times, stages: list[str], name: str, value: Callable[[StageTimes], float]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    table = np.full((len(times.of), len(stages)), np.nan)
    for row, simulation in enumerate(times.of.values()):
        for stage, found in simulation.stages.items():
            if found.measured or name not in MEASURED:
                table[row, stages.index(stage)] = value(found)
    return table


def _measures(name: str, times: SimulationTimes, ledger: Ledger) -> dict[str, float]:
    """Return the measures of one simulation; NaN where nothing was computed."""
    entries = [x for x in ledger.entries if x.simulation == name]
    ends = [x.at_s for x in ledger.completed if x.simulation == name]
    end_s = ends[0] if ends else ledger.as_of_s
    sets = times.sets.values()
    years, computed = sum(x.model_years for x in entries), _computed_years(times)
    useful = sum(x.node_s[Part.USEFUL] + x.node_s[Part.WIDE] for x in entries)
    running = useful + sum(x.node_s[Part.STALL] for x in entries)
    run_s = sum(s.run_s for s in sets)
    whole = sum(s.whole_node_s for s in sets)
    state_bytes = sum(s.bytes_state for s in sets)
    power = ledger.power
    memory = max((t.usage.memory_bytes for t in times.stages.values()), default=0)
    measured = [t for t in times.stages.values() if t.measured]
    # What was not measured had as much.
    output = sum(t.usage.output_bytes / t.measured * t.segments for t in measured)
    node_s = sum(t.node_s for t in times.stages.values())
    seconds = sum(t.seconds for t in times.stages.values())
    core_s = sum(x.core_s for x in entries)
    cores = core_s / held if (held := sum(x.held_node_s for x in entries)) else 0.0
    return {
        "sypd": _over(computed, run_s / DAY_S),
        "asypd": _over(years, (end_s - times.submitted_s) / DAY_S),
        "chsy": _over(whole * cores / HOUR_S, computed),
        "parallelization": _over(whole * cores, run_s),
        "achsy": _over(core_s / HOUR_S, years),
        "jpsy": math.nan
        if power is None
        else _over(whole * power.watts_per_node, computed),
        "coupling_cost": _over(whole - sum(s.busy_node_s for s in sets), whole),
        "memory_bloat": _over(memory * _over(node_s, seconds), state_bytes)
        if memory
        else math.nan,
        "data_output_cost": _over(running, useful),
        "data_intensity": _over(output / GB, whole * cores / HOUR_S)
        if measured
        else math.nan,
        "queue_s": times.queue_s,
        "held_s": times.held_s,
        "checkpoint_s": sum(s.writing_s for s in sets),
        "restore_s": sum(s.restore_s for s in sets),
        "state_bytes": state_bytes,
        "checkpoint_bytes": sum(s.bytes_written for s in sets),
    }


def _computed_years(times: SimulationTimes) -> float:
    """Return the model years that were computed; coupled stages count once."""
    first = [(s.plan.stages[0], s) for s in times.sets.values()]
    return sum(
        times.stages[stage.name].model_s / year_s(stage.calendar) for stage, _ in first
    )


def _months(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Return the measures of each calendar month, up to the newest row."""
    found: dict[str, list[Entry]] = {}
    for entry in ledger.entries:
        found.setdefault(entry.month, []).append(entry)
    months = {}
    for month, entries in sorted(found.items()):
        own = [x for x in entries if x.simulation]
        years = sum(x.model_years for x in own)
        days = sum(
            (min(until_s, ledger.as_of_s) - since_s) / DAY_S
            for since_s, until_s in {(x.since_s, x.until_s) for x in entries}
        )
        held = sum(x.held_node_s for x in own)
        months[month] = {
            "throughput": _over(years, days),
            "core_hours_per_year": _over(sum(x.core_s for x in own) / HOUR_S, years),
            "useful_share": _over(sum(x.node_s[Part.USEFUL] for x in own), held),
        }
    return months


def _over(amount: float, of: float) -> float:
    return amount / of if of > 0 else math.nan
