"""What a site tells by itself: when nodes go, and that none come."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from climorch.core.site_ports import Site, StandingSite
from climorch.engine.alarms import Alarms
from climorch.model import events as e

__all__ = ["Herald", "hearing", "part"]

# A node that should have gone so long ago, in seconds, will not join any more.
FORGOTTEN_S = 86_400.0


class Herald:
    """Hears a site; a `SiteNews`.

    Parameters
    ----------
    post : callable
        Takes facts about nodes.
    alarms : Alarms
        Told of trouble.
    here : callable
        Returns the names of the nodes that have joined.
    now : callable
        UTC seconds.
    """

    def __init__(
        self,
        post: Callable[[e.Fact], None],
        alarms: Alarms,
        here: Callable[[], Collection[str]],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._post = post
        self._alarms = alarms
        self._here = here
        self._now = now
        self._ends: dict[str, e.NodeDeadline] = {}

    def deadline_s(self, node: str) -> float | None:
        """Return when a node goes; None: it stays, as far as was told."""
        known = self._ends.get(node)
        return None if known is None else known.deadline_s

    def goes(
        self, node: str, at_s: float | None, why: str, *, recalled: bool = False
    ) -> None:
        """Note when a node goes, and say so where it has joined."""
        old_s = self._now() - FORGOTTEN_S
        self._ends = {
            other: known
            for other, known in self._ends.items()
            if known.deadline_s is None or known.deadline_s > old_s
        }
        fact = e.NodeDeadline(node=node, deadline_s=at_s, reason=why, recalled=recalled)
        self._ends[node] = fact
        if node in self._here():
            self._post(fact)

    def joined(self, node: str) -> None:
        """Say so again where one has joined that is to go: its worker was restarted."""
        known = self._ends.get(node)
        if known is not None and known.recalled:
            self._post(known)

    def trouble(self, subject: str, message: str) -> None:
        """Tell a person that something is wrong with where nodes come from."""
        if message:
            self._alarms.begin("site", message, subject=subject)
        else:
            self._alarms.end("site", subject=subject)

    def stands(self, told: e.SiteTold) -> None:
        """Let everybody read what is asked for and does not come."""
        self._post(told)


def hearing(
    site: Site,
    post: Callable[[e.Fact], None],
    alarms: Alarms,
    here: Callable[[], Collection[str]],
) -> Herald:
    """Return a herald that hears a site, where that tells anything by itself.

    Parameters
    ----------
    site : Site
        Any.
    post, alarms, here
        As for `Herald`.
    """
    herald = Herald(post, alarms, here)
    if isinstance(site, StandingSite):
        site.listen(herald)
    return herald


async def part(site: Site) -> None:
    """Let go of a Dask scheduler, and of nodes that do not outlive it.

    Parameters
    ----------
    site : Site
        Will be opened again.
    """
    if isinstance(site, StandingSite):
        await site.part()
    else:
        await site.close()
