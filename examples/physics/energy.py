"""One year of heat in air and surface.

Decides the fluxes between sun, air, surface and the deep ocean, and where they
end up. Ignores what is slower than a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physics.grid import Array, Planet
from physics.land import albedo_of_land, snow_cover
from physics.ocean import RHO_C
from physics.parameters import STEP_S, STEPS_PER_MONTH, STEPS_PER_YEAR
from physics.transport import Transport

__all__ = ["C_AIR", "Ground", "Year", "run_year"]

C_AIR = 1.0e7  # J m-2 K-1, the whole column
C_MIXED = 60.0 * RHO_C  # J m-2 K-1, 60 m of sea water
C_LAND = 4.0 * RHO_C  # J m-2 K-1, as 4 m of water
EXCHANGE = 20.0  # W m-2 K-1, surface to air
DEEP_EXCHANGE = 0.8  # W m-2 K-1, mixed layer to the first deep layer
SUN_IN_AIR = 0.3  # share of the absorbed sunlight that the column takes
# Outgoing longwave = OUTGOING + feedback (air - T_REF): anchored at the mean of
# the base state, so that the flux correction is much the same for every member.
OUTGOING = 238.0  # W m-2
T_REF = 6.0  # degC
# Ground and sea whiten from FROST_TOP down. The ramp is wide because a narrow
# one lets the ice albedo run away where the sun is high.
FROST_TOP = 2.0  # degC
FROST_SPAN = 10.0  # K
FROST_ALBEDO = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """What one year left behind.

    Attributes
    ----------
    air, surface : ndarray, shape (lat, lon), degC
        At the end of the year.
    surface_by_month : ndarray, shape (month, lat, lon), degC
        Monthly means.
    deep_flux : ndarray, shape (lat, lon), W m-2
        Annual mean down from the mixed layer, per area of sea; 0 on land.
    degree_days : ndarray, shape (lat, lon), K day
        Sum over the year of the surface temperature above 0 degC.
    net_radiation : ndarray, shape (lat, lon), W m-2
        Annual mean gain at the top of the atmosphere, forcing included.
    """

    air: Array
    surface: Array
    surface_by_month: Array
    deep_flux: Array
    degree_days: Array
    net_radiation: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the surface is like during a year; (lat, lon) each.

    Attributes
    ----------
    heat_capacity : ndarray, J m-2 K-1
    deep_coupling : ndarray, W m-2 K-1
        To the first deep layer, per area of the cell.
    co_albedo : ndarray, 1
        Where nothing is frozen.
    frost_albedo : ndarray, 1
        What a full frost takes off it.
    """

    heat_capacity: Array
    deep_coupling: Array
    co_albedo: Array
    frost_albedo: Array

    @classmethod
    def of(cls, place: Planet, snow: Array, carbon: Array) -> Ground:
        """Mix sea and land by their share of each cell.

        Parameters
        ----------
        place : Planet
            The grid.
        snow, carbon : ndarray, shape (lat, lon), kg m-2
            Lasting snow and vegetation, per area of land.

        Returns
        -------
        Ground
        """
        sea, land = place.sea, 1.0 - place.sea
        sea_albedo = 0.27 + 0.1 * (place.lat[:, None] / 90.0) ** 2
        # Ground under lasting snow is white already.
        bare = 1.0 - land * snow_cover(snow)
        return cls(
            heat_capacity=sea * C_MIXED + land * C_LAND,
            deep_coupling=sea * DEEP_EXCHANGE,
            co_albedo=1.0 - sea * sea_albedo - land * albedo_of_land(snow, carbon),
            frost_albedo=FROST_ALBEDO * bare,
        )

    def absorbed(self, surface: Array, insolation: Array, out: Array) -> None:
        """Reckon the sunlight that is not sent back.

        Parameters
        ----------
        surface : ndarray, shape (lat, lon), degC
        insolation : ndarray, shape (lat, 1), W m-2
        out : ndarray, shape (lat, lon), W m-2
            Receives it.
        """
        np.subtract(FROST_TOP, surface, out=out)
        out *= 1.0 / FROST_SPAN
        np.clip(out, 0.0, 1.0, out=out)
        out *= self.frost_albedo
        np.subtract(self.co_albedo, out, out=out)
        out *= insolation


