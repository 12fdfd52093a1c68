"""Diffusion of heat in the air over the sphere.

Decides one step of transport: along latitude circles exact in spectral space,
where grid cells shrink towards the poles; across them explicit in flux form.
Conserves heat to rounding. Ignores everything local.
"""

from __future__ import annotations

import math

import numpy as np

from physics.grid import Array, Planet
from physics.parameters import STEP_S

__all__ = ["DIFFUSIVITY", "Transport"]

DIFFUSIVITY = 0.6  # W m-2 K-1 on the unit sphere; North et al. (1981), 0.4-0.65


class Transport:
    """Transport over one step of `STEP_S`, with its own work arrays.

    Parameters
    ----------
    place : Planet
        The grid.
    heat_capacity : float
        Of the air, J m-2 K-1.
    """

    __slots__ = ("_damping", "_difference", "_flux", "_gain", "_rate", "_substeps")

    def __init__(self, place: Planet, heat_capacity: float) -> None:
        rows, columns = place.lat.size, place.lon.size
        spacing = math.pi / rows
        strength = DIFFUSIVITY * STEP_S / heat_capacity
        # Explicit diffusion is stable below strength / spacing**2 = 1/2.
        self._substeps = math.ceil(2.1 * strength / spacing**2)
        phi = np.deg2rad(place.lat)[:, None]
        edges = (phi[1:] + phi[:-1]) / 2.0
        band = np.sin(phi + spacing / 2.0) - np.sin(phi - spacing / 2.0)
        self._rate = strength / self._substeps * np.cos(edges) / spacing
        self._gain = 1.0 / band
        wave = np.arange(columns // 2 + 1)
        self._damping = np.exp(-strength * (wave / np.cos(phi)) ** 2)
        # Rows 0 and -1 stay zero: no heat crosses the poles.
        self._flux = np.zeros((rows + 1, columns))
        self._difference = np.zeros((rows, columns))

    def advance(self, air: Array) -> None:
        """Spread heat over one step.

        Parameters
        ----------
        air : ndarray, shape (lat, lon), K or degC
            Changed in place.
        """
        waves = np.fft.rfft(air, axis=1)
        waves *= self._damping
        air[...] = np.fft.irfft(waves, n=air.shape[1], axis=1)
        inner, north, south = self._flux[1:-1], self._flux[1:], self._flux[:-1]
        for _ in range(self._substeps):
            np.subtract(air[1:], air[:-1], out=inner)
            np.multiply(inner, self._rate, out=inner)
            np.subtract(north, south, out=self._difference)
            np.multiply(self._difference, self._gain, out=self._difference)
            np.add(air, self._difference, out=air)
