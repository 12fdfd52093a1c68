"""Whether a program goes on, by what it writes."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from climorch.engine.child import ModelFailedError
from climorch.model.events import Cause
from climorch.model.programs import LOG, Command

__all__ = ["Progress"]

# Most that is looked at at a time; what is older says nothing of now.
MOST_BYTES = 2**20


class Progress:
    """Lines that say that a program goes on.

    Parameters
    ----------
    step : Command
        Which program.
    folder : Path
        Where it runs.
    now : callable
        Monotonic seconds.

    Attributes
    ----------
    last : str
        What the newest of them says; empty: there was none.
    """

    def __init__(
        self, step: Command, folder: Path, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.last = ""
        self._limit_s = step.stall_s
        self._pattern = re.compile(step.progress) if step.progress else None
        self._path = folder / (step.progress_file or LOG)
        self._now = now
        self._since_s = now()
        self._offset = 0
        with contextlib.suppress(OSError):
            # Of a launch before this one.
            self._offset = self._path.stat().st_size

    def look(self) -> None:
        """Look once.

        Raises
        ------
        ModelFailedError
            If nothing was said for too long.
        """
        if self._pattern is None or self._limit_s is None:
            return
        found = [match.group(0) for match in self._pattern.finditer(self._new())]
        if found and found[-1] != self.last:
            self.last, self._since_s = found[-1], self._now()
        waited_s = self._now() - self._since_s
        if waited_s > self._limit_s:
            last = f"the last one was {self.last!r}" if self.last else "there was none"
            raise ModelFailedError(
                Cause.HANG, f"no progress for {waited_s:.0f} s; {last}; it was killed"
            )

    def _new(self) -> str:
        try:
            with self._path.open("rb") as file:
                size = self._path.stat().st_size
                if size < self._offset:
                    # Written anew.
                    self._offset = 0
                start = max(self._offset, size - MOST_BYTES)
                file.seek(start)
                told = file.read()
        except OSError:
            return ""
        # A line is read once it is whole.
        whole = told.rpartition(b"\n")[0]
        self._offset = start + len(whole)
        return whole.decode(errors="replace")
