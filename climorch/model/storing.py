"""Facts about what is kept: read again, deleted, counted."""

from __future__ import annotations

import msgspec

__all__ = ["CheckpointDeleted", "CheckpointScrubbed", "StorageCounted"]


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
    bytes_freed : int or None
        Of its files that no other checkpoint has; None: nobody counted.
    """

    simulation: str
    set: str
    boundary: int
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
