"""How programs with MPI are started on the nodes of a site."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["LaunchingSite"]


@runtime_checkable
class LaunchingSite(Protocol):
    """A site that says how programs with MPI are started on its nodes."""

    @property
    def launcher(self) -> str:
        """Name or path of a program: ``mpiexec``, ``srun`` or ``jsrun``."""

    @property
    def job_nodes(self) -> int:
        """Most nodes that the launcher reaches at a time, or `ports.UNKNOWN_NODES`."""

    def job_of(self, node: str) -> str:
        """Return the job within which the launcher stays; empty: it reaches all."""
