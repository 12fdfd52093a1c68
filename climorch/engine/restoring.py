"""The states that an attempt begins with, brought to its lease."""

from __future__ import annotations

from climorch.core.origins import origins
from climorch.core.state import SetState, SimulationState
from climorch.engine.attempt import Attempt
from climorch.engine.checkpointing import count_now
from climorch.errors import CorruptDataError
from climorch.model.commands import StartAttempt
from climorch.model.events import CheckpointScrubbed, SetRestored

__all__ = ["bring_states", "rung_of"]


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
        From where they came, how much was read, how long it took, what was lost.

    Raises
    ------
    CorruptDataError
        If the checkpoint is damaged. Its facts tell whether it was ``repaired`` from
        other copies, file by file; if not, it was set aside.
    BackendError
        If the storage fails, be it while a damaged one is mended or set aside.
    """
    services, begin_s = attempt.services, attempt.services.clock()
    s = services.state.simulations[attempt.simulation].sets[command.set]
    rung = rung_of(services.state.simulations[attempt.simulation], s, command.boundary)
    try:
        bytes_read = await _bring(attempt, command)
    except CorruptDataError as error:
        if command.boundary == 0:
            await _tell_of_origins(attempt)
            raise
        raise await _mended(attempt, command, error) from error
    attempt.not_finite = await count_now(attempt)
    return SetRestored(
        simulation=attempt.simulation,
        set=command.set,
        attempt=command.attempt,
        boundary=command.boundary,
        rung="partner" if salvaged else rung,
        bytes_read=bytes_read,
        seconds=services.clock() - begin_s,
        lost_s=s.owed_s,
    )


def rung_of(simulation: SimulationState, s: SetState, boundary: int) -> str:
    """Say on which rung of the ladder the states at a boundary are.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    s : SetState
        The set.
    boundary : int
        Where an attempt begins; 0: the start.

    Returns
    -------
    str
        As in `SetRestored`; partners' copies are told apart by who knows of them.
    """
    if boundary == 0:
        return s.rung_of(0) if simulation.branch is None else "branch"
    origin = s.commits.get(boundary)
    if origin is not None and origin.recalled:
        return "archive"
    if origin is not None and origin.repaired:
        return "repaired"
    damaged = any(c.boundary > boundary and not c.good for c in s.commits.values())
    return "older" if damaged else "checkpoint"


async def _tell_of_origins(attempt: Attempt) -> None:
    """Read what others left for it to begin from; tell what is bad, as a scrub does.

    So whoever wrote it computes it anew, as after any damage.
    """
    services = attempt.services
    simulations = services.state.simulations
    found = origins(simulations, attempt.simulation, attempt.set)
    for owner, of, boundary in dict.fromkeys((o, of, b) for o, of, _, b in found):
        place = owner, of, boundary
        scrubbed = await services.disk.run(services.checkpoints.scrub, *place)
        bad = tuple(f"{file} {problem}" for file, problem in scrubbed.bad)
        damaged = scrubbed.damaged
        if not (damaged or scrubbed.repaired):
            try:
                await services.disk.run(services.checkpoints.load, *place)
            except CorruptDataError as error:
                # One that is gone has no file that could be bad.
                bad, damaged = (str(error),), True
        if damaged or scrubbed.repaired:
            services.post(
                CheckpointScrubbed(
                    simulation=owner,
                    set=of,
                    boundary=boundary,
                    repaired=scrubbed.repaired,
                    bad=bad,
                    damaged=damaged,
                )
            )


async def _mended(
    attempt: Attempt, command: StartAttempt, error: CorruptDataError
) -> CorruptDataError:
    """Repair a damaged checkpoint from other copies, or set it aside."""
    services = attempt.services
    place = attempt.simulation, command.set, command.boundary
    found = await services.disk.run(services.checkpoints.scrub, *place)
    repaired = () if found.damaged else found.repaired
    if not repaired and not found.damaged:
        # What was read is bad, though nothing that a scrub reads is: a lost manifest.
        # First of all, as nothing may be linked from it any more.
        await services.disk.run(services.checkpoints.set_aside, *place)
    return CorruptDataError(str(error), **error.facts | {"repaired": repaired})


async def _bring(attempt: Attempt, command: StartAttempt) -> int:
    if command.boundary == 0:
        return await attempt.begin()
    services = attempt.services
    checkpoint = await services.disk.run(
        services.checkpoints.load, attempt.simulation, command.set, command.boundary
    )
    return await attempt.restore(checkpoint, command.boundary)
