"""What the process of a step is to do: its code, its time, where a program runs."""

from __future__ import annotations

import functools
import math

import cloudpickle

from climorch.core.site_ports import LaunchingSite
from climorch.engine.child import Job
from climorch.engine.services import Services
from climorch.errors import InternalError
from climorch.model.advance import Segment
from climorch.model.programs import Command, Host, RunPlace
from climorch.model.stages import Opaque
from climorch.model.steps import BUILD_TIMEOUT_S, Isolated, LiveModel
from climorch.model.workflow import Stage

__all__ = ["job_of"]


def job_of(
    services: Services, attempt: str, stage: Stage, segment: Segment, limit_s: float
) -> Job:
    """Return what the process of a step is to do.

    Parameters
    ----------
    services : Services
        The world.
    attempt : str
        Tag of the attempt.
    stage, segment
        Whose step, and what to advance.
    limit_s : float
        Longest time by what others took, in seconds; inf: no limit.

    Raises
    ------
    InternalError
        If the step is a graph.
    """
    step = stage.step
    if not isinstance(step, Opaque):
        raise InternalError(f"the step of stage {stage.name!r} is a graph")
    place, grace_s = None, 0.0
    if isinstance(step, Command):
        place, grace_s = (
            _run_place(services, attempt, stage.name, segment),
            step.grace_s,
        )
    return Job(
        owner=f"{attempt.rpartition('/')[0]}/{stage.name}",
        attempt=attempt,
        segment=segment,
        code=_code(step),
        # That of a program has nothing of the program, but all that it imported.
        keep=not isinstance(step, Isolated),
        build_timeout_s=getattr(step, "build_timeout_s", BUILD_TIMEOUT_S),
        timeout_s=min(step.timeout_s or math.inf, limit_s),
        place=place,
        grace_s=grace_s,
    )


def _run_place(
    services: Services, attempt: str, stage: str, segment: Segment
) -> RunPlace:
    """Say where a program runs: a folder of this attempt, the hosts of the lease."""
    simulation, _, tag = attempt.partition("/")
    number = tag.rpartition("/")[2]
    runs = services.checkpoints.layout.runs(simulation, stage)
    addresses = {node: address for address, node in services.nodes.items()}
    site = services.cluster.site
    lease = [node for node in services.lease(simulation) if node in addresses]
    launching = site if isinstance(site, LaunchingSite) else None
    return RunPlace(
        folder=str(runs / f"{segment.place}-{number}"),
        hosts=tuple(
            Host(
                node=node,
                address=_machine(addresses[node]),
                job=launching.job_of(node) if launching else "",
            )
            for node in lease
        ),
        launcher=launching.launcher if launching else "mpiexec",
    )


def _machine(address: str) -> str:
    """Return the host of a worker's address; empty: this machine, as far as known."""
    scheme, _, place = address.partition("://")
    host = place.rpartition(":")[0].strip("[]")
    here = scheme == "inproc" or host in ("localhost", "::1")
    return "" if here or host.startswith("127.") else host


@functools.lru_cache(maxsize=256)
def _code(step: LiveModel | Isolated | Command) -> bytes:
    # Once for each: pickled again, the same function may give other bytes, and
    # its process would be made again.
    code: bytes = cloudpickle.dumps(step)
    return code
