"""What goes to an archive, and when it is brought back.

An archive is for the loss of the disk and for what the disk has no room for; what lies
on the disk is always the first to be asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from climorch.errors import Fault, InvalidInputError
from climorch.model.ranges import range_faults
from climorch.policy.calendar import frequency_faults, unit_number
from climorch.policy.retention import Kept

__all__ = ["Archive", "worth_recalling"]

# Who, and with what, before the name of a host or bucket.
_KEYED = re.compile(r"\w+://[^/]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where checkpoints and results are archived, and which.

    Ends of phases always are; results once their stage is done.

    Attributes
    ----------
    url : str
        ``file:///folder`` or ``s3://bucket/prefix``; the latter needs
        ``climorch[s3]``. It is journaled, so no key is taken in it.
    every : str
        The first checkpoint of each unit of model time, as for `KeepCalendar`, is
        archived too; empty: only ends of phases.
    results : bool
        Whether results are.
    bytes_per_s : float
        Most that is moved there and, to verify it, read back, in bytes per second,
        > 0; infinite: no limit.
    options : mapping
        For ``s3fs.S3FileSystem``, such as ``{"endpoint_url": …}``. Never journaled.
    storage_class : str
        S3 class to which objects are moved once they are verified, such as
        ``"GLACIER"``; empty: they stay where they were written.
    poll_s : float
        Seconds between two looks whether what was asked back from there has come, > 0.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    url: str
    every: str = ""
    results: bool = True
    bytes_per_s: float = 64e6
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    storage_class: str = ""
    poll_s: float = 300.0

    def __post_init__(self) -> None:
        faults = range_faults(
            self,
            [
                (
                    "url",
                    self.url.startswith(("file:///", "s3://")),
                    "file:/// or s3://",
                ),
                ("bytes_per_s", self.bytes_per_s > 0, "> 0"),
                ("poll_s", 0 < self.poll_s < math.inf, "> 0"),
            ],
            remedy="pass a URL, bytes per second and seconds",
        )
        if _KEYED.match(self.url):
            # Not shown: messages are logged.
            faults.append(
                Fault(
                    place="Archive.url",
                    problem="a key stands in it, and it is journaled",
                    remedy="pass keys as options, which never are",
                )
            )
        if self.every:
            faults += frequency_faults("Archive.every", self.every)
        if faults:
            raise InvalidInputError("nothing can be archived so", faults=faults)

    def wanted(
        self, kept: Sequence[Kept], *, last: int, archived_model_s: Iterable[int]
    ) -> tuple[int, ...]:
        """Choose what is archived next.

        Parameters
        ----------
        kept : sequence of Kept
            Checkpoints of one set that exist, ascending by boundary.
        last : int
            Boundary at which its phase ends.
        archived_model_s : iterable of int
            Dates of those that are archived or on their way, as ``Kept.model_s``.

        Returns
        -------
        tuple of int
            Boundaries, ascending.
        """
        good = [k for k in kept if k.good and not k.archived]
        chosen = [k.boundary for k in good if k.boundary == last]
        if self.every and kept:
            calendar = kept[0].calendar
            covered = {unit_number(t, calendar, self.every) for t in archived_model_s}
            for k in good:
                unit = unit_number(k.model_s, calendar, self.every)
                if unit not in covered:
                    covered.add(unit)
                    chosen.append(k.boundary)
        return tuple(sorted(set(chosen)))


def worth_recalling(
    archived: Collection[int], unreadable: Collection[int], *, committed: int, last: int
) -> int | None:
    """Return the archived checkpoint that is better than all on the disk.

    Parameters
    ----------
    archived, unreadable : collection of int
        Boundaries that an archive has; those of them that did not come back good.
    committed : int
        Newest boundary with a good checkpoint on the disk; 0: none.
    last : int
        Boundary at which the phase ends; nothing beyond counts.

    Returns
    -------
    int or None
        The newest, if it is newer than what is on the disk.
    """
    found = (b for b in archived if b not in unreadable and committed < b <= last)
    return max(found, default=None)
