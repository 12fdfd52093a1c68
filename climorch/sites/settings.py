"""Dask as campaigns need it, and how to find that it is not so.

Each setting was measured or read from Dask's source; the reason stands beside
it. A site sets them before it makes a Dask scheduler; the driver asserts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from climorch.errors import Fault

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["DASK_SETTINGS", "WORKER_ENVIRONMENT", "setting_faults"]

DASK_SETTINGS: dict[str, Any] = {
    # Stolen tasks leave their lease.
    "distributed.scheduler.work-stealing": False,
    # No queueing beyond what a node can start now.
    "distributed.scheduler.worker-saturation": 1.0,
    # A campaign may wait for days for nodes.
    "distributed.scheduler.idle-timeout": None,
    "distributed.scheduler.no-workers-timeout": None,
    # Measured by the wall clock: after a pause of the whole process it would
    # condemn every node. The watchdog looks for frozen ones.
    "distributed.scheduler.worker-ttl": None,
    # Pinned work puts many innocent tasks on a node that dies; our retry
    # budgets count, not Dask's.
    "distributed.scheduler.allowed-failures": 1000,
    # It would move replicas between nodes of different leases.
    "distributed.scheduler.active-memory-manager.start": False,
    # A peer of a dead node waits this long; the default is 30 s.
    "distributed.comm.timeouts.connect": "5s",
    # Below 11 s Dask asserts.
    "distributed.comm.timeouts.tcp": "12s",
    # 300 idle workers with profilers take a whole core.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.disk": False,
    # Its default of 500 ms costs the driver 2 % of a core for graphs only.
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.low-level-log-length": 100,
    # Nodes on this machine are forked from one process that has all imports.
    "distributed.worker.multiprocessing-method": "forkserver",
    # States are admitted by memory; spilling would write them beside the
    # checkpoints.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}

WORKER_ENVIRONMENT: dict[str, str] = {
    # Dask's default trim threshold gives the pages of every encoded chunk
    # back to the system: hundreds of thousands of page faults a checkpoint.
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_ARENA_MAX": "1",
    # One task per core: threads below would fight for it and would change
    # the order of sums with the number of cores.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


# A few deaths of nodes must not make Dask give up a task.
LEAST_FAILURES = 10


def setting_faults(dask_scheduler: Scheduler, shared: bool = False) -> list[Fault]:
    """Return what a Dask scheduler has set otherwise; runs on the scheduler.

    Parameters
    ----------
    dask_scheduler : distributed.Scheduler
        Given by Dask.
    shared : bool
        Whether others use it: stealing is switched off while campaigns are there.
    """
    steals = "stealing" in dask_scheduler.periodic_callbacks and not shared
    found = {
        # Also where the extension is there and was switched off.
        "work-stealing": (steals, False),
        "worker-saturation": (dask_scheduler.WORKER_SATURATION, 1.0),
        "idle-timeout": (dask_scheduler.idle_timeout, None),
        "no-workers-timeout": (dask_scheduler.no_workers_timeout, None),
    }
    faults = [
        _fault(name, f"is {got!r}, expected {expected!r}")
        for name, (got, expected) in found.items()
        if got != expected
    ]
    if dask_scheduler.allowed_failures < LEAST_FAILURES:
        faults.append(
            _fault(
                "allowed-failures",
                f"is {dask_scheduler.allowed_failures}, expected >= {LEAST_FAILURES}",
            )
        )
    return faults


def _fault(name: str, problem: str) -> Fault:
    key = f"distributed.scheduler.{name}"
    value = DASK_SETTINGS[key]
    variable = "DASK_" + key.replace(".", "__").replace("-", "_").upper()
    return Fault(
        place=f"Dask scheduler, {name}",
        problem=problem,
        remedy=f"start it with {variable}={value} in its environment, or make the "
        "cluster within dask.config.set(climorch.DaskSite.SETTINGS)",
    )
