"""Nodes of a PBS cluster, on jobs that succeed each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from climorch.errors import Fault
from climorch.model.resources import parse_bytes
from climorch.sites.batch.declaring import declared
from climorch.sites.batch.jobs import JobRequest
from climorch.sites.batch.pbs_commands import OPEN_PBS, TORQUE, Pbs
from climorch.sites.batch.site import BatchSite, Manner
from climorch.sites.user import this_user

__all__ = ["OPEN_PBS", "TORQUE", "Manner", "PBSSite"]

# What all versions of PBS take as the name of a job.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")


class PBSSite(BatchSite):
    """Nodes of a PBS cluster; see `SlurmSite` for what they have in common.

    Parameters
    ----------
    name : str
        Tells these jobs from all others; the name of each job,
        at most 15 letters, digits, ``.``, ``_`` and ``-``, a letter first.
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
    queue, account : str
        As qsub has them; empty: the default.
    flavour : str
        ``"openpbs"``, also for PBS Professional, or ``"torque"``.
    extra : sequence of str
        More options for qsub, one word each.
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
        account: str = "",
        flavour: str = OPEN_PBS,
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
            partition=queue,
            account=account,
            extra=tuple(extra),
        )
        faults = []
        if not NAME.fullmatch(name):
            faults.append(
                Fault(
                    place="PBSSite.name",
                    problem=f"{name!r} cannot be the name of a job of PBS",
                    remedy="use at most 15 letters, digits, '.', '_', '-', a letter "
                    "first",
                )
            )
        if flavour not in (OPEN_PBS, TORQUE):
            faults.append(
                Fault(
                    place="PBSSite.flavour",
                    problem=f"got {flavour!r}",
                    remedy=f"use {OPEN_PBS!r} or {TORQUE!r}",
                )
            )
        wanted = declared("PBSSite", request, nodes=nodes, start_s=start_s, more=faults)
        dialect = Pbs(flavour, user=this_user())
        super().__init__(dialect, request, wanted, folder, manner)
