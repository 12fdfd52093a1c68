"""Rehearsals side by side: what comes out is what would come out one by one.

Decides how many processes there are and what is said when one of them dies. Each
seed is a run of its own, so who computes which of them changes nothing.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

import cloudpickle

from climorch.errors import BackendError, Fault, InvalidInputError

__all__ = ["side_by_side"]

Given = TypeVar("Given")
Found = TypeVar("Found")


def side_by_side(
    once: Callable[[Given, int], Found],
    given: Given,
    seeds: Sequence[int],
    *,
    processes: int,
) -> tuple[Found, ...]:
    """Call a function with every seed, in several processes.

    Parameters
    ----------
    once : callable
        ``once(given, seed)``, of a module that can be imported.
    given : Given
        What is the same for all; goes through cloudpickle, so functions in it may be
        of the script itself.
    seeds : sequence of int
        One call for each.
    processes : int
        How many at most, >= 1; 1: this one. They are new ones, not copies of this
        one: threads and open files of it are left alone.

    Returns
    -------
    tuple of Found
        In the order of the seeds.

    Raises
    ------
    InvalidInputError
        If there is to be no process.
    BackendError
        If a process died.
    """
    if processes < 1:
        fault = Fault(
            place="processes",
            problem=f"got {processes!r}, expected >= 1",
            remedy="give 1 to compute here, or the number of cores",
        )
        raise InvalidInputError("this cannot be rehearsed", faults=[fault])
    count = min(processes, len(seeds))
    if count <= 1:
        return tuple(once(given, seed) for seed in seeds)
    packed = cloudpickle.dumps((once, given))
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    try:
        return tuple(pool.map(_unpacked, itertools.repeat(packed), seeds))
    except BrokenProcessPool as error:
        raise BackendError(
            "a process that rehearsed died before it was done; a script that starts "
            'processes must start them below `if __name__ == "__main__":`, and each '
            "of them needs memory for a whole campaign"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _unpacked(packed: bytes, seed: int) -> Any:
    once, given = pickle.loads(packed)
    return once(given, seed)
