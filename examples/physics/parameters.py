"""What may differ between members, and the constants that do not.

Decides the physical constants of the example and checks the parameters of a
scenario. Ignores how they are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from climorch.errors import Fault, InvalidInputError
from climorch.model.advance import Segment

__all__ = [
    "GRID_DEGREES",
    "SCENARIOS",
    "STEPS_PER_MONTH",
    "STEPS_PER_YEAR",
    "STEP_S",
    "YEAR_S",
    "Member",
    "years_of",
]

YEAR_S = 365 * 86400.0
STEPS_PER_MONTH = 18
STEPS_PER_YEAR = 12 * STEPS_PER_MONTH
STEP_S = YEAR_S / STEPS_PER_YEAR

# Whole multiples of the 2 degrees of the data that also divide the globe.
GRID_DEGREES = (4, 6, 10, 12, 18, 20)
SCENARIOS = ("ssp119", "ssp126", "ssp245", "ssp370", "ssp585")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Parameters of one member of the ensemble.

    Attributes
    ----------
    feedback : float
        Rise of outgoing longwave radiation per kelvin of air temperature,
        W m-2 K-1, in (0, 10]. Ice and snow albedo act against it.
    aerosol : float
        Factor on the aerosol forcing, 1, in [0, 3].
    scenario : str
        One of `SCENARIOS`; all agree up to 2014.
    grid_degrees : int
        Grid spacing of the spin-up, degrees; one of `GRID_DEGREES`. Later
        phases take the grid from the state that they start from.
    """

    feedback: float = 1.7
    aerosol: float = 1.0
    scenario: str = "ssp245"
    grid_degrees: int = 4

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Member:
        """Take the member's own parameters out of those of a scenario.

        Parameters
        ----------
        params : mapping
            Keys as the attributes; a missing one has its default, a foreign
            one is left to others.

        Returns
        -------
        Member

        Raises
        ------
        InvalidInputError
            With one fault for each parameter out of its range.
        """
        known = {name: params[name] for name in cls.__slots__ if name in params}
        member = cls(**known)
        faults = [
            Fault(
                place=f"params[{name!r}]",
                problem=f"got {getattr(member, name)!r}, expected {expected}",
                remedy="set it in the scenario",
            )
            for name, expected, valid in member._checks()
            if not valid
        ]
        if faults:
            raise InvalidInputError("parameters of the member", faults=faults)
        return member

    def _checks(self) -> tuple[tuple[str, str, bool], ...]:
        return (
            ("feedback", "W m-2 K-1 in (0, 10]", _within(self.feedback, 1e-9, 10.0)),
            ("aerosol", "a factor in [0, 3]", _within(self.aerosol, 0.0, 3.0)),
            ("scenario", f"one of {SCENARIOS}", self.scenario in SCENARIOS),
            (
                "grid_degrees",
                f"one of {GRID_DEGREES}",
                self.grid_degrees in GRID_DEGREES,
            ),
        )


def _within(value: object, low: float, high: float) -> bool:
    return (
        isinstance(value, int | float) and math.isfinite(value) and low <= value <= high
    )


def years_of(segment: Segment) -> range:
    """Name the calendar years of a segment.

    Parameters
    ----------
    segment : Segment
        From one 1 January to a later one, 00:00.

    Returns
    -------
    range
        Calendar years, first to last.

    Raises
    ------
    InvalidInputError
        If the segment is not made of whole calendar years.
    """
    bounds = (segment.start, segment.end)
    whole = all((t.month, t.day, t.hour, t.minute) == (1, 1, 0, 0) for t in bounds)
    if not whole or segment.end.year <= segment.start.year:
        raise InvalidInputError(
            f"segment {segment.index}: {segment.start} to {segment.end}, expected "
            "whole calendar years; set the span's start and every= to years"
        )
    return range(segment.start.year, segment.end.year)
