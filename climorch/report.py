"""What a campaign looks like, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from climorch.core.explain import SimulationStatus

__all__ = ["CampaignStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """Status of every simulation of a campaign.

    Attributes
    ----------
    campaign : str
        Its name.
    simulations : tuple of SimulationStatus
        In order of submission.
    """

    campaign: str
    simulations: tuple[SimulationStatus, ...]

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

    def __str__(self) -> str:
        lines = [f"campaign {self.campaign}: {len(self.simulations)} simulations"]
        width = max((len(s.simulation) for s in self.simulations), default=0)
        lines += [
            f"  {s.simulation:<{width}}  {s.status:<9} {s.progress:6.1%}  "
            f"{s.nodes} nodes  {s.node_hours:.3f} node-h  {s.why}"
            for s in self.simulations
        ]
        return "\n".join(lines)
