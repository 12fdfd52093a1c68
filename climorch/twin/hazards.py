"""What takes nodes away: their own failures, outages of many, other people.

Values that say how often and for how long, and the draws that follow from them.
Ignores which node belongs to whom.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.errors import Fault, InvalidInputError
from climorch.model.windows import MOST_WINDOW_S

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Absence", "Failures", "Outages", "number_faults", "refuse"]


def number_faults(
    place: str, numbers: dict[str, float], *, above: bool = False
) -> Iterator[Fault]:
    """Say which numbers are not finite or below zero.

    Parameters
    ----------
    place : str
        Whose they are.
    numbers : dict of str to float
        By name.
    above : bool
        Whether zero is wrong too.

    Yields
    ------
    Fault
        One for each.
    """
    least = "> 0" if above else ">= 0"
    for name, number in numbers.items():
        if not (math.isfinite(number) and (number > 0 if above else number >= 0)):
            yield Fault(
                place=f"{place}.{name}",
                problem=f"got {number!r}, expected finite and {least}",
                remedy="give seconds, a share or a count",
            )


def refuse(what: str, faults: list[Fault]) -> None:
    """Raise all faults of a value as one error, if there are any.

    Parameters
    ----------
    what : str
        What cannot be used.
    faults : list of Fault
        All that is wrong with it.

    Raises
    ------
    InvalidInputError
        With every fault.
    """
    if faults:
        raise InvalidInputError(f"{what} cannot be used", faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How each node fails by itself and is repaired.

    Attributes
    ----------
    mtbf_s : float
        Mean time from a repair to the next failure, seconds, > 0.
    shape : float
        Weibull shape of these times; 1: exponential, less: failures come in
        bursts, more: nodes wear out.
    repair_median_s : float
        Median of the repair times, seconds, >= 0.
    repair_sigma : float
        Standard deviation of their logarithm; 0: all alike.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    mtbf_s: float
    shape: float = 1.0
    repair_median_s: float = 4 * 3600.0
    repair_sigma: float = 1.0

    def __post_init__(self) -> None:
        above = {"mtbf_s": self.mtbf_s, "shape": self.shape}
        others = {
            "repair_median_s": self.repair_median_s,
            "repair_sigma": self.repair_sigma,
        }
        refuse(
            "these failures",
            [
                *number_faults("Failures", above, above=True),
                *number_faults("Failures", others),
            ],
        )

    @property
    def mttr_s(self) -> float:
        """Mean time to repair, seconds."""
        return self.repair_median_s * math.exp(self.repair_sigma**2 / 2)

    @property
    def availability(self) -> float:
        """Share of time that a node is up, in the long run."""
        return self.mtbf_s / (self.mtbf_s + self.mttr_s)

    def life_s(self, rng: np.random.Generator) -> float:
        """Draw the time to the next failure.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the node.

        Returns
        -------
        float
            Seconds, with mean ``mtbf_s``.
        """
        scale_s = self.mtbf_s / math.gamma(1 + 1 / self.shape)
        return scale_s * float(rng.weibull(self.shape))

    def repair_s(self, rng: np.random.Generator) -> float:
        """Draw the time that a repair takes.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the node.

        Returns
        -------
        float
            Seconds, with median ``repair_median_s``.
        """
        drawn = math.exp(self.repair_sigma * float(rng.standard_normal()))
        return self.repair_median_s * drawn

    def lives(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Draw one life after the other, without end.

        Parameters
        ----------
        rng : numpy.random.Generator
            Of the node.

        Yields
        ------
        tuple of (float, float)
            Seconds to a failure, and of its repair.
        """
        while True:
            yield self.life_s(rng), self.repair_s(rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """Nodes that go down together, again and again: a rack, power, everything.

    Attributes
    ----------
    every_s : float
        Time from the end of one to the start of the next, seconds, > 0: the
        mean of an exponential distribution, or exact where ``periodic``.
    lasts_s : float
        How long one takes, median, seconds, > 0.
    sigma : float
        Standard deviation of the logarithm of that; 0: all alike.
    nodes : tuple of str
        Which nodes; empty: all.
    periodic : bool
        Whether they come by the clock; ``every_s`` is then from start to start.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    every_s: float
    lasts_s: float
    sigma: float = 0.0
    nodes: tuple[str, ...] = ()
    periodic: bool = False

    def __post_init__(self) -> None:
        above = {"every_s": self.every_s, "lasts_s": self.lasts_s}
        faults = [
            *number_faults("Outages", above, above=True),
            *number_faults("Outages", {"sigma": self.sigma}),
        ]
        if self.periodic and (self.sigma > 0 or self.lasts_s >= self.every_s):
            faults.append(
                Fault(
                    place="Outages.periodic",
                    problem=f"one of {self.lasts_s:g} s may meet the next, "
                    f"{self.every_s:g} s after its start",
                    remedy="make them shorter and all alike, or not periodic",
                )
            )
        refuse("these outages", faults)

    def spans(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Draw one outage after the other, without end.

        Parameters
        ----------
        rng : numpy.random.Generator
            Theirs alone.

        Yields
        ------
        tuple of (float, float)
            Seconds from the beginning of the run to its start and to its end.
        """
        begin_s = end_s = 0.0
        while True:
            if self.periodic:
                begin_s += self.every_s
            else:
                begin_s = end_s + self.every_s * float(rng.standard_exponential())
            drawn = math.exp(self.sigma * float(rng.standard_normal()))
            end_s = begin_s + self.lasts_s * drawn
            yield begin_s, end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Nodes that are not ours for a while: serviced, or taken by other people.

    Attributes
    ----------
    start_s, stop_s : float
        Seconds from the beginning of the run; first within, first after.
    nodes : tuple of str
        Which nodes.
    count : int
        With no names: the last so many of the site; 0: all.
    reason : str
        Told with the loss of each node.
    notice_s : float or None
        How long before it is announced, as a window in which the nodes are there
        for nobody; seconds. None: it is not.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    start_s: float
    stop_s: float
    nodes: tuple[str, ...] = ()
    count: int = 0
    reason: str = "taken by others"
    notice_s: float | None = None

    def __post_init__(self) -> None:
        numbers = {
            "start_s": self.start_s,
            "stop_s": self.stop_s,
            "count": self.count,
            "notice_s": self.notice_s or 0.0,
        }
        faults = list(number_faults("Absence", numbers))
        if not self.stop_s > self.start_s:
            faults.append(
                Fault(
                    place="Absence.stop_s",
                    problem=f"got {self.stop_s!r}, not after {self.start_s!r}",
                    remedy="let it stop after it starts",
                )
            )
        if self.count and self.nodes:
            faults.append(
                Fault(
                    place="Absence.nodes",
                    problem="nodes are named and counted",
                    remedy="give one of both",
                )
            )
        if self.notice_s is not None and self.stop_s - self.start_s > MOST_WINDOW_S:
            faults.append(
                Fault(
                    place="Absence.notice_s",
                    problem=f"a window of {self.stop_s - self.start_s:g} s is too long",
                    remedy="announce none that is longer than a year",
                )
            )
        refuse("this absence", faults)
