"""What is wrong with how a batch site was declared, whichever system it is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault
from climorch.sites.batch.jobs import JobRequest
from climorch.sites.batch.renewal import Renewal
from climorch.sites.batch.site import least_faults

__all__ = ["LEAST", "declared"]

LEAST: Mapping[str, float] = {
    "nodes": 1,
    "cores": 1,
    "walltime_s": 60.0,
    "least_walltime_s": 0.0,
    "warn_s": 0.0,
}
"""Below, batch systems or we cannot do it."""


def declared(
    kind: str,
    request: JobRequest,
    *,
    nodes: int,
    start_s: float,
    more: Iterable[Fault] = (),
) -> Renewal:
    """Return how many jobs are to be kept.

    Parameters
    ----------
    kind : str
        Name of the class, for messages.
    request : JobRequest
        What each job is like.
    nodes : int
        Nodes in all, a multiple of those of one job.
    start_s : float
        From the start of a job until its nodes compute, in seconds.
    more : iterable of Fault
        What is known to be wrong already.

    Raises
    ------
    InvalidInputError
        With everything that is wrong.
    """
    each = max(request.nodes, 1)
    wanted = Renewal(jobs=nodes // each, walltime_s=request.walltime_s, start_s=start_s)
    faults = [
        *filter(None, [name_fault(request.tag, place=f"{kind}.name")]),
        *least_faults(request, LEAST, place=kind),
        *least_faults(wanted, {"jobs": 1, "start_s": 0.0}, place=kind),
        *more,
    ]
    if nodes % each:
        faults.append(
            Fault(
                place=f"{kind}.nodes",
                problem=f"{nodes} are no whole number of jobs of {request.nodes}",
                remedy="let it be a multiple of nodes_per_job",
            )
        )
    if faults:
        raise InvalidInputError("this site cannot be made", faults=faults)
    return wanted
