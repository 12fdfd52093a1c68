"""Facts about what is kept: published, read again, deleted, counted, archived."""

from __future__ import annotations

import msgspec

from climorch.model.causes import Cause

__all__ = [
    "ArchivingFailed",
    "CheckpointArchived",
    "CheckpointDeleted",
    "CheckpointFailed",
    "CheckpointRecalled",
    "CheckpointScrubbed",
    "RecallDelayed",
    "RecallFailed",
    "ResultsArchived",
    "ResultsPublished",
    "StorageCounted",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class CheckpointScrubbed(_Fact, frozen=True, kw_only=True):
    """A checkpoint was read again, and something was not as it was committed.

    Attributes
    ----------
    repaired : tuple of str
        Files that were bad and were made good from another copy.
    bad : tuple of str
        Files that stay bad, each with what is wrong.
    damaged : bool
        Whether it must not be used again, as in `RestoreFailed`.
    """

    simulation: str
    set: str
    boundary: int
    repaired: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    damaged: bool = False


class CheckpointDeleted(_Fact, frozen=True, kw_only=True):
    """A checkpoint was moved to the trash.

    Attributes
    ----------
    attempt : int
        Whose it was; 0: whoever's is known of this boundary.
    bytes_freed : int or None
        Of its files that no other checkpoint has; None: nobody counted.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int = 0
    bytes_freed: int | None = None


class StorageCounted(_Fact, frozen=True, kw_only=True):
    """The files of a set's checkpoints were counted, each once.

    Attributes
    ----------
    bytes : int
        Of the files of chunks.
    """

    simulation: str
    set: str
    bytes: int


class CheckpointArchived(_Fact, frozen=True, kw_only=True):
    """An archive has a checkpoint; it was read back and is what was written.

    Attributes
    ----------
    bytes : int
        Length of the archive.
    xxh3 : str
        XXH3-128 of all of it, in hex.
    url : str
        Where it is.
    folder : str
        Name that the checkpoint has among those of its set.
    seconds : float
        For moving it there and reading it back.
    """

    simulation: str
    set: str
    boundary: int
    bytes: int
    xxh3: str
    url: str
    folder: str
    seconds: float = 0.0


class ArchivingFailed(_Fact, frozen=True, kw_only=True):
    """A checkpoint cannot be archived: it is not what was committed.

    An archive that cannot be reached is none of this: it is tried again.
    """

    simulation: str
    set: str
    boundary: int
    message: str


class ResultsArchived(_Fact, frozen=True, kw_only=True):
    """An archive has the results of a stage; none were there if it has no bytes."""

    simulation: str
    stage: str
    bytes: int
    xxh3: str = ""
    url: str = ""
    seconds: float = 0.0


class RecallDelayed(_Fact, frozen=True, kw_only=True):
    """A checkpoint was asked back and comes in hours; nobody waits for it."""

    simulation: str
    set: str
    boundary: int
    message: str = ""


class CheckpointRecalled(_Fact, frozen=True, kw_only=True):
    """A checkpoint came back from an archive, and every file of it is good.

    Attributes
    ----------
    attempt : int
        That had written it.
    bytes : int
        Of its chunks.
    seconds : float
        From the command to its commit.
    """

    simulation: str
    set: str
    boundary: int
    attempt: int
    bytes: int
    seconds: float = 0.0


class RecallFailed(_Fact, frozen=True, kw_only=True):
    """A checkpoint cannot be had from an archive: it is missing there, or damaged."""

    simulation: str
    set: str
    boundary: int
    message: str


class CheckpointFailed(_Fact, frozen=True, kw_only=True):
    """A checkpoint was not committed; the one before stays the newest."""

    simulation: str
    set: str
    boundary: int
    attempt: int
    cause: Cause
    message: str


class ResultsPublished(_Fact, frozen=True, kw_only=True):
    """Results up to a boundary can be read."""

    simulation: str
    set: str
    boundary: int
