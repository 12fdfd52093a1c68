"""The driver's eye on the inbox: a thread of its own looks twice a second.

A wish is handed over once; its file goes after its fact is in the journal. A
disk that hangs stops this thread and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from pathlib import Path

from climorch.engine.alarms import Alarms
from climorch.errors import ClimorchError
from climorch.model.events import WishTaken
from climorch.storage import inbox

__all__ = ["InboxWatch"]

logger = logging.getLogger(__name__)

POLL_S = 0.5


class InboxWatch:
    """Takes wishes to the driver and removes what is journaled.

    Parameters
    ----------
    folder : Path
        The inbox; it need not exist.
    alarms : Alarms
        Told of junk and of an inbox that cannot be read.
    known : iterable of str
        Ids of wishes that the driver has already.
    """

    def __init__(self, folder: Path, alarms: Alarms, known: Iterable[str] = ()) -> None:
        self._folder = folder
        self._alarms = alarms
        self._take: Callable[[WishTaken], None] = lambda wish: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._handed = set(known)
        self._landed: set[str] = set()
        self._refused: set[str] = set()
        self._wake = threading.Event()
        self._closing = False
        # A daemon: a hanging disk must not keep the interpreter from ending.
        self._thread = threading.Thread(
            target=self._serve, name="climorch-inbox", daemon=True
        )

    def start(self, take: Callable[[WishTaken], None]) -> None:
        """Begin to look; on the driver's loop.

        Parameters
        ----------
        take : callable
            Given each wish, on the driver's loop.
        """
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def look(self) -> None:
        """Look now rather than in half a second; from any thread."""
        self._wake.set()

    def landed(self, taken: Set[str]) -> None:
        """Let go of wishes whose facts are in the journal.

        Parameters
        ----------
        taken : set of str
            Ids of all wishes that are journaled, durably.
        """
        if self._handed:
            with self._lock:
                done = self._handed & taken
                self._handed -= done
                self._landed |= done
            if done:
                self._wake.set()

    def close(self, timeout_s: float = 2.0) -> None:
        """Remove what is journaled, and end.

        Parameters
        ----------
        timeout_s : float
            Longest wait for a disk that hangs, in seconds.
        """
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        while True:
            try:
                self._once()
            except (ClimorchError, OSError) as error:
                self._alarms.begin("inbox", f"the inbox does not work: {error}")
            except RuntimeError:
                # The loop is closed: the driver was ended at once.
                return
            else:
                self._alarms.end("inbox")
            if self._closing:
                return
            self._wake.wait(POLL_S)
            self._wake.clear()

    def _once(self) -> None:
        for name in sorted(self._landed):
            inbox.remove(self._folder, name)
            with self._lock:
                self._landed.discard(name)
        if self._closing:
            return
        found = inbox.look(self._folder)
        for junk in found.junk:
            self._set_aside(junk)
        for wish in found.wishes:
            with self._lock:
                known = wish.id in self._handed or wish.id in self._landed
                self._handed.add(wish.id)
            if not known and self._loop is not None:
                logger.info("wish id=%s by=%s wish=%s", wish.id, wish.by, wish.wish)
                self._loop.call_soon_threadsafe(self._take, wish)

    def _set_aside(self, junk: inbox.Junk) -> None:
        if junk.name in self._refused:
            return
        where = "is left there"
        with suppress(ClimorchError, OSError):
            where = f"was moved to {inbox.set_aside(self._folder, junk.name)}"
        self._refused.add(junk.name)
        text = f"{junk.name!r} in the inbox is no wish: {junk.problem}; it {where}"
        # Over as soon as it is told: it stands in nobody's way.
        self._alarms.begin("inbox", text, subject=junk.name)
        self._alarms.end("inbox", subject=junk.name)
