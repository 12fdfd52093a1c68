"""What the core asks of the world but sites (`site_ports`): a protocol for each port.

Decides the shape of what crosses a port. Ignores how it is done: storage,
engine and twin bring the implementations, ``climorch.testing`` the
conformance suites that each of them must pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from climorch.errors import Fault, InvalidInputError

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "JournalPort",
    "JournalReport",
    "Row",
    "Snapshot",
    "StoredRow",
]

MAX_PAYLOAD_BYTES = 64 * 2**20
"""Largest payload of one row, in bytes; larger things belong in files."""

_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing to be journaled; what the payload means is not looked at.

    Attributes
    ----------
    kind : str
        Name of the payload's type: a letter, then up to 63 letters, digits,
        ``_``, ``.`` or ``-``.
    payload : bytes
        The encoded fact or decision; at most `MAX_PAYLOAD_BYTES`.
    now_s : float
        The driver's clock when it was decided, in seconds; finite.

    Raises
    ------
    InvalidInputError
        If a field is outside the ranges above.
    """

    kind: str
    payload: bytes
    now_s: float

    def __post_init__(self) -> None:
        """Check the fields, so that a row that exists can be stored."""
        faults = []
        place = f"row {self.kind!r}"
        if not _KIND.fullmatch(self.kind):
            faults.append(
                Fault(
                    place=f"{place}, kind",
                    problem="is not a name of 1 to 64 letters, digits, '_', '.', '-'",
                    remedy="use the name of the payload's type",
                )
            )
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            faults.append(
                Fault(
                    place=f"{place}, payload",
                    problem=f"has {len(self.payload)} bytes, "
                    f"at most {MAX_PAYLOAD_BYTES} are allowed",
                    remedy="put it into a file and journal its path and hash",
                )
            )
        if not math.isfinite(self.now_s):
            faults.append(
                Fault(
                    place=f"{place}, now_s",
                    problem=f"is {self.now_s!r}, expected a finite number",
                    remedy="pass the driver's clock in seconds",
                )
            )
        if faults:
            raise InvalidInputError("row cannot be journaled", faults=faults)


class StoredRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row as it stands in the journal.

    Attributes
    ----------
    serial : int
        Its place in the journal: 1, 2, 3, … without a gap.
    epoch : int
        The driver that wrote it; never falls from one row to the next.
    kind : str
        As in `Row`.
    payload : bytes
        As in `Row`.
    now_s : float
        As in `Row`, in seconds.
    chain : bytes
        Hash of the previous row's chain and of everything in this row, 16 bytes.
    """

    serial: int
    epoch: int
    kind: str
    payload: bytes
    now_s: float
    chain: bytes


class Snapshot(NamedTuple):
    """The state folded from all rows up to one serial, encoded by the caller.

    Attributes
    ----------
    serial : int
        The last row that it contains.
    blob : bytes
        The encoded state.
    """

    serial: int
    blob: bytes


class JournalReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found.

    Attributes
    ----------
    rows : int
        Rows that were looked at.
    last_serial : int
        Serial of the newest row that the journal says it has; 0 when empty.
    epoch : int
        Newest epoch.
    faults : tuple of Fault
        What is wrong, at most 100 entries, in the order of the journal.
    bad_serials : tuple of int
        Serials that the faults name; a missing row is named too.
    """

    rows: int
    last_serial: int
    epoch: int
    faults: tuple[Fault, ...] = ()
    bad_serials: tuple[int, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every row is what was written, and all of them are there."""
        return not self.faults


class JournalPort(Protocol):
    """The one durable, ordered record of what happened and what was decided.

    An implementation is opened by one driver at a time; opening raises the
    epoch, and from then on every writing call of an older driver raises
    `ConflictError`. Every method raises `NotAllowedError` after `close`.
    """

    @property
    def epoch(self) -> int:
        """The number of this driver, from 1, one more with each opening."""

    @property
    def last_serial(self) -> int:
        """Serial of the newest row; 0 when there is none."""

    def append(self, rows: Sequence[Row]) -> int:
        """Add rows in one transaction: all of them, durably, or none.

        Parameters
        ----------
        rows : sequence of Row
            In the order wanted. None at all is allowed: nothing is written.

        Returns
        -------
        int
            Serial of the newest row.

        Raises
        ------
        ConflictError
            If a newer driver has taken over (``facts["reason"]`` is
            ``"superseded"``): stop acting.
        BackendError
            If the disk is full, fails or went away. Nothing was added as far
            as this process can see; keep the rows and append them again.
        """

    def read(self, after: int = 0, *, check: bool = True) -> Iterator[StoredRow]:
        """Stream the rows that are there when the first is asked for.

        Parameters
        ----------
        after : int
            Serial of the last row that is not wanted; >= 0.
        check : bool
            Whether to compare each row with its chain before giving it out.

        Yields
        ------
        StoredRow
            In the order of their serials; memory stays bounded.

        Raises
        ------
        InvalidInputError
            If `after` is negative.
        CorruptDataError
            At the first row that is not what was written.
        """

    def verify(self) -> JournalReport:
        """Compare every row with the chain and report all that is wrong."""

    def heartbeat(self, now_s: float) -> None:
        """Tell other machines that this driver is alive.

        Parameters
        ----------
        now_s : float
            The driver's clock, in seconds.

        Raises
        ------
        ConflictError
            If a newer driver has taken over.
        BackendError
            As for `append`.
        """

    def save_snapshot(self, serial: int, blob: bytes) -> None:
        """Keep an encoded state, so that a replay starts there.

        The two newest are kept.

        Parameters
        ----------
        serial : int
            The last row that it contains; from 1 to `last_serial`.
        blob : bytes
            The encoded state.

        Raises
        ------
        InvalidInputError
            If there is no such row.
        ConflictError, BackendError
            As for `append`.
        """

    def latest_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot that is whole and of this history."""

    @property
    def has_ballast(self) -> bool:
        """Whether there is space set aside that can be given up."""

    def give_up_ballast(self) -> bool:
        """Free the space set aside; return whether there was any."""

    def restore_ballast(self) -> bool:
        """Set the space aside again; return whether that was possible."""

    def close(self) -> None:
        """Release the lock and let go of everything; again: does nothing."""
