"""What a campaign looks like and what a simulation will cost, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from climorch.core.estimating import Interval, StageOutlay, outlay
from climorch.core.state import CampaignState
from climorch.core.statuses import NodeStatus, SimulationStatus
from climorch.core.stretch import siblings
from climorch.core.upkeep import Policies
from climorch.core.window_statuses import WindowStatus
from climorch.model.moments import LAST_DATE_S
from climorch.model.plan import SimulationPlan

__all__ = ["CampaignStatus", "Estimate", "estimate"]

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """Status of every simulation of a campaign.

    Attributes
    ----------
    campaign : str
        Its name.
    simulations : tuple of SimulationStatus
        In order of submission.
    nodes : tuple of NodeStatus
        Those that are up, drained or in a window, by name.
    windows : tuple of WindowStatus
        Those that are not over, the first to start first.
    site : tuple of str
        Nodes that were asked for and do not come, and why, a sentence each.
    """

    campaign: str
    simulations: tuple[SimulationStatus, ...]
    nodes: tuple[NodeStatus, ...] = ()
    windows: tuple[WindowStatus, ...] = ()
    site: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether every simulation is finished."""
        return all(s.status == "finished" for s in self.simulations)

    def __iter__(self) -> Iterator[SimulationStatus]:
        return iter(self.simulations)

    def __getitem__(self, name: str) -> SimulationStatus:
        for status in self.simulations:
            if status.simulation == name:
                return status
        raise KeyError(name)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per simulation."""
        rows = [s.to_dict() for s in self.simulations]
        return pd.DataFrame(rows, columns=list(SimulationStatus.columns())).set_index(
            "simulation"
        )

    def nodes_to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per node."""
        rows = [n.to_dict() for n in self.nodes]
        return pd.DataFrame(rows, columns=list(NodeStatus.columns())).set_index("node")

    def windows_to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per window."""
        rows = [w.to_dict() for w in self.windows]
        return pd.DataFrame(rows, columns=list(WindowStatus.columns())).set_index(
            "window"
        )

    def __str__(self) -> str:
        lines = [f"campaign {self.campaign}: {len(self.simulations)} simulations"]
        width = max((len(s.simulation) for s in self.simulations), default=0)
        lines += [
            f"  {s.simulation:<{width}}  {s.status:<9} {s.progress:6.1%}  "
            f"{s.nodes} nodes  {s.node_hours:.3f} node-h{_outlook(s)}  {s.why}"
            for s in self.simulations
        ]
        drained = [n.node for n in self.nodes if n.draining]
        if drained:
            lines.append(f"  drained: {', '.join(drained)}")
        lines += [f"  site: {told}" for told in self.site]
        lines += [f"  {_window(w)}" for w in self.windows]
        return "\n".join(lines)


def _window(window: WindowStatus) -> str:
    """Say what a window is, in a line."""
    what = f"kept for {window.holder}" if window.holder else "serviced"
    nodes = ", ".join(window.nodes) or "all nodes"
    if not window.placed:
        nodes = f"{window.count} nodes, not chosen yet,"
    since, until = (
        f"{datetime.fromtimestamp(min(at_s, LAST_DATE_S), UTC):%Y-%m-%d %H:%M}"
        for at_s in (window.start_s, window.stop_s)
    )
    return f"window {window.window}: {nodes} {what} from {since} to {until} UTC"


def _outlook(status: SimulationStatus) -> str:
    """Say how fast it is, when it ends and how old its newest checkpoint is."""
    parts = []
    if status.rate_sypd is not None:
        parts.append(f"{status.rate_sypd:.3g} SYPD")
    if status.expected_end_s is not None and status.expected_end_s < LAST_DATE_S:
        end = datetime.fromtimestamp(status.expected_end_s, UTC)
        parts.append(f"ends {end:%Y-%m-%d %H:%M} UTC")
    if status.checkpoint_age_s is not None:
        parts.append(f"checkpoint {status.checkpoint_age_s:.0f} s old")
    return "".join(f"  {part}" for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a simulation will take and cost on the nodes that it asks for.

    Time with nodes: waiting for them is not in it, nor what failures will cost,
    nor simulations that rules will add, nor that lent nodes may make it faster.

    Attributes
    ----------
    simulation, workflow : str
        Whose.
    nodes : int
        Nodes of its lease.
    spent_s, spent_node_hours : float
        What it has used so far; 0 before it has begun.
    remaining_s : Interval
        What is left, in seconds.
    stages : tuple of StageOutlay
        What is left of each stage, in order of declaration. Stages that run
        side by side do not add up to the whole.
    """

    simulation: str
    workflow: str
    nodes: int
    spent_s: float
    spent_node_hours: float
    remaining_s: Interval
    stages: tuple[StageOutlay, ...]

    @property
    def remaining_node_hours(self) -> Interval:
        """What is left, in node-hours: the whole lease for the whole time."""
        return self.remaining_s * (self.nodes / HOUR_S)

    @property
    def duration_s(self) -> Interval:
        """From beginning to end, in seconds with nodes."""
        return self.remaining_s + self.spent_s

    @property
    def node_hours(self) -> Interval:
        """From beginning to end, in node-hours."""
        return self.remaining_node_hours + self.spent_node_hours

    def to_pandas(self) -> pd.DataFrame:
        """Return a table of what is left, one row per stage and ``(total)``."""
        rows = [
            {
                "stage": s.stage,
                "nodes": s.nodes,
                "segments": s.segments,
                "segment_s": s.segment_s,
                "samples": s.samples,
                "basis": s.basis,
                **_columns(s.duration_s, s.nodes),
            }
            for s in self.stages
        ]
        total = {
            "stage": "(total)",
            "nodes": self.nodes,
            "segments": sum(s.segments for s in self.stages),
            "segment_s": math.nan,
            "samples": sum(s.samples for s in self.stages),
            "basis": "",
            **_columns(self.remaining_s, self.nodes),
        }
        return pd.DataFrame([*rows, total]).set_index("stage")

    def __str__(self) -> str:
        left = "left" if self.spent_s else "in all"
        lines = [
            f"simulation {self.simulation} on {self.nodes} nodes, {left}: "
            f"{_span(self.remaining_s * (1 / HOUR_S))} h, "
            f"{_span(self.remaining_node_hours)} node-h "
            "(P50, P10 to P90), without waiting for nodes"
        ]
        if self.spent_s:
            lines[0] += (
                f"; spent: {self.spent_s / HOUR_S:.3g} h, "
                f"{self.spent_node_hours:.3g} node-h"
            )
        width = max((len(s.stage) for s in self.stages), default=0)
        lines += [
            f"  {s.stage:<{width}}  {s.segments} segments of {s.segment_s:.3g} s "
            f"({s.basis}): {_span(s.duration_s * (1 / HOUR_S))} h"
            for s in self.stages
        ]
        return "\n".join(lines)


