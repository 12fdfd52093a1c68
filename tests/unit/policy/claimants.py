"""Claims for tables of cases: names of simulations and nodes are single letters."""

from __future__ import annotations

from typing import Any

from climorch.policy.claims import Claim

__all__ = ["claim"]


def claim(name: str, nodes: int = 1, *, held: str = "", **more: Any) -> Claim:
    """Make a claim of project q; its turn began at 0."""
    values: dict[str, Any] = {
        "simulation": name,
        "project": "q",
        "priority": 0,
        "serial": ord(name[0]) - 97,
        "nodes": nodes,
        "most_nodes": nodes,
        "held": tuple(held),
    }
    return Claim(**{**values, **more})
