"""Storage in trouble, on demand: full, failing, read-only, slow, hanging, no quota.

Decides which operations on which files of a campaign fail, take long or never come
back, from one moment to another; ignores who notices. The faults are the rows of
`TROUBLES`. `TroubledStorage` brings one about, in the processes of a script through
a library that is loaded before all others (`climorch.testing.preload`, which also has
SQLite's own writes), or in this process through the port of the durable layer.
Whatever it touches is counted, so that a test can tell that its fault has fired.

Linux only.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

from climorch.errors import InvalidInputError, NotFoundError

__all__ = [
    "ERRORS",
    "KINDS",
    "PLACES",
    "SLOWER",
    "TROUBLES",
    "VARIABLE",
    "Operation",
    "Trouble",
    "TroubledStorage",
    "place_of",
]

VARIABLE = "CLIMORCH_TESTING_TROUBLE"
"""Names the file that says what happens now, in the environment of a process."""

Kind: TypeAlias = Literal["full", "quota", "failing", "read-only", "slow", "hanging"]
Place: TypeAlias = Literal["checkpoints", "journal", "results"]
Operation: TypeAlias = Literal["make", "write", "flush", "name", "remove"]

KINDS: tuple[Kind, ...] = ("full", "quota", "failing", "read-only", "slow", "hanging")
PLACES: tuple[Place, ...] = ("checkpoints", "journal", "results")

ERRORS: Mapping[Kind, int] = {
    "full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "failing": errno.EIO,
    "read-only": errno.EROFS,
}
"""What the system says; those that are missing only take time."""

TOUCHED: Mapping[Kind, frozenset[Operation]] = {
    # What is there can still be renamed, flushed and removed.
    "full": frozenset({"make", "write"}),
    "quota": frozenset({"make", "write"}),
    "failing": frozenset({"write", "flush", "name"}),
    "read-only": frozenset({"make", "write", "name", "remove"}),
    "slow": frozenset({"write", "flush"}),
    "hanging": frozenset({"make", "write", "flush", "name", "remove"}),
}
"""Kind to the operations that it is about."""

SLOWER = 50
"""How many times as long a slow operation takes."""

POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong with a part of the storage.

    Attributes
    ----------
    kind : str
        ``full``, ``quota``, ``failing`` (I/O errors), ``read-only``, ``slow`` or
        ``hanging``.
    place : str
        ``checkpoints``, ``journal`` or ``results``: the files that it is about.
        Results are what is published, and diagnostics on the way there.
    """

    kind: Kind
    place: Place

    def __str__(self) -> str:
        return f"{self.kind} storage of {self.place}"


TROUBLES: Mapping[str, Trouble] = {
    str(trouble): trouble
    for trouble in (Trouble(kind=k, place=p) for k in KINDS for p in PLACES)
}
"""Every kind in every place, by name."""


def place_of(path: str, campaign: str) -> Place | None:
    """Say which part of a campaign a path belongs to.

    Parameters
    ----------
    path : str
        Absolute.
    campaign : str
        Folder of the campaign, absolute, without a slash at its end.

    Returns
    -------
    str or None
        None: none that can be in trouble.
    """
    if not path.startswith(f"{campaign}/"):
        return None
    parts = path[len(campaign) + 1 :].split("/")
    if parts[0].startswith("journal.sqlite"):
        return "journal"
    if parts[0] == "results" or any(
        part == "outputs" or part.startswith("outputs-") for part in parts
    ):
        return "results"
    if parts[0] in ("checkpoints", "inflight", "trash", "damaged"):
        return "checkpoints"
    return None


# The same page as in preload.c: kind of effect, errno, place, operations, factor,
# bytes of the path, count of what was touched; then the path of the campaign.
_PAGE = struct.Struct("=iiiiiiQ")
_EFFECT, _COUNT, _COUNT_AT = struct.Struct("=i"), struct.Struct("=Q"), 24
_SIZE = 4096
_NONE, _REFUSE, _DELAY, _HANG = range(4)
_OPERATIONS: tuple[Operation, ...] = ("make", "write", "flush", "name", "remove")


class TroubledStorage:
    """One trouble, off at first; a context manager.

    On leaving it, a trouble that began and touched nothing is an error.

    Parameters
    ----------
    control : Path
        File that says what happens now; made here, shared by all processes.
    campaign : Path
        Folder of the campaign.
    trouble : Trouble
        What is wrong between `begin` and `end`.
    """

    def __init__(self, control: Path, campaign: Path, trouble: Trouble) -> None:
        self.control = control.absolute()
        self.campaign = os.fspath(campaign.absolute())
        self.trouble = trouble
        path = self.campaign.encode()
        if len(path) > _SIZE - _PAGE.size - 1:
            raise InvalidInputError(f"{campaign}: too long a path; use a shorter one")
        control.write_bytes(bytes(_SIZE))
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        bits = sum(1 << _OPERATIONS.index(one) for one in TOUCHED[trouble.kind])
        number, place = ERRORS.get(trouble.kind, 0), PLACES.index(trouble.place)
        page = (_NONE, number, place, bits, SLOWER, len(path), 0)
        _PAGE.pack_into(self._page, 0, *page)
        self._page[_PAGE.size : _PAGE.size + len(path)] = path
        # Of this process only: the library adds in one instruction.
        self._lock = threading.Lock()
        self._begun = False

    def __enter__(self) -> TroubledStorage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whatever hangs goes on.
        self.end()
        if kind is None and self._begun and not self.touched:
            raise NotFoundError(
                f"{self.trouble} began and touched nothing; let the campaign write "
                "there while it lasts"
            )

    @property
    def touched(self) -> int:
        """Operations that failed, took long or hung, in all processes."""
        (count,) = _COUNT.unpack_from(self._page, _COUNT_AT)
        return int(count)

    @property
    def lasts(self) -> bool:
        """Whether it is on."""
        return bool(_EFFECT.unpack_from(self._page)[0])

    def begin(self) -> None:
        """Let it happen from now on."""
        self._begun = True
        kind = self.trouble.kind
        self._set({"slow": _DELAY, "hanging": _HANG}.get(kind, _REFUSE))

    def end(self) -> None:
        """Let the storage be as it should; what hangs comes back."""
        self._set(_NONE)

    def meet(self, operation: Operation, place: Place | None) -> float:
        """Let an operation of this process come upon the trouble.

        Parameters
        ----------
        operation : str
            Which.
        place : str or None
            Where, as from `place_of`.

        Returns
        -------
        float
            How many times as long it is to take; 1: it is not touched.

        Raises
        ------
        OSError
            If it is refused.
        """
        trouble = self.trouble
        if (
            not self.lasts
            or place != trouble.place
            or operation not in TOUCHED[trouble.kind]
        ):
            return 1.0
        self._count()
        if trouble.kind == "hanging":
            self._wait()
            return 1.0
        if trouble.kind == "slow":
            return float(SLOWER)
        number = ERRORS[trouble.kind]
        raise OSError(number, os.strerror(number))

    def _wait(self) -> None:
        while self.lasts:
            time.sleep(POLL_S)

    def _count(self) -> None:
        with self._lock:
            (count,) = _COUNT.unpack_from(self._page, _COUNT_AT)
            _COUNT.pack_into(self._page, _COUNT_AT, count + 1)

    def _set(self, effect: int) -> None:
        _EFFECT.pack_into(self._page, 0, effect)
