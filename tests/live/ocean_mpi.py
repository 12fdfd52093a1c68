"""A model with mpi4py whose restart file is NetCDF.

python -m mpi4py ocean_mpi.py OLD NEW MARK

One rank reads and writes, all of them compute. The second rank raises once: MARK says
that it has.
"""

from __future__ import annotations

import sys
from pathlib import Path

import netCDF4
import numpy as np
from mpi4py import MPI


def main(old: str, new: str, mark: Path) -> None:
    """Advance by three steps."""
    world = MPI.COMM_WORLD
    blocks, attrs, step = None, {}, 0
    if world.rank == 0:
        with netCDF4.Dataset(old) as file:
            heat = file["heat"]
            attrs = {name: heat.getncattr(name) for name in heat.ncattrs()}
            blocks = np.array_split(np.asarray(heat[:]), world.size)
            step = int(file["step"][...])
    block = world.scatter(blocks)
    if world.rank == 1 and not mark.exists():
        mark.touch()
        raise RuntimeError("the second rank gives up")
    for _ in range(3):
        block = block * 1.01 + 0.125
    blocks = world.gather(block)
    if blocks is not None:
        with netCDF4.Dataset(new, "w") as file:
            whole = np.concatenate(blocks)
            file.createDimension("x", whole.size)
            written = file.createVariable("heat", "f8", ("x",))
            written.setncatts(attrs)
            written[:] = whole
            counted = file.createVariable("step", "i8")
            counted.units = "seconds since 2000-01-01"
            counted[...] = step + 3


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
