"""The states that an attempt begins with, brought to its lease."""

from __future__ import annotations

from climorch.engine.attempt import Attempt
from climorch.engine.checkpointing import count_now
from climorch.errors import CorruptDataError
from climorch.model.commands import StartAttempt
from climorch.model.events import SetRestored

__all__ = ["bring_states"]


async def bring_states(
    attempt: Attempt, command: StartAttempt, *, salvaged: bool
) -> SetRestored:
    """Build the first states, or restore those of a checkpoint.

    Parameters
    ----------
    attempt : Attempt
        Gets them.
    command : StartAttempt
        Where it begins.
    salvaged : bool
        Whether that checkpoint was written from a copy.

    Returns
    -------
    SetRestored
        From where they came, and how much was read.

    Raises
    ------
    CorruptDataError
        If the checkpoint is damaged; it was set aside.
    BackendError
        If the storage fails, be it while a damaged one is set aside.
    """
    began_s = attempt.services.clock()
    try:
        rung, bytes_read = await _bring(attempt, command, salvaged)
    except CorruptDataError:
        # First, as nothing may be linked from it any more. Where even that fails it
        # is the storage that does, and all of it is tried again.
        if command.boundary > 0:
            services = attempt.services
            await services.disk.run(
                services.checkpoints.set_aside,
                attempt.simulation,
                command.set,
                command.boundary,
            )
        raise
    attempt.not_finite = await count_now(attempt)
    return SetRestored(
        simulation=attempt.simulation,
        set=command.set,
        attempt=command.attempt,
        boundary=command.boundary,
        rung=rung,
        bytes_read=bytes_read,
        seconds=attempt.services.clock() - began_s,
    )


async def _bring(
    attempt: Attempt, command: StartAttempt, salvaged: bool
) -> tuple[str, int]:
    if command.boundary == 0:
        return "init", await attempt.begin()
    services = attempt.services
    checkpoint = await services.disk.run(
        services.checkpoints.load, attempt.simulation, command.set, command.boundary
    )
    bytes_read = await attempt.restore(checkpoint, command.boundary)
    return "partner" if salvaged else "checkpoint", bytes_read
