"""landlab's landscape: components on a grid object, and weather from global generators.

Rivers cut into a hexagonal grid of hills that rise. Its storms are drawn by
`PrecipitationDistribution`, partly with Python's and partly with NumPy's global
generator: their states are part of the model's.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from climorch import Segment

__all__ = ["HIDDEN", "SPANS", "Landscape"]

STEPS = 5
STEP_YEARS = 2_000.0
STORM = (
    "_storm_duration",
    "_interstorm_duration",
    "_storm_depth",
    "_intensity",
    "_elapsed_time",
)

HIDDEN = ("python_random", "numpy_random")
"""What is not a field, and shows in the result."""

SPANS = {"start": "1000-01-01", "every": "10YS", "calendar": "noleap"}


class Landscape:
    """The model as a `LiveModel` keeps it."""

    def __init__(self) -> None:
        # Installed for these tests only, and where the model lives only.
        landlab = importlib.import_module("landlab")
        parts = importlib.import_module("landlab.components")
        self.grid = landlab.HexModelGrid((14, 9), spacing=500.0)
        rough = np.random.default_rng(5).random(self.grid.number_of_nodes)
        self.height = self.grid.add_field(
            "topographic__elevation", 10.0 * rough, at="node"
        )
        self.flow = parts.FlowAccumulator(self.grid)
        self.rivers = parts.StreamPowerEroder(self.grid, K_sp=1e-5)
        self.slopes = parts.LinearDiffuser(self.grid, linear_diffusivity=0.05)
        self.storms = parts.PrecipitationDistribution(
            mean_storm_duration=2.0,
            mean_interstorm_duration=50.0,
            mean_storm_depth=0.05,
            total_t=1e9,
            random_seed=8,
        )

    def load(self, state: xr.Dataset) -> None:
        """Write into the grid's array, and set both generators."""
        self.height[...] = state["height"].to_numpy()
        for name in STORM:
            setattr(self.storms, name, state[name.strip("_")].item())
        words = tuple(int(word) for word in state["python_random"].to_numpy())
        random.setstate((3, words, None))
        # The component draws from it, however old-fashioned that is.
        np.random.set_state(  # noqa: NPY002
            (
                "MT19937",
                state["numpy_random"].to_numpy(),
                int(state["numpy_position"]),
                int(state["numpy_has_gauss"]),
                float(state["numpy_gauss"]),
            )
        )

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> dict[str, Any] | None:
        """Advance by storms, each of which stands for millennia."""
        core = self.grid.core_nodes
        for _ in range(STEPS):
            self.storms.update()
            self.height[core] += 1e-3 * STEP_YEARS
            self.flow.run_one_step()
            # A wet age cuts faster.
            self.rivers.K = 1e-5 * (0.5 + 20.0 * self.storms.intensity)
            self.rivers.run_one_step(STEP_YEARS)
            self.slopes.run_one_step(STEP_YEARS)
        return None

    def dump(self) -> xr.Dataset:
        """Return heights, the present storm and both generators."""
        _, words, _ = random.getstate()
        _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
        storm = {n.strip("_"): ((), float(getattr(self.storms, n))) for n in STORM}
        return xr.Dataset(
            {
                "height": ("node", self.height, {"units": "m"}),
                "python_random": ("word", np.array(words, "u4")),
                "numpy_random": ("key", np.asarray(keys)),
                "numpy_position": ((), np.int64(position)),
                "numpy_has_gauss": ((), np.int64(has_gauss)),
                "numpy_gauss": ((), float(gauss)),
                **storm,
            },
            coords={
                "x": ("node", self.grid.x_of_node),
                "y": ("node", self.grid.y_of_node),
            },
        )
