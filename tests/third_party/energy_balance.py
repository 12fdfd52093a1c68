"""climlab's energy-balance model with seasons: processes that have clocks of their own.

What goes on from step to step is the surface temperature and, in each of eight
processes, where it is in the year. The insolation follows from the latter: a clock
that was lost warms the planet by degrees, unless the run was resumed after whole years.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from climorch import Segment

__all__ = ["HIDDEN", "SPANS", "EnergyBalance"]

ROWS = 36
# Of four days each; 90 are the model's year, so that no few segments are one.
STEPS = 7
# With types: days begin as an integer in climlab, and go on as floats.
CLOCK = {
    "steps": "i8",
    "day_of_year_index": "i8",
    "days_elapsed": "f8",
    "years_elapsed": "i8",
}

HIDDEN = ("steps", "day_of_year_index")
"""What is not a field, and shows in the result."""

SPANS = {"start": "2000-01-01", "every": "1MS", "calendar": "noleap"}


class EnergyBalance:
    """The model as a `LiveModel` keeps it."""

    def __init__(self) -> None:
        # Installed for these tests only, and where the model lives only.
        climlab = importlib.import_module("climlab")
        self.walk = importlib.import_module("climlab.utils.walk").walk_processes
        self.model = climlab.EBM_seasonal(num_lat=ROWS, ai=0.62)

    def processes(self) -> Iterator[tuple[str, Any]]:
        """Every process by name, in an order that does not change."""
        for name, process, _ in self.walk(self.model, ignoreFlag=True):
            yield name, process

    def load(self, state: xr.Dataset) -> None:
        """Write into the model's own arrays, and set every clock."""
        self.model.state["Ts"][...] = state["Ts"].to_numpy()
        for name, process in self.processes():
            at = state.sel(process=name)
            process.time.update({key: at[key].item() for key in CLOCK})

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> dict[str, Any] | None:
        """Advance by a month, nearly."""
        for _ in range(STEPS):
            self.model.step_forward()
        return None

    def dump(self) -> xr.Dataset:
        """Return the temperature and every clock."""
        found = dict(self.processes())
        clocks = {
            key: ("process", np.array([p.time[key] for p in found.values()], kind))
            for key, kind in CLOCK.items()
        }
        surface = np.asarray(self.model.state["Ts"])
        return xr.Dataset(
            {"Ts": (("lat", "depth"), surface, {"units": "degC"}), **clocks},
            coords={"lat": np.asarray(self.model.lat), "process": list(found)},
        )
