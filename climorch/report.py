"""What a campaign looks like, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from climorch.core.explain import NodeStatus, SimulationStatus

__all__ = ["CampaignStatus"]

# The year 9999, beyond which there are no dates to print.
LAST_DATE_S = 253_370_764_800


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
        Those that are up or drained, by name.
    """

    campaign: str
    simulations: tuple[SimulationStatus, ...]
    nodes: tuple[NodeStatus, ...] = ()

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
        return "\n".join(lines)


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
