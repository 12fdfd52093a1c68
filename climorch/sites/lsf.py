"""Nodes of a LSF cluster, on jobs that succeed each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from climorch.model.resources import parse_bytes
from climorch.sites.batch.declaring import declared
from climorch.sites.batch.jobs import JobRequest
from climorch.sites.batch.lsf_commands import Lsf
from climorch.sites.batch.site import BatchSite, Manner

__all__ = ["LSFSite", "Manner"]


class LSFSite(BatchSite):
    """Nodes of a LSF cluster; see `SlurmSite` for what they have in common.

    Parameters
    ----------
    name : str
        Tells these jobs from all others; the name of each job.
    folder : str or Path
        Seen by this machine and by all nodes under the same path.
    nodes : int
        How many, >= 1.
    nodes_per_job : int
        Nodes of one job, >= 1; ``nodes`` is a multiple of it.
    cores : int
        Cores for compute per node, >= 1.
    memory : int or str
        Memory per node, bytes or text such as ``"64 GiB"``; 0: the default.
    walltime_s : float
        Of each job, in seconds.
    queue, project : str
        As bsub has them; empty: the default.
    warn_s : float
        Seconds before its end at which a node hears of it once more; LSF counts
        whole minutes.
    extra : sequence of str
        More options for bsub, one word each.
    start_s : float
        From the start of a job until its nodes compute, in seconds.
    manner : Manner
        How often to ask, how long nodes wait for another driver, and whether
        all is encrypted.

    Raises
    ------
    InvalidInputError
        With everything that is wrong with the arguments.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: str | Path,
        nodes: int = 1,
        nodes_per_job: int = 1,
        cores: int = 1,
        memory: int | str = 0,
        walltime_s: float = 86_400.0,
        queue: str = "",
        project: str = "",
        warn_s: float = 300.0,
        extra: Sequence[str] = (),
        start_s: float = 120.0,
        manner: Manner | None = None,
    ) -> None:
        request = JobRequest(
            tag=name,
            nodes=nodes_per_job,
            cores=cores,
            memory_bytes=parse_bytes(memory),
            walltime_s=walltime_s,
            warn_s=warn_s,
            partition=queue,
            account=project,
            extra=tuple(extra),
        )

        wanted = declared("LSFSite", request, nodes=nodes, start_s=start_s)
        super().__init__(Lsf(), request, wanted, folder, manner)