def estimate(
    state: CampaignState,
    plan: SimulationPlan,
    *,
    name: str,
    policies: Policies,
    now_s: float,
) -> Estimate:
    """Estimate a simulation from what a campaign knows.

    Parameters
    ----------
    state : CampaignState
        What the campaign knows.
    plan : SimulationPlan
        What the simulation consists of.
    name : str
        Its name; if there is one of that name, it is that one.
    policies : Policies
        When it is checkpointed.
    now_s : float
        UTC seconds.

    Returns
    -------
    Estimate
        With 10, 50 and 90 percent.

    Raises
    ------
    InvalidInputError
        If nothing is known of a stage.
    """
    own = state.simulations.get(name)
    left = outlay(
        plan,
        own=own,
        others=siblings(state, plan, name),
        name=name,
        policies=policies,
        mtbf_s=state.mtbf_s(plan.nodes, state.now_s),
    )
    held_s = node_s = 0.0
    if own is not None:
        since_s = max(now_s - own.lease_since_s, 0.0) if own.lease else 0.0
        held_s = own.held_s + since_s
        node_s = own.node_s + len(own.lease) * since_s
    return Estimate(
        simulation=name,
        workflow=plan.workflow,
        nodes=plan.nodes,
        spent_s=held_s,
        spent_node_hours=node_s / HOUR_S,
        remaining_s=left.duration_s,
        stages=left.stages,
    )


def _columns(duration_s: Interval, nodes: int) -> dict[str, float]:
    """Name the numbers of an interval, in seconds and in node-hours."""
    node_hours = duration_s * (nodes / HOUR_S)
    return {
        "duration_p10_s": duration_s.p10,
        "duration_p50_s": duration_s.p50,
        "duration_p90_s": duration_s.p90,
        "node_hours_p10": node_hours.p10,
        "node_hours_p50": node_hours.p50,
        "node_hours_p90": node_hours.p90,
    }


def _span(interval: Interval) -> str:
    p10, p50, p90 = (
        f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        for value in (interval.p10, interval.p50, interval.p90)
    )
    return f"{p50} ({p10} to {p90})"
