"""climt's columns of air: a time stepper that remembers tendencies of steps before.

Grey radiation and the forcing of Held and Suarez (1994), stepped by sympl's third-order
Adams-Bashforth scheme. Its last two tendencies are no fields of the model, and without
them the first steps after a restart are of lower order.
"""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from climorch import Segment

__all__ = ["HIDDEN", "SPANS", "AirColumns"]

STEPS = 5
STEP = datetime.timedelta(minutes=20)
FIELDS = ("air_temperature", "eastward_wind", "northward_wind")
REMEMBERED = 2

HIDDEN = ("remembered",)
"""What is not a field, and shows in the result."""

SPANS = {"start": "2000-01-01", "every": "100min", "calendar": "noleap"}


class AirColumns:
    """The model as a `LiveModel` keeps it."""

    def __init__(self) -> None:
        # Installed for these tests only, and where the model lives only.
        climt = importlib.import_module("climt")
        self.sympl = importlib.import_module("sympl")
        parts = [climt.GrayLongwaveRadiation(), climt.HeldSuarez()]
        grid = climt.get_grid(nx=2, ny=6, nz=10)
        self.state = climt.get_default_state(parts, grid_state=grid)
        self.state["eastward_wind"].values[...] = 5.0
        self.stepper = self.sympl.AdamsBashforth(*parts, order=3)

    @property
    def memory(self) -> list[dict[str, Any]]:
        """Tendencies of the last steps, oldest first."""
        found: list[dict[str, Any]] = self.stepper._tendencies_list
        return found

    def load(self, state: xr.Dataset) -> None:
        """Write into the model's arrays; give the stepper its memory."""
        for name in FIELDS:
            self.state[name].values[...] = state[name].to_numpy()
        self.memory.clear()
        for age in range(int(state["remembered"])):
            stored = {name: state[_memory_of(name, age)] for name in FIELDS}
            self.memory.append({n: self._taken(found) for n, found in stored.items()})

    def _taken(self, stored: xr.DataArray) -> Any:
        units = {"units": stored.attrs["units"]}
        return self.sympl.DataArray(stored.to_numpy(), dims=stored.dims, attrs=units)

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> dict[str, Any] | None:
        """Advance by a few steps."""
        for _ in range(STEPS):
            _, after = self.stepper(self.state, STEP)
            self.state.update(after)
        return None

    def dump(self) -> xr.Dataset:
        """Return fields and remembered tendencies, zeros where there are none yet."""
        made = {name: _stored(self.state[name], self.state[name]) for name in FIELDS}
        for age in range(REMEMBERED):
            for name in FIELDS:
                like = self.state[name]
                known = age < len(self.memory)
                found = self.memory[age][name] if known else 0.0 * like
                made[_memory_of(name, age)] = _stored(found, like)
        made["remembered"] = xr.Variable((), np.int64(len(self.memory)))
        return xr.Dataset(made)


def _stored(found: Any, like: Any) -> xr.Variable:
    """Return values in the order of the field's dimensions, which none changes."""
    values = found.transpose(*like.dims).to_numpy()
    return xr.Variable(like.dims, values, {"units": found.attrs.get("units", "")})


def _memory_of(name: str, age: int) -> str:
    return f"tendency_{age}_of_{name}"
