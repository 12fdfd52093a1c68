"""A driver's part on a Dask scheduler that it shares with other campaigns.

It says who it is and how many workers it takes, looks whether it can remove what each
of them wrote into its folder, and waits until it has as many as it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from climorch.core.site_ports import SharedSite, Site
from climorch.engine.alarms import Alarms
from climorch.engine.guest import answer_offer, enter, leave, standing_of
from climorch.engine.holdings import Standing
from climorch.engine.party import Comer
from climorch.errors import BackendError, ConflictError
from climorch.policy.watching import Watch
from climorch.sites.user import this_user
from climorch.storage.marks import close_marks, open_marks, remove_mark

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Lodging", "Who"]

ASK_S = 0.1
FREE = "free workers"
REMEDY = (
    "wait for the others, start more workers, or let each campaign take fewer: "
    "DaskSite(nodes=...)"
)
# How long to wait for workers that are being looked at or cleared.
PENDING_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A driver, as others on the same Dask scheduler see it.

    Attributes
    ----------
    folder : Path
        Of its campaign.
    identity : str
        Of its campaign, the same for all of its drivers and no other campaign.
    epoch : int
        Its number.
    """

    folder: Path
    identity: str
    epoch: int

    def told(self) -> str:
        """Say it in words."""
        where = f"process {os.getpid()} on {socket.gethostname()}"
        return f"campaign {self.folder.name!r} of user {this_user()}, {where}"


class Lodging:
    """What a driver does where other campaigns are.

    Parameters
    ----------
    who : Who
        It.
    site : Site
        Says how many nodes it takes and needs.
    watch : Watch
        When its nodes are frozen and its tasks stuck.
    alarms : Alarms
        Told of workers that cannot serve it.
    """

    def __init__(self, who: Who, site: Site, watch: Watch, alarms: Alarms) -> None:
        self._who = who
        self._site = site
        self._watch = watch
        self._alarms = alarms
        self._place: Path | None = None
        self._answers: set[asyncio.Task[None]] = set()
        # At the start a person is there to choose; later only patience helps.
        self._started = False

    async def come_in(self, client: Client) -> None:
        """Take part; offers come under the topic of the client.

        Raises
        ------
        ConflictError
            If a later driver of the same campaign is there.
        """
        if self._place is None:
            self._place = await asyncio.to_thread(open_marks, self._who.folder)
        site = self._site
        comer = Comer(
            client=client.id,
            identity=self._who.identity,
            epoch=self._who.epoch,
            most=site.nodes if isinstance(site, SharedSite) else None,
            who=self._who.told(),
            place=str(self._place.absolute()),
            watch=self._watch,
        )
        await client.run_on_scheduler(enter, comer)

    def offered(self, client: Client, message: Mapping[str, Any]) -> None:
        """Answer whether a worker is taken, once it was looked at."""
        task = asyncio.ensure_future(self._answer(client, message))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def settle(self, client: Client) -> None:
        """Return once it has the nodes without which it does not start.

        Raises
        ------
        ConflictError
            At the start, if there are too few and others have some.
        BackendError
            If there are too few.
        """
        site = self._site
        least = site.min_nodes if isinstance(site, SharedSite) else 0
        end_s = time.monotonic() + PENDING_S
        while True:
            standing = await client.run_on_scheduler(standing_of, client.id)
            late = time.monotonic() > end_s
            if standing.held >= max(least, 1) or not standing.pending or late:
                break
            await asyncio.sleep(ASK_S)
        if standing.held < least:
            raise self._too_few(standing, least)
        self._started = True
        if not standing.held:
            text = f"no worker is free for this campaign: {standing.told()}; {REMEDY}"
            self._alarms.begin("site", text, subject=FREE)

    async def leave(self, client: Client) -> None:
        """Let others have everything."""
        for task in self._answers:
            task.cancel()
        await client.run_on_scheduler(leave, client.id)

    def close(self) -> None:
        """Leave nothing in the campaign's folder."""
        place, self._place = self._place, None
        if place is not None:
            close_marks(place)

    def _too_few(self, standing: Standing, least: int) -> Exception:
        text = (
            f"{standing.held} of at least {least} workers are there for this "
            f"campaign: {standing.told()}"
        )
        # Where some are not fit, those that are may be about to join.
        passes = self._started or standing.kept_s or standing.unfit
        if standing.others and not passes:
            return ConflictError(f"{text}; {REMEDY}")
        return BackendError(text)

    async def _answer(self, client: Client, message: Mapping[str, Any]) -> None:
        node, address, problem = message["node"], message["address"], message["problem"]
        place = self._place
        if not problem and place is not None:
            problem = await asyncio.to_thread(remove_mark, place, node)
        if problem:
            self._alarms.begin(
                "node",
                f"node {node} at {address}, started by user {message['user']}, is "
                f"left to others: it {problem}; start it as a user that may write "
                "the campaign's folder, by its group with umask 002, or let that "
                "group write there",
                subject=node,
            )
        else:
            self._alarms.end("site", subject=FREE)
        # Who is gone meanwhile has no nodes to take.
        with contextlib.suppress(OSError, KeyError):
            await client.run_on_scheduler(answer_offer, client.id, address, problem)
