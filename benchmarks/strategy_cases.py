"""Kinds of simulation and patterns of failure that strategies are compared on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.twin.costs import Amdahl, Costs, Overheads
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.site import TwinSite
from climorch.twin.storage import BadSpell, Storage

__all__ = ["KINDS", "PATTERNS", "SIMULATIONS", "SLOWER", "Kind", "Pattern"]

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
MONTH_S = 30 * 86_400
SIMULATIONS = 2
SLOWER = 20.0
EARLY_S = 20 * MINUTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of simulation.

    Attributes
    ----------
    nodes : int
        Of its lease.
    segment_s : float
        Of a month of model time, in seconds.
    overheads : Overheads
        What its checkpoints and starts cost.
    rigid : bool
        Whether it starts anew when it loses any node, as a program does.
    """

    nodes: int
    segment_s: float
    overheads: Overheads
    rigid: bool = False

    def plan(self, segments: int) -> SimulationPlan:
        """Return its plan, a segment per model month of 30 days."""
        stage = StagePlan(
            name="earth",
            calendar="360_day",
            boundaries=tuple(k * MONTH_S for k in range(segments + 1)),
            resources=Resources(nodes=self.nodes, segment_s=self.segment_s),
        )
        return SimulationPlan(workflow="w", stages=(stage,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """How a site fails.

    Attributes
    ----------
    node_days : float
        Mean time between failures of a node, in days.
    rack_h, system_h : float
        Mean time between outages of a rack of eight nodes and of everything, in
        hours; 0: none.
    flaps : bool
        Whether one node goes every three hours.
    slow : bool
        Whether storage is twenty times slower for six hours of each day.
    early : bool
        Whether all nodes are serviced for an hour twice a day, as announced, but
        from 20 min earlier on.
    """

    node_days: float
    rack_h: float = 0.0
    system_h: float = 0.0
    flaps: bool = False
    slow: bool = False
    early: bool = False

    def site(self, kind: Kind, span_s: float) -> TwinSite:
        """Return a site with a quarter more nodes than are needed."""
        nodes = round(SIMULATIONS * kind.nodes * 1.25)
        names = tuple(f"node-{i}" for i in range(nodes))
        outages = []
        if self.rack_h:
            outages += [
                Outages(
                    every_s=self.rack_h * HOUR_S, lasts_s=HOUR_S, nodes=names[i : i + 8]
                )
                for i in range(0, nodes, 8)
            ]
        if self.system_h:
            outages.append(Outages(every_s=self.system_h * HOUR_S, lasts_s=HOUR_S))
        if self.flaps:
            outages.append(
                Outages(every_s=3 * HOUR_S, lasts_s=10 * MINUTE_S, nodes=names[:1])
            )
        absences = tuple(
            Absence(start_s=begin_s - EARLY_S, stop_s=begin_s)
            for begin_s in self.services(span_s)
        )
        days = math.ceil(3 * span_s / DAY_S) if self.slow else 0
        spells = tuple(
            BadSpell(start_s=day * DAY_S, stop_s=(day + 0.25) * DAY_S, factor=SLOWER)
            for day in range(days)
        )
        return TwinSite(
            nodes=nodes,
            names=names,
            failures=Failures(mtbf_s=self.node_days * DAY_S),
            outages=tuple(outages),
            absences=absences,
            storage=Storage(spells=spells),
            costs=Costs(default=Amdahl(seconds=kind.segment_s), noise_cv=0.1),
            overheads=kind.overheads,
            detect_s=5.0,
        )

    def services(self, span_s: float) -> list[float]:
        """Return when the site is said to be serviced, seconds from the beginning."""
        count = math.ceil(3 * span_s / (DAY_S / 2)) if self.early else 0
        return [(k + 1) * DAY_S / 2 for k in range(count)]


def overheads(
    checkpoint_s: float,
    *,
    stall_s: float,
    restore_s: float,
    start_s: float,
    copy_s: float,
) -> Overheads:
    """Make costs; a copy is held five times as long after it has stopped computing."""
    return Overheads(
        checkpoint_s=checkpoint_s,
        stall_s=stall_s,
        restore_s=restore_s,
        restart_s=start_s,
        copy_s=5 * copy_s,
        copy_stall_s=copy_s,
    )


KINDS: Mapping[str, Kind] = {
    "small fast state": Kind(
        nodes=8,
        segment_s=4 * MINUTE_S,
        overheads=overheads(2.0, stall_s=0.2, restore_s=2.0, start_s=10.0, copy_s=0.05),
    ),
    "large slow state": Kind(
        nodes=32,
        segment_s=10 * MINUTE_S,
        # Copies go over the network, not to the disk that all share.
        overheads=overheads(
            240.0, stall_s=8.0, restore_s=180.0, start_s=30.0, copy_s=4.0
        ),
    ),
    "external program": Kind(
        nodes=16,
        segment_s=12 * MINUTE_S,
        # It stops while it writes its restart files, to be copied too, and is started
        # anew by MPI.
        overheads=overheads(
            40.0, stall_s=40.0, restore_s=60.0, start_s=180.0, copy_s=40.0
        ),
        rigid=True,
    ),
}
PATTERNS: Mapping[str, Pattern] = {
    "rare node failures": Pattern(node_days=365.0),
    "frequent node failures": Pattern(node_days=10.0),
    "racks and whole system": Pattern(node_days=365.0, rack_h=200.0, system_h=60.0),
    "one flapping node": Pattern(node_days=365.0, flaps=True),
    "slow storage": Pattern(node_days=30.0, slow=True),
    "nodes go early": Pattern(node_days=365.0, early=True),
}
