"""Foreign load: nodes that are slower for a while, and how that is measured.

A segment is as slow as the slowest node of its lease is when it starts; what
changes meanwhile counts from the next one on.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.errors import Fault
from climorch.twin.draws import Draws, Purpose, lognormal_sigma
from climorch.twin.hazards import number_faults, refuse

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Load", "LoadedNodes", "Loads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Nodes that are slower for a while.

    Attributes
    ----------
    start_s, stop_s : float
        Seconds from the beginning of the run; first within, first after.
    slow : float
        How many times longer segments take there, >= 1.
    nodes : tuple of str
        Which; empty: all, as on storage that everybody waits for.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    start_s: float
    stop_s: float
    slow: float
    nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = {"start_s": self.start_s, "stop_s": self.stop_s, "slow": self.slow}
        faults = list(number_faults("Load", numbers))
        if not self.stop_s > self.start_s:
            faults.append(
                Fault(
                    place="Load.stop_s",
                    problem=f"got {self.stop_s!r}, not after {self.start_s!r}",
                    remedy="let it stop after it starts",
                )
            )
        if self.slow < 1:
            faults.append(
                Fault(
                    place="Load.slow",
                    problem=f"got {self.slow!r}, expected >= 1",
                    remedy="2 means that segments take twice as long",
                )
            )
        refuse("this load", faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Loads that are given, and those that come by chance to each node.

    Attributes
    ----------
    given : tuple of Load
        At known times.
    every_s : float
        Mean time from the end of a load of a node to its next one, exponential,
        seconds; 0: none comes by chance.
    lasts_s : float
        How long one takes, seconds, > 0.
    slow : float
        How many times longer segments take meanwhile, >= 1.
    pace_cv : float
        Standard deviation over mean of what is measured of a node, lognormal.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    given: tuple[Load, ...] = ()
    every_s: float = 0.0
    lasts_s: float = 6 * 3600.0
    slow: float = 3.0
    pace_cv: float = 0.05

    def __post_init__(self) -> None:
        numbers = {
            "every_s": self.every_s,
            "slow": self.slow,
            "pace_cv": self.pace_cv,
        }
        faults = [
            *number_faults("Loads", numbers),
            *number_faults("Loads", {"lasts_s": self.lasts_s}, above=True),
        ]
        if self.slow < 1:
            faults.append(
                Fault(
                    place="Loads.slow",
                    problem=f"got {self.slow!r}, expected >= 1",
                    remedy="2 means that segments take twice as long",
                )
            )
        refuse("these loads", faults)


class LoadedNodes:
    """How slow each node is at a time, the same for a seed whatever is asked.

    Parameters
    ----------
    loads : Loads or None
        None: no node is ever loaded, and nothing is measured.
    names : tuple of str
        Of all nodes, in order.
    draws : Draws
        Random numbers.
    begin_s : float
        Clock at the beginning of the run, seconds.
    """

    def __init__(
        self,
        loads: Loads | None,
        names: tuple[str, ...],
        draws: Draws,
        begin_s: float,
    ) -> None:
        self._loads = loads
        self._numbers = {name: number for number, name in enumerate(names)}
        self._draws = draws
        self._begin_s = begin_s
        # Per node, edges at which a load by chance begins or ends.
        self._edges: dict[str, tuple[list[float], np.random.Generator]] = {}

    def slow(self, node: str, now_s: float) -> float:
        """Say how many times longer segments take on a node.

        Parameters
        ----------
        node : str
            Which.
        now_s : float
            Clock, seconds.
        """
        loads = self._loads
        if loads is None:
            return 1.0
        after_s = now_s - self._begin_s
        factor = 1.0
        for load in loads.given:
            if load.start_s <= after_s < load.stop_s and (
                not load.nodes or node in load.nodes
            ):
                factor *= load.slow
        if loads.every_s and self._by_chance(loads, node, after_s):
            factor *= loads.slow
        return factor

    def slowest(
        self, nodes: Iterable[str], speeds: Mapping[str, float], now_s: float
    ) -> float:
        """Return the speed of the slowest of some nodes; 1 where there is none.

        Parameters
        ----------
        nodes : iterable of str
            Which.
        speeds : mapping of str to float
            Of each without a load.
        now_s : float
            Clock, seconds.
        """
        return min((speeds[n] / self.slow(n, now_s) for n in nodes), default=1.0)

    def paces(
        self,
        place: tuple[str, str, int],
        nodes: Iterable[str],
        speeds: Mapping[str, float],
        seconds: float,
        now_s: float,
    ) -> dict[str, float]:
        """Measure what each node takes for its share of a segment.

        Parameters
        ----------
        place : tuple of (str, str, int)
            Simulation, stage and segment.
        nodes : iterable of str
            Of the lease.
        speeds : mapping of str to float
            Of each without a load.
        seconds : float
            What the segment takes on the slowest.
        now_s : float
            Clock at its start, seconds.

        Returns
        -------
        dict of str to float
            Seconds by node; empty where nothing is measured.
        """
        loads = self._loads
        if loads is None:
            return {}
        rng = self._draws.generator(Purpose.PACE, *place)
        sigma = lognormal_sigma(loads.pace_cv)
        speed = {node: speeds[node] / self.slow(node, now_s) for node in nodes}
        slowest = min(speed.values(), default=1.0)
        noise = sigma * rng.standard_normal(len(speed))
        return {
            node: seconds * slowest / own * math.exp(off)
            for (node, own), off in zip(speed.items(), noise.tolist(), strict=True)
        }

    def _by_chance(self, loads: Loads, node: str, after_s: float) -> bool:
        if node not in self._edges:
            rng = self._draws.generator(Purpose.LOAD, self._numbers[node])
            self._edges[node] = [0.0], rng
        edges, rng = self._edges[node]
        while edges[-1] <= after_s:
            start_s = edges[-1] + loads.every_s * float(rng.standard_exponential())
            edges += [start_s, start_s + loads.lasts_s]
        # Between an odd number of edges and the next, one is under way.
        return bisect_right(edges, after_s) % 2 == 0
