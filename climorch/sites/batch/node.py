"""A Dask worker on a node of a batch job, started by the agent there.

python -m climorch.sites.batch.node BEACON NAME
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny

from climorch.sites.batch.certificates import security_from
from climorch.sites.settings import DASK_SETTINGS, WORKER_ENVIRONMENT

__all__ = ["serve"]

# A Dask scheduler that is not found for so long is an old one.
DEATH_S = 60.0


async def serve(beacon: dict[str, Any], name: str) -> None:
    """Be a node until the Dask scheduler goes.

    Parameters
    ----------
    beacon : dict
        What the driver announced: ``address``, ``cores``, ``memory_bytes``,
        ``certificate`` and ``interface``.
    name : str
        Name of the node.
    """
    certificate = beacon.get("certificate")
    cores = int(beacon["cores"])
    nanny = Nanny(
        beacon["address"],
        name=name,
        nthreads=cores + 1,
        resources={"cpu": cores, "io": 1},
        memory_limit=int(beacon["memory_bytes"]),
        interface=beacon.get("interface") or None,
        local_directory=beacon.get("scratch") or None,
        security=security_from(certificate) if certificate else None,
        death_timeout=DEATH_S,
        dashboard=False,
        # Its pages need no key: nobody from outside is to see them.
        dashboard_address="127.0.0.1:0",
    )
    async with nanny:
        await nanny.finished()


def main() -> None:
    """Read the beacon and serve."""
    beacon = json.loads(Path(sys.argv[1]).read_bytes())
    settings = {
        **DASK_SETTINGS,
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        # One worker per node: nothing to be forked from.
        "distributed.worker.multiprocessing-method": "spawn",
    }
    # The agent interrupts who is to go.
    with dask.config.set(settings), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(beacon, sys.argv[2]))


if __name__ == "__main__":
    main()
