"""What the books say of one piece of a month: entries, losses, setbacks, energy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.parts import Part

__all__ = [
    "HOUR_S",
    "KEYS",
    "PARTS",
    "TB_MONTH",
    "Completed",
    "Entry",
    "Loss",
    "Power",
    "Setback",
    "columns",
    "row",
]

HOUR_S = 3600.0
TB_MONTH = 1e12 * 365.2425 * 86_400.0 / 12
"""Byte-seconds of a TB (10^12 bytes) kept for a mean month."""

KEYS = ("month", "institution", "project", "simulation", "stage")
PARTS = tuple(part.name.lower() for part in Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a node draws, for kWh and CO2.

    Attributes
    ----------
    watts_per_node : float
        Mean of a node that is up, cooling included or not as you say; finite, > 0.
    kg_co2_per_kwh : float or None
        Of the electricity, finite, >= 0; None: CO2 is not told.
    """

    watts_per_node: float
    kg_co2_per_kwh: float | None = None

    def __post_init__(self) -> None:
        factor = self.kg_co2_per_kwh
        checks = (
            ("watts_per_node", self.watts_per_node, self.watts_per_node > 0),
            ("kg_co2_per_kwh", factor or 0.0, factor is None or factor >= 0),
        )
        faults = [
            Fault(
                place=f"Power.{name}",
                problem=f"got {value!r}, expected finite and not below 0",
                remedy="give W per node, and kg per kWh",
            )
            for name, value, fine in checks
            if not (fine and math.isfinite(value))
        ]
        if faults:
            raise InvalidInputError("energy cannot be computed", faults=faults)

    def kwh(self, node_s: float) -> float:
        """Return the energy of so many node-seconds, in kWh."""
        return node_s / HOUR_S * self.watts_per_node / 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one stage used in one piece of a month, and what for.

    Attributes
    ----------
    since_s, until_s : float
        Which piece, UTC seconds; a whole month unless a period cuts it.
    institution, project, simulation, stage : str
        Whose. No stage: of the lease itself, with all bytes of the simulation. No
        simulation: nodes that nobody leased.
    node_s : tuple of float
        Node-seconds by `Part`.
    core_s, memory_byte_s : float
        Cores and memory of these nodes, times seconds; in leases of unequal nodes
        divided among stages as node-seconds are.
    segments, model_years : int, float
        Committed for the first time. Years of coupled stages count once, with the
        first stage of their set.
    bytes_read, bytes_written : int
        Of checkpoints.
    stored_byte_s, archived_byte_s : float
        Bytes of checkpoints on the disk, and in the archive with results there,
        times seconds.
    """

    since_s: float
    until_s: float
    institution: str = ""
    project: str = ""
    simulation: str = ""
    stage: str = ""
    node_s: tuple[float, ...] = (0.0,) * len(Part)
    core_s: float = 0.0
    memory_byte_s: float = 0.0
    segments: int = 0
    model_years: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0
    stored_byte_s: float = 0.0
    archived_byte_s: float = 0.0

    @property
    def month(self) -> str:
        """Calendar month in UTC, ``YYYY-MM``."""
        return str(np.datetime64(int(self.since_s), "s").astype("M8[M]"))

    @property
    def up_node_s(self) -> float:
        """All node-seconds, of a lease or free."""
        return math.fsum(self.node_s)

    @property
    def held_node_s(self) -> float:
        """Node-seconds of a lease."""
        return self.up_node_s - self.node_s[Part.FREE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Computed for nothing, and why.

    Attributes
    ----------
    since_s : float
        Begin of the piece of a month in which it was computed, UTC seconds.
    project, simulation, stage : str
        Whose.
    cause : str
        As `Cause` says, or ``driver ended``.
    node_s : float
        Node-seconds.
    """

    since_s: float
    project: str
    simulation: str
    stage: str
    cause: str
    node_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """Something was rolled back.

    Attributes
    ----------
    since_s : float
        Begin of the piece of a month in which it was, UTC seconds.
    project, simulation : str
        Whose.
    cause : str
        As for `Loss`.
    count : int
        How often.
    """

    since_s: float
    project: str
    simulation: str
    cause: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A simulation that is committed to its end since a time, UTC seconds."""

    simulation: str
    project: str
    at_s: float


def columns(power: Power | None) -> list[str]:
    """Name the columns of a table of entries, in order."""
    hours = [f"{part}_node_hours" for part in PARTS]
    more = ["node_hours", "core_hours", "memory_gib_hours", "segments"]
    more += ["model_years", "bytes_read", "bytes_written"]
    more += ["stored_tb_months", "archived_tb_months"]
    if power is not None:
        more.append("kwh")
        if power.kg_co2_per_kwh is not None:
            more.append("kg_co2")
    return [*KEYS, *hours, *more]


def row(entry: Entry, power: Power | None) -> dict[str, Any]:
    """Return an entry as a row of a table, in hours, bytes and TB-months."""
    found: dict[str, Any] = {key: getattr(entry, key) for key in KEYS}
    for part, node_s in zip(PARTS, entry.node_s, strict=True):
        found[f"{part}_node_hours"] = node_s / HOUR_S
    found |= {
        "node_hours": entry.held_node_s / HOUR_S,
        "core_hours": entry.core_s / HOUR_S,
        "memory_gib_hours": entry.memory_byte_s / HOUR_S / 2**30,
        "segments": entry.segments,
        "model_years": entry.model_years,
        "bytes_read": entry.bytes_read,
        "bytes_written": entry.bytes_written,
        "stored_tb_months": entry.stored_byte_s / TB_MONTH,
        "archived_tb_months": entry.archived_byte_s / TB_MONTH,
    }
    if power is not None:
        kwh = found["kwh"] = power.kwh(entry.up_node_s)
        if power.kg_co2_per_kwh is not None:
            found["kg_co2"] = kwh * power.kg_co2_per_kwh
    return found
