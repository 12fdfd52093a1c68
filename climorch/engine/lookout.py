"""What the driver hears from people and tells them, beside its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from climorch.core.state import CampaignState
from climorch.engine.alarms import Alarms
from climorch.engine.inbox import InboxWatch
from climorch.model.alarm import Alarm
from climorch.model.events import Fact, WishTaken
from climorch.storage.inbox import FOLDER

__all__ = ["Lookout"]


class Lookout:
    """The inbox and the alarms of one driver; a context around its run.

    Parameters
    ----------
    folder : Path
        Of the campaign.
    facts : iterable of Fact
        What the driver begins with; wishes among them are known.
    on_alarm : callable or None
        Told of what needs a person.
    most_exposure_s : float
        Compute that may be at risk before somebody is told, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        facts: Iterable[Fact],
        on_alarm: Callable[[Alarm], None] | None,
        most_exposure_s: float,
    ) -> None:
        self.alarms = Alarms(on_alarm, most_exposure_s=most_exposure_s)
        known = [fact.id for fact in facts if isinstance(fact, WishTaken)]
        self.inbox = InboxWatch(folder / FOLDER, self.alarms, known)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.alarms.begin("driver", f"the driver ends: {error}")
        await self.alarms.stop()
        await asyncio.to_thread(self.inbox.close)
        await asyncio.to_thread(self.alarms.close)

    def start(
        self, state: CampaignState, put: Callable[[WishTaken | None], None]
    ) -> None:
        """Look into the inbox and at the state from now on.

        Parameters
        ----------
        state : CampaignState
            The orchestrator's; only read.
        put : callable
            Takes a wish to the driver; None: decide again.
        """

        def take(wish: WishTaken) -> None:
            # One that an earlier driver journaled is only let go of.
            put(None if wish.id in state.wishes else wish)

        self.alarms.watch(state)
        self.inbox.start(take)

    def decided(self, state: CampaignState, trouble: str) -> None:
        """Let go of wishes that are journaled, or tell why none can be.

        Parameters
        ----------
        state : CampaignState
            After the decision.
        trouble : str
            Why the journal cannot be written; empty: all is durable.
        """
        if trouble:
            self.alarms.begin("journal", trouble)
        else:
            self.alarms.end("journal")
            self.inbox.landed(state.wishes)
