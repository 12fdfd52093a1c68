"""Threads for work that waits for a disk, so that a hanging one stops nobody else.

Those of asyncio are few and shared by all: a handful of calls that never return, and
nothing that needs a thread goes on, not even what touches no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

__all__ = ["AT_ONCE", "PATIENCE_S", "DiskThreads"]

AT_ONCE = 8
PATIENCE_S = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class DiskThreads:
    """Runs blocking work, each piece on a thread of its own.

    A few beside each other. One that takes long, as on a disk that hangs, is not
    counted any more, and the next begins.

    Parameters
    ----------
    at_once : int
        How many run beside each other, >= 1; those that take long come on top.
    patience_s : float
        Seconds after which one takes long, > 0.
    """

    def __init__(
        self, *, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S
    ) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience_s = patience_s
        self._numbers = itertools.count(1)
        self._closed = False

    def close(self) -> None:
        """Begin nothing any more: whoever tries is cancelled.

        So that what tidies up after a cancellation does not wait for a disk that
        hangs. What has begun goes on to its end.
        """
        self._closed = True

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a piece of work; return what it returns, raise what it raises.

        Cancelled before it has begun, it never begins. Cancelled later, it goes on
        to its end, and nobody learns what came of it.

        Parameters
        ----------
        work : callable
            May block.
        *args, **kwargs
            Of it.
        """
        if not self._closed:
            await self._free.acquire()
        if self._closed:
            raise asyncio.CancelledError("the driver leaves")
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        outcome: Future[T] = Future()
        # From here on it cannot be cancelled.
        outcome.set_running_or_notify_cancel()
        holds = True

        def make_room() -> None:
            nonlocal holds
            if holds:
                holds = False
                self._free.release()

        late = loop.call_later(self._patience_s, make_room)

        def over() -> None:
            late.cancel()
            make_room()

        def work_off() -> None:
            try:
                outcome.set_result(context.run(work, *args, **kwargs))
            except BaseException as error:
                outcome.set_exception(error)
            # Closed, if the driver did not wait for a disk that hangs.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(over)

        # A daemon: a hanging file system must not keep the interpreter from ending.
        name = f"climorch-disk-{next(self._numbers)}"
        threading.Thread(target=work_off, name=name, daemon=True).start()
        return await asyncio.wrap_future(outcome)
