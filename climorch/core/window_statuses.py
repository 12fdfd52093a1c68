"""What a user sees of windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from climorch.core.state import CampaignState

__all__ = ["WindowStatus", "windows_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStatus:
    """Nodes that are serviced, or kept for somebody, for a while.

    Attributes
    ----------
    window : str
        Its name.
    nodes : tuple of str
        Which; empty: all of the site, or not chosen yet.
    count : int
        How many are still to be chosen; 0: it is known which are meant.
    start_s, stop_s : float
        First second within, first second after; UTC seconds.
    holder : str or None
        Project or simulation that may use them; None: nobody, they are serviced.
    hard : bool
        Whether the nodes go at the start whatever runs on them.
    placed : bool
        Whether it is known which nodes are meant.
    begun : bool
        Whether it has started.
    """

    window: str
    nodes: tuple[str, ...]
    count: int
    start_s: float
    stop_s: float
    holder: str | None
    hard: bool
    placed: bool
    begun: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in fields(cls))


def windows_in(state: CampaignState, now_s: float) -> tuple[WindowStatus, ...]:
    """Return the windows that are not over, the first to start first.

    Parameters
    ----------
    state : CampaignState
        What is known.
    now_s : float
        Driver's clock, seconds.
    """
    found = [w for w in state.windows.values() if w.stop_s > now_s]
    return tuple(
        WindowStatus(
            window=window.name,
            nodes=window.nodes,
            count=window.count,
            start_s=window.start_s,
            stop_s=window.stop_s,
            holder=window.holder or None,
            hard=window.hard,
            placed=window.placed,
            begun=window.start_s <= now_s,
        )
        for window in sorted(found, key=lambda w: (w.start_s, w.name))
    )
