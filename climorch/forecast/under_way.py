"""What of a set is under way at a moment, while its journal is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from climorch.forecast.timings import SetTimes

__all__ = ["SetUnderWay", "Writing"]


@dataclass(slots=True, kw_only=True)
class Writing:
    """A checkpoint that is being written, and whether another one is meanwhile."""

    attempt: int
    crowded: bool


@dataclass(slots=True, kw_only=True)
class SetUnderWay:
    """An attempt at a set.

    Attributes
    ----------
    attempt : int
        Which.
    nodes : float
        Its share of its lease.
    since_s : float
        Clock up to which it is counted, seconds.
    running : dict of str to int
        Stages of which a segment is computed, and the nodes that each asks for.
    ready_s : dict of str to float
        When each was restored, or computed its last segment; clock, seconds.
    """

    attempt: int
    nodes: float
    since_s: float = 0.0
    running: dict[str, int] = field(default_factory=dict)
    ready_s: dict[str, float] = field(default_factory=dict)

    def count(self, s: SetTimes, now_s: float) -> None:
        """Count up to now what is computed; nothing where nothing is."""
        span_s = now_s - self.since_s
        self.since_s = now_s
        if not (self.running and span_s > 0):
            return
        asked = sum(self.running.values())
        s.run_s += span_s
        s.whole_node_s += self.nodes * span_s
        s.busy_node_s += self.nodes * span_s * asked / max(s.plan.nodes, asked)
