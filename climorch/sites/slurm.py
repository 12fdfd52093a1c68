"""Nodes of a Slurm cluster, on jobs that succeed each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from climorch.model.resources import parse_bytes
from climorch.sites.batch.declaring import declared
from climorch.sites.batch.jobs import JobRequest
from climorch.sites.batch.site import BatchSite, Manner
from climorch.sites.batch.slurm_commands import Slurm
from climorch.sites.user import this_user

__all__ = ["Manner", "SlurmSite"]


class SlurmSite(BatchSite):
    """Nodes of a Slurm cluster.

    Keeps so many nodes for as long as the campaign lasts, on jobs of limited
    walltime: each is succeeded before it ends. Its nodes have a deadline, and what
    computes there moves in time. Jobs outlive a driver that dies: the next one, with
    the same ``name`` and ``folder``, takes them over.

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
        Memory per node, bytes or text such as ``"64 GiB"``; 0: Slurm's default.
    walltime_s : float
        Of each job, in seconds; Slurm counts whole minutes.
    least_walltime_s : float
        A job may be given so little where that lets it begin earlier; 0: not less.
    partition, account, qos, constraint : str
        As sbatch has them; empty: the default.
    extra : sequence of str
        More options for sbatch, one word each.
    warn_s : float
        Seconds before its end at which a node hears of it once more.
    start_s : float
        From the start of a job until its nodes compute, in seconds.
    manner : Manner
        How often to ask Slurm, how long nodes wait for another driver, and whether
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
        least_walltime_s: float = 0.0,
        partition: str = "",
        account: str = "",
        qos: str = "",
        constraint: str = "",
        extra: Sequence[str] = (),
        warn_s: float = 300.0,
        start_s: float = 120.0,
        manner: Manner | None = None,
    ) -> None:
        request = JobRequest(
            tag=name,
            nodes=nodes_per_job,
            cores=cores,
            memory_bytes=parse_bytes(memory),
            walltime_s=walltime_s,
            least_walltime_s=least_walltime_s,
            warn_s=warn_s,
            partition=partition,
            account=account,
            qos=qos,
            constraint=constraint,
            extra=tuple(extra),
        )
        wanted = declared("SlurmSite", request, nodes=nodes, start_s=start_s)
        super().__init__(Slurm(this_user()), request, wanted, folder, manner)
