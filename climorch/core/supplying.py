"""Why nodes of a site do not come, in words. Pure views of the state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from climorch.core.state import CampaignState
from climorch.model.supply import JobsWaiting, SiteTold

__all__ = ["supply_factors", "supply_told"]


def supply_told(state: CampaignState) -> tuple[str, ...]:
    """Say what the site waits for and what is wrong with it, a sentence each.

    Parameters
    ----------
    state : CampaignState
        What is known.

    Returns
    -------
    tuple of str
        Empty: it has told of nothing.
    """
    told = state.site
    if told is None:
        return ()
    waits = [_waits(told, waiting) for waiting in told.waiting]
    return (*waits, *told.troubles.values())


def supply_factors(state: CampaignState) -> dict[str, Any]:
    """Return the same as numbers; empty where the site has told of nothing.

    Parameters
    ----------
    state : CampaignState
        What is known.
    """
    told = state.site
    if told is None:
        return {}
    found: dict[str, Any] = {"batch system": told.system, "place": told.place or None}
    found["jobs that wait"] = tuple(
        {
            "jobs": waiting.jobs,
            "nodes of each": waiting.nodes,
            "since": waiting.since_s,
            "reason": waiting.reason or None,
            "meaning": waiting.meaning or None,
            "ends by waiting": not waiting.lasting,
        }
        for waiting in told.waiting
    )
    found["trouble"] = dict(told.troubles)
    return {"nodes asked of the site": found}


def _waits(told: SiteTold, waiting: JobsWaiting) -> str:
    jobs, nodes = _count(waiting.jobs, "job"), _count(waiting.nodes, "node")
    text = f"{jobs} of {nodes} {'waits' if waiting.jobs == 1 else 'wait'}"
    text += f" in {told.system}"
    text += f" ({told.place})" if told.place else ""
    if waiting.since_s is not None:
        since = datetime.fromtimestamp(waiting.since_s, UTC)
        text += f" since {since:%Y-%m-%d %H:%M} UTC"
    text += f" for {waiting.reason}" if waiting.reason else ""
    return f"{text}: {waiting.meaning}" if waiting.meaning else text


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
