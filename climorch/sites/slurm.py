"""Nodes of a Slurm cluster, on jobs that succeed each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault
from climorch.model.resources import parse_bytes
from climorch.sites.batch.jobs import JobRequest
from climorch.sites.batch.renewal import Renewal
from climorch.sites.batch.site import BatchSite, Manner
from climorch.sites.batch.slurm_commands import Slurm

__all__ = ["SlurmSite"]

# A busy controller of Slurm takes that long to answer.
LEAST_TIMEOUT_S = 30.0
# Hundreds of nodes look into one folder.
MOST_LOOK_S = 5.0


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
    grace_s : float
        Seconds that a preempted node has, as the partition's GraceTime.
    poll_s : float
        Seconds between two questions to Slurm.
    start_s : float
        From the start of a job until its nodes compute, in seconds.
    patience_s : float
        How long nodes wait for another driver when theirs died, in seconds.
    secure : bool
        Encrypt all that Dask sends and let in only who has this session's key.
        False only where nobody else is on the network.
    interface : str
        Network interface; empty: the default one.

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
        grace_s: float = 30.0,
        poll_s: float = 60.0,
        start_s: float = 120.0,
        patience_s: float = 900.0,
        secure: bool = True,
        interface: str = "",
    ) -> None:
        counts = {
            "nodes": nodes,
            "nodes_per_job": nodes_per_job,
            "cores": cores,
        }
        seconds = {
            "walltime_s": (walltime_s, 60.0),
            "least_walltime_s": (least_walltime_s, 0.0),
            "warn_s": (warn_s, 0.0),
            "grace_s": (grace_s, 0.0),
            "poll_s": (poll_s, 0.1),
            "start_s": (start_s, 0.0),
            "patience_s": (patience_s, 1.0),
        }
        faults = [*_faults(name, counts, seconds, nodes, nodes_per_job)]
        if faults:
            raise InvalidInputError("this site cannot be made", faults=faults)
        super().__init__(
            Slurm(),
            JobRequest(
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
            ),
            Renewal(
                jobs=nodes // nodes_per_job, walltime_s=walltime_s, start_s=start_s
            ),
            Path(folder).expanduser().resolve() / name,
            Manner(
                poll_s=poll_s,
                timeout_s=max(LEAST_TIMEOUT_S, poll_s),
                grace_s=grace_s,
                patience_s=patience_s,
                look_s=min(MOST_LOOK_S, poll_s),
                secure=secure,
                interface=interface,
            ),
        )


def _faults(
    name: str,
    counts: dict[str, int],
    seconds: dict[str, tuple[float, float]],
    nodes: int,
    nodes_per_job: int,
) -> Iterator[Fault]:
    fault = name_fault(name, place="SlurmSite.name")
    if fault is not None:
        yield fault
    for key, count in counts.items():
        if count < 1:
            yield Fault(
                place=f"SlurmSite.{key}",
                problem=f"got {count!r}, expected >= 1",
                remedy="ask for at least one",
            )
    if nodes_per_job >= 1 and nodes % nodes_per_job:
        yield Fault(
            place="SlurmSite.nodes_per_job",
            problem=f"{nodes} nodes are no whole number of jobs of {nodes_per_job}",
            remedy="let nodes be a multiple of it",
        )
    for key, (value, least) in seconds.items():
        if not least <= value < math.inf:
            yield Fault(
                place=f"SlurmSite.{key}",
                problem=f"got {value!r}, expected at least {least:g}",
                remedy="give seconds",
            )
