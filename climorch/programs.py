"""Steps that are external programs, with MPI and OpenMP, and their first states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from climorch.engine.programs.restarts import read_fields, read_files
from climorch.model.programs import CHECKPOINTED, DONE, FAIL, RETRY, Command

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CHECKPOINTED", "DONE", "FAIL", "RETRY", "Command", "state_from"]


def state_from(command: Command, folder: str | Path) -> xr.Dataset:
    """Return the first state of a stage from restart files.

    Parameters
    ----------
    command : Command
        Its step.
    folder : str or Path
        Has the files under the names by which the program reads them.

    Returns
    -------
    xarray.Dataset
        In memory, for ``init`` of the stage or to be returned there.
    """
    reads = {name: name for name in command.restart.values()}
    if command.fields:
        (name,) = reads
        return read_fields(Path(folder) / name)
    return read_files(Path(folder), reads)