class Exchange:
    """Implicit exchange between air and surface, with its own work arrays.

    A two by two system per cell, its inverse made once: the exchange itself,
    outgoing longwave, the deep ocean and the restoring at their new values,
    which is stable for every step length.

    Parameters
    ----------
    ground : Ground
        The surface.
    feedback : float
        W m-2 K-1.
    restoring : ndarray or float, W m-2 K-1
        Pull of the surface to its target.
    """

    __slots__ = ("_cross", "_inertia", "_rhs", "_to_air", "_to_surface", "_work")

    def __init__(
        self, ground: Ground, feedback: float, restoring: Array | float
    ) -> None:
        self._inertia = ground.heat_capacity / STEP_S
        below = self._inertia + EXCHANGE + ground.deep_coupling + restoring
        above = C_AIR / STEP_S + EXCHANGE + feedback
        determinant = below * above - EXCHANGE**2
        self._to_surface = above / determinant
        self._cross = EXCHANGE / determinant
        self._to_air = below / determinant
        self._rhs = np.empty_like(below)
        self._work = np.empty_like(below)

    def advance(
        self,
        air: Array,
        surface: Array,
        *,
        sunlight: Array,
        source: Array,
        air_source: float,
    ) -> None:
        """Advance both by one step.

        Parameters
        ----------
        air, surface : ndarray, shape (lat, lon), degC
            Changed in place.
        sunlight : ndarray, shape (lat, lon), W m-2
            Absorbed by both.
        source : ndarray, shape (lat, lon), W m-2
            What else enters the surface.
        air_source : float
            What else enters the air, W m-2.
        """
        rhs, work = self._rhs, self._work
        np.multiply(self._inertia, surface, out=rhs)
        rhs += source
        np.multiply(sunlight, 1.0 - SUN_IN_AIR, out=work)
        rhs += work
        air *= C_AIR / STEP_S
        np.multiply(sunlight, SUN_IN_AIR, out=work)
        air += work
        air += air_source
        np.multiply(self._to_surface, rhs, out=surface)
        np.multiply(self._cross, air, out=work)
        surface += work
        air *= self._to_air
        rhs *= self._cross
        air += rhs


def run_year(
    place: Planet,
    ground: Ground,
    air: Array,
    surface: Array,
    *,
    correction: Array,
    deep: Array,
    feedback: float,
    forcing: float,
    restoring: Array | float = 0.0,
) -> Year:
    """Advance air and surface by one year; the heat budget closes to rounding.

    Parameters
    ----------
    place, ground : Planet, Ground
        The grid and its surface.
    air, surface : ndarray, shape (lat, lon), degC
        At the start; not written to.
    correction : ndarray, shape (month, lat, lon), W m-2
        Flux into the surface by month.
    deep : ndarray, shape (lat, lon), degC
        First deep layer, constant over the year.
    feedback, forcing : float
        W m-2 K-1 and W m-2.
    restoring : ndarray or float, W m-2 K-1
        Pull of the surface to ``place.target``.
    """
    transport = Transport(place, C_AIR)
    exchange = Exchange(ground, feedback, restoring)
    source = correction + ground.deep_coupling * deep + restoring * place.target
    gain = forcing - OUTGOING + feedback * T_REF
    air, surface = air.copy(), surface.copy()
    absorbed, sunlight, air_sum, warmth = (np.zeros_like(air) for _ in range(4))
    months = np.zeros_like(correction)
    for step in range(STEPS_PER_YEAR):
        month = step // STEPS_PER_MONTH
        ground.absorbed(surface, place.insolation[step], out=absorbed)
        sunlight += absorbed
        exchange.advance(
            air, surface, sunlight=absorbed, source=source[month], air_source=gain
        )
        air_sum += air
        months[month] += surface
        np.maximum(surface, 0.0, out=absorbed)
        warmth += absorbed
        transport.advance(air)
    months /= STEPS_PER_MONTH
    outgoing = OUTGOING + feedback * (air_sum / STEPS_PER_YEAR - T_REF)
    return Year(
        air=air,
        surface=surface,
        surface_by_month=months,
        deep_flux=_deep_flux(place, months, deep),
        degree_days=warmth * (365.0 / STEPS_PER_YEAR),
        net_radiation=sunlight / STEPS_PER_YEAR - outgoing + forcing,
    )


def _deep_flux(place: Planet, months: Array, deep: Array) -> Array:
    """Return the flux into the deep layers of the sea, W m-2."""
    down = DEEP_EXCHANGE * (months.mean(axis=0) - deep)
    return np.where(place.sea > 0.0, down, 0.0)
