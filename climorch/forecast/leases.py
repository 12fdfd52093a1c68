"""How a lease is divided among the segments that run in it, and what the rest is.

Shared by the books of the twin and those of a journal. Ignores what becomes of a
segment once it has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from climorch.forecast.parts import Part

__all__ = ["LeaseBook", "Use"]


@dataclass(slots=True, kw_only=True)
class Use:
    """A segment that runs in a lease.

    Attributes
    ----------
    base : int
        Nodes that its stage asks for: its weight in the lease.
    spent : float
        Node-seconds.
    """

    base: int
    spent: float = 0.0


U = TypeVar("U", bound=Use)


@dataclass(slots=True, kw_only=True)
class LeaseBook(Generic[U]):
    """The lease of one simulation, and what runs in it.

    Attributes
    ----------
    nodes : int
        Nodes that the simulation asks for.
    since_s : float
        Clock up to which its lease is divided, seconds.
    held : int
        Nodes of its lease that are up.
    running : dict of str to Use
        Segment of each stage that runs.
    bases : int
        Sum of the bases of these.
    restoring, writing : int
        Sets that are being brought back, checkpoints that are being written.
    """

    nodes: int
    since_s: float
    held: int = 0
    running: dict[str, U] = field(default_factory=dict)
    bases: int = 0
    restoring: int = 0
    writing: int = 0

    def settle(self, now_s: float) -> float:
        """Divide the lease among what runs in it, up to now.

        Parameters
        ----------
        now_s : float
            Clock, seconds.

        Returns
        -------
        float
            Node-seconds that no segment used.
        """
        total = self.held * (now_s - self.since_s)
        self.since_s = now_s
        if not (total and self.running):
            return total
        # Phases may overlap: then more is asked for than there is.
        whole = max(self.nodes, self.bases)
        for use in self.running.values():
            use.spent += total * use.base / whole
        return total * (whole - self.bases) / whole

    @property
    def rest(self) -> Part:
        """What nodes are held for that no segment uses."""
        if self.restoring:
            return Part.RESTORE
        if self.writing and not self.running:
            return Part.DRAIN
        return Part.IDLE

    def begin(self, stage: str, use: U) -> None:
        """Let a segment of a stage run from now on."""
        self.running[stage] = use
        self.bases += use.base

    def end(self, stage: str) -> U:
        """Take the segment of a stage off what runs; return what it cost."""
        use = self.running.pop(stage)
        self.bases -= use.base
        return use
