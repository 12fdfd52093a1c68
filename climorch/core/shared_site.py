"""A site on whose Dask scheduler other campaigns may be."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["SharedSite"]


@runtime_checkable
class SharedSite(Protocol):
    """What a site says beyond `Site` where a Dask scheduler has several campaigns."""

    @property
    def nodes(self) -> int | None:
        """Most nodes that a campaign takes; None: all that are free."""

    @property
    def min_nodes(self) -> int:
        """Nodes without which it does not start, >= 0."""
