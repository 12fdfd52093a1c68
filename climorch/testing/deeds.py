"""What a process can do to itself, or its code raise, when a fault fires in it."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping

from climorch.errors import InternalError

__all__ = ["DEEDS"]

_MIB = 2**20
# More than a node of a test has, and slowly enough for its nanny to see it.
_MOST_BYTES = 1536 * _MIB
_PIECE_BYTES = 32 * _MIB
_PIECE_S = 0.02
# A nanny that has not acted by then will not.
_LINGER_S = 20.0


def crash() -> None:
    """Read where nothing is: SIGSEGV, as a model with a wild pointer gets it."""
    ctypes.string_at(0)


def eat_memory() -> None:
    """Take memory until this process is killed for it.

    Raises
    ------
    InternalError
        If nobody does.
    """
    kept = []
    for _ in range(_MOST_BYTES // _PIECE_BYTES):
        # Written to, so that it counts.
        kept.append(bytearray(b"x") * _PIECE_BYTES)
        time.sleep(_PIECE_S)
    time.sleep(_LINGER_S)
    raise InternalError(f"{len(kept)} pieces of memory, and nobody minds")


def fail_in_passing() -> None:
    """Raise what a model raises when a server does not answer."""
    raise ConnectionError("the forcing server does not answer")


def fail() -> None:
    """Raise what a wrong model raises."""
    raise ValueError("the model is wrong here")


def sleep() -> None:
    """Wait for what never comes."""
    while True:
        time.sleep(_PIECE_S)


def hold_the_lock() -> None:
    """Never return to the interpreter: no other thread of this process runs."""
    sum(itertools.repeat(0))


def compute_in_c() -> None:
    """Keep a core busy, without the interpreter's lock, for half a day."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)


DEEDS: Mapping[str, Callable[[], None]] = {
    "crash": crash,
    "eat memory": eat_memory,
    "fail in passing": fail_in_passing,
    "fail": fail,
    "sleep": sleep,
    "hold the lock": hold_the_lock,
    "compute in C": compute_in_c,
}
"""Name to what is done, in the thread that is in the step."""
