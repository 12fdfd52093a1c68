"""How rows are chained: each carries a hash of all that came before it.

Decides what a row's chain is and whether a row fits behind another. The hash
(xxh3, 128 bits) finds damage and mix-ups, not a forger: without a secret
nothing in the file could, and it costs a third of a cryptographic one.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from struct import error as struct_error
from typing import NamedTuple

import xxhash

from climorch.core.ports import Row

__all__ = [
    "Link",
    "RawRow",
    "chained",
    "genesis",
    "problem_with",
    "raw_rows",
    "snapshot_digest",
    "snapshot_fits",
]

_HEAD = Struct("<16sqqdI")

RawRow = tuple[int, int, bytes, bytes, float, bytes]
"""Columns serial, epoch, kind, payload, now_s (s), chain as they are stored."""


class Link(NamedTuple):
    """A place in the chain to go on from.

    Attributes
    ----------
    serial : int
        0 before the first row.
    epoch : int
        0 before the first row.
    chain : bytes
        16 bytes.
    """

    serial: int
    epoch: int
    chain: bytes


def genesis(campaign: str, identity: bytes) -> Link:
    """Return the link before the first row.

    Parameters
    ----------
    campaign : str
        Name of the campaign.
    identity : bytes
        Drawn when the journal was made, so that rows of another journal of a
        campaign with the same name do not fit.

    Returns
    -------
    Link
        With serial and epoch 0.
    """
    name = campaign.encode()
    start = b"climorch journal" + len(name).to_bytes(4, "little") + name + identity
    return Link(0, 0, xxhash.xxh3_128_digest(start))


def chained(
    chain: bytes, serial: int, epoch: int, kind: bytes, payload: bytes, now_s: float
) -> bytes:
    """Compute the chain of a row.

    Parameters
    ----------
    chain : bytes
        Of the row before, 16 bytes.
    serial, epoch : int
        Of this row.
    kind, payload : bytes
        Of this row.
    now_s : float
        Of this row, in seconds.

    Returns
    -------
    bytes
        16 bytes.
    """
    head = _HEAD.pack(chain, serial, epoch, now_s, len(kind))
    return xxhash.xxh3_128_digest(head + kind + payload)


def raw_rows(last: Link, epoch: int, rows: Iterable[Row]) -> list[RawRow]:
    """Give rows their serials and chains.

    Parameters
    ----------
    last : Link
        The newest row that is there.
    epoch : int
        Of the driver that appends.
    rows : iterable of Row
        In order.

    Returns
    -------
    list of RawRow
        As they are stored.
    """
    serial, chain = last.serial, last.chain
    raw = []
    for row in rows:
        serial += 1
        kind = row.kind.encode()
        # SQLite keeps whole numbers as integers: a negative zero loses its sign.
        now_s = row.now_s + 0.0
        chain = chained(chain, serial, epoch, kind, row.payload, now_s)
        raw.append((serial, epoch, kind, row.payload, now_s, chain))
    return raw


def problem_with(previous: bytes, epoch_before: int, raw: RawRow) -> str | None:
    """Say what is wrong with a row that should follow another.

    Parameters
    ----------
    previous : bytes
        Chain of the row before, 16 bytes.
    epoch_before : int
        Epoch of the row before.
    raw : RawRow
        With the next serial; its types are not to be trusted.

    Returns
    -------
    str or None
        None if it is what was written behind that one.
    """
    serial, epoch, kind, payload, now_s, chain = raw
    try:
        expected = chained(previous, serial, epoch, kind, payload, now_s)
    except (struct_error, TypeError):
        return "has a column of the wrong type"
    if chain != expected:
        return "does not match its hash chain"
    if epoch < epoch_before:
        return f"has epoch {epoch} after a row of epoch {epoch_before}"
    return None


def snapshot_digest(serial: int, chain: bytes, blob: bytes) -> bytes:
    """Compute what ties a snapshot to its row.

    Parameters
    ----------
    serial : int
        The last row that the snapshot contains.
    chain : bytes
        Of that row, 16 bytes.
    blob : bytes
        The encoded state.

    Returns
    -------
    bytes
        16 bytes.
    """
    digest = xxhash.xxh3_128(serial.to_bytes(8, "little") + chain)
    digest.update(blob)
    return digest.digest()


def snapshot_fits(serial: int, digest: object, chain: object, blob: object) -> bool:
    """Tell whether a snapshot is what was written for a row.

    Parameters
    ----------
    serial : int
        The last row that the snapshot contains.
    digest, chain, blob : object
        As they are stored; their types are not to be trusted.

    Returns
    -------
    bool
        False also where the row is not there.
    """
    if not isinstance(chain, bytes) or not isinstance(blob, bytes):
        return False
    return digest == snapshot_digest(serial, chain, blob)
