"""What other codecs would make of values that are stored: tried on a piece of them.

Decides which codecs are tried, and on how much. Ignores what is made of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from climorch.model.codec import LZ4, Codec, CodecTrial
from climorch.storage.codec import Array, encode, little_endian

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["CANDIDATES", "LEAST_BYTES", "MOST_BYTES", "Piece", "try_codecs"]

CANDIDATES = (LZ4, Codec("zstd", 1), Codec("zstd", 3), Codec("none"))
"""Beside the one in use. Zstandard beyond level 3 of Blosc is hardly ever worth it."""
LEAST_BYTES = 2**16
"""Below it the clock of the thread is too coarse, and nothing is to be gained."""
MOST_BYTES = 2**20
"""Blosc compresses by blocks that are smaller; so all of it costs about 10 ms."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of which a piece is tried.

    Attributes
    ----------
    stage, variable : str
        Of which.
    whole_bytes : int
        Raw bytes of the whole variable.
    """

    stage: str
    variable: str
    whole_bytes: int


def try_codecs(
    piece: Piece, values: npt.ArrayLike, used: Codec
) -> tuple[CodecTrial, ...]:
    """Compress the first values of a chunk in several ways; nothing is kept.

    Parameters
    ----------
    piece : Piece
        Of what.
    values : array_like
        The chunk.
    used : Codec
        With which it is stored.

    Returns
    -------
    tuple of CodecTrial
        The first one of the codec in use; empty: it has less than `LEAST_BYTES`.
    """
    block = little_endian(values)
    if block.nbytes < LEAST_BYTES:
        return ()
    flat = block.reshape(-1)[: MOST_BYTES // block.itemsize]
    others = [codec for codec in CANDIDATES if codec != used]
    return tuple(_try(piece, flat, codec, used) for codec in (used, *others))


def _try(piece: Piece, flat: Array, codec: Codec, used: Codec) -> CodecTrial:
    begin_s = time.thread_time()
    encoded = encode(flat, flat.shape, codec)
    return CodecTrial(
        stage=piece.stage,
        variable=piece.variable,
        codec=codec,
        used=codec == used,
        whole_bytes=piece.whole_bytes,
        raw_bytes=flat.nbytes,
        stored_bytes=len(encoded.payload) + len(encoded.trailer),
        cpu_s=time.thread_time() - begin_s,
    )
