"""Asks what was used for a segment that was computed, and by which node."""

from __future__ import annotations

import msgspec

from climorch.engine.attempt import Attempt
from climorch.engine.orders import take_measures
from climorch.engine.took import Took
from climorch.model.usage import Usage

__all__ = ["measures_of"]


async def measures_of(
    attempt: Attempt, stage: str, seconds: float
) -> tuple[dict[str, float], Usage | None]:
    """Say what each node took for its share of a segment, and what that used.

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
    paces : dict of str to float
        Node to seconds; empty where nothing can be compared.
    usage : Usage or None
        None: nobody could be asked.
    """
    took = attempt.took.pop(stage, Took())
    output_bytes = attempt.outputs.nbytes.pop(stage, 0)
    services, simulation = attempt.services, attempt.simulation
    paces: dict[str, float] = {}
    usage: Usage | None = None
    # A segment is not lost because nobody knows how fast it was.
    try:
        paces, usage = await services.client.run_on_scheduler(
            take_measures, simulation, stage, client=services.client.id
        )
    except (OSError, KeyError):
        pass
    else:
        usage = msgspec.structs.replace(
            usage,
            cpu_s=usage.cpu_s + took.cpu_s,
            memory_bytes=usage.memory_bytes + took.memory_bytes,
            output_bytes=output_bytes,
        )
    lease = services.lease(simulation)
    if took.paces is not None:
        paces = dict(took.paces)
    elif len(lease) == 1:
        paces = {lease[0]: seconds}
    return paces, usage
