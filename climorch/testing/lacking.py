"""Storage that lacks something for good: hard links, locks, or quick names.

Decides what processes find below one folder that have the library `lacking.c` loaded
before all others. Each operation that it touches is counted, so that a test can tell
that the lack was met. Unlike a trouble (`climorch.testing.trouble`) it never ends.

Linux only.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from climorch.errors import InvalidInputError, NotFoundError
from climorch.testing.preload import loaded_first

__all__ = ["LACKS", "SOURCE", "VARIABLE", "Lack", "LackingStorage"]

VARIABLE = "CLIMORCH_TESTING_LACKING"
"""Names the file that says what is lacking, in the environment of a process."""

SOURCE = Path(__file__).with_suffix(".c")
"""Of the library; to be given to `climorch.testing.preload.build`."""

_LINKS, _LOCKS, _LOOSE, _SLOW = 1, 2, 4, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What a file system does not have.

    Attributes
    ----------
    bits : int
        Which, as `lacking.c` has them.
    number : int
        What the system says of a lock.
    name_s : float
        How much longer it takes to make a name or to take it away, and eight times as
        long as to look one up.
    advice : tuple of str
        How the sentences begin by which `climorch.storage.probe` tells of it.
    """

    bits: int
    number: int = 0
    name_s: float = 0.0
    advice: tuple[str, ...]

    @property
    def links(self) -> bool:
        """Whether there are hard links."""
        return not self.bits & _LINKS

    @property
    def locks(self) -> bool:
        """Whether there are locks that work."""
        return not self.bits & (_LOCKS | _LOOSE)


NO_LINKS, NO_LOCKS = "it has no hard links", "it has no locks that work"
COSTS, NAME_S = "each file costs", 0.008

LACKS: Mapping[str, Lack] = {
    "no hard links": Lack(bits=_LINKS, advice=(NO_LINKS,)),
    # As NFS without its lock server, and Lustre that was mounted without them.
    "no locks": Lack(bits=_LOCKS, number=errno.ENOLCK, advice=(NO_LOCKS,)),
    "unknown locks": Lack(bits=_LOCKS, number=errno.ENOSYS, advice=(NO_LOCKS,)),
    # As a mount that only pretends to have them.
    "loose locks": Lack(bits=_LOOSE, advice=(NO_LOCKS,)),
    "slow names": Lack(bits=_SLOW, name_s=NAME_S, advice=(COSTS,)),
    "none of them": Lack(
        bits=_LINKS | _LOCKS | _SLOW,
        number=errno.ENOLCK,
        name_s=NAME_S,
        advice=(NO_LOCKS, NO_LINKS, COSTS),
    ),
}
"""Each by name."""

# The same page as in lacking.c: what is lacking, errno, microseconds, bytes of the
# path, count of what was touched; then the path of the folder.
_PAGE, _COUNT = struct.Struct("=iiiiQ"), struct.Struct("=Q")
_COUNT_AT, _SIZE = 16, 4096


class LackingStorage:
    """One lack below a folder; a context manager.

    On leaving it, a lack that nobody met is an error.

    Parameters
    ----------
    control : Path
        File that says what is lacking; made here, shared by all processes.
    folder : Path
        Below which.
    lack : Lack
        What.
    """

    def __init__(self, control: Path, folder: Path, lack: Lack) -> None:
        self.control, self.lack = control.absolute(), lack
        path = os.fsencode(folder.absolute())
        if len(path) > _SIZE - _PAGE.size - 1:
            raise InvalidInputError(f"{folder}: too long a path; use a shorter one")
        control.write_bytes(bytes(_SIZE))
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        name_us = round(1e6 * lack.name_s)
        _PAGE.pack_into(self._page, 0, lack.bits, lack.number, name_us, len(path), 0)
        self._page[_PAGE.size : _PAGE.size + len(path)] = path

    def __enter__(self) -> LackingStorage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self.touched:
            raise NotFoundError(
                "the storage lacked something and nobody met that; load the library, "
                "and use the folder"
            )

    @property
    def touched(self) -> int:
        """Operations that met the lack, in all processes."""
        (count,) = _COUNT.unpack_from(self._page, _COUNT_AT)
        return int(count)

    def environment(self, library: Path) -> Mapping[str, str]:
        """Say what a process needs in its environment, to meet the lack."""
        return {**loaded_first(library), VARIABLE: str(self.control)}
