"""How a variable is stored: its codec, and how much of its precision is kept.

Only what plain Zarr v3 knows by its specification, so that whoever opens a
checkpoint needs nothing else.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from climorch.errors import Fault, InvalidInputError

__all__ = ["LZ4", "Codec", "CodecTrial", "Storing"]


class Codec(msgspec.Struct, frozen=True):
    """How the values of a variable are compressed.

    Attributes
    ----------
    name : str
        ``"lz4"`` (fast, the default) or ``"zstd"`` (smaller, slower), both in
        Blosc after a byte shuffle; ``"none"``: as they are.
    level : int
        1 to 9, higher is smaller and slower; of ``"none"`` without meaning.

    Raises
    ------
    InvalidInputError
        If it cannot be used.

    Examples
    --------
    >>> Codec("zstd", 3)
    Codec(name='zstd', level=3)
    """

    name: Literal["lz4", "zstd", "none"] = "lz4"
    level: int = 1

    def __post_init__(self) -> None:
        faults = []
        # Users without a type checker may pass anything.
        name: object = self.name
        if name not in ("lz4", "zstd", "none"):
            faults.append(
                Fault(
                    place="Codec.name",
                    problem=f"got {name!r}, expected 'lz4', 'zstd' or 'none'",
                    remedy="name one of these",
                )
            )
        if self.level not in range(1, 10):
            faults.append(
                Fault(
                    place="Codec.level",
                    problem=f"got {self.level!r}, expected 1 to 9",
                    remedy="leave it out for the fastest",
                )
            )
        if faults:
            raise InvalidInputError("this codec cannot be used", faults=faults)


LZ4 = Codec()
"""Of every variable that nothing else was said about."""


class Storing(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about how a variable is stored.

    Attributes
    ----------
    codec : Codec
        How it is compressed.
    keep_bits : int or None
        Explicit bits of the mantissa to which it was rounded; None: it was not.
    """

    codec: Codec = LZ4
    keep_bits: int | None = None


class CodecTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a codec makes of a piece of a variable, tried beside storing it.

    Attributes
    ----------
    stage, variable : str
        Of which.
    codec : Codec
        What was tried.
    used : bool
        Whether the variable is stored with it.
    whole_bytes : int
        Raw bytes of the whole variable.
    raw_bytes, stored_bytes : int
        Of the piece, before and after.
    cpu_s : float
        CPU seconds that this took.
    """

    stage: str
    variable: str
    codec: Codec
    used: bool
    whole_bytes: int
    raw_bytes: int
    stored_bytes: int
    cpu_s: float
