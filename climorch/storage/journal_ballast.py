"""Space set aside beside the journal, for the day the disk is full.

Decides nothing: the driver gives it up when nothing else helps, so that the
journal can go on and the campaign can be stopped in order.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from climorch.storage import durable

__all__ = ["BALLAST_BYTES", "Ballast"]

BALLAST_BYTES = 64 * 2**20
"""Default size, in bytes: some 200,000 facts."""


class Ballast:
    """One file that holds nothing but its space.

    Parameters
    ----------
    path : Path
        Where.
    size_bytes : int
        How much, in bytes; 0: there is never any.
    """

    def __init__(self, path: Path, size_bytes: int = BALLAST_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def present(self) -> bool:
        """Whether all of it is there."""
        try:
            return 0 < self._size_bytes <= self._path.stat().st_size
        except OSError:
            return False

    def give_up(self) -> bool:
        """Free the space.

        Returns
        -------
        bool
            Whether there was any, and it could be freed.
        """
        was_there = self.present
        try:
            durable.remove_file(self._path)
        except OSError:
            return False
        return was_there

    def restore(self) -> bool:
        """Set the space aside again, unless it is.

        Returns
        -------
        bool
            Whether all of it is there now.
        """
        if self.present:
            return True
        if self._size_bytes <= 0:
            return False
        try:
            # What a power cut left of an older one.
            durable.remove_file(self._path)
            durable.make_new_file(self._path, 0o664, reserve_bytes=self._size_bytes)
        except OSError:
            with contextlib.suppress(OSError):
                durable.remove_file(self._path)
            return False
        return True
