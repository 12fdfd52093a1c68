"""Alarms to the log and to the user's callback, which can disturb nobody.

The callback runs on a thread of its own: it may raise or take its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

from climorch.core.alarms import MOST_EXPOSURE_S, AlarmBook, Trouble, troubles
from climorch.core.state import CampaignState
from climorch.model.alarm import Alarm, AlarmKind

__all__ = ["Alarms"]

logger = logging.getLogger(__name__)

LOOK_S = 1.0
MOST_WAITING = 1000


class Alarms:
    """Tells what needs a person, each trouble once; from any thread.

    Parameters
    ----------
    on_alarm : callable or None
        Given each `Alarm`.
    most_exposure_s : float
        Compute that may be at risk before somebody is told, in seconds.
    now : callable
        UTC seconds.
    """

    def __init__(
        self,
        on_alarm: Callable[[Alarm], None] | None = None,
        *,
        most_exposure_s: float = MOST_EXPOSURE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._on_alarm = on_alarm
        self._most_exposure_s = most_exposure_s
        self._now = now
        self._book = AlarmBook()
        self._lock = threading.Lock()
        self._queue: queue.Queue[Alarm | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._closing = False
        self._watching: asyncio.Task[None] | None = None

    def begin(
        self,
        kind: AlarmKind,
        text: str,
        *,
        simulation: str | None = None,
        subject: str = "",
    ) -> None:
        """Say that something is wrong; again: says nothing more.

        Parameters
        ----------
        kind : str
            As in `Alarm`.
        text : str
            In words.
        simulation : str or None
            Which it is about, if one.
        subject : str
            Tells troubles of one kind apart.
        """
        trouble = Trouble(kind=kind, subject=subject, text=text, simulation=simulation)
        with self._lock:
            self._tell(self._book.begin(trouble, self._now()))

    def end(self, kind: AlarmKind, *, subject: str = "") -> None:
        """Say that a trouble is over; nothing where there was none."""
        with self._lock:
            self._tell(self._book.end(kind, subject, self._now()))

    def watch(self, state: CampaignState) -> None:
        """Look at the state every second from now on; on the driver's loop."""
        self._watching = asyncio.create_task(self._watch(state))

    def look(self, state: CampaignState) -> None:
        """Tell what in the state needs a person, what is over, and reminders."""
        now_s = self._now()
        found = troubles(state, now_s, most_exposure_s=self._most_exposure_s)
        with self._lock:
            self._tell(self._book.watch(found, now_s))

    async def stop(self) -> None:
        """Look at the state no more; what is told meanwhile still goes out."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the callback have all that was told.

        Parameters
        ----------
        timeout_s : float
            Longest wait for it, in seconds.
        """
        if self._thread is None:
            return
        self._closing = True
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("on_alarm does not return; what it was not told is above")

    async def _watch(self, state: CampaignState) -> None:
        while True:
            self.look(state)
            await asyncio.sleep(LOOK_S)

    def _tell(self, alarms: Iterable[Alarm]) -> None:
        for alarm in alarms:
            logger.log(
                logging.INFO if alarm.event == "ends" else logging.ERROR,
                "alarm kind=%s event=%s simulation=%s text=%s",
                alarm.kind,
                alarm.event,
                alarm.simulation,
                alarm.text,
            )
            if self._on_alarm is not None:
                self._call_later(alarm)

    def _call_later(self, alarm: Alarm) -> None:
        if self._thread is None:
            # A daemon: a callback that hangs must not keep the interpreter.
            self._thread = threading.Thread(
                target=self._serve, name="climorch-alarms", daemon=True
            )
            self._thread.start()
        try:
            self._queue.put_nowait(alarm)
        except queue.Full:
            logger.warning("on_alarm takes too long: it is not told of %s", alarm)

    def _serve(self) -> None:
        # Where the queue was full there is no word at its end that says so.
        while not (self._closing and self._queue.empty()):
            alarm = self._queue.get()
            if alarm is None or self._on_alarm is None:
                return
            try:
                self._on_alarm(alarm)
            except Exception:
                logger.exception("on_alarm failed; the campaign goes on")
