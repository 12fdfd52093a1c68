"""What an attempt knows of a segment that it computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Took"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a segment took, as far as its attempt was told.

    Attributes
    ----------
    paces : mapping of str to float, or None
        Node to the seconds that it took for its share; None: the Dask scheduler
        knows.
    cpu_s, memory_bytes : float, int
        Of a model in a process of its own, with what that started; 0: there is none.
    """

    paces: Mapping[str, float] | None = None
    cpu_s: float = 0.0
    memory_bytes: int = 0
