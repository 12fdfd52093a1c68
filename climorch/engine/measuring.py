"""Asks what the nodes of a lease took for a segment that was computed."""

from __future__ import annotations

import contextlib

from climorch.engine.attempt import Attempt
from climorch.engine.plugin import take_paces

__all__ = ["paces_of"]


async def paces_of(attempt: Attempt, stage: str, seconds: float) -> dict[str, float]:
    """Say what each node took for its share of a segment.

    Parameters
    ----------
    attempt : Attempt
        That computed it.
    stage : str
        Whose segment.
    seconds : float
        What it took in all: on one node, its pace.

    Returns
    -------
    dict of str to float
        Node to seconds; empty where nothing can be compared.
    """
    took = attempt.took.pop(stage, None)
    if took is not None:
        return took
    services, simulation = attempt.services, attempt.simulation
    lease = services.lease(simulation)
    if len(lease) == 1:
        return {lease[0]: seconds}
    # A segment is not lost because nobody knows how fast it was.
    with contextlib.suppress(OSError):
        found: dict[str, float] = await services.client.run_on_scheduler(
            take_paces, simulation, stage
        )
        return found
    return {}
