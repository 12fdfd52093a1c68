"""What is wrong with a batch system's site before anything is asked of it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from climorch.errors import Fault
from climorch.sites.batch.calls import Answer
from climorch.sites.batch.jobs import Call, Dialect, JobRequest

__all__ = ["preflight"]

# A key is not yet valid on a node whose clock is behind by more, and ends are missed.
MOST_SKEW_S = 5.0


async def preflight(
    dialect: Dialect,
    request: JobRequest,
    folder: Path,
    run: Callable[[Call], Awaitable[Answer]],
) -> list[Fault]:
    """Return what is wrong, each with its remedy.

    Parameters
    ----------
    dialect : Dialect
        Commands of the batch system.
    request : JobRequest
        A job as it would be submitted; the batch system is asked whether it would
        take it, and takes none.
    folder : Path
        Where driver and nodes would meet; made if it is not there.
    run : callable
        Runs a call.

    Returns
    -------
    list of Fault
        Empty: nothing was found. What only the nodes can show is not looked at.
    """
    missing = [name for name in dialect.programs if shutil.which(name) is None]
    faults = [
        Fault(
            place=name,
            problem="is not on the path here",
            remedy="start the campaign where jobs are submitted, or load its module",
        )
        for name in missing
    ]
    faults += _folder_faults(folder)
    if missing:
        return faults
    answer = await run(dialect.submit(request, test=True))
    if not answer.good:
        remedy = dialect.barred(answer.stderr)
        faults.append(
            Fault(
                place="a job as it would be submitted",
                problem=answer.fault,
                remedy=remedy or "change partition, account, QOS, walltime or size",
            )
        )
    call = dialect.clock()
    if call is not None:
        before_s = time.time()
        answer = await run(call)
        with contextlib.suppress(ValueError):
            if answer.good:
                faults += _clock_faults(dialect.clock_s(answer.stdout), before_s)
    return faults


def _folder_faults(folder: Path) -> list[Fault]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return [
            Fault(
                place=str(folder),
                problem=f"cannot be written: {error.strerror}",
                remedy="name a folder of yours that all nodes see",
            )
        ]
    return []


def _clock_faults(told_s: float, before_s: float) -> list[Fault]:
    """Compare a clock that was read between then and now with ours."""
    early_s, late_s = told_s - before_s, told_s - time.time()
    skew_s = early_s if early_s < 0 else max(late_s, 0.0)
    if abs(skew_s) <= MOST_SKEW_S:
        return []
    return [
        Fault(
            place="clocks",
            problem=f"the batch system's differs from this machine's by {skew_s:.0f} s",
            remedy="let both be set by the same time server",
        )
    ]
